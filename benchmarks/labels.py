"""Labels as people have them: few, or very unequal; held out, beside what peers make of them.

    python benchmarks/labels.py few --data digits --each 5
    python benchmarks/labels.py unequal
    python benchmarks/labels.py many

`few`: of the fitted half all but so many labels a class are left out. Ours with all samples, ours
with the labelled ones alone, supervised UMAP with −1 for the others, and scikit-learn's
LabelSpreading, which classifies and does not embed.
`unequal`: of the fitted half five digits keep eight samples each. Ours, ours without balancing
(classes in batches as they come, anchors weighing the same), LDA, NCA, supervised UMAP and the
samples as they are. LFW has 71 to 530 images a person as it is.
`many`: 20,000 planted samples of 5,000 classes of 4 beside as many of 50 classes of 400, each in a
process of its own: seconds a pass, memory that the fit takes at most, and the nearest neighbours of
samples of 500 more classes beside LDA's, also with LDA's points put on the unit sphere. Then as
many images of 5,000 smooth patterns, each moved by up to a pixel. Without `--data`: simulated.

Printed are means ± standard errors over the splits, and ours minus each other's, paired.
"""

import time
import warnings
from pathlib import Path
from unittest.mock import patch

import numpy as np
from _data import load
from _options import data_name, not_negative, parser_of, positive
from _peers import in_a_new_process, peers
from _summary import means_and_errors, paired_summary
from held_out import some_of_each, split_samples
from scipy.ndimage import gaussian_filter
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import recall_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import normalize
from sklearn.semi_supervised import LabelSpreading

from tensorly_norank import _parts, no_rank_decomposition
from tensorly_norank._batches import Batch, class_balanced_pass
from tensorly_norank.datasets import simulate_planted
from tensorly_norank.evaluation import evaluate_embedding

SHOWN = ("3-NN", "balanced 3-NN", "worst recall", "components", "seconds")


