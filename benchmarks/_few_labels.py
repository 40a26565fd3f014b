"""Where one method needs fewer labelled samples than another, in words."""

import pandas
from _report import in_order, listed, span
from _verdict import LEVEL
from scarcity import RANK_GIVEN

_RIVALS = ("transformer", "CNN", "LDA", "NCA", "supervised UMAP", "raw")
_FEWEST_DRAWS = 3  # of few samples, to be compared


def in_words(rows, names, methods):
    """On these data sets, ours beside each rival; and how many splits there are."""
    text = ""
    for first in in_order(methods, ("ours", RANK_GIVEN)):
        for rival in in_order(methods, _RIVALS):
            text += f"- {first}, beside {rival}: {_crossings(rows, names, first, rival)}.\n"
    return f"{text}\nSplits, of each method and number the fewest and the most: {_splits(rows)}.\n"


def _splits(rows):
    """How many splits there are of each data set, as a phrase."""
    counts = rows.groupby(["data", "method", "each"])["split"].nunique()
    return ", ".join(f"{data} {span(own)}" for data, own in counts.groupby("data"))


def _crossings(rows, names, first, rival):
    """Where `first` has the larger 3-NN accuracy in every draw, as a phrase.

    Draws share samples, above all where many are labelled, and are few: no test is made of them.
    """
    parts = []
    for data in names:
        own = rows[rows["data"] == data]
        table = own.pivot(index=["each", "split"], columns="method", values="knn_accuracy")
        if first not in table or rival not in table:
            continue
        differences = (table[first] - table[rival]).dropna().groupby("each")
        differences = {n: part for n, part in differences if len(part) >= _FEWEST_DRAWS}
        said = pandas.Series({n: _sign(part) for n, part in differences.items()}, dtype=object)
        groups = {word: said.index[said == word] for word in ("ahead", "behind", "neither")}
        groups["not compared"] = sorted(set(own["each"]) - set(differences))
        words = [f"{word} at {listed(map(str, n))}" for word, n in groups.items() if len(n)]
        parts.append(f"{data}, {', '.join(words)}")
    return "; ".join(parts)


def _sign(differences):
    """Whether all are above zero, or below, by more than what three digits show."""
    if (differences > LEVEL).all():
        return "ahead"
    return "behind" if (differences < -LEVEL).all() else "neither"
