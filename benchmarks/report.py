"""Tables and figures of the page "The paper, reproduced", from the results that are there.

    python benchmarks/report.py                                   # into doc/paper/
    python benchmarks/report.py --paper reduced --to build/paper  # of what `make paper` ran

The documentation calls it when it is built. Each part is a piece of reStructuredText that the page
includes: its tables, its figures, and who is ahead in words. What has not been run says so. Of
another table there are only the parts that are made of it: `--show` prints them.
"""

from pathlib import Path

import _extra  # noqa: F401  what follows may be missing
import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas
from _competitors import BESIDE, DEEP, IN_SAMPLE_ONLY, OF_COPIES, PROBABILITIES, SPREAD
from _few_labels import in_words
from _options import parser_of
from _report import (
    in_order,
    listed,
    mean_and_error,
    methods_by_data,
    rst_figure,
    rst_table,
    shown,
    span,
    test_to_fit,
    values,
)
from _verdict import (
    COMPETITORS,
    DATA,
    LABELS,
    METHODS,
    verdict_of,
    verdict_of_fresh_splits,
)
from connectivity import MEASURES
from paper import KEYS, LONG
from scarcity import DATA as DATA_OF_FEW
from scarcity import METHODS as METHODS_OF_FEW
from scarcity import RANK_GIVEN
from verification import SIMILARITY

HERE = Path(__file__).parent
TRAINED = [method for method in DEEP if method not in BESIDE]
READ_OTHERWISE = (OF_COPIES, PROBABILITIES)  # of the longer CNN: its training is theirs
EMBEDDINGS = tuple(method for method in COMPETITORS if method != PROBABILITIES)
ANOTHER_LOSS = BESIDE[0]
RED, BLUE = "#b3261e", "#1f5fa8"
COLOURS = {name: plt.get_cmap("tab20")(number % 20) for number, name in enumerate(METHODS)}
COLOURS |= dict.fromkeys(("ours", SIMILARITY, RANK_GIVEN), RED)


def main():
    """Write all parts."""
    parser = parser_of(__doc__)
    parser.add_argument("--paper", default="paper", help="name of paper.py's table")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--to", type=Path, default=HERE.parent / "doc" / "paper")
    parser.add_argument("--show", action="store_true", help="print what that table gave")
    options = parser.parse_args()
    path = options.results / f"{options.paper}.csv"
    if not path.exists():
        parser.error(f"there is no {path.name} in {options.results}")
    if path.stat().st_size and (lacking := set(KEYS) - set(pandas.read_csv(path, nrows=0))):
        parser.error(f"{path} is no table of paper.py: it has no {listed(sorted(lacking))}")
    options.to.mkdir(parents=True, exist_ok=True)
    for name, (source, part) in PARTS.items():
        if options.paper != "paper" and not source.startswith("paper"):
            continue  # of other programs
        path = options.results / f"{source.replace('paper', options.paper)}.csv"
        is_begun = path.exists() and path.stat().st_size > 0
        rows = pandas.read_csv(path) if is_begun else ()
        text = part(rows, options.to) if len(rows) else ""
        (options.to / f"{name}.inc").write_text(text or "*Not run yet.*\n", encoding="utf-8")
        if options.show and text:
            print(name.replace("_", " "), text, sep="\n\n")


def of_table(source):
    """Says which table a part is made of."""

    def decorate(part):
        PARTS[part.__name__] = source, part
        return part

    return decorate


PARTS = {}  # by name: the table, and what makes text of it


# The methods side by side.


@of_table("paper")
def what_was_run(rows, folder):
    """Splits, failures, versions."""
    body = []
    for data in in_order(rows["data"], DATA):
        own = rows[rows["data"] == data]
        counts = own.groupby(["kind", "method"])["split"].nunique().groupby("kind")
        spread = {kind: span(n) for kind, n in counts}
        sizes = own[own["kind"] == "held out"][["n_fit", "n_test"]].dropna().astype(int)
        body.append(
            [
                shown(data),
                " and ".join(span(sizes[name]) for name in sizes) if len(sizes) else "–",
                spread.get("held out", "–"),
                spread.get("new classes", "–"),
                own["method"].nunique(),
            ]
        )
    header = ["", "fitted and scored", "splits", "splits into classes", "methods"]
    text = rst_table(header, body)
    versions = rows["versions"].dropna().str.partition(" code ")[0]
    return text + _notes(rows) + f"\nVersions: {'; '.join(sorted(set(versions)))}.\n"


