"""What is printed of methods that were run on the same splits."""

import numpy as np


def paired_summary(rows, shown, paired, n_digits=3, test_to_fit=1.0):
    """Print a line for each method: means ± standard errors over its rows, one a split.

    And, of the columns `paired`, how far it is behind the first method on the same splits. Errors
    are those of the corrected test, for splits of the same samples overlap: `test_to_fit` is how
    many samples are scored for each that is fitted.
    """
    first = np.array(next(iter(rows.values())))
    for name, own in rows.items():
        values = np.array(own)
        behind = (first - values)[:, paired]
        cells = [
            f"{label} {mean:.{n_digits}f} ± {error:.{n_digits}f}"
            for label, mean, error in zip(
                shown, *means_and_errors(values, test_to_fit), strict=True
            )
        ]
        differences = ", ".join(
            f"{mean:+.{n_digits}f} ± {error:.{n_digits}f}"
            for mean, error in zip(*means_and_errors(behind, test_to_fit), strict=True)
        )
        print(f"  {name:>22}  {'  '.join(cells)}  behind by {differences}", flush=True)


def means_and_errors(values, test_to_fit=0.0):
    """Of each column, and its standard error; of independent rows if nothing is said of splits."""
    error = values.std(axis=0, ddof=1) * np.sqrt(1 / len(values) + test_to_fit)
    return values.mean(axis=0), error
