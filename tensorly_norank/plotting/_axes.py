"""What all figures share: axes, axes inside of axes, and a bar that explains colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from tensorly_norank._optional import import_optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DARK, LIGHT = "0.1", "0.6"  # grey: what can do without colour does
COLOUR_MAP = "cividis"  # its lightness rises all the way: it reads the same in grey
_LARGEST = 40.0  # inches: beyond that a figure takes long to draw and nobody sees more


def check_axes(ax: Any) -> Axes | None:
    """The axes that were given, if any."""
    if ax is None or getattr(ax, "name", None) == "rectilinear":
        return cast("Axes | None", ax)
    hint = ": pass one of them" if hasattr(ax, "shape") else ""
    kind = f"{ax.name} axes" if hasattr(ax, "get_xaxis") else f"a {type(ax).__name__}"
    raise TypeError(f"ax must be a matplotlib Axes, rectilinear ones, got {kind}{hint}.")


def new_axes(width: float, height: float) -> Axes:
    """Those of a new figure, of so many inches."""
    size = min(width + 1, _LARGEST), min(height, _LARGEST)
    _, ax = matplotlib("pyplot").subplots(figsize=size, layout="constrained")
    return cast("Axes", ax)


def matplotlib(module: str) -> Any:
    """One of its modules, or an error that names the extra."""
    return import_optional(f"matplotlib.{module}", "plot", "tensorly_norank.plotting")


def whole_numbers() -> Any:
    """Ticks at whole numbers."""
    return matplotlib("ticker").MaxNLocator(integer=True)


def panels(ax: Axes, n_rows: int, n_columns: int, gaps: tuple[float, float]) -> list[list[Axes]]:
    """A grid of axes inside `ax`, which itself shows nothing but its title then.

    `gaps` between rows and between columns are in shares of a panel.
    """
    ax.set_axis_off()
    height = 1 / (n_rows + (n_rows - 1) * gaps[0])
    width = 1 / (n_columns + (n_columns - 1) * gaps[1])
    return [
        [
            ax.inset_axes(
                (
                    column * (1 + gaps[1]) * width,
                    1 - height - row * (1 + gaps[0]) * height,
                    width,
                    height,
                )
            )
            for column in range(n_columns)
        ]
        for row in range(n_rows)
    ]


def twin(ax: Axes) -> Axes:
    """Axes with a scale of their own at the right, which hide nothing of `ax`."""
    beside = ax.twinx()
    beside.patch.set_visible(False)  # which it is not where `ax` lies inside of others
    return beside


def colour_bar(ax: Axes, mappable: Any, label: str) -> Any:
    """At the right of `ax`, whose place it leaves as it is."""
    return ax.figure.colorbar(mappable, cax=ax.inset_axes((1.03, 0, 0.04, 1)), label=label)
