"""`NoRankDecomposition`: the decomposition as a scikit-learn transformer."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorly as tl
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)
from torch import nn

from tensorly_norank._backend import check_dense, to_numpy
from tensorly_norank._labels import encode_labels
from tensorly_norank._neighbourhoods import neighbourhood_agreement
from tensorly_norank._objective import Loss
from tensorly_norank._parts import Part
from tensorly_norank.decomposition import TrainingState, no_rank_decomposition

__all__ = ["NoRankDecomposition"]

_MOST_SCORED = 1000  # samples
_NAMES = {"tensor": "X", "samples": "X", "embedding": "X", "labels": "y"}  # the function's, ours


def _with_parameters_of(function: Callable[..., Any]) -> Callable[[type], type]:
    """Write what the function's docstring says of the parameters of a class into the class's."""

    def decorate(cls: type) -> type:
        if cls.__doc__ and function.__doc__:  # there are none under python -OO
            section = inspect.cleandoc(function.__doc__).split("Parameters\n----------\n")[1]
            section = section.split("\n\nReturns\n-------\n")[0]
            entries = re.split(r"\n(?=\S)", section)  # "name : type" and what is indented behind it
            names = set(inspect.signature(cls).parameters) - {"mask"}  # which takes less here
            kept = [one for one in entries if names & set(re.split(r" : |, ", one)[:3])]
            text = textwrap.indent("\n".join(kept), "    ").lstrip()
            text = text.replace("``result.", "``decomposition_.").replace("`tensor`", "`X`")
            cls.__doc__ = cls.__doc__.replace("{parameters}", text)
        return cls

    return decorate


@contextmanager
def _names_of_the_estimator() -> Iterator[None]:
    """What the function says of its arguments is said of those of scikit-learn's methods."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if type(error) not in (TypeError, ValueError):  # which may be made of more than a text
            raise
        text = re.sub(r"^\w+(?= must )", lambda name: _NAMES.get(name[0], name[0]), str(error))
        error.args = (text.replace("labels=None", "y=None"),)
        raise


