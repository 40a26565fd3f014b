"""Every method that the paper's experiments set beside ours, with a small search of its settings.

A method is a callable `(fit_samples, fit_labels, new_samples, random_state)` that returns both
embeddings, as `tensorly_norank.evaluation.compare` takes it. Settings are searched within the
fitted samples alone: each candidate embeds a stratified fifth (or a fifth of the classes, where new
classes are asked for) that it was not fitted to, and that with the largest sum of silhouette and
adjusted Rand index is fitted to all. Ours are not searched: that is what `"auto"` is for. Deep
embedded clustering goes on from the autoencoder of the same split, whose time counts in its own.
"""

import time
import warnings
from functools import partial
from typing import NamedTuple

import joblib
import numpy as np
import torch
from _deep import (
    DEVICE,
    STEPS_OF_CLUSTERING,
    Arranged,
    Autoencoder,
    ConvNet,
    Transformer,
    clustered,
    embed,
    train,
)
from _peers import embed_by_parafac, embed_by_tucker, embed_by_umap
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA, KernelPCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.manifold import TSNE
from sklearn.metrics import pairwise_distances
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from tensorly_norank import no_rank_decomposition
from tensorly_norank.evaluation import evaluate_embedding

OURS = ("ours", "ours, mlp", "ours, conv", "ours, linear", "ours, multilinear")
SPREAD = "ours, spread"  # as the documentation advises where new classes are what one is after
BESIDE = ("our network, another loss", "transformer, our loss")  # partly ours
PROBABILITIES = "longer CNN, probabilities"
DEEP = (
    "autoencoder",
    "DEC",
    "VAE",
    "CNN",
    "longer CNN",
    PROBABILITIES,
    "transformer",
    *BESIDE,
)
IN_SAMPLE_ONLY = ("t-SNE",)


def competitors(n_fit, n_entries, unseen_classes=False):
    """All methods by name, for so many fitted samples of so many entries."""
    found = _searched(n_fit, n_entries)
    return {name: Searched(candidates, unseen_classes) for name, candidates in found.items()} | {
        "autoencoder": Trained(_autoencoder, unseen_classes),
        "DEC": Clustered(_autoencoder, unseen_classes),
        "VAE": Trained(_variational_autoencoder, unseen_classes),
        "CNN": Trained(ConvNet, unseen_classes),
        # The search above takes the longest nearly always: is more better still?
        "longer CNN": Trained(ConvNet, unseen_classes, (2700,)),
        # Not an embedding by intention, but one that lays classes apart: corners of a simplex.
        PROBABILITIES: Trained(ConvNet, unseen_classes, (2700,), read_out="probabilities"),
        "transformer": Trained(Transformer, unseen_classes, (1800, 600), 2e-3),
        "transformer, our loss": _ours_with_a_transformer,
        "our network, another loss": _ours_with_another_loss,
        "ours": Ours(encoder="auto"),
        **{name: Ours(encoder=name.removeprefix("ours, ")) for name in OURS[1:]},
        SPREAD: Ours(encoder="auto", diversity=10, rank=64),
    }


