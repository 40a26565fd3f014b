"""Figures of one embedding: scikit-learn's where it has them, and what it lacks."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy import special
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist, pdist, squareform
from sklearn.cluster import KMeans
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import (
    accuracy_score,
    adjusted_rand_score,
    calinski_harabasz_score,
    davies_bouldin_score,
    normalized_mutual_info_score,
    recall_score,
    roc_auc_score,
    silhouette_score,
)
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.utils import gen_batches

from tensorly_norank._labels import number_labels
from tensorly_norank._neighbourhoods import neighbourhood_agreement
from tensorly_norank._points import check_points
from tensorly_norank._triplets import AllTriplets
from tensorly_norank._validation import check_random_state
from tensorly_norank._warnings import warn
from tensorly_norank.evaluation._inputs import Place, check_data, check_fitted

_N_VOTES = 3  # neighbours that vote in the k-NN accuracies
_COINCIDING = 1e-7  # distance of class means: nearer ones scikit-learn may round to 0 and leave out
_MOST_AT_ONCE = 2**23  # distances that are in memory together
_MOST_IN_PAIRS = 3000  # samples whose pairs are looked at: their number grows with the square


class Figures(dict[str, float]):
    """Figures by name, as a dict of floats.

    Attributes
    ----------
    reasons : dict of str to str
        Why a figure is NaN, for each that is.
    """

    def __init__(self, values: dict[str, float], reasons: dict[str, str] | None = None) -> None:
        super().__init__(values)
        self.reasons = reasons or {}


def evaluate_embedding(
    embedding: Any,
    labels: Any,
    fit_embedding: Any = None,
    fit_labels: Any = None,
    data: Any = None,
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
) -> Figures:
    """Figures that say how well distances in an embedding tell classes apart.

    They describe the samples that are passed. Of the samples that a method was fitted to they say
    next to nothing: a flexible method separates random labels too. Pass held-out samples, and the
    fitted ones as `fit_embedding`.

    Parameters
    ----------
    embedding : array-like of shape (n_samples, n_components)
        Of any backend. A decomposition (or a fitted estimator) stands for its embedding; of new
        samples pass ``result.transform(new)``, which has the same scale. The columns of
        ``result.factors[0]`` have norm 1.
    labels : array-like of length n_samples
        Integers, strings, anything hashable; none missing, as −1 is among integers where there are
        two other classes or more: number such classes anew.
    fit_embedding, fit_labels : array-likes of shape (n_fitted, n_components) and length n_fitted
        The samples that a nearest-neighbour classifier looks things up in. Both or neither.
    data : array-like of shape (n_samples, ...), optional
        What was embedded, to compare neighbourhoods with.
    random_state : int, RandomState or Generator, optional
        For k-means; for which of samples that coincide is the nearest; and, with more than 3,000
        samples, to draw those 3,000 of which all pairs and triplets are looked at, and whose
        silhouettes among all samples are averaged.

    Returns
    -------
    Figures
        A dict of floats. What cannot be had is NaN, and its attribute `reasons` says why.

        silhouette
            Mean silhouette of the true classes [1]_, −1 to 1; that of a sample that is alone in its
            class is 0.
        davies_bouldin
            Mean ratio of scatter within to distance between the most similar classes; the smaller,
            the better.
        calinski_harabasz
            Scatter of the class means over scatter within classes.
        separation_ratio
            Mean distance of pairs of different classes over that of pairs of a class.
        ari, nmi
            Agreement of k-means clusters (as many as there are classes, the best of 10 starts) with
            the classes: adjusted Rand index, normalised mutual information. Of all samples: with
            thousands of classes this takes a minute.
        recall_at_1
            Share of samples whose nearest other sample is of the same class. Samples that are alone
            in their class are not asked.
        verification_auc
            Area under the ROC curve of telling pairs of a class from other pairs by distance.
        triplet_accuracy
            Share of all triplets (anchor, same class, other class) with the former nearer to the
            anchor than the latter; ties count half.
        effective_rank
            Exponential of the entropy of the singular values of the centred embedding, divided by
            their sum [2]_: 1 if all points lie on a line, n_components if they spread evenly.
        knn_accuracy, knn_balanced_accuracy
            If there is a fitting set: of the vote of the 3 nearest fitted samples; the latter is
            the mean over classes. Three different votes go to the class that comes first, as in
            scikit-learn; samples of classes that were not fitted count as wrong.
        trustworthiness, continuity
            If there are data: whether the 10 nearest neighbours in the embedding are near in the
            data [3]_, and the other way round. (Fewer neighbours below 21 samples.)

    Raises
    ------
    TypeError, ValueError
        If lengths or shapes do not match, or values are missing or infinite.

    Warns
    -----
    UndefinedMetricWarning
        If a figure is NaN: with a single class, or where no class has two samples.

    References
    ----------
    .. [1] P. J. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of
       cluster analysis", Journal of Computational and Applied Mathematics 20, 53-65 (1987).
    .. [2] O. Roy and M. Vetterli, "The effective rank: a measure of effective dimensionality",
       EUSIPCO 2007.
    .. [3] J. Venna and S. Kaski, "Neighborhood preservation in nonlinear projection methods: an
       experimental study", ICANN 2001.

    Examples
    --------
    >>> from tensorly_norank.evaluation import evaluate_embedding
    >>> line = [[0.0], [1.0], [10.0], [12.0]]
    >>> figures = evaluate_embedding(line, ["a", "a", "b", "b"], random_state=0)
    >>> figures["recall_at_1"], figures["ari"], figures["separation_ratio"]
    (1.0, 1.0, 7.0)
    """
    figures = embedding_figures(embedding, labels, fit_embedding, fit_labels, data, random_state)
    for reason in dict.fromkeys(figures.reasons.values()):
        names = [name for name, why in figures.reasons.items() if why == reason]
        warn(f"{', '.join(names)}: NaN, because {reason}.", UndefinedMetricWarning)
    return figures


def embedding_figures(
    embedding: Any,
    labels: Any,
    fit_embedding: Any = None,
    fit_labels: Any = None,
    data: Any = None,
    random_state: Any = None,
) -> Figures:
    """As `evaluate_embedding`, without the warnings."""
    points = check_points(embedding, "embedding")
    rng = check_random_state(random_state)
    is_seed = isinstance(random_state, numbers.Integral)
    seed = int(random_state) % 2**32 if is_seed else int(rng.integers(2**31 - 1))
    if (fit_embedding is None) != (fit_labels is None):
        raise ValueError("fit_embedding and fit_labels go together, got only one of them.")
    _, codes = number_labels(labels, len(points))
    place = Place.of(points)
    points = place.move(points)
    wanted = dict(_FIGURES)
    fitted = None
    if fit_embedding is not None:
        looked_up, known, asked = check_fitted(fit_embedding, fit_labels, labels, points.shape[1])
        fitted = place.move(looked_up), known, asked
        wanted |= FIGURES_WITH_FIT
    if data is not None:
        data = check_data(data, len(points))
        wanted |= _FIGURES_WITH_DATA
    case = _Case(points, codes, seed, rng.permutation(len(points)), fitted, data)
    values, reasons = {}, {}
    for name, figure in wanted.items():
        try:
            values[name] = float(figure(case))
            if not math.isfinite(values[name]):
                raise _UndefinedError("it is not finite: the samples of each class nearly coincide")
        except _UndefinedError as reason:
            values[name] = math.nan
            reasons[name] = str(reason)
    return Figures(values, reasons)


class _UndefinedError(Exception):
    """A figure cannot be had; the message says why."""


@dataclass(frozen=True)
class _Case:
    """The samples asked about, and what several figures share."""

    points: np.ndarray  # (n, D)
    codes: np.ndarray  # (n,) 0, 1, ...
    seed: int
    order: np.ndarray  # (n,) a random one
    fitted: tuple[np.ndarray, np.ndarray, np.ndarray] | None  # points, codes, codes asked about
    data: np.ndarray | None  # (n, n_entries)

    @property
    def n_classes(self) -> int:
        return int(self.codes.max()) + 1

    @cached_property
    def class_means(self) -> np.ndarray:
        """Of shape (K, D)."""
        return np.stack([self.points[self.codes == k].mean(axis=0) for k in range(self.n_classes)])

    @cached_property
    def few(self) -> np.ndarray:
        """The samples whose pairs are looked at, in random order.

        As the samples came, those that coincide would be each other's neighbours in that order.
        """
        return self.order[:_MOST_IN_PAIRS]

    @property
    def drawn(self) -> str:
        """What to say of the samples whose pairs are looked at, if these are not all."""
        if len(self.few) == len(self.codes):
            return ""
        return f" among the {len(self.few)} samples whose pairs are looked at"

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Distance of every pair, and whether its samples are of one class."""
        codes = self.codes[self.few]
        first, second = np.triu_indices(len(codes), 1)
        same = codes[first] == codes[second]
        if same.all():
            raise _UndefinedError(f"there is 1 class only{self.drawn}")
        if not same.any():
            raise _UndefinedError(f"no class has 2 samples{self.drawn}")
        return pdist(self.points[self.few]), same

    @property
    def both_spaces(self) -> tuple[np.ndarray, np.ndarray]:
        """Data and embedding of the samples whose pairs are looked at."""
        assert self.data is not None
        if len(self.few) < 3:
            raise _UndefinedError("there are fewer than 3 samples")
        return self.data[self.few], self.points[self.few]

    @cached_property
    def clusters(self) -> np.ndarray:
        """By k-means, as many as there are classes (or distinct points, if those are fewer)."""
        self.require_pairs()
        n_clusters = min(self.n_classes, len(np.unique(self.points, axis=0)))
        return KMeans(n_clusters, n_init=10, random_state=self.seed).fit_predict(self.points)

    @cached_property
    def votes(self) -> tuple[np.ndarray, np.ndarray]:
        """True codes, and those that the nearest fitted samples vote for."""
        assert self.fitted is not None
        points, codes, asked = self.fitted
        if len(points) < _N_VOTES:
            raise _UndefinedError(f"there are fewer than {_N_VOTES} fitted samples")
        if not np.isin(asked, codes).any():
            raise _UndefinedError("no fitted sample has one of the labels")
        classifier = KNeighborsClassifier(_N_VOTES).fit(points, codes)
        return asked, classifier.predict(self.points)

    def require_two_classes(self) -> None:
        """What every figure that compares classes asks for."""
        if self.n_classes < 2:
            raise _UndefinedError("there is 1 class only")

    def require_pairs(self) -> None:
        """What scikit-learn's cluster figures ask for: fewer classes than samples."""
        self.require_two_classes()
        if self.n_classes == len(self.codes):
            raise _UndefinedError("no class has 2 samples")