@_with_parameters_of(no_rank_decomposition)
class NoRankDecomposition(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Embed labelled samples in as many components as held-out samples speak for.

    `no_rank_decomposition` with scikit-learn's methods, for pipelines, grid searches and
    cross-validation. Samples lie along the first axis and may have any shape: (n, features) or
    (n, I_1, I_2, ...).

    Parameters
    ----------
    mask : {"nan"}, optional
        "nan" takes NaN as missing, here and in `transform`; see `no_rank_decomposition`.
    {parameters}

    Attributes
    ----------
    decomposition_ : NoRankTensor
        The decomposition of the fitted samples, in TensorLy's backend of that time: factors,
        `rank_evidence`, `diagnostics`, ...
    embedding_ : ndarray of shape (n_samples, R)
        The fitted samples.
    rank_ : int
        Number of components.
    classes_ : ndarray
        The distinct labels; empty without labels.
    history_ : dict of str to list of float
        Figures of each pass.
    n_iter_ : int
        Number of passes.
    n_features_in_ : int
        Length of the second axis.
    feature_names_in_ : ndarray of str
        Of data frames.

    See Also
    --------
    no_rank_decomposition : The function, with the samples on any mode.

    Notes
    -----
    Arrays go in and come out, whatever TensorLy's backend is; tensors of the active backend are
    taken too, and fitted on their device. `inverse_transform` needs the backend of `fit`. To keep a
    fit in a file, ``decomposition_.save``.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from tensorly_norank import NoRankDecomposition
    >>> images, digits = load_digits(return_X_y=True)
    >>> images, digits = images[:500].reshape(-1, 8, 8), digits[:500]
    >>> model = make_pipeline(
    ...     NoRankDecomposition(encoder="linear", random_state=0), KNeighborsClassifier(3)
    ... )
    >>> bool(cross_val_score(model, images, digits, cv=2).mean() > 0.8)
    True
    """

    def __init__(
        self,
        *,
        mask: str | None = None,
        encoder: str | nn.Module = "auto",
        rank: int | None = None,
        max_rank: int | None = None,
        margin: float | None = None,
        diversity: float | None = None,
        uniformity: float = 0.0,
        locality: float = 0.0,
        loss: Loss | None = None,
        n_iter_max: int | None = None,
        tol: float = 1e-3,
        batch_size: int | None = None,
        learning_rate: float = 2e-3,
        validation_fraction: float = 0.3,
        n_init: int = 1,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        device: Any = None,
        verbose: int = 0,
        callback: Callable[[TrainingState, float], bool | None] | None = None,
    ) -> None:
        self.mask = mask
        self.encoder = encoder
        self.rank = rank
        self.max_rank = max_rank
        self.margin = margin
        self.diversity = diversity
        self.uniformity = uniformity
        self.locality = locality
        self.loss = loss
        self.n_iter_max = n_iter_max
        self.tol = tol
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.n_init = n_init
        self.random_state = random_state
        self.device = device
        self.verbose = verbose
        self.callback = callback

    def fit(self, X: Any, y: Any = None, *, triplets: Any = None) -> NoRankDecomposition:
        """Learn the embedding of samples.

        Parameters
        ----------
        X : array-like or tensor of shape (n_samples, ...)
            Samples, of any shape.
        y : array-like of shape (n_samples,), optional
            Their classes, some of which may be missing. Without any, neighbours stay neighbours.
        triplets : array-like of int, shape (n_triplets, 3), optional
            Comparisons in place of classes, as in `no_rank_decomposition`; `y` is not looked at
            then. They name rows of this `X`, so that they cannot be passed through a
            cross-validation, which takes rows away.

        Returns
        -------
        NoRankDecomposition
            Itself.

        Raises
        ------
        TypeError, ValueError
            If a parameter or an argument is not as described, before any training.
        FloatingPointError
            If a term becomes infinite or NaN in training.
        """
        if self.mask is not None and not (isinstance(self.mask, str) and self.mask == "nan"):
            raise ValueError(
                f"mask must be None or 'nan' (NaN entries are missing), got {self.mask!r}: set the "
                "entries that a mask hides to NaN."
            )
        samples = self._check(X, reset=True)
        y = None if triplets is not None else y
        check_consistent_length(samples, y)
        names = inspect.signature(NoRankDecomposition).parameters  # a subclass may have others too
        keywords = {name: getattr(self, name) for name in names}
        with _names_of_the_estimator():
            found = no_rank_decomposition(samples, y, triplets=triplets, **keywords)
        self.decomposition_ = found
        self.embedding_ = np.array(to_numpy(found.embedding))
        self.rank_ = found.rank
        self.classes_ = found.classes
        self.history_ = found.history
        self.n_iter_ = found.n_iter
        return self

    def fit_transform(self, X: Any, y: Any = None, *, triplets: Any = None) -> Any:
        """Learn the embedding of samples, and return it.

        Parameters
        ----------
        X, y, triplets
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, R)
            A copy of `embedding_`; a data frame after ``set_output(transform="pandas")``.
        """
        return self.fit(X, y, triplets=triplets).embedding_.copy()

    def transform(self, X: Any) -> Any:
        """Embed samples, each by itself.

        Parameters
        ----------
        X : array-like or tensor of shape (n_samples, ...)
            Samples of the shape of those that were fitted.

        Returns
        -------
        ndarray of shape (n_samples, R)
            A data frame after ``set_output(transform="pandas")``.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError, ValueError
            If `X` is of another shape, or holds something else than finite numbers (or NaN, with
            ``mask="nan"``).
        """
        check_is_fitted(self, "decomposition_")  # a fit that failed may have left other attributes
        samples = self._check(X, reset=False)
        with _names_of_the_estimator():
            return np.array(to_numpy(self.decomposition_.transform(samples, self.mask)))

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Samples that embeddings stand for; the encoder has no inverse, so not those of `fit`.

        Parameters
        ----------
        X : array-like of shape (n_samples, R)
            Embeddings.

        Returns
        -------
        ndarray of shape (n_samples, ...)
            The components' share of each, plus the mean sample.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If `X` is of another shape, or not finite.
        RuntimeError
            If TensorLy's backend is another one than in `fit`.
        """
        check_is_fitted(self, "decomposition_")
        points = tl.tensor(check_array(to_numpy(X), dtype=[np.float64, np.float32]))
        with _names_of_the_estimator():
            return np.array(to_numpy(self.decomposition_.inverse_transform(points)))

    def score(self, X: Any, y: Any = None) -> float:
        """Share of triplets in order, or of neighbours kept: what a search may maximise.

        Parameters
        ----------
        X : array-like or tensor of shape (n_samples, ...)
            Samples that were not fitted. Of more than 1,000, so many are drawn, always the same,
            evenly over classes.
        y : array-like of shape (n_samples,), optional
            Their classes (−1 is missing unless it was a class in `fit`), of which two are needed:
            scikit-learn cuts samples as they come for what is no classifier, so pass
            ``cv=StratifiedKFold(...)`` where they come by class.

        Returns
        -------
        float
            How often a sample lies nearer to one of its class than to one of another, classes
            weighing the same: 1 is best, 0.5 chance. Without classes the trustworthiness of 10
            neighbours, at most 1; missing entries are those of the mean sample there.
        """
        rng = np.random.default_rng(0)
        # A copy: the memory of a data frame is read-only. In double, for half has no distances.
        embedded = np.array(self.transform(X), dtype=np.float64)
        if y is None:
            drawn = rng.permutation(len(embedded))[:_MOST_SCORED]
            samples = to_numpy(self._check(X, reset=False))[drawn].astype(np.float64)
            mean_sample = to_numpy(self.decomposition_.offset)
            samples = np.where(np.isnan(samples), mean_sample, samples).reshape(len(drawn), -1)
            return neighbourhood_agreement(samples, embedded[drawn])
        check_consistent_length(embedded, y)
        with _names_of_the_estimator():
            _, codes = encode_labels(y, embedded.shape, 0, fitted=self.classes_)
        part = Part(torch.from_numpy(embedded), codes, np.arange(len(codes)))
        part = part.take(part.known).some(_MOST_SCORED, rng)
        return min(part.mean(part.triplets(part.samples).order_by_anchor()), 1.0)  # rounding

    def _check(self, X: Any, reset: bool) -> Any:
        """The samples as a tensor of the active backend; their shape is noted or compared."""
        check_dense(X, "X")
        if isinstance(X, torch.Tensor):
            X = X.detach()
        if tl.is_tensor(X) and not isinstance(X, np.ndarray):
            validate_data(self, X, reset=reset, skip_check_array=True)
            return X
        finite = True if self.mask is None else "allow-nan"
        try:
            samples = validate_data(self, X, reset=reset, allow_nd=True, ensure_all_finite=finite)
        except ValueError as error:
            if "contains NaN" not in str(error):
                raise
            raise ValueError(
                "X contains NaN: where that means that an entry is missing, set mask='nan'."
            ) from None
        return tl.tensor(samples)

    @property
    def _n_features_out(self) -> int:
        return self.rank_

    def __sklearn_tags__(self) -> Any:
        """Samples of any order, with labels or without."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = isinstance(self.mask, str)
        tags.target_tags.required = False
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