def _notes(rows):
    """A list of what is to be said of rows; not that t-SNE has no place for new samples."""
    noted = rows[rows["note"].notna() & (rows["note"] != "cannot embed new samples")]
    return "".join(
        f"- {method}, {len(own)} of {sum(rows['method'] == method)} rows: "
        f"{' '.join(str(note).split())[:100]} ({_counts(own['data'])})\n"
        for (method, note), own in noted.groupby(["method", "note"])
    )


def _counts(names):
    """How often each comes, as a phrase."""
    counts = names.value_counts()
    return ", ".join(f"{shown(name)} {counts[name]}" for name in in_order(names, DATA))


@of_table("paper")
def splits(rows, folder):
    """How many held-out splits each method has been run on, and did not fail."""
    figures = ["silhouette", "in_sample_silhouette"]  # the latter alone: it embeds no new samples
    own = of_kind(rows, "held out").dropna(subset=figures, how="all")
    counts = own.groupby(["method", "data"]).size().unstack(fill_value=0)
    names = in_order(counts.columns, DATA)
    methods = in_order(counts.index, (*IN_SAMPLE_ONLY, *METHODS))
    body = [[method, *counts.loc[method, names]] for method in methods]
    meant = pandas.Series({method: 5 if method in LONG else 10 for method in methods})
    n_lacking = int(counts.loc[methods, names].lt(meant, axis=0).sum().sum())
    text = rst_table(["", *map(shown, names)], body)
    if n_lacking:
        text += f"In {n_lacking} of {len(methods) * len(names)} places these are fewer than meant: "
        text += "ten; of deep methods and variants of ours five.\n"
    return text


@of_table("paper")
def code_of_ours(rows, folder):
    """Which state of the code the rows of ours come from."""
    own = of_kind(rows[rows["method"] == "ours"], "held out").dropna(subset="versions")
    codes = own["versions"].str.extract(" code (.*)")[0]
    body = [
        [shown(data), code, ", ".join(str(split + 1) for split in sorted(part["split"]))]
        for data in in_order(own["data"], DATA)
        for code, part in own[own["data"] == data].groupby(codes, sort=False)
    ]
    return rst_table(["", "state of the code", "splits"], body)


def of_all(figure, kind="held out", also=(), **options):
    """A part: that figure of held-out samples, or of new classes, of all methods, and others."""

    def part(rows, folder):
        return methods_by_data(of_kind(rows, kind), figure, (*also, *METHODS), DATA, **options)

    return part


PARTS |= {
    "silhouette": ("paper", of_all("silhouette")),
    "ari": ("paper", of_all("ari")),
    "knn": ("paper", of_all("knn_accuracy")),
    "recall_of_new_classes": ("paper", of_all("recall_at_1", "new classes")),
    "pairs_of_new_classes": ("paper", of_all("verification_auc", "new classes")),
    "trustworthiness": ("paper", of_all("trustworthiness", is_best_bold=False)),
    "in_sample_ari": (
        "paper",
        of_all("in_sample_ari", also=IN_SAMPLE_ONLY, is_best_bold=False, is_held_out=False),
    ),
}


@of_table("paper")
def seconds(rows, folder):
    """Of fitting and embedding, with the search; on CPUs."""
    on_gpus = rows["versions"].str.contains("+cu", regex=False)  # PyTorch's builds for NVIDIA's
    body, rows = [], of_kind(rows[~on_gpus], "held out")
    for method in in_order(rows["method"], METHODS):
        own = rows[rows["method"] == method].groupby("data")["seconds"].median()
        body.append([method, *[f"{own[d]:.1f}" if d in own else "–" for d in DATA]])
    return rst_table(["", *map(shown, DATA)], body)


@of_table("paper")
def verdict(rows, folder):
    """Ours against the best competitor on held-out samples."""
    return verdict_of(of_kind(rows, "held out"), ("silhouette", "ari"))


@of_table("paper")
def verdict_of_embeddings(rows, folder):
    """The same with embeddings alone: of all splits, not of those that probabilities have too."""
    return verdict_of(of_kind(rows, "held out"), ("silhouette", "ari"), competitors=EMBEDDINGS)


@of_table("paper")
def verdict_of_another_loss(rows, folder):
    """Ours against our network with a triplet loss of another library."""
    figures = ("silhouette", "ari", "knn_accuracy")
    held_out = of_kind(rows, "held out")
    return verdict_of(held_out, figures, competitors=(ANOTHER_LOSS,), shows_table=False)


def of_fresh_splits(competitors):
    """A part: the verdict on the splits that served no choice of ours."""

    def part(rows, folder):
        figures = ("silhouette", "ari")
        return verdict_of_fresh_splits(of_kind(rows, "held out"), figures, competitors)

    return part


