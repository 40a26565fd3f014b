"""Packages that only some functions need: imported there, or named with the extra to install."""

from __future__ import annotations

import importlib
from types import ModuleType


def import_optional(
    module: str, extra: str, needed_by: str, *, package: str | None = None
) -> ModuleType:
    """Import `module`; without it, say which extra of this package brings it.

    Parameters
    ----------
    module : str
        What to import, e.g. "nilearn.datasets".
    extra : str
        The extra in pyproject.toml that requires it.
    needed_by : str
        The function that the user called.
    package : str, optional
        What installers call it, where that is not the name that is imported ("Pillow" for "PIL").
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = package or module.partition(".")[0]
        raise ImportError(
            f"{needed_by} needs {package}, which cannot be imported ({error}): pip install "
            f"{package}, or install tensorly-norank again with its extra {extra!r}."
        ) from error
