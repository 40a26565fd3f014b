"""Methods whose settings are searched within the fitted samples, and how that is done.

Each candidate embeds a stratified fifth (or a fifth of the classes, where new classes are asked
for) that it was not fitted to, and that with the largest sum of silhouette and adjusted Rand index
is fitted to all. Where classes are too small to leave two samples of each, it is the share whose
nearest fitted sample is of their class.
"""

import warnings
from functools import partial

import numpy as np
from _deep import Arranged
from _peers import embed_by_parafac, embed_by_tucker, embed_by_umap
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA, KernelPCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.manifold import TSNE
from sklearn.metrics import pairwise_distances
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, NeighborhoodComponentsAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from tensorly_norank.evaluation import evaluate_embedding


class Searched:
    """The best of some candidates, by name, as a method; `chosen` is the name of the last one.

    Where nothing tells them apart it is the first. How many could not be run stands behind it.
    """

    def __init__(self, candidates, unseen_classes=False):
        self.candidates, self.unseen_classes = candidates, unseen_classes
        self.chosen = ""

    def __call__(self, fit_samples, fit_labels, new_samples, random_state):
        """Search, fit to all, embed both."""
        scores, n_failed = {}, 0
        fit_samples, new_samples = _channels_scaled(fit_samples, new_samples)
        if len(self.candidates) > 1:
            part, left = a_fifth(fit_labels, random_state, self.unseen_classes)
            for name, method in self.candidates.items():
                try:
                    scores[name] = _quietly(
                        method, fit_samples, fit_labels, part, left, random_state
                    )
                except Exception:  # whatever it raises, of few samples for example: another will do
                    n_failed += 1
        best = max(scores, key=scores.get) if scores else next(iter(self.candidates))
        self.chosen = best + (f" ({n_failed} of {len(self.candidates)} failed)" if n_failed else "")
        return self.candidates[best](fit_samples, fit_labels, new_samples, random_state)


def _channels_scaled(fit_samples, new_samples):
    """Samples with channels standardised by the fitted ones, as ours and deep methods see them."""
    try:
        scale = Arranged(fit_samples).scale
    except ValueError:  # no mode is long enough to be one of places
        return fit_samples, new_samples
    has_channels = scale.size > 1
    return (
        (fit_samples / scale, new_samples / scale) if has_channels else (fit_samples, new_samples)
    )


