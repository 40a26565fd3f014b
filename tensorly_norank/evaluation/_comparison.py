"""Several methods on the same splits, in one table."""

from __future__ import annotations

import contextlib
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorly as tl

from tensorly_norank._backend import check_finite, enter, origin_of
from tensorly_norank._labels import encode_labels
from tensorly_norank._optional import import_optional
from tensorly_norank._points import check_points
from tensorly_norank._progress import progress_bar
from tensorly_norank._validation import (
    check_mode,
    check_random_state,
    check_shape,
    check_verbose,
)
from tensorly_norank._warnings import warn
from tensorly_norank.evaluation._figures import (
    FIGURE_NAMES,
    FIGURES_WITH_FIT,
    embedding_figures,
)
from tensorly_norank.evaluation._methods import Embed, as_embedders, default_methods
from tensorly_norank.evaluation._splits import Split, make_splits
from tensorly_norank.evaluation._t_test import corrected_resampled_t_test

if TYPE_CHECKING:
    import pandas

_SMALLER_IS_BETTER = ("davies_bouldin",)
_WITHOUT_DIRECTION = ("effective_rank", "n_components", "seconds")  # described, not tested
_IN_SAMPLE = "in_sample_"
_LONGEST_NOTE = 200  # characters


def compare(
    tensor: Any,
    labels: Any,
    methods: Mapping[str, Any] | None = None,
    *,
    mode: int = 0,
    cv: Any = None,
    unseen_classes: bool = False,
    groups: Any = None,
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
    verbose: int = 0,
) -> pandas.DataFrame:
    """Fit several methods on the same splits, and set their held-out figures side by side.

    Every method is fitted to one part of the samples and scored on the rest, split by split, by
    :func:`evaluate_embedding`. A method that fails on a split is noted, and the others go on.

    Parameters
    ----------
    tensor : tensor of shape (I_0, ..., I_{N-1})
        In TensorLy's active backend, without missing entries: not all methods know what to do with
        these.
    labels : array-like of length I_mode
        The class of each sample; none missing, as −1 is among integers where there are two other
        classes or more.
    methods : dict of str to method, optional
        By the name that the table shows. A method is one of

        - a dict of keywords of :func:`tensorly_norank.no_rank_decomposition`, ``{}`` for its
          defaults, but for `triplets`, `mask`, `callback`, `return_errors` and what `compare` is
          given itself;
        - a scikit-learn transformer, pipelines included: a clone is fitted to the flattened samples
          and their labels (to samples as they are, if its tags say that it takes arrays of three
          dimensions, as those of `NoRankDecomposition` do, or those of a pipeline's first step, or
          of what a search searches). Where there is only ``fit_transform``,
          as t-SNE has, there are in-sample figures only;
        - a callable ``(fit_samples, fit_labels, new_samples) -> (fit_embedding, new_embedding)``,
          with tensors of the active backend, samples on mode 0, and labels as a numpy array. One
          with a parameter `random_state` (without a default, or None) is given the split's seed.

        By default the no-rank decomposition, linear discriminant analysis (of at most 100
        principal components), 20 principal components and the raw entries.
    mode : int, default 0
        The mode that indexes the samples.
    cv : int, scikit-learn splitter or iterable of (fit, test) indices, optional
        By default five random halves, stratified unless samples are grouped; fewer where few groups
        leave no five that differ, for a repeated split is no further evidence. An integer is a
        number of (stratified) folds. A splitter without a seed of its own draws from numpy's global
        state. Splits that repeat an earlier one are left out.
    unseen_classes : bool, default False
        Hold out whole classes: what is scored is how well classes are told apart that the method
        has never seen. By default, then, five random halves of the classes. The k-NN accuracies,
        which ask for the classes that were fitted, are left out.
    groups : array-like of length I_mode, optional
        Samples of a group (a site, a patient) are kept together. None missing: among integers, −1
        stands for a missing group.
    random_state : int, RandomState or Generator, optional
        For the splits, and for every estimator of scikit-learn, dict and function that takes a
        `random_state` and has none.
    verbose : int, default 0
        1: a progress bar on a terminal (with tqdm installed), a line for each split elsewhere.

    Returns
    -------
    pandas.DataFrame
        Indexed by figure (those of :func:`evaluate_embedding`, `n_components` and `seconds`) and
        method: ``table.loc["silhouette"]`` is one figure of all methods,
        ``table["mean"].unstack("method")`` all figures at a glance. Columns:

        mean, std
            Over the splits, held out (`std` with n − 1).
        in_sample
            Mean of the same figure of the samples that were fitted: how much better it is than
            `mean` is how much it flatters. NaN for the k-NN accuracies: fitted samples would look
            themselves up.
        n_splits
            On how many splits the figure could be had.
        best_other
            The best of the other methods by `mean`, of those that have the figure on most splits:
            means over different splits do not compare. Missing where nothing is tested.
        difference, p_value
            Mean difference to it over the splits that both have, and the two-sided p-value of the
            corrected resampled t-test [1]_; see :func:`corrected_resampled_t_test`.
        note
            What failed, and why, in short; and how many held-out samples are of classes that were
            not fitted, which the k-NN accuracies count as wrong.

        ``pandas.DataFrame(table.attrs["splits"])`` has a row for each method and split, with the
        whole error where there was one. :func:`tensorly_norank.plotting.plot_comparison` draws the
        table.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, before anything is fitted.
    ImportError
        If pandas is not installed (extra ``compare``).

    Warns
    -----
    UserWarning
        If a method failed on every split.

    References
    ----------
    .. [1] C. Nadeau and Y. Bengio, "Inference for the generalization error", Machine Learning 52,
       239-281 (2003).

    Examples
    --------
    >>> import tensorly as tl
    >>> from sklearn.decomposition import PCA
    >>> from tensorly_norank.datasets import load_digits
    >>> from tensorly_norank.evaluation import compare
    >>> digits = load_digits()
    >>> methods = {"2 components": PCA(2), "20 components": PCA(20)}
    >>> table = compare(digits.tensor[:500], digits.labels[:500], methods, random_state=0)
    >>> table.loc["knn_accuracy", "best_other"].to_dict()
    {'2 components': '20 components', '20 components': '2 components'}
    >>> bool(table.loc[("knn_accuracy", "20 components"), "mean"] > 0.9)
    True
    """
    pandas = import_optional("pandas", "compare", "compare")
    origin = origin_of(tensor)
    shape = check_shape(tl.shape(tensor))
    check_finite(enter(tensor, origin), may_vanish=False)
    mode = check_mode(mode, len(shape))
    classes, codes = encode_labels(labels, shape, mode, complete=True)
    check_verbose(verbose)
    rng = check_random_state(random_state)
    splits = make_splits(codes, cv, unseen_classes, groups, rng)
    samples = tl.moveaxis(tensor, mode, 0)
    if methods is None:
        methods = default_methods(min(len(split.fit) for split in splits), shape, mode)
    embedders = as_embedders(methods, (len(codes), *shape[:mode], *shape[mode + 1 :]))
    rows = []
    with _reporter(len(splits), len(embedders), verbose) as report:
        for number, split in enumerate(splits):
            seed = int(rng.integers(2**31 - 1))
            for name, embed in embedders.items():
                figures = _run(embed, samples, classes, codes, split, seed)
                rows.append({"method": name, "split": number} | figures)
                report(rows[-1])
    _warn_of_failures(rows, list(embedders))
    return _table(pandas, rows, splits)


