"""How many components? Ours and five peers, on planted tensors whose number is known.

    python benchmarks/component_count.py --methods linear peers
    python benchmarks/component_count.py --methods mlp --scenarios base "noise 0.5" --seeds 20
    python benchmarks/component_count.py --table

Each run adds rows to results/component_count.csv (scenario, seed, method, R*, count, seconds) and
leaves out what is there already, so that it can be done in pieces and go on where it stopped. For
seed s the planted number is 1 + s modulo the scenario's largest; of permuted labels it is 0 (of
which the decomposition makes one component, and a warning). `--table` prints, for each scenario and
method, how often the count is exact and within one, and draws the figure
(results/component_count.png). Where classes have so few samples that what is likely counts, what is
significant stands beside it as a method of its own.

Peers: core consistency of `parafac` (largest rank with 90 % or more, tensorly-viz), the elbow of
its reconstruction error (point farthest from the chord), parallel analysis of principal components
(Horn), 40 principal components and Bartlett's chi-square test of the discriminants (level 0.01),
and K − 1. The package tensorly-viz is needed for the first, pandas and matplotlib for the table.
"""

import time
import warnings

import numpy as np
import tensorly as tl
from _options import parser_of, positive
from _rows import RESULTS, Rows
from scipy import linalg, stats
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from tensorly.decomposition import parafac

from tensorly_norank import no_rank_decomposition
from tensorly_norank.datasets import simulate_planted

FIELDS = ("scenario", "seed", "method", "planted", "count", "seconds")
FIGURE = RESULTS / "component_count.png"
OURS = ("linear", "multilinear", "mlp", "conv")
SIGNIFICANT = {name: f"{name}, significant" for name in OURS}
MOST = 10  # ranks that parafac is tried with

SCENARIOS = {
    "base": {},
    "noise 0.5": {"noise": 0.5},
    "noise 2": {"noise": 2.0},
    "100 samples": {"n_samples": 100},
    "200 samples": {"n_samples": 200},
    "2000 samples": {"n_samples": 2000},
    "3 classes": {"n_classes": 3},
    "20 classes": {"n_classes": 20},
    "order 4": {"sample_shape": (8, 7, 6)},
    "quiet distractors": {"distractor_scale": 0.5},
    "distractors x 10": {"distractor_scale": 10.0},
    "distractors x 10, 100 samples": {"distractor_scale": 10.0, "n_samples": 100},
    "20 distractors x 10": {"distractor_scale": 10.0, "n_distractors": 20},
    "60 distractors x 3": {"distractor_scale": 3.0, "n_distractors": 60},
    "correlated factors": {"factor_correlation": 0.5},
    "simplex": {"class_means": "simplex"},
    "heavy tails": {"noise_kind": "heavy_tailed"},
    "unequal covariances": {"noise_kind": "unequal"},
    "classes 8 to 1": {"imbalance": 8.0},
    "unequal, 8 to 1": {"noise_kind": "unequal", "imbalance": 8.0},
    "unequal, 8 to 1, 1600 entries": {
        "noise_kind": "unequal",
        "imbalance": 8.0,
        "n_samples": 200,
        "sample_shape": (40, 40),
    },
    "20 classes of 5": {"n_samples": 100, "n_classes": 20},
    "10 classes of 4, noise 0.5": {"n_samples": 40, "n_classes": 10, "noise": 0.5},
    "10 classes of 7, noise 0.5": {"n_samples": 70, "n_classes": 10, "noise": 0.5},
    "100 classes of 2": {"n_samples": 200, "n_classes": 100},
    "80 of 400 labelled": {"n_labelled": 80},
    "labels permuted": {"permute": True},
    "10 classes of 4, permuted": {"n_samples": 40, "n_classes": 10, "permute": True},
    "80 of 400 labelled, permuted": {"n_labelled": 80, "permute": True},
}