PARTS |= {
    "verdict_of_fresh_splits": ("paper", of_fresh_splits(COMPETITORS)),
    "verdict_of_fresh_embeddings": ("paper", of_fresh_splits(EMBEDDINGS)),
}


@of_table("paper")
def verdict_of_new_classes(rows, folder):
    """The same on classes that were not fitted."""
    figures = ("silhouette", "ari", "recall_at_1", "verification_auc")
    return verdict_of(of_kind(rows, "new classes"), figures)


@of_table("paper")
def verdict_of_spread(rows, folder):
    """What is meant for new classes, on these."""
    figures = ("recall_at_1", "verification_auc")
    return verdict_of(of_kind(rows, "new classes"), figures, SPREAD, in_words=False)


@of_table("paper")
def in_sample(rows, folder):
    """Held out, in-sample and new classes in one figure."""
    names = in_order(rows["data"], DATA)
    shape = (2, (len(names) + 1) // 2)
    figure, axes = plt.subplots(*shape, figsize=(13, 9), sharey=True, squeeze=False)
    for ax in axes.flat[len(names) :]:
        ax.axis("off")
    methods = in_order(rows["method"], (*IN_SAMPLE_ONLY, *METHODS))
    seen, unseen = of_kind(rows, "held out"), of_kind(rows, "new classes")
    drawn = (
        ("fitted samples", seen, "in_sample_silhouette", {"marker": "o", "mfc": "none"}, "grey"),
        ("held-out samples", seen, "silhouette", {"marker": "o"}, RED),
        ("classes not fitted", unseen, "silhouette", {"marker": "D", "ms": 4}, BLUE),
    )
    for ax, data in zip(axes.flat, names, strict=False):
        for label, part, figure_name, style, colour in drawn:
            means = part[part["data"] == data].groupby("method")[figure_name].mean()
            places = [methods.index(method) for method in means.index]
            ax.plot(means, places, linestyle="none", color=colour, label=label, **style)
        ax.axvline(0, color="lightgrey", zorder=0)
        ax.set_title(shown(data), fontsize=10)
        ax.grid(axis="y", alpha=0.3)
    labels = [f"{one} (fitted alone)" if one in IN_SAMPLE_ONLY else one for one in methods]
    for line in axes:
        line[0].set_yticks(range(len(methods)), labels, fontsize=8)
    figure.supxlabel("silhouette")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="upper right", ncols=3)
    figure.tight_layout(rect=(0, 0, 1, 0.96))
    alt = "Silhouettes of fitted samples, of held-out samples and of classes not fitted"
    return save(figure, folder, "in_sample", alt)


def of_kind(rows, kind):
    """The rows of "held out" or of "new classes"."""
    return rows[rows["kind"] == kind]


# Are the deep competitors real?


@of_table("paper_curves")
def curves(rows, folder):
    """How the losses of deep methods fell, of the last training of each."""
    rows = of_kind(rows, "held out")
    names = in_order(rows["data"], DATA)
    if not names:
        return ""
    methods = [method for method in TRAINED if method not in READ_OTHERWISE]
    figure, axes = plt.subplots(
        len(methods), len(names), figsize=(1.6 * len(names) + 2, 6), squeeze=False, sharex=True
    )
    for line, method in zip(axes, methods, strict=True):
        for ax, data in zip(line, names, strict=True):
            own = rows[(rows["data"] == data) & (rows["method"] == method)]
            for _, curve in own.groupby("split"):
                ax.plot(curve["tenth"], curve["loss"], color=BLUE, alpha=0.5)
            ax.tick_params(labelsize=6)
        line[0].set_ylabel(method.replace(", ", ",\n"), fontsize=9, rotation=0, ha="right")
    for ax, data in zip(axes[0], names, strict=True):
        ax.set_title(shown(data), fontsize=9)
    figure.supxlabel("tenth of the training")
    figure.tight_layout()
    return save(figure, folder, "curves", "Losses of the deep methods over their training")


@of_table("paper")
def deep_and_chance(rows, folder):
    """Held-out pairs told apart by deep methods; chance is one half."""
    methods = (*TRAINED, "transformer, our loss", "our network, another loss", "ours")
    return methods_by_data(of_kind(rows, "held out"), "verification_auc", methods, DATA)


# Few labels, new people, brains.


