"""What loaders do when the data are neither in a cache nor to be had from the network."""

from __future__ import annotations

import os
import pickle
import struct
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

# What reading a damaged file ends in; a ValueError often is something else.
_DAMAGED = (EOFError, KeyError, pickle.UnpicklingError, struct.error, tarfile.TarError, zlib.error)


def check_folder(value: Any, name: str = "data_home") -> None:
    """Raise an error unless it is None or names a folder, there or not."""
    if value is not None and not isinstance(value, str | os.PathLike):
        raise TypeError(
            f"{name} must be a folder (a string or a path) or None, got {value!r} of type "
            f"{type(value).__name__}."
        )


@contextmanager
def say_how_to_get(
    function: str,
    data: str,
    *,
    places: Sequence[Path],
    looked_for: str | Path,
    put: str,
    environment: str,
    errors: tuple[type[Exception], ...] = (),
) -> Iterator[None]:
    """Turn what a library raises without cache and network into what the caller can do.

    Parameters
    ----------
    function, data : str
        What the user called and what it was to load.
    places : sequence of Path
        Files or folders that are the library's own: folders that it makes for them, or in them, and
        leaves empty when it fails go again.
    looked_for : str or Path
        The place in the library's cache.
    put : str
        Which files to put where instead of downloading.
    environment : str
        The environment variable that names another cache.
    errors : tuple of exception classes
        What else the library raises when it cannot get at the data, beside an OSError and what a
        damaged file causes.
    """
    all_errors: tuple[type[Exception], ...] = (OSError, *_DAMAGED, *errors)
    try:
        with _without_new_empty_folders(places):
            yield
    except all_errors as error:
        is_damaged = not isinstance(error, OSError)
        what = f"{type(error).__name__} {error}" if is_damaged else str(error)
        raise OSError(
            f"{function} cannot get {data}: {what.rstrip('. ')}. Looked for {looked_for}."
            f"{' Delete what is damaged.' if is_damaged else ''} Run {function}() once with a "
            f"network connection, or put {put}; data_home or the environment variable "
            f"{environment} names another folder."
        ) from error


@contextmanager
def _without_new_empty_folders(places: Sequence[Path]) -> Iterator[None]:
    """After an error, remove the folders at, above and below `places` that are new and empty."""
    before = _folders(places)
    try:
        yield
    except BaseException:
        # A folder comes before the one that it lies in, whose path is shorter.
        for folder in sorted(_folders(places) - before, key=lambda path: -len(path.parts)):
            with suppress(OSError):
                folder.rmdir()  # which refuses a folder with something in it
        raise


def _folders(places: Sequence[Path]) -> set[Path]:
    """Those that exist at, above and below the places."""
    above = {folder for place in places for folder in place.parents if folder.is_dir()}
    below = {Path(folder) for place in places for folder, _, _ in os.walk(place)}
    return above | below