def as_they_come(codes, batch_size, rng):
    """As many batches as the balanced ones, of random samples."""
    n_batches = len(class_balanced_pass(codes, batch_size, rng))
    batches = []
    while len(batches) < n_batches:
        batches += np.array_split(rng.permutation(len(codes)), -(-len(codes) // batch_size))
    return [Batch(batch, np.ones(len(batch))) for batch in batches[:n_batches]]


def ours(tensor, codes, new, seed):
    """Embeddings of the labelled samples and of new ones."""
    result = no_rank_decomposition(tensor, codes, random_state=seed)
    return np.asarray(result.embedding)[codes >= 0], result.transform(new)


def scores(embedded, codes, new, truth):
    """Of the new samples, by their three nearest neighbours among those given."""
    predicted = KNeighborsClassifier(3).fit(embedded, codes).predict(new)
    return _scores(truth, predicted, embedded.shape[1])


def _scores(truth, predicted, n_components):
    recalls = recall_score(truth, predicted, average=None, labels=np.unique(truth))
    return [np.mean(truth == predicted), recalls.mean(), recalls.min(), n_components]


def few_labels(tensor, codes, n_each, seed):
    """Yield each method's name and scores."""
    fit, new = split_samples(codes, seed, False)
    known = some_of_each(fit, codes, n_each, seed)
    given = np.where(np.isin(fit, known), codes[fit], -1)
    is_known = given >= 0

    def with_umap():
        points, placed = peers(len(fit), tensor[0].size)["supervised UMAP"](
            tensor[fit], given, tensor[new], random_state=seed
        )
        return points[is_known], placed

    def spread():
        pca = PCA(min(64, len(fit) // 2)).fit(tensor[fit].reshape(len(fit), -1))
        rows, others = (pca.transform(tensor[part].reshape(len(part), -1)) for part in (fit, new))
        model = LabelSpreading(kernel="knn").fit(rows, given)
        return model.predict(others)

    methods = {
        "all samples": lambda: ours(tensor[fit], given, tensor[new], seed),
        "labelled alone": lambda: ours(tensor[fit[is_known]], given[is_known], tensor[new], seed),
        "supervised UMAP": with_umap,
        "LabelSpreading": spread,
    }
    for name, method in methods.items():
        start = time.perf_counter()
        found = method()
        seconds = time.perf_counter() - start
        if name == "LabelSpreading":
            row = _scores(codes[new], found, np.nan)
        else:
            row = scores(found[0], given[is_known], found[1], codes[new])
        yield name, [*row, seconds]


def unequal_classes(tensor, codes, n_each, seed):
    """Yield each method's name and scores; `n_each` samples of every other class are kept."""
    fit, new = split_samples(codes, seed, False)
    if n_each:
        order = np.random.default_rng(seed).permutation(fit)
        fit = np.concatenate(
            [order[codes[order] == k][: n_each if k % 2 else None] for k in np.unique(codes)]
        )
    others = peers(len(fit), tensor[0].size)
    methods = {
        "ours": lambda: ours(tensor[fit], codes[fit], tensor[new], seed),
        "without balancing": lambda: ours(tensor[fit], codes[fit], tensor[new], seed),
        **{
            name: lambda name=name: _peer(others[name], tensor[fit], codes[fit], tensor[new], seed)
            for name in ("LDA", "NCA", "supervised UMAP")
        },
        "raw": lambda: (tensor[fit].reshape(len(fit), -1), tensor[new].reshape(len(new), -1)),
    }
    for name, method in methods.items():
        start = time.perf_counter()
        if name == "without balancing":
            with patch.object(_parts, "class_balanced_pass", as_they_come):
                points, placed = method()
        else:
            points, placed = method()
        seconds = time.perf_counter() - start
        yield name, [*scores(points, codes[fit], placed, codes[new]), seconds]


def _peer(method, samples, codes, new, seed):
    if callable(method):
        return method(samples, codes, new, random_state=seed)
    rows = samples.reshape(len(samples), -1)
    return method.fit(rows, codes).transform(rows), method.transform(new.reshape(len(new), -1))


N_SAMPLES, N_NEW_CLASSES = 20_000, 500
RECALLS = ("ours", "ours with diversity 1", "LDA", "LDA on the sphere")


def planted(n_classes, size, seed):
    """Classes, noise that is the same in all, and components without classes: all of it linear."""
    bunch = simulate_planted(n_classes * size, rank=10, n_classes=n_classes, random_state=seed)
    return bunch.tensor, bunch.labels


def shifted_images(n_classes, size, seed, length=16):
    """Smooth random patterns, one a class; moved by up to a pixel, with as much noise."""
    rng = np.random.default_rng(seed)
    patterns = gaussian_filter(rng.normal(size=(n_classes, length + 2, length + 2)), (0, 1.5, 1.5))
    patterns /= patterns.std(axis=(1, 2), keepdims=True)
    codes = np.repeat(np.arange(n_classes), size)
    corners = rng.integers(3, size=(len(codes), 2))
    images = np.stack(
        [
            patterns[code, row : row + length, column : column + length]
            for code, (row, column) in zip(codes, corners, strict=True)
        ]
    )
    return (images + rng.normal(size=images.shape)).astype(np.float32), codes


def fit_many(simulate, n_classes, n_components, seed):
    """Seconds a pass, megabytes, and recall at 1 of new classes as in `RECALLS`."""
    n_new = N_NEW_CLASSES * 4
    samples, labels = simulate(n_classes + N_NEW_CLASSES, N_SAMPLES // n_classes, seed)
    is_fitted = labels < n_classes
    tensor, codes = samples[is_fitted], labels[is_fitted]
    new, of_new = samples[~is_fitted][:n_new], labels[~is_fitted][:n_new]
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far; of Linux
    before = memory_in_use("VmRSS")
    ends = []

    def fit(**keywords):
        return no_rank_decomposition(
            tensor,
            codes,
            encoder="mlp",
            rank=n_components,
            validation_fraction=0,
            n_iter_max=10,
            tol=0,
            random_state=seed,
            **keywords,
        )

    result = fit(callback=lambda state, error: ends.append(time.perf_counter()))
    peak = memory_in_use("VmHWM")
    rows = tensor.reshape(len(tensor), -1)
    components = PCA(100, random_state=0).fit(rows)
    n_axes = min(n_components, n_classes - 1)
    lda = LinearDiscriminantAnalysis(n_components=n_axes).fit(components.transform(rows), codes)
    placed = lda.transform(components.transform(new.reshape(len(new), -1)))
    points = (result.transform(new), fit(diversity=1).transform(new), placed, normalize(placed))
    recalls = [evaluate_embedding(one, of_new)["recall_at_1"] for one in points]
    return np.median(np.diff(ends)), peak - before, *recalls


def memory_in_use(kind):
    """Of this process, in MiB."""
    (line,) = [one for one in Path("/proc/self/status").read_text().splitlines() if kind in one]
    return int(line.split()[1]) / 1024


def many_classes(n_seeds):
    """Print a line for each kind of data and number of classes: means and standard errors."""
    found = []
    for simulate, n_classes, n_components in (
        (planted, 50, 10),
        (planted, 5000, 10),
        (shifted_images, 5000, 64),
    ):
        rows = [
            in_a_new_process(fit_many, simulate, n_classes, n_components, seed)
            for seed in range(n_seeds)
        ]
        mean, error = means_and_errors(np.array(rows))
        found.append(mean)
        recalls = [
            f"{name} {value:.3f} ± {its_error:.3f}"
            for name, value, its_error in zip(RECALLS, mean[2:], error[2:], strict=True)
        ]
        print(
            f"{simulate.__name__}, {n_classes} classes: {mean[0]:.2f} s a pass, {mean[1]:.0f} MiB, "
            f"recall@1 of new classes: {', '.join(recalls)}",
            flush=True,
        )
    few, many, _ = found
    print(f"5,000 over 50 classes: time {many[0] / few[0]:.2f}, memory {many[1] / few[1]:.2f}")


def main():
    """Run and print."""
    parser = parser_of(__doc__)
    parser.add_argument("kind", choices=["few", "unequal", "many"])
    parser.add_argument("--data", type=data_name, default="digits", help="data sets")
    parser.add_argument(
        "--each", type=not_negative, help="5 of `few`, 8 of `unequal`, where 0 leaves all"
    )
    parser.add_argument("--splits", type=positive, default=5, help="the first so many")
    options = parser.parse_args()
    if options.kind == "few" and options.each == 0:
        parser.error("--each must be 1 or more for `few`, got 0")
    warnings.simplefilter("ignore")
    if options.kind == "many":
        many_classes(options.splits)
        return
    loaded = load(options.data)
    if loaded is None:
        return
    tensor, labels = np.asarray(loaded[0]), np.unique(loaded[1], return_inverse=True)[1]
    run = few_labels if options.kind == "few" else unequal_classes
    default = 5 if options.kind == "few" else 8
    n_each = default if options.each is None else options.each
    rows = {}
    for seed in range(options.splits):
        for name, row in run(tensor, labels, n_each, seed):
            rows.setdefault(name, []).append(row)
            print(f"split {seed + 1}, {name}: {np.round(row, 3)}", flush=True)
    print(f"{options.data}, {options.kind}, {n_each} samples a class, {options.splits} splits")
    paired_summary(rows, SHOWN, [1])


if __name__ == "__main__":
    main()