def planted(scenario, seed):
    """The tensor of a scenario, R* = 1 ... 6 in turn; 0 if labels are permuted.

    Labels that are left out are −1.
    """
    options = dict(SCENARIOS[scenario])
    permute, n_labelled = options.pop("permute", False), options.pop("n_labelled", None)
    rank = 1 + seed % min(6, options.get("n_classes", 8) - 1)
    bunch = simulate_planted(rank=rank, random_state=seed, **options)
    if permute:
        bunch.labels = np.random.default_rng(seed).permutation(bunch.labels)
        bunch.rank = 0
    if n_labelled is not None:
        samples = np.arange(len(bunch.labels))
        left_out = train_test_split(
            samples, train_size=n_labelled, stratify=bunch.labels, random_state=seed
        )[1]
        bunch.labels[left_out] = -1
    return bunch


# The peers. Each takes samples and labels, and gives a number.


def _fits(tensor):
    """parafac with 1, 2, ... components."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of modes shorter than the rank
        return [
            parafac(tensor, rank, n_iter_max=50, tol=1e-5, random_state=0)
            for rank in range(1, MOST + 1)
        ]


def core_consistency_count(tensor, fits):
    """The largest rank whose core consistency is 90 % or more."""
    from tlviz.model_evaluation import core_consistency

    passed = [k for k, fit in enumerate(fits, start=1) if core_consistency(fit, tensor) >= 90]
    return max(passed, default=1)


def elbow_count(tensor, fits):
    """The rank whose error lies farthest below the chord from the first to the last."""
    errors = np.array([tl.norm(tensor - tl.cp_to_tensor(fit)) for fit in fits])
    chord = np.linspace(errors[0], errors[-1], len(errors))
    return int(np.argmax(chord - errors)) + 1


def parallel_analysis_count(tensor, seed, n_draws=20):
    """Principal components with more variance than 95 % of those of permuted columns."""
    rng = np.random.default_rng(seed)
    matrix = tensor.reshape(len(tensor), -1)

    def variances(values):
        return np.linalg.svd(values - values.mean(axis=0), compute_uv=False) ** 2

    drawn = [variances(rng.permuted(matrix, axis=0)) for _ in range(n_draws)]
    above = variances(matrix) > np.quantile(drawn, 0.95, axis=0)
    return max(int(np.argmin(above)), 1)


def bartlett_count(tensor, labels, n_axes=40, level=0.01):
    """Discriminant dimensions of 40 principal components, by Bartlett's chi-square."""
    n_classes, known = int(labels.max()) + 1, labels >= 0
    n_axes = min(n_axes, (known.sum() - n_classes) // 2)
    points = PCA(n_axes, random_state=0).fit_transform(tensor.reshape(len(tensor), -1))
    points, labels = points[known], labels[known]
    means = np.stack([points[labels == k].mean(axis=0) for k in range(n_classes)])
    deviations = points - means[labels]
    between = (means[labels] - points.mean(axis=0)).T @ (means[labels] - points.mean(axis=0))
    eigenvalues = linalg.eigh(between, deviations.T @ deviations, eigvals_only=True)[::-1]
    scale = len(points) - 1 - (n_axes + n_classes) / 2
    for r in range(min(n_classes - 1, n_axes)):
        statistic = scale * np.log1p(np.clip(eigenvalues[r:], 0, None)).sum()
        if stats.chi2.sf(statistic, (n_axes - r) * (n_classes - r - 1)) >= level:
            return r
    return min(n_classes - 1, n_axes)


def run_peers(bunch, seed):
    """Counts of all peers, and their seconds."""
    tensor = np.asarray(bunch.tensor, float)
    start = time.perf_counter()
    fits = _fits(tensor)
    fitting = time.perf_counter() - start
    methods = {
        "core consistency": lambda: core_consistency_count(tensor, fits),
        "elbow": lambda: elbow_count(tensor, fits),
        "parallel analysis": lambda: parallel_analysis_count(tensor, seed),
        "PCA + Bartlett": lambda: bartlett_count(tensor, bunch.labels),
        "K - 1": lambda: int(bunch.labels.max()),
    }
    for name, method in methods.items():
        start = time.perf_counter()
        count = method()
        seconds = time.perf_counter() - start
        yield name, count, seconds + fitting * (name in ("core consistency", "elbow"))


def run_ours(bunch, seed, encoder):
    """The count of the no-rank decomposition, and its seconds, fits included.

    Of few samples what is significant, too, for that is not what counts.
    """
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = no_rank_decomposition(
            bunch.tensor, bunch.labels, encoder=encoder, random_state=seed
        )
    seconds, evidence = time.perf_counter() - start, result.rank_evidence
    yield encoder, evidence.found, seconds
    if evidence.likely is not None:
        yield SIGNIFICANT[encoder], evidence.significant, seconds


def run(methods, scenarios, n_seeds):
    """Add what is missing to the results."""
    rows = Rows("component_count", FIELDS, 3)
    for scenario in scenarios:
        for seed in range(n_seeds):
            bunch = planted(scenario, seed)
            for method in methods:
                if (scenario, seed, "K - 1" if method == "peers" else method) in rows:
                    continue
                counted = (
                    run_peers(bunch, seed) if method == "peers" else run_ours(bunch, seed, method)
                )
                for name, count, seconds in counted:
                    rows.add(scenario, seed, name, bunch.rank, count, f"{seconds:.2f}")
        print(scenario, "done", flush=True)


def print_table():
    """Share of exact counts / of counts within one, in per cent, and the figure."""
    import pandas

    rows = Rows("component_count", FIELDS, 3).table()
    rows["exact"] = 100.0 * (rows["count"] == rows["planted"])
    rows["within one"] = 100.0 * ((rows["count"] - rows["planted"]).abs() <= 1)
    shares = rows.groupby(["scenario", "method"])[["exact", "within one"]].mean().round(0)
    cells = shares["exact"].map("{:.0f}".format) + "/" + shares["within one"].map("{:.0f}".format)
    order = [name for name in SCENARIOS if name in set(rows["scenario"])]
    methods = [
        name
        for name in (
            *OURS,
            *SIGNIFICANT.values(),
            "PCA + Bartlett",
            "parallel analysis",
            "core consistency",
            "elbow",
            "K - 1",
        )
        if name in set(rows["method"])
    ]
    table = cells.unstack("method").reindex(index=order, columns=methods).fillna("")
    with pandas.option_context("display.width", 250, "display.max_columns", 20):
        print(table)
    print(rows.groupby(["scenario", "method"])["seed"].nunique().unstack("method")[methods].max())
    print("seconds, median:", rows.groupby("method")["seconds"].median()[methods].to_dict())
    drawn = [name for name in methods if name not in SIGNIFICANT.values()]
    draw(shares["exact"].unstack("method").reindex(index=order, columns=drawn))


def draw(exact):
    """One row a scenario, one mark a method."""
    from matplotlib import pyplot

    _, ax = pyplot.subplots(figsize=(8, 0.35 * len(exact) + 1.5), layout="constrained")
    for name, marker in zip(exact.columns, "os^Dxv+1_", strict=False):
        ax.plot(exact[name], np.arange(len(exact)), marker, label=name, markersize=6)
    ax.set_yticks(np.arange(len(exact)), exact.index)
    ax.invert_yaxis()
    ax.set_xlabel("exactly the planted number, % of seeds")
    ax.grid(axis="y", alpha=0.3)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    ax.figure.savefig(FIGURE, dpi=110)


def main():
    """Run, or print."""
    parser = parser_of(__doc__)
    parser.add_argument("--methods", nargs="+", default=["linear"], choices=[*OURS, "peers"])
    parser.add_argument("--scenarios", nargs="+", default=list(SCENARIOS), choices=list(SCENARIOS))
    parser.add_argument("--seeds", type=positive, default=20, help="the first so many")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if options.table:
        print_table()
    else:
        run(options.methods, options.scenarios, options.seeds)


if __name__ == "__main__":
    main()
