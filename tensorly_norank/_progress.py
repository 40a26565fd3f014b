"""Progress bars, for those who ask and sit at a terminal."""

from __future__ import annotations

import contextlib
import sys
from typing import Any


def progress_bar(total: int, title: str, unit: str) -> Any:
    """A tqdm bar on standard error; None where that is no terminal or tqdm is not installed."""
    if sys.stderr.isatty():
        with contextlib.suppress(ImportError):
            from tqdm import tqdm

            return tqdm(total=total, desc=title, unit=unit)
    return None
