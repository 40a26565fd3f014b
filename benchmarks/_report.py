"""What the report is made of: paired comparisons of the rows, and tables as reStructuredText."""

import csv
import io

import numpy as np
import pandas
from _summary import means_and_errors

from tensorly_norank.evaluation import corrected_resampled_t_test

FEWEST_SPLITS = 5  # of which more is said than how they turned out


def values(rows, figure):
    """One figure of all methods (columns) on all splits of all data sets (rows)."""
    return rows.pivot(index=["data", "split"], columns="method", values=figure).astype(float)


def in_order(found, wanted):
    """Those that were found, as they are listed."""
    return [one for one in wanted if one in set(found)]


def against_the_best(rows, figure, first, others):
    """`first` beside the best of the others on each data set, paired on the splits of both.

    The best is the one that `first` is least ahead of, of those in `pairs_of`. A row for each
    data set: `mean`, `best`, `best_mean`, `difference`, `n_splits`, `p_value`, `tested`,
    `n_tested`. The p-value is that of the corrected resampled t-test, two-sided; where `first` is
    ahead of all, the largest of those against each, which `tested` is the one of, on `n_tested`
    splits: the best by mean may be the surer one.
    """
    found = {}
    for data, own in rows.groupby("data", sort=False):
        pairs = pairs_of(values(own, figure), first, others)
        if not pairs:
            continue
        ahead = {other: pair.iloc[:, 0] - pair.iloc[:, 1] for other, pair in pairs.items()}
        best = min(pairs, key=lambda other: ahead[other].mean())
        p_values = {
            other: corrected_resampled_t_test(differences, test_to_fit(own))
            for other, differences in ahead.items()
        }
        tested = best
        if ahead[best].mean() > 0:  # of all what has no p-value is the least sure
            tested = max(pairs, key=lambda other: np.nan_to_num(p_values[other], nan=2.0))
        found[data] = {
            "mean": pairs[best][first].mean(),
            "best": best,
            "best_mean": pairs[best][best].mean(),
            "difference": ahead[best].mean(),
            "n_splits": len(pairs[best]),
            "p_value": p_values[tested],
            "tested": tested,
            "n_tested": len(pairs[tested]),
        }
    return pandas.DataFrame.from_dict(found, orient="index")


def pairs_of(table, first, others):
    """By the name of the other: what both have on the splits of both, of which there are enough."""
    if first not in table:
        return {}
    pairs = {other: table[[first, other]].dropna() for other in in_order(table, others)}
    counts = pandas.Series({other: len(pair) for other, pair in pairs.items()}, dtype=int)
    return {other: pairs[other] for other in counts.index[are_enough(counts)]}


def are_enough(counts):
    """Of methods, whether they have enough splits to be set beside others.

    Five, or as many as any has; of fewer than two nothing can be said.
    """
    return counts >= max(2, min(FEWEST_SPLITS, counts.max())) if len(counts) else counts > 0


def mean_and_error(figures, n_digits=3, test_to_fit=0.0):
    """As text: the mean and its standard error over the splits.

    Splits of the same samples are not independent: with the share of scored to fitted samples
    given, the error is the one by which the corrected t-test divides.
    """
    figures = figures.dropna()
    if not len(figures):
        return "–"
    if len(figures) == 1:
        return f"{figures.mean():.{n_digits}f}"
    mean, error = means_and_errors(figures.to_numpy(), test_to_fit)
    return f"{mean:.{n_digits}f} ± {error:.{n_digits}f}"


def test_to_fit(rows):
    """How many samples are scored for one that is fitted."""
    return (rows["n_test"] / rows["n_fit"]).mean()


def methods_by_data(rows, figure, methods, data_sets, is_best_bold=True, is_held_out=True):
    """A table of means and standard errors.

    Of each data set the largest means are bold, of methods that were scored on enough splits. The
    errors of what is not held out are plain: the correction is for what was scored and not fitted.
    """
    body = [[method] for method in in_order(rows["method"], methods)]
    names = in_order(rows["data"], data_sets)
    for data in names:
        own = rows[rows["data"] == data]
        table = values(own, figure)
        table = table[in_order(table, methods)]
        whole = table.loc[:, are_enough(table.count())].mean().round(3)
        share = test_to_fit(own) if is_held_out else 0.0
        for line in body:
            known = line[0] in table
            cell = mean_and_error(table[line[0]], 3, share) if known else "–"
            is_best = is_best_bold and line[0] in whole and whole[line[0]] == whole.max()
            line.append(f"**{cell}**" if is_best else cell)
    return rst_table(["", *map(shown, names)], body)


def shown(data):
    """The name of a data set, as it is read among others."""
    name, _, kind = data.partition(", ")
    return f"{name} ({kind})" if kind else name


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


def span(numbers):
    """The smallest and the largest, or the only one."""
    least, most = numbers.min(), numbers.max()
    return str(least) if least == most else f"{least} to {most}"


def listed(names):
    """As a phrase."""
    names = list(names)
    if len(names) < 2:
        return names[0] if names else "none"
    return ", ".join(names[:-1]) + " and " + names[-1]