@of_table("scarcity")
def scarcity(rows, folder):
    """Curves against the number of labelled samples a class, and where they cross."""
    notes, rows = _notes(rows), rows[rows["silhouette"].notna()]
    names = in_order(rows["data"], DATA)
    if not names:
        return notes
    methods = in_order(rows["method"], (*METHODS, RANK_GIVEN))
    width = 3.2 * len(names) + 2  # with the legend
    figure, axes = plt.subplots(2, len(names), figsize=(width, 6), squeeze=False)
    for line, name in zip(axes, ("ari", "knn_accuracy"), strict=True):
        for ax, data in zip(line, names, strict=True):
            for method in methods:
                own = rows[(rows["data"] == data) & (rows["method"] == method)]
                grouped = own.groupby("each")[name]
                means, spread = grouped.mean(), grouped.std().fillna(0)
                style = "--" if method == RANK_GIVEN else "-"
                ax.errorbar(
                    means.index, means, spread, fmt=f".{style}", label=method, color=COLOURS[method]
                )
            ax.set_xscale("log")
            ax.set_xticks(sorted(rows["each"].unique()), sorted(rows["each"].unique()))
            ax.minorticks_off()
            ax.set_title(f"{data}, {LABELS[name]}", fontsize=9)
    figure.supxlabel("labelled samples a class")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="center right")
    figure.tight_layout(rect=(0, 0, 1 - 2 / width, 1))
    text = save(figure, folder, "scarcity", "Held-out figures against labelled samples a class")
    missing = [one for one in (*DATA_OF_FEW, *METHODS_OF_FEW) if one not in (*names, *methods)]
    text += in_words(rows, names, methods)
    text += f"\nNot run yet: {listed(missing)}.\n" if missing else ""
    return text + (f"\nWhat is to be said of rows:\n\n{notes}" if notes else "")


@of_table("verification")
def verification(rows, folder):
    """Areas under the curves, and true accepts at given false ones."""
    text = ""
    for data in in_order(rows["data"], DATA):
        own = rows[rows["data"] == data]
        share = test_to_fit(own)
        columns = ["auc", *[name for name in rows if name.startswith("true_at_")]]
        tables = {name: values(own, name) for name in columns}
        methods = tables["auc"].mean().sort_values(ascending=False).index
        rates = [f"true at {name.split('_')[-1]} false" for name in columns[1:]]
        header = [data, "splits", "AUC", *rates]
        body = [
            [
                method,
                len(tables["auc"][method].dropna()),
                *[mean_and_error(table[method], 3, share) for table in tables.values()],
            ]
            for method in methods
        ]
        text += rst_table(header, body)
    return text + _notes(rows)


@of_table("verification_curves")
def roc(rows, folder):
    """Mean ROC curves."""
    names = in_order(rows["data"], DATA)
    if not names:
        return ""
    figure, axes = plt.subplots(1, len(names), figsize=(5.5 * len(names), 4.5), squeeze=False)
    for ax, data in zip(axes.flat, names, strict=True):
        own = rows[rows["data"] == data]
        for method in in_order(own["method"], (SIMILARITY, "ours", *METHODS[:-1])):
            curve = own[own["method"] == method].groupby("false")["true"].mean()
            style = "--" if method == SIMILARITY else "-"
            ax.plot(curve.index, curve, style, label=method, color=COLOURS[method])
        ax.set(xscale="log", xlabel="false accepts", ylabel="true accepts", title=data)
    axes[0, 0].legend(fontsize=8)
    figure.tight_layout()
    return save(figure, folder, "roc", "ROC curves of pairs of people who were not fitted")


@of_table("abide")
def abide(rows, folder):
    """Balanced accuracy beside that of permuted labels."""
    body = []
    rows = rows.dropna(subset="balanced_accuracy")
    table = rows.pivot(index="run", columns="method", values="balanced_accuracy")
    for method in rows.loc[rows["run"] == 0, "method"]:  # of which the true labels are known
        true, permuted = table.loc[0, method], table[method].drop(index=0).dropna()
        p_value = (1 + (permuted >= true).sum()) / (1 + len(permuted))
        spread = f"{permuted.mean():.3f} ± {permuted.std():.3f}"
        body.append([method, f"{true:.3f}", spread, f"{p_value:.3f}", len(permuted)])
    header = ["", "balanced accuracy", "of permuted labels (mean ± s. d.)", "p", "permutations"]
    return rst_table(header, body)


@of_table("simulated_connectivity")
def simulated_connectivity(rows, folder):
    """Against the effect size."""
    measures = [name for name in rows if name in MEASURES]
    studies = rows.groupby(["effect_size", "seed"])[measures].mean()  # over the sites of each
    body = [
        [size, *[mean_and_error(own[name], 2) for name in measures]]
        for size, own in studies.groupby("effect_size")
    ]
    return rst_table(["effect size", *measures], body)


def save(figure, folder, name, alt):
    """Write a figure; what the page says to show it."""
    figure.savefig(folder / f"{name}.png", dpi=110)
    plt.close(figure)
    return rst_figure(name, alt)


if __name__ == "__main__":
    main()
