"""Who is ahead: of what, against whom, how surely; as tables and in words."""

import numpy as np
from _competitors import OF_COPIES, OURS, PROBABILITIES, SPREAD
from _report import (
    FEWEST_SPLITS,
    against_the_best,
    in_order,
    listed,
    pairs_of,
    rst_table,
    shown,
    values,
)
from paper import DATA as ALL_DATA

SIX = ("olivetti", "lfw", "pines", "digits", "galaxies", "crystals")
DATA = (*SIX, *[data for data in ALL_DATA if data not in SIX])
FIRST_FRESH = 5  # split: those before were looked at while defaults were chosen
# Later splits by which it was decided how long fits wait (patience.py).
CHOSEN_BY = {"serology": (5, 6, 7), "crystals": (5,)}
COMPETITORS = (
    "raw",
    "PCA",
    "kernel PCA",
    "UMAP",
    "CP",
    "Tucker",
    "t-SVD",
    "LDA",
    "NCA",
    "supervised UMAP",
    "autoencoder",
    "VAE",
    "DEC",
    "CNN",
    "longer CNN",
    OF_COPIES,
    PROBABILITIES,
    "transformer",
    "transformer, our loss",
)
METHODS = (*COMPETITORS, "our network, another loss", *OURS[1:], SPREAD, "ours")
ALPHA = 0.05  # for a difference to be called significant
LEVEL = 0.0005  # no difference in three digits
LABELS = {
    "silhouette": "silhouette",
    "ari": "ARI",
    "recall_at_1": "recall at 1",
    "verification_auc": "verification AUC",
    "knn_accuracy": "3-NN accuracy",
}


def verdict_of(
    rows, figures, first="ours", competitors=COMPETITORS, in_words=True, shows_table=True
):
    """A table, and in words on how many of the six data sets ours is first, and how surely."""
    found = {name: against_the_best(rows, name, first, competitors) for name in figures}
    text = ""
    for name, table in found.items() if shows_table else ():
        body = [
            [
                shown(data),
                f"{row['mean']:.3f}",
                f"{row['best_mean']:.3f} ({row['best']})",
                f"{row['difference']:+.3f}",
                _p_value(row),
                row["n_splits"],
            ]
            for data, row in table.loc[in_order(table.index, DATA)].iterrows()
        ]
        header = [LABELS[name], first, "best competitor", "difference", "p", "splits"]
        text += rst_table(header, body)
    if in_words:
        tables = [(name, table) for name, table in found.items() if len(table)]
        text += "".join(_in_words(name, table, first) for name, table in tables)
    return text + _left_out(rows, figures[0], first, competitors)


def verdict_of_fresh_splits(rows, figures, competitors=COMPETITORS):
    """The same on the later splits, less those that something was chosen by.

    Of data of which these are enough of ours, and of what is best on all splits: without that, ours
    would be first for want of the competitor.
    """
    places = rows[["data", "split"]].values
    is_fresh = [n >= FIRST_FRESH and n not in CHOSEN_BY.get(data, ()) for data, n in places]
    fresh = rows[is_fresh]
    counts = fresh.groupby(["data", "method"])["split"].nunique()
    needed = [(data, "ours") for data in set(rows["data"])]
    for figure in figures:
        best = against_the_best(rows, figure, "ours", competitors)
        needed += best["best"].items() if len(best) else []
    few = {data for data, method in needed if counts.get((data, method), 0) < FEWEST_SPLITS}
    text = verdict_of(fresh[~fresh["data"].isin(few)], figures, competitors=competitors)
    if text and few:
        text += f"Not compared, with fewer than {FEWEST_SPLITS} such splits of ours or of the "
        text += f"method that is best on all splits: {listed(map(shown, in_order(few, DATA)))}.\n"
    return text


def _p_value(row):
    if np.isnan(row["p_value"]):
        return "–"
    splits = "" if row["n_tested"] == row["n_splits"] else f"; {row['n_tested']} splits"
    of_another = "" if row["tested"] == row["best"] else f" ({row['tested']}{splits})"
    return f"{row['p_value']:.2g}{of_another}"


def _in_words(name, table, ours="ours"):
    parts = []
    for group, names in (("the six", SIX), ("the others", DATA[len(SIX) :])):
        known = table.loc[in_order(table.index, names)].rename(index=shown)
        if not len(known):
            continue
        first = known[known["difference"] > LEVEL]
        sure = first[(first["p_value"] < ALPHA) & (first["n_tested"] >= FEWEST_SPLITS)]
        by_holm = sure[_by_holm(known["p_value"])[sure.index] < ALPHA]
        behind = known[known["difference"] < -LEVEL]
        level = known.index.difference(first.index.union(behind.index), sort=False)
        part = group if len(known) == len(names) else f"{len(known)} of {group}"
        part += f" {ours} is ahead on {len(first) or 'none'}"
        part += f" ({listed(first.index)})" if len(first) else ""
        if len(sure):
            part += f", significantly on {len(sure)} ({listed(sure.index)}; by Holm's method for "
            part += f"{len(known)} comparisons on {listed(by_holm.index)})"
        is_unsure = first["p_value"] >= ALPHA
        untested = first[~is_unsure].drop(sure.index)
        part += (
            f"; within chance on {listed(_by_how_much(first[is_unsure]))}" if any(is_unsure) else ""
        )
        part += f"; on too few splits on {listed(untested.index)}" if len(untested) else ""
        part += f"; level on {listed(level)}" if len(level) else ""
        parts.append(part + (f"; behind on {listed(_by_how_much(behind))}" if len(behind) else ""))
    return f"In {LABELS[name]}, of " + ". Of ".join(parts) + ".\n\n"


def _by_how_much(table):
    """Data sets, with the difference, whichever its sign, and how sure that is."""
    return [
        f"{data} by {abs(row['difference']):.3f} (p = {row['p_value']:.2g})"
        for data, row in table.iterrows()
    ]


def _by_holm(p_values):
    """P-values corrected for how many there are; where there is none it counts as 1."""
    ordered = p_values.fillna(1.0).sort_values()
    factors = np.arange(len(ordered), 0, -1)
    return np.minimum(ordered * factors, 1.0).cummax()


def _left_out(rows, figure, first, competitors):
    """Which competitors are in no verdict, for lack of splits."""
    text = ""
    for data in in_order(rows["data"], DATA):
        table = values(rows[rows["data"] == data], figure)
        if first not in table:
            text += f"- {shown(data)}: {first} has not been run.\n"
            continue
        pairs = pairs_of(table, first, competitors)
        missing = [method for method in competitors if method not in pairs]
        text += f"- {shown(data)}: {listed(missing)}.\n" if missing else ""
    return f"Left out, with too few splits or none:\n\n{text}\n" if text else ""
