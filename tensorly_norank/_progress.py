"""Progress bars, for those who ask and sit at a terminal; lines for those who ask elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

_Item = TypeVar("_Item")


def progress_bar(total: int, title: str, unit: str) -> Any:
    """A tqdm bar on standard error; None where that is no terminal or tqdm is not installed."""
    if sys.stderr.isatty():
        with contextlib.suppress(ImportError):
            from tqdm import tqdm

            return tqdm(total=total, desc=title, unit=unit)
    return None


def is_tenth(n_done: int, n_all: int) -> bool:
    """Whether a line is due: after each tenth of the work and at its end."""
    return n_done * 10 // n_all > (n_done - 1) * 10 // n_all


def follow(items: Sequence[_Item], title: str, unit: str, verbose: bool) -> Iterator[_Item]:
    """Yield the items and, if `verbose`, show how many of them are done."""
    bar = progress_bar(len(items), title, unit) if verbose else None
    with contextlib.nullcontext() if bar is None else bar:
        for n_done, item in enumerate(items, start=1):
            yield item
            if bar is not None:
                bar.update()
            elif verbose and is_tenth(n_done, len(items)):
                print(f"{title}: {unit} {n_done}/{len(items)}")
