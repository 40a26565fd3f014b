"""What loaders say when the data are neither in a cache nor to be had from the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def say_how_to_get(
    function: str,
    data: str,
    *,
    looked_for: str | Path,
    put: str,
    environment: str,
    errors: tuple[type[Exception], ...] = (OSError,),
) -> Iterator[None]:
    """Turn what a library raises without cache and network into what the caller can do.

    Parameters
    ----------
    function, data : str
        What the user called and what it was to load.
    looked_for : str or Path
        The place in the library's cache.
    put : str
        Which files to put where instead of downloading.
    environment : str
        The environment variable that names another cache.
    errors : tuple of exception classes
        What the library raises when it cannot get at the data.
    """
    try:
        yield
    except errors as error:
        raise OSError(
            f"{function} cannot get {data}: {error}. Looked for {looked_for}. Run {function}() "
            f"once with a network connection, or put {put}; data_home or the environment "
            f"variable {environment} names another folder."
        ) from error