def _searched(n_fit, n_entries):
    """Candidates by name, of each method by name."""
    most = min(n_fit // 2, n_entries) - 1
    reduced = PCA(min(100, most))  # without which LDA overfits
    umap = {
        f"{k} neighbours, {n} components": partial(
            embed_by_umap, n_neighbors=k, n_components=n, n_axes=reduced.n_components
        )
        for k, n in ((15, 2), (5, 2), (15, 10))
    }
    return {
        "raw": {"": _flat(FunctionTransformer())},
        "PCA": {f"{n} axes": _flat(PCA(n)) for n in _at_most(most, 20, 5, 50)},
        "kernel PCA": {f"width {w}": partial(_kernel_pca, width=w) for w in (1, 0.5, 2)},
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
        "CP": {f"rank {r}": partial(embed_by_parafac, rank=r) for r in (20, 10)},
        "Tucker": {f"{r} a mode": partial(embed_by_tucker, rank=r) for r in (6, 3, 10)},
        "t-SVD": {f"{r} slices": partial(_t_svd, rank=r) for r in (3, 1, 6)},
    }


def _at_most(most, *numbers):
    """Each number, or the largest that is possible, once."""
    return dict.fromkeys(min(most, number) for number in numbers)


class Searched:
    """The best of some candidates, by name, as a method; `chosen` is the name of the last one.

    Where nothing tells them apart it is the first.
    """

    def __init__(self, candidates, unseen_classes=False):
        self.candidates, self.unseen_classes = candidates, unseen_classes
        self.chosen = ""

    def __call__(self, fit_samples, fit_labels, new_samples, random_state):
        """Search, fit to all, embed both."""
        scores = {}
        fit_samples, new_samples = _channels_scaled(fit_samples, new_samples)
        if len(self.candidates) > 1:
            part, left = a_fifth(fit_labels, random_state, self.unseen_classes)
            for name, method in self.candidates.items():
                try:
                    scores[name] = _quietly(
                        method, fit_samples, fit_labels, part, left, random_state
                    )
                except Exception:  # whatever it raises, of few samples for example: another will do
                    continue
        self.chosen = max(scores, key=scores.get) if scores else next(iter(self.candidates))
        return self.candidates[self.chosen](fit_samples, fit_labels, new_samples, random_state)


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
        _, placed = method(samples[part], labels[part], samples[left], random_state)
        return score(placed, labels[left])


class Trained:
    """A deep method whose number of steps is searched; `curve` is that of the last training.

    `n_steps` are tried, the first is taken if in doubt; a single one is taken without a search.
    `seconds_before` are those that went into what was trained for another method. `read_out` is the
    method of the module that gives the points.
    """

    def __init__(
        self,
        make,
        unseen_classes=False,
        n_steps=(900, 300),
        learning_rate=1e-3,
        read_out="encode",
    ):
        self.make, self.unseen_classes = make, unseen_classes
        self.n_steps, self.learning_rate, self.read_out = n_steps, learning_rate, read_out
        self.chosen, self.curve, self.seconds_before = "", [], 0.0

    def __call__(self, fit_samples, fit_labels, new_samples, random_state):
        """Search, train on all, embed both."""
        images, module = self.fit(fit_samples, fit_labels, random_state)
        parts = (fit_samples, new_samples)
        return tuple(embed(module, images(part), self.read_out) for part in parts)

    def fit(self, samples, labels, seed):
        """What arranges samples, and the module."""
        found = self.training(samples, labels, seed)
        return found.images, found.module

    def training(self, samples, labels, seed):
        """The training, made now or for another method before."""
        start = time.perf_counter()
        found = _trained(
            self.make, samples, labels, seed, self.unseen_classes, self.n_steps, self.learning_rate
        )
        self.seconds_before = max(0.0, found.seconds - (time.perf_counter() - start))
        self.chosen, self.curve = f"{found.n_steps} steps", found.losses
        return found


class Clustered(Trained):
    """Deep embedded clustering, from where the autoencoder has come; its curve goes on."""

    def fit(self, samples, labels, seed):
        """What arranges samples, and the module."""
        before = self.training(samples, labels, seed)
        codes = np.unique(labels, return_inverse=True)[1]
        part, left = a_fifth(codes, seed, self.unseen_classes)
        arranged, left_out = (before.images_of_part(samples[rows]) for rows in (part, left))
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            tried = {
                n: clustered(before.module_of_part, arranged, codes[part], n, seed)[0]
                for n in STEPS_OF_CLUSTERING
            }
            n_steps = _best(tried, left_out, codes[left])
            module, curve = clustered(before.module, before.images(samples), codes, n_steps, seed)
        self.chosen += f", then {n_steps}"
        self.curve = self.curve + curve
        return before.images, module


def _only_once(function):
    """The function, remembering its last call: what two methods have in common is fitted once."""
    last = {}

    def remembering(*args):
        key = joblib.hash(args)
        if key not in last:
            last.clear()
            last[key] = function(*args)
        return last[key]

    return remembering


class _Training(NamedTuple):
    """What was trained on all samples, and on a part of them for the search; seconds of both."""

    images: Arranged
    module: torch.nn.Module
    n_steps: int
    losses: list
    images_of_part: Arranged
    module_of_part: torch.nn.Module | None  # of as many steps; None where one number was tried
    seconds: float


@_only_once
def _trained(make, samples, labels, seed, unseen_classes, n_steps_tried, learning_rate):
    """A training of as many steps as served a fifth that was left out best."""
    start = time.perf_counter()
    codes = np.unique(labels, return_inverse=True)[1]
    part, left = a_fifth(codes, seed, unseen_classes)

    def trained(images, codes, n_steps):
        classes, codes = np.unique(codes, return_inverse=True)
        module = make(images.shape[1:], len(classes))
        return module, train(module, images, torch.from_numpy(codes), n_steps, learning_rate)

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        images_of_part = Arranged(samples[part])
        seen, left_out = images_of_part(samples[part]), images_of_part(samples[left])
        searched = n_steps_tried if len(n_steps_tried) > 1 else ()
        tried = {n: trained(seen, codes[part], n)[0] for n in searched}
        n_steps = _best(tried, left_out, codes[left]) if tried else n_steps_tried[0]
        images = Arranged(samples)
        module, losses = trained(images(samples), codes, n_steps)
    seconds = time.perf_counter() - start
    module_of_part = tried.get(n_steps)
    return _Training(images, module, n_steps, losses, images_of_part, module_of_part, seconds)


def _best(modules, images, labels):
    """The name of the module that embeds them best."""
    scores = {name: score(embed(module, images), labels) for name, module in modules.items()}
    return max(scores, key=scores.get)


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


def score(embedding, labels):
    """Silhouette and adjusted Rand index, added; nothing is worse than what cannot be scored."""
    figures = evaluate_embedding(np.asarray(embedding, float), labels, random_state=0)
    return float(np.nan_to_num(figures["silhouette"] + figures["ari"], nan=-2.0))


def _autoencoder(shape, n_classes):
    return Autoencoder(shape)


def _variational_autoencoder(shape, n_classes):
    return Autoencoder(shape, is_variational=True)


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


class Ours:
    """Ours, as a method, with the settings given; `chosen` is the encoder of the last fit."""

    def __init__(self, **keywords):
        self.keywords = keywords
        self.chosen = ""

    def __call__(self, fit_samples, fit_labels, new_samples, random_state):
        """Fit, embed both."""
        result = no_rank_decomposition(
            fit_samples, fit_labels, random_state=random_state, device=DEVICE, **self.keywords
        )
        self.chosen = type(result.encoder).__name__
        return result.embedding, result.transform(new_samples)


def _ours_with_another_loss(fit_samples, fit_labels, new_samples, random_state):
    """Our network and all else, with the triplets of pytorch-metric-learning."""
    from pytorch_metric_learning.losses import TripletMarginLoss

    keywords = {"encoder": "conv", "loss": TripletMarginLoss()}
    return Ours(**keywords)(fit_samples, fit_labels, new_samples, random_state)


def _ours_with_a_transformer(fit_samples, fit_labels, new_samples, random_state):
    """The transformer as our encoder."""
    images = Arranged(fit_samples)
    fit, new = (images(samples).numpy() for samples in (fit_samples, new_samples))
    with torch.random.fork_rng():
        torch.manual_seed(random_state)
        module = Transformer(fit.shape[1:])
    return Ours(encoder=module)(fit, fit_labels, new, random_state)