def _warn_of_failures(rows: list[dict[str, Any]], names: list[str]) -> None:
    for name in names:
        errors = [row["error"] for row in rows if row["method"] == name]
        if all(errors):
            warn(f"methods[{name!r}] failed on every split, the first time with {errors[0]}")


# One method on one split.


def _run(
    embed: Embed, samples: Any, classes: np.ndarray, codes: np.ndarray, split: Split, seed: int
) -> dict[str, Any]:
    """Figures of one fit; with an error's text and no figures if it fails."""
    labels = classes[codes]
    sizes = {"n_fit": len(split.fit), "n_test": len(split.test)}
    row: dict[str, Any] = sizes | {"note": "", "error": ""}
    fit, new = samples[split.fit], samples[split.test]
    start = time.perf_counter()
    try:
        fitted, embedded = embed(fit, labels[split.fit], new, seed)
        row["seconds"] = time.perf_counter() - start
        # Taken anew: a method may have worked in place.
        fit, new = samples[split.fit], samples[split.test]
        fitted = _check_rows(fitted, len(fit), "the embedding of the fitting samples")
        row["n_components"] = fitted.shape[1]
        own = embedding_figures(fitted, labels[split.fit], data=fit, random_state=seed)
        row |= {_IN_SAMPLE + name: value for name, value in own.items()}
        if embedded is None:
            return row | {"note": "cannot embed new samples"}
        embedded = _check_rows(embedded, len(new), "the embedding of the new samples")
        if embedded.shape[1] != fitted.shape[1]:
            raise ValueError(
                f"the embedding of the new samples must have {fitted.shape[1]} columns as that of "
                f"the fitting samples has, got {embedded.shape[1]}."
            )
        known = {} if split.unseen else {"fit_embedding": fitted, "fit_labels": labels[split.fit]}
        held_out = embedding_figures(
            embedded, labels[split.test], data=new, random_state=seed, **known
        )
    except Exception as error:  # whatever a method raises is its result
        message = f"{type(error).__name__}: {error}"
        return sizes | {"note": message, "error": message}
    remarks = [f"{name} is NaN because {why}" for name, why in held_out.reasons.items()]
    n_strange = 0 if split.unseen else np.sum(~np.isin(codes[split.test], codes[split.fit]))
    if n_strange:
        remarks.append(f"{n_strange} of {len(new)} held-out samples are of classes not fitted")
    return row | held_out | {"note": "; ".join(remarks)}


