"""What is printed of methods that were run on the same splits."""

import numpy as np


def paired_summary(rows, shown, paired, n_digits=3):
    """Print a line for each method: means ± standard errors over its rows, one a split.

    And, of the columns `paired`, how far it is behind the first method on the same splits.
    """
    first = np.array(next(iter(rows.values())))
    for name, own in rows.items():
        values = np.array(own)
        behind = (first - values)[:, paired]
        cells = [
            f"{label} {mean:.{n_digits}f} ± {error:.{n_digits}f}"
            for label, mean, error in zip(shown, *means_and_errors(values), strict=True)
        ]
        differences = ", ".join(
            f"{mean:+.{n_digits}f} ± {error:.{n_digits}f}"
            for mean, error in zip(*means_and_errors(behind), strict=True)
        )
        print(f"  {name:>22}  {'  '.join(cells)}  behind by {differences}", flush=True)


def means_and_errors(values):
    """Of each column, and its standard error."""
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values))