def _quietly(method, samples, labels, part, left, random_state):
    """How well samples that were left out are embedded; of a search nobody wants to be warned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted, placed = method(samples[part], labels[part], samples[left], random_state)
        return score(fitted, labels[part], placed, labels[left])


def a_fifth(labels, seed, unseen_classes=False):
    """Rows to fit and rows to score: a fifth of each class, or of the classes if there are four.

    Of small classes more, up to one half, so that two samples can be set beside one another; of
    few classes two, so that two are left to fit.
    """
    rows = np.arange(len(labels))
    if not unseen_classes or len(np.unique(labels)) < 4:
        _, sizes = np.unique(labels, return_counts=True)
        share = min(0.5, max(0.2, 2 / sizes.min()))
        stratify = labels if sizes.min() > 1 else None
        return train_test_split(rows, test_size=share, stratify=stratify, random_state=seed)
    classes = np.random.default_rng(seed).permutation(np.unique(labels))
    is_left = np.isin(labels, classes[: max(2, len(classes) // 5)])
    return rows[~is_left], rows[is_left]


def score(fitted, fitted_labels, embedding, labels):
    """How well samples that were left out are embedded; nothing is worse than what cannot be told.

    Silhouette and adjusted Rand index, added. Both need pairs: where a class has a single sample
    left out, the share whose nearest fitted one is of its class.
    """
    embedding = np.asarray(embedding, float)
    if np.unique(labels, return_counts=True)[1].min() < 2:
        nearest = KNeighborsClassifier(1).fit(np.asarray(fitted, float), fitted_labels)
        return nearest.score(embedding, labels)
    figures = evaluate_embedding(embedding, labels, random_state=0)
    return float(np.nan_to_num(figures["silhouette"] + figures["ari"], nan=-2.0))


def searched_methods(n_fit, n_entries, unseen_classes=False):
    """Methods by name, for so many fitted samples of so many entries."""
    most = min(n_fit // 2, n_entries) - 1
    reduced = PCA(min(100, most))  # without which LDA overfits
    umap = {
        f"{k} neighbours, {n} components": partial(
            embed_by_umap, n_neighbors=k, n_components=n, n_axes=reduced.n_components
        )
        for k, n in ((15, 2), (5, 2), (15, 10), (5, 10), (15, 30))
    }
    found = {
        "raw": {"": _flat(FunctionTransformer())},
        "PCA": {f"{n} axes": _flat(PCA(n)) for n in _at_most(most, 20, 5, 50)},
        "kernel PCA": {f"width {w}": partial(_kernel_pca, width=w) for w in (1, 0.5, 2, 0.25)},
        "t-SNE": {"": _flat(_TSNEOfAxes(min(50, most)))},
        "UMAP": {name: partial(method, supervised=False) for name, method in umap.items()},
        "supervised UMAP": umap,
        "LDA": {
            f"{share} of the variance": _flat(
                make_pipeline(reduced, PCA(share), LinearDiscriminantAnalysis())
            )
            for share in (0.95, 0.9, 0.99)
        }
        | {
            # Axes that do not vary, shrunk one by one, would be divided by rounding errors.
            "shrunk": _flat(
                make_pipeline(
                    reduced,
                    PCA(1 - 1e-6),
                    LinearDiscriminantAnalysis("eigen", shrinkage="auto"),
                )
            )
        },
        "NCA": {
            f"{n} axes, length {length}": _flat(
                make_pipeline(
                    PCA(n),
                    _Scaled(length),
                    NeighborhoodComponentsAnalysis(min(20, n), max_iter=50),
                )
            )
            for n in _at_most(most, 40, 20)
            for length in (5, 1)
        },
        "CP": {
            f"rank {r}{projected}": partial(embed_by_parafac, rank=r, is_projected=bool(projected))
            for projected in ("", ", projected")
            for r in (20, 10)
        },
        "Tucker": {f"{r} a mode": partial(embed_by_tucker, rank=r) for r in (6, 3, 10, 15)},
        "t-SVD": {f"{r} slices": partial(_t_svd, rank=r) for r in (3, 1, 6, 12)},
    }
    return {name: Searched(candidates, unseen_classes) for name, candidates in found.items()}


def _at_most(most, *numbers):
    """Each number, or the largest that is possible, once."""
    return dict.fromkeys(min(most, number) for number in numbers)


def _flat(estimator):
    """A scikit-learn transformer of flattened samples as a method."""

    def method(fit_samples, fit_labels, new_samples, random_state):
        fit, new = (part.reshape(len(part), -1) for part in (fit_samples, new_samples))
        for name in estimator.get_params():
            if name.split("__")[-1] == "random_state":
                estimator.set_params(**{name: random_state})
        fitted = estimator.fit_transform(fit, fit_labels)
        for step in getattr(estimator, "named_steps", {"": estimator}).values():
            if getattr(step, "n_iter_", 0) >= getattr(step, "max_iter", np.inf):
                reason = f"stopped after {step.max_iter} steps"  # of which scikit-learn is silent
                warnings.warn(reason, ConvergenceWarning, stacklevel=1)
        return fitted, estimator.transform(new) if hasattr(estimator, "transform") else None

    return method


class _TSNEOfAxes(BaseEstimator):
    """Of principal components, as its author suggests; new samples it cannot embed."""

    def __init__(self, n_axes, random_state=None):
        self.n_axes, self.random_state = n_axes, random_state

    def fit_transform(self, samples, labels):
        """Embed the samples."""
        axes = PCA(self.n_axes, random_state=self.random_state).fit_transform(samples)
        return TSNE(random_state=self.random_state).fit_transform(axes)


class _Scaled(TransformerMixin, BaseEstimator):
    """Samples of that length (root mean square): NCA moves where distances are a few units."""

    def __init__(self, length):
        self.length = length

    def fit(self, samples, labels=None):
        """Measure the fitted ones."""
        self.scale_ = self.length / np.sqrt(np.mean(np.sum(samples**2, axis=1)))
        return self

    def transform(self, samples):
        """Of any samples."""
        return self.scale_ * samples


def _kernel_pca(fit_samples, fit_labels, new_samples, random_state, width):
    """Of a Gaussian kernel, whose width is given in medians of the distances; 20 components."""
    fit, new = (part.reshape(len(part), -1).astype(float) for part in (fit_samples, new_samples))
    median = np.median(pairwise_distances(fit[:500])[np.triu_indices(min(500, len(fit)), 1)])
    gamma = 1 / (2 * (width * median) ** 2)
    kernel = KernelPCA(20, kernel="rbf", gamma=gamma, random_state=random_state)
    return kernel.fit_transform(fit), kernel.transform(new)


def _t_svd(fit_samples, fit_labels, new_samples, random_state, rank):
    """The tensor singular value decomposition (Kilmer, Martin, 2011; of more modes Martin, 2013).

    Samples are lateral slices. In the Fourier domain of all modes but the first two the leading
    left singular vectors of the fitted ones are taken; all are projected on these.
    """
    mean = fit_samples.mean(axis=0)
    modes = tuple(range(2, fit_samples.ndim))

    def transformed(samples):  # (places in the Fourier domain, length of the first mode, samples)
        parts = np.fft.fftn(samples - mean, axes=modes) if modes else samples - mean
        return np.moveaxis(parts.reshape(len(samples), parts.shape[1], -1), (0, 1, 2), (2, 1, 0))

    left, _, _ = np.linalg.svd(transformed(fit_samples), full_matrices=False)
    basis = left[:, :, :rank].conj().transpose(0, 2, 1)
    embeddings = []
    for samples in (fit_samples, new_samples):
        tubes = (basis @ transformed(samples)).transpose(2, 1, 0)  # (samples, rank, places)
        tubes = tubes.reshape(*tubes.shape[:2], *samples.shape[2:])
        back = np.fft.ifftn(tubes, axes=modes).real if modes else tubes
        embeddings.append(back.reshape(len(samples), -1))
    return embeddings