def _check_rows(embedding: Any, n_samples: int, name: str) -> np.ndarray:
    points = check_points(embedding, name)
    if len(points) != n_samples:
        raise ValueError(f"{name} must have {n_samples} rows, got {len(points)}.")
    return points


# From rows to the table.


def _table(pandas: Any, rows: list[dict[str, Any]], splits: list[Split]) -> Any:
    by_split = pandas.DataFrame(rows)
    names = list(dict.fromkeys(by_split["method"]))
    notes = {name: _note(by_split[by_split["method"] == name]) for name in names}
    test_to_fit = float(np.mean([len(split.test) / len(split.fit) for split in splits]))
    entries = []
    for figure in _figure_names(unseen_classes=splits[0].unseen):
        held_out, in_sample = (
            by_split.reindex(columns=["method", "split", column])
            .pivot(index="split", columns="method", values=column)
            .astype(float)
            for column in (figure, _IN_SAMPLE + figure)
        )
        for name in names:
            entries.append(
                {
                    "figure": figure,
                    "method": name,
                    "mean": held_out[name].mean(),
                    "std": held_out[name].std(),
                    "in_sample": in_sample[name].mean(),
                    "n_splits": int(held_out[name].count()),
                    **_beside_the_best_other(figure, name, held_out, test_to_fit),
                    "note": notes[name],
                }
            )
    table = pandas.DataFrame(entries).set_index(["figure", "method"])
    table.attrs["splits"] = rows
    return table


def _figure_names(unseen_classes: bool) -> list[str]:
    return [
        *(
            name
            for name in FIGURE_NAMES
            if name not in _WITHOUT_DIRECTION and not (unseen_classes and name in FIGURES_WITH_FIT)
        ),
        *_WITHOUT_DIRECTION,
    ]


def _beside_the_best_other(
    figure: str, name: str, held_out: Any, test_to_fit: float
) -> dict[str, Any]:
    """Which other method has the best mean, by how much it differs, and how surely."""
    # Of those that are as complete as any: means over other splits do not compare.
    counts = held_out.drop(columns=name).count()
    others = held_out[counts.index[counts == counts.max()]].mean().dropna()
    if figure in _WITHOUT_DIRECTION or others.empty or held_out[name].isna().all():
        return {"best_other": None, "difference": np.nan, "p_value": np.nan}
    best = others.idxmin() if figure in _SMALLER_IS_BETTER else others.idxmax()
    differences = (held_out[name] - held_out[best]).dropna()
    return {
        "best_other": best,
        "difference": differences.mean(),
        "p_value": corrected_resampled_t_test(differences, test_to_fit),
    }


def _note(rows: Any) -> str:
    counts = rows.loc[rows["note"] != "", "note"].value_counts(sort=False)
    return "; ".join(
        f"{count} of {len(rows)} splits: "
        + textwrap.shorten(note, _LONGEST_NOTE, placeholder=" ...")
        for note, count in counts.items()
    )


@contextlib.contextmanager
def _reporter(
    n_splits: int, n_methods: int, verbose: int
) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A progress bar on a terminal, a line for each split elsewhere."""
    bar = progress_bar(n_splits * n_methods, "compare", "fit") if verbose else None
    done: list[str] = []

    def report(row: dict[str, Any]) -> None:
        seconds = "failed" if row["error"] else f"{row['seconds']:.1f} s"
        done.append(f"{row['method']} {seconds}")
        if bar is not None:
            bar.set_postfix_str(done[-1], refresh=False)
            bar.update()
        elif verbose and len(done) % n_methods == 0:
            print(f"split {row['split'] + 1} of {n_splits}: {', '.join(done[-n_methods:])}")

    try:
        yield report
    finally:
        if bar is not None:
            bar.close()