def _silhouette(case: _Case) -> float:
    case.require_pairs()
    if not case.drawn:
        return silhouette_score(case.points, case.codes)
    parts = gen_batches(len(case.few), max(1, _MOST_AT_ONCE // len(case.codes)))
    return np.concatenate([_silhouettes(case, case.few[part]) for part in parts]).mean()


def _silhouettes(case: _Case, asked: np.ndarray) -> np.ndarray:
    """Of the samples asked about among all: of those alone, few would meet one of their class."""
    members = csr_array((np.ones(len(case.codes)), (np.arange(len(case.codes)), case.codes)))
    sizes, own = np.bincount(case.codes), (np.arange(len(asked)), case.codes[asked])
    sums = cdist(case.points[asked], case.points) @ members  # (n_asked, K)
    n_others = sizes[own[1]] - 1
    within = sums[own] / np.maximum(n_others, 1)
    sums[own] = np.inf
    between = (sums / sizes).min(axis=1)
    larger = np.maximum(within, between)
    is_defined = (n_others > 0) & (larger > 0)
    return np.where(is_defined, between - within, 0) / np.where(is_defined, larger, 1)


def _davies_bouldin(case: _Case) -> float:
    case.require_pairs()
    if not np.ptp(case.points, axis=0).any():
        raise _UndefinedError("all samples coincide")
    if pdist(case.class_means).min() <= _COINCIDING:
        raise _UndefinedError("two classes have the same mean, or nearly")
    return davies_bouldin_score(case.points, case.codes)


def _calinski_harabasz(case: _Case) -> float:
    case.require_pairs()
    if np.allclose(case.points, case.class_means[case.codes], rtol=1e-12, atol=0):
        raise _UndefinedError("the samples of each class coincide")
    return calinski_harabasz_score(case.points, case.codes)


def _separation_ratio(case: _Case) -> float:
    distances, same = case.pairs
    between, within = distances[~same].mean(), distances[same].mean()
    if within == 0:
        raise _UndefinedError("the samples of each class coincide")
    return between / within


def _ari(case: _Case) -> float:
    return adjusted_rand_score(case.codes, case.clusters)


def _nmi(case: _Case) -> float:
    return normalized_mutual_info_score(case.codes, case.clusters)


def _recall_at_1(case: _Case) -> float:
    case.require_pairs()
    # In random order: among points that coincide, the first would be of the same class if the
    # samples came sorted.
    points, codes = case.points[case.order], case.codes[case.order]
    nearest = NearestNeighbors(n_neighbors=1).fit(points).kneighbors(return_distance=False)[:, 0]
    has_partner = np.bincount(codes)[codes] > 1
    return np.mean(codes[nearest] == codes, where=has_partner)


def _verification_auc(case: _Case) -> float:
    distances, same = case.pairs
    return roc_auc_score(same, -distances)


def _triplet_accuracy(case: _Case) -> float:
    distances, _ = case.pairs
    codes = torch.from_numpy(case.codes[case.few])
    triplets = AllTriplets.of_classes(torch.from_numpy(squareform(distances)), codes)
    n_in_order = triplets.order_by_anchor() * triplets.n_triplets
    return float(n_in_order.nansum() / triplets.n_triplets.nansum())


def _effective_rank(case: _Case) -> float:
    singular = np.linalg.svd(case.points - case.points.mean(axis=0), compute_uv=False)
    if singular.max() <= np.finfo(float).eps * len(case.points):  # all were within 1
        raise _UndefinedError("all samples coincide")
    shares = singular / singular.sum()
    return np.exp(special.entr(shares).sum())


def _knn_accuracy(case: _Case) -> float:
    return accuracy_score(*case.votes)


def _knn_balanced_accuracy(case: _Case) -> float:
    true, voted = case.votes
    # That of scikit-learn's balanced_accuracy_score, which warns of classes that only get votes.
    return recall_score(true, voted, labels=np.unique(true), average="macro")


def _trustworthiness(case: _Case) -> float:
    return neighbourhood_agreement(*case.both_spaces)


def _continuity(case: _Case) -> float:
    return neighbourhood_agreement(*reversed(case.both_spaces))


_FIGURES: dict[str, Callable[[_Case], float]] = {
    "silhouette": _silhouette,
    "davies_bouldin": _davies_bouldin,
    "calinski_harabasz": _calinski_harabasz,
    "separation_ratio": _separation_ratio,
    "ari": _ari,
    "nmi": _nmi,
    "recall_at_1": _recall_at_1,
    "verification_auc": _verification_auc,
    "triplet_accuracy": _triplet_accuracy,
    "effective_rank": _effective_rank,
}
FIGURES_WITH_FIT: dict[str, Callable[[_Case], float]] = {
    "knn_accuracy": _knn_accuracy,
    "knn_balanced_accuracy": _knn_balanced_accuracy,
}
_FIGURES_WITH_DATA: dict[str, Callable[[_Case], float]] = {
    "trustworthiness": _trustworthiness,
    "continuity": _continuity,
}
FIGURE_NAMES = (*_FIGURES, *FIGURES_WITH_FIT, *_FIGURES_WITH_DATA)
