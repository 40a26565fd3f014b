"""What a method may be, made into one kind of function."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from tensorly_norank._backend import to_numpy
from tensorly_norank._labels import number_labels
from tensorly_norank._validation import (
    SCALARS,
    check_random_state,
    check_scalars,
)

# What a method's keywords may not be: set by `compare`, or about samples that splits take away.
_NOT_OF_A_METHOD = (
    "tensor",
    "labels",
    "mode",
    "triplets",
    "mask",
    "callback",
    "return_errors",
)

# (fitting samples, their labels, new samples, seed) -> embeddings of the former and of the latter,
# or None where new samples cannot be embedded
Embed = Callable[[Any, np.ndarray, Any, int], tuple[Any, Any]]


def default_methods(n_fit: int, shape: tuple[int, ...], mode: int) -> dict[str, Any]:
    """What `compare` compares unless told: ours, LDA, principal components, the raw entries."""
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    n_entries = int(np.prod(shape)) // shape[mode]
    reduced = PCA(min(100, n_fit // 2, n_entries))  # without which LDA overfits
    # LDA would blow up directions that hardly vary until they drown all others.
    varying = PCA(0.95, svd_solver="full")
    return {
        "no-rank": {},
        "LDA": make_pipeline(reduced, varying, LinearDiscriminantAnalysis()),
        "PCA": PCA(min(20, n_fit, n_entries)),
        "raw": FunctionTransformer(),
    }


def as_embedders(methods: Any, shape: tuple[int, ...]) -> dict[str, Embed]:
    """The methods by name, each as a function, for samples of `shape` (samples on mode 0)."""
    if not isinstance(methods, Mapping) or not methods:
        raise TypeError(f"methods must be a dict of methods by name, got {methods!r}.")
    for name in methods:
        if not isinstance(name, str):
            raise TypeError(f"methods must have strings for names, got {name!r}.")
    return {name: _as_embedder(name, method, shape) for name, method in methods.items()}


def _as_embedder(name: str, method: Any, shape: tuple[int, ...]) -> Embed:
    if isinstance(method, Mapping):
        _check_keywords(name, method, shape)
        return _Ours(dict(method))
    if isinstance(method, type):
        raise TypeError(f"methods[{name!r}] must be an instance, got the class {method.__name__}.")
    if hasattr(method, "fit_transform") or (
        hasattr(method, "fit") and hasattr(method, "transform")
    ):
        return _Transformer(method)
    if callable(method):
        return _as_function(name, method)
    raise TypeError(
        f"methods[{name!r}] must be a dict of keywords of no_rank_decomposition, a transformer "
        f"or a callable, got {method!r}."
    )


def _check_keywords(name: str, keywords: Mapping[str, Any], shape: tuple[int, ...]) -> None:
    from tensorly_norank._objective import check_callable
    from tensorly_norank.decomposition import no_rank_decomposition
    from tensorly_norank.encoders import check_encoder

    defaults = {
        key: parameter.default
        for key, parameter in inspect.signature(no_rank_decomposition).parameters.items()
        if key not in _NOT_OF_A_METHOD
    }
    unknown = set(keywords) - set(defaults)
    if unknown:
        raise TypeError(
            f"methods[{name!r}] must hold keywords of no_rank_decomposition, without "
            f"{', '.join(_NOT_OF_A_METHOD)}, got "
            f"{', '.join(map(repr, sorted(map(str, unknown))))}."
        )
    settings = defaults | dict(keywords)
    try:
        check_scalars(**{key: settings[key] for key in SCALARS})
        if not isinstance(settings["random_state"], np.random.Generator | np.random.RandomState):
            check_random_state(settings["random_state"])  # a generator would be drawn from
        check_encoder(settings["encoder"], torch.zeros(2, *shape[1:]), 1)
        if settings["loss"] is not None:
            check_callable(settings["loss"])
    except (TypeError, ValueError) as error:
        raise type(error)(f"methods[{name!r}]: {error}") from error


@dataclass(frozen=True)
class _Ours:
    """The no-rank decomposition with the caller's keywords."""

    keywords: dict[str, Any]

    def __call__(self, fit: Any, labels: np.ndarray, new: Any, seed: int) -> tuple[Any, Any]:
        from tensorly_norank.decomposition import no_rank_decomposition

        keywords = dict(self.keywords)
        if keywords.get("random_state") is None:
            keywords["random_state"] = seed
        result = no_rank_decomposition(fit, labels, **keywords)
        return result.embedding, result.transform(new)


def _as_function(name: str, method: Callable[..., Any]) -> Embed:
    try:
        signature = inspect.signature(method)
    except ValueError:  # some functions written in C have none
        return lambda fit, labels, new, seed: method(fit, labels, new)
    seeded = signature.parameters.get("random_state")
    takes_seed = seeded is not None and seeded.default in (None, inspect.Parameter.empty)
    keywords = {"random_state": 0} if takes_seed else {}
    try:
        signature.bind(None, None, None, **keywords)
    except TypeError as error:
        raise TypeError(
            f"methods[{name!r}] must be callable as (fit_samples, fit_labels, new_samples), got "
            f"{method!r} with the signature {signature}: {error}."
        ) from None
    if takes_seed:
        return lambda fit, labels, new, seed: method(fit, labels, new, random_state=seed)
    return lambda fit, labels, new, seed: method(fit, labels, new)


@dataclass(frozen=True)
class _Transformer:
    """A scikit-learn transformer on flattened samples, unless it says that it takes others."""

    estimator: Any

    def __call__(self, fit: Any, labels: np.ndarray, new: Any, seed: int) -> tuple[Any, Any]:
        estimator = self._seeded_copy(seed)
        fit = self._arranged(fit)
        if labels.dtype == object:  # which scikit-learn takes for several labels a sample
            _, labels = number_labels(labels, len(labels))
        if hasattr(estimator, "fit_transform"):
            fitted = estimator.fit_transform(fit, labels)
        else:
            fitted = estimator.fit(fit, labels).transform(fit)
        if not hasattr(estimator, "transform"):
            return fitted, None
        return fitted, estimator.transform(self._arranged(new))

    def _arranged(self, samples: Any) -> np.ndarray:
        array = to_numpy(samples)
        return array if _takes_any_shape(self.estimator) else array.reshape(len(array), -1)

    def _seeded_copy(self, seed: int) -> Any:
        if not isinstance(self.estimator, BaseEstimator):
            return copy.deepcopy(self.estimator)
        estimator = clone(self.estimator)
        unset = {
            name: seed
            for name, value in estimator.get_params().items()
            if name.split("__")[-1] == "random_state" and value is None
        }
        return estimator.set_params(**unset)


def _takes_any_shape(estimator: Any) -> bool:
    """Whether its tags say so, or those of what gets the samples in a pipeline or a search."""
    if isinstance(estimator, Pipeline):
        steps = [step for _, step in estimator.steps if step not in (None, "passthrough")]
        return bool(steps) and _takes_any_shape(steps[0])
    if isinstance(estimator, MetaEstimatorMixin):
        return _takes_any_shape(getattr(estimator, "estimator", None))
    return isinstance(estimator, BaseEstimator) and get_tags(estimator).input_tags.three_d_array
