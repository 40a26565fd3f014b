"""What the report is made of: paired comparisons of the rows, and tables as reStructuredText."""

import csv
import io

import numpy as np
import pandas

from tensorly_norank.evaluation import corrected_resampled_t_test


def values(rows, figure):
    """One figure of all methods (columns) on all splits of all data sets (rows)."""
    return rows.pivot(index=["data", "split"], columns="method", values=figure).astype(float)


def in_order(found, wanted):
    """Those that were found, as they are listed."""
    return [one for one in wanted if one in set(found)]


def against_the_best(rows, figure, first, others):
    """`first` beside the best of the others on each data set, paired on the splits of both.

    The best is the one that `first` is least ahead of. Of others on fewer than two splits nothing
    can be said. A row for each data set: `mean`, `best`, `best_mean`, `difference`, its `p_value`
    by the corrected resampled t-test, `n_splits`.
    """
    found = {}
    for data, own in rows.groupby("data", sort=False):
        table = values(own, figure)
        if first not in table:
            continue
        pairs = {other: table[[first, other]].dropna() for other in in_order(table, others)}
        pairs = {other: pair for other, pair in pairs.items() if len(pair) > 1}
        if not pairs:
            continue
        best = min(pairs, key=lambda other: _ahead(pairs[other]).mean())
        test_to_fit = (own["n_test"] / own["n_fit"]).mean()
        found[data] = {
            "mean": pairs[best][first].mean(),
            "best": best,
            "best_mean": pairs[best][best].mean(),
            "difference": _ahead(pairs[best]).mean(),
            "p_value": corrected_resampled_t_test(_ahead(pairs[best]), test_to_fit),
            "n_splits": len(pairs[best]),
        }
    return pandas.DataFrame.from_dict(found, orient="index")


def _ahead(pair):
    return pair.iloc[:, 0] - pair.iloc[:, 1]


def mean_and_error(figures, n_digits=3):
    """As text: the mean and its standard error over the splits."""
    figures = figures.dropna()
    if not len(figures):
        return "–"
    mean = f"{figures.mean():.{n_digits}f}"
    if len(figures) == 1:
        return mean
    return f"{mean} ± {figures.std() / np.sqrt(len(figures)):.{n_digits}f}"


def methods_by_data(rows, figure, methods, data_sets):
    """A table of means and standard errors; the largest mean of each data set is bold."""
    body = [[method] for method in in_order(rows["method"], methods)]
    names = in_order(rows["data"], data_sets)
    for data in names:
        table = values(rows[rows["data"] == data], figure)
        best = table.mean().idxmax() if table.notna().any(axis=None) else None
        for line in body:
            cell = mean_and_error(table[line[0]]) if line[0] in table else "–"
            line.append(f"**{cell}**" if line[0] == best else cell)
    return rst_table(["", *names], body)


def rst_table(header, body):
    """As a directive; of nothing, nothing."""
    if not body:
        return ""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([header, *body])
    lines = "".join(f"   {line}\n" for line in text.getvalue().splitlines())
    return f".. csv-table::\n   :header-rows: 1\n   :stub-columns: 1\n\n{lines}\n"


def rst_figure(name, alt):
    """A drawn figure, as the page sees it."""
    return f".. image:: /paper/{name}.png\n   :alt: {alt}\n\n"


def listed(names):
    """As a phrase."""
    names = list(names)
    if len(names) < 2:
        return names[0] if names else "none"
    return ", ".join(names[:-1]) + " and " + names[-1]
