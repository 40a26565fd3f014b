"""`no_rank_decomposition`: the recipe, readable from top to bottom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
import tensorly as tl
from torch import nn

from tensorly_norank import _backend
from tensorly_norank._contradictions import contradicting_share
from tensorly_norank._diagnostics import (
    warn_of_collapse,
    warn_of_fitted_encoder,
    warn_of_missing_labels,
    warn_of_overfitting,
)
from tensorly_norank._global_state import without_modes
from tensorly_norank._label_spreading import LabelSpreader
from tensorly_norank._labels import encode_labels
from tensorly_norank._mask import check_mask, check_observed, enter_observed
from tensorly_norank._objective import Loss, Objective, check_loss
from tensorly_norank._parts import ComparedPart, NeighbouringPart, Part
from tensorly_norank._rank_evidence import warn_of_count
from tensorly_norank._recipe import Data, Recipe, TrainingState
from tensorly_norank._recipes_without_labels import ComparisonRecipe, NeighbourRecipe
from tensorly_norank._replicates import best_of
from tensorly_norank._training import Settings
from tensorly_norank._validation import (
    check_mode,
    check_random_state,
    check_scalars,
    check_shape,
    check_triplets,
)
from tensorly_norank.encoders import Encoder, check_encoder

__all__ = ["TrainingState", "no_rank_decomposition"]

_DIMENSIONS = 64  # of the embedding, unless more are asked for or a sample has fewer entries
_MARGIN, _NEIGHBOUR_MARGIN = 0.8, 0.02
_DIVERSITY, _DIVERSITY_OF_MANY = 1.0, 3.0
_N_STEPS = 1600  # what `n_iter_max=None` aims at
_FEWEST_PASSES = 30
_FEWEST_NEIGHBOURS = 4  # samples: of fewer, nothing is nearer than something else


def no_rank_decomposition(
    tensor: Any,
    labels: Any = None,
    *,
    mode: int = 0,
    triplets: Any = None,
    mask: Any = None,
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
    return_errors: bool = False,
) -> Any:
    """Decompose a tensor of samples; the number of components comes out of the data.

    An encoder is trained by metric learning [1]_ until samples of a class (or that were found
    alike, or that are near neighbours) lie near one another and away from the others. Its embedding
    of the samples, on axes of its own and cut to the components that held-out samples speak for,
    becomes the samples factor of a CP tensor; the other factors are fitted to the data by least
    squares.

    Parameters
    ----------
    tensor : tensor of shape (I_0, ..., I_{N-1})
        Of order 2 or more, real and finite, in TensorLy's active backend. float64 and integers of
        32 bits or more are computed in float64, everything else in float32 (in half the time).
    labels : array-like of length I_mode, optional
        The class of each sample: integers, strings, anything hashable. At least two classes, one of
        them with two samples; a class with one sample only serves as "another class". Classes weigh
        about the same however many samples they have. Labels may be missing (None, NaN, or −1 among
        integers of two other classes), with a warning: such samples are fitted with the label that
        neighbours lend them, where the labelled ones show that neighbours know, and left out of the
        fit elsewhere; all are embedded. They should be of the labelled classes. Without labels (and
        triplets) samples are embedded so that neighbours stay neighbours, at distances in
        proportion to those in the data rather than on a sphere, in as few components as that takes.
    mode : int, default 0
        The mode that indexes the samples.
    triplets : array-like of int, shape (T, 3), optional
        Comparisons in place of labels: sample ``triplets[t, 0]`` is more like ``triplets[t, 1]``
        than like ``triplets[t, 2]``. They may contradict one another; at most the share
        ``result.diagnostics["contradicting_share"]`` of them must be left out so that all others
        can hold. Samples that none of them names are embedded, and not fitted.
    mask : {"nan"} or array-like of the tensor's shape, optional
        1 or True where an entry was observed, 0 or False where it is missing; "nan" takes NaN as
        missing. What stands there changes nothing. Encoders see in its place what the rest of the
        sample makes likely, by a model of the samples that are fitted (see the method's page); the
        other factors, `explained_variance` and `offset` are of observed entries alone.
    encoder : {"auto", "multilinear", "linear", "mlp", "conv"} or torch.nn.Module
        What maps a sample to its embedding; see :mod:`tensorly_norank.encoders`. "auto" lets all
        that make sense ("multilinear" of two sample modes or more, "conv" where one has 8 entries)
        embed samples that were left out of a short fit. Who orders their triplets clearly worse, or
        falls clearly farther short of the margin, is out; of the rest it takes "conv" if
        neighbouring entries are alike (of fewer than 64 samples, too few to tell, without a trial),
        else the one with most triplets in order: see ``result.encoder_choice``. None of these
        samples counts components. It costs about as much as fitting the chosen one (more where that
        is much cheaper than "conv"). Whether "conv" moves samples along modes of 16 entries or
        fewer is decided in the same way, also where it was named, for about half of a fit. A module
        must map ``(batch, *sample_shape)`` to (batch, D); it is copied, and trained on standardised
        samples. For the built-in encoders these are varied a little in every pass (see the method's
        page); for a module of yours they are not. One that was trained before is trained further:
        if that was on these samples, none of them is truly held out, and `rank_evidence` means
        nothing.
    rank : int, optional
        Keep that many components: at most 64, or as many as a sample has entries if that is more,
        or as many as a module of yours returns; those that the embedding does not span are 0. By
        default they are counted, see `rank_evidence`.
    max_rank : int, optional
        Keep at most so many components, with a warning if more were found. The embedding has that
        dimension in training, but 64 (or the number of entries of a sample, if that is less) where
        it is smaller or not given.
    margin : float, optional
        By how much farther samples of another class shall be, as a Euclidean distance between
        points on the unit sphere, where the largest is 2, and 1.4 between points at right angles:
        more than 1 is rarely of use. By default 0.8; without labels and triplets, where it asks
        that others be farther than neighbours, 0.02 in units of the samples' deviation from their
        mean: much more would bend what is to be kept.
    diversity, uniformity, locality : float, default 1, 0, 0
        Weights of the terms beside the triplets; see :mod:`tensorly_norank.losses`. 0 leaves a term
        out. Diversity keeps the embedding from collapsing onto what the given classes need: 10 (and
        a `rank` of 64) serves classes that are yet to come. By default it is 3 where more classes
        than 64 (and than the embedding has dimensions) have two samples or more, for they can use
        them all, and 0 without labels and triplets. `locality` buys neighbourhoods, at some cost in
        how compact classes are.
    loss : callable, optional
        Takes the place of the triplets in training, as ``loss(embedding, labels)``: of a batch,
        points (B, D) on the unit sphere and the numbers (B,) of their classes in
        ``result.classes``, to a torch scalar that is to be small. Most losses of
        pytorch-metric-learning are like that. D is 64, or the number of entries of a sample if that
        is less, or `max_rank` or `rank` if that is more; or what a module of yours returns. Batches
        have classes in about equal shares; a class may have a single sample. A ``torch.nn.Module``
        is copied for every fit, and its parameters are learned with the encoder's; a function that
        holds parameters is refused, for nothing would learn them. `diversity` and the other weights
        are relative to the loss, however large that is. `margin` only serves reported figures and
        the choice of "auto" then.
    n_iter_max : int, optional
        At most so many passes; one pass shows every sample of the fit at least once. (Of samples
        that are compared it has 16 batches or more, each of a random part, or, where triplets are
        few for the samples, shows every triplet once.) By default enough for 1,600 steps, but 30
        to 150; to 200 without labels and triplets.
    tol : float, default 1e-3
        The learning rate begins to fall, and the fit to end, when the smoothed error has not
        improved by this share for a fifth of `n_iter_max` passes (at least 5). 0 runs all passes.
    batch_size : int, optional
        Samples in a training step. By default 64, up to 512 for large data; without labels 256 to
        512. Of `triplets` a step takes those among its samples: by default so many samples as have
        about 1,024, from 64 to 1,536.
    learning_rate : float, default 2e-3
        The largest step size of AdamW.
    validation_fraction : float, default 0.3
        Share of the labelled (compared, all) samples held out of a first fit, 1,200 at most: one
        third decides when to stop (where there are enough), the rest counts the components. Where
        that leaves fewer than about 110 to count on, a second and a third fit, of a quarter of the
        passes, hold out others. The last fit, of as many passes as the first, takes all of them.
        With 0 there is one fit, no evidence, and `rank` must be given.
    n_init : int, default 1
        Do all of it so many times, from other starts and with other samples held out, and return
        the result that orders most of the triplets that it held out correctly (its own figures are
        then the best of so many). How far the others agree with it is in ``rank_evidence.refits``
        (their counts) and ``diagnostics["factor_match_score"]`` (the mean over all pairs):
        components that come out every time can be interpreted.
    random_state : int, RandomState or Generator, optional
        Fixes every random choice: the same bits on the same machine, device and versions (but
        where convolutions take part on a GPU, also in the choice of "auto", for there they are
        rounded differently from run to run).
    device : str or torch.device, optional
        Where to train: "cuda" moves a copy of the samples to a GPU, whatever the backend, and all
        results, the encoder too, come back to where `tensor` is. By default where `tensor` is, if
        torch can look at it there (torch's own tensors, those of JAX and CuPy), else on the host.
    verbose : int or bool, default 0
        1: a progress bar on a terminal (with tqdm installed), some lines elsewhere; 2: every pass.
    callback : callable, optional
        Called as ``callback(state, error)`` after each pass of the fit that decides; returning True
        ends it there, and there is no second fit (each of `n_init` times). See `TrainingState`.
    return_errors : bool, default False
        Return ``(result, errors)``.

    Returns
    -------
    NoRankTensor
        ``weights, factors = result`` as from `parafac`; and `transform`, `rank_evidence`, ...
    errors : list of float
        If `return_errors`: the objective after each pass, with the hinge averaged over all triplets
        (so that passes compare), or a `loss` of yours over batches; on held-out samples where there
        are enough. Where there are any, of the first fit.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, before any training.
    FloatingPointError
        If a term becomes infinite or NaN in training; the message names it.

    Warns
    -----
    ConvergenceWarning
        If the error still fell markedly when the passes ran out: by more than an eighth in the
        fifth of `n_iter_max` passes (at least 5) before the learning rate fell. Of less, twice the
        passes changed no conclusion where that was measured. Or if the passes were too few to tell.
    UserWarning
        If labels are missing; if no component separates the classes (orders comparisons, is shared
        by the entries of the samples), or more than `max_rank` do; if
        classes have too few samples to be tested; if no samples could be held out, so that
        components are counted on principal components alone; if of the triplets of fitted samples
        more are in order, by 15 in a hundred or more, than of held-out ones.

    See Also
    --------
    tensorly.decomposition.parafac : Needs a rank; reconstructs the data.

    References
    ----------
    .. [1] M. Bagherian, "No-rank tensor decomposition via metric learning", Scientific Reports 16,
       8326 (2026).

    Examples
    --------
    >>> import numpy as np, tensorly as tl
    >>> from tensorly_norank import no_rank_decomposition
    >>> rng = np.random.default_rng(0)
    >>> labels = np.repeat(["healthy", "mild", "severe"], 30)
    >>> patterns = dict(zip(np.unique(labels), rng.normal(size=(3, 5, 4))))
    >>> noise = 0.1 * rng.normal(size=(90, 5, 4))
    >>> tensor = tl.tensor(np.stack([patterns[k] for k in labels]) + noise)
    >>> result = no_rank_decomposition(tensor, labels, encoder="linear", random_state=0)
    >>> weights, factors = result
    >>> [tl.shape(factor) for factor in factors]
    [(90, 2), (5, 2), (4, 2)]
    """
    settings: dict[str, Any] = dict(
        margin=margin,
        diversity=diversity,
        uniformity=uniformity,
        locality=locality,
        tol=tol,
        learning_rate=learning_rate,
        validation_fraction=validation_fraction,
        verbose=verbose,
        rank=rank,
        max_rank=max_rank,
        n_iter_max=n_iter_max,
        batch_size=batch_size,
        n_init=n_init,
    )
    check_scalars(**settings)
    settings["encoder"] = _name_of(encoder)
    settings["loss"] = None if loss is None else _name_of(loss)
    settings["random_state"] = int(random_state) if isinstance(random_state, Integral) else None
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable, got {callback!r}.")
    rng = check_random_state(random_state)
    with without_modes():
        data = _enter(tensor, labels, triplets, mode, mask, device)
        n_dimensions = _n_dimensions(data, encoder, rank, max_rank)
        if loss is not None:
            check_loss(loss, n_dimensions, data.part, batch_size or data.part.default_batch_size)
        spreader, codes = _lend_labels(data, rng)
    recipe = _RECIPES[type(data.part)](
        data,
        encoder,
        n_dimensions,
        _objective(data, n_dimensions, margin, diversity, uniformity, locality, loss),
        rank,
        max_rank,
        validation_fraction,
        verbose,
        rng,
        settings,
        _figures(data, codes),
        spreader,
    )
    size, n_passes = _default_size_and_passes(data.part, codes, batch_size)
    pace = Settings(n_iter_max or n_passes, tol, size, learning_rate)
    with without_modes():
        result = best_of([recipe.run(pace, callback) for _ in range(n_init)])
    if rank is None and result.rank_evidence is not None:
        warn_of_count(result.rank_evidence, max_rank)
        warn_of_collapse(_backend.to_numpy(result.embedding), result.rank_evidence.found)
    if isinstance(encoder, Encoder) and encoder.initialized and validation_fraction:
        warn_of_fitted_encoder()
    warn_of_overfitting(result.diagnostics)
    return (result, list(result.history["error"])) if return_errors else result


_RECIPES = {Part: Recipe, ComparedPart: ComparisonRecipe, NeighbouringPart: NeighbourRecipe}


def _name_of(thing: Any) -> str:
    return thing if isinstance(thing, str) else getattr(thing, "__name__", type(thing).__name__)


def _enter(tensor: Any, labels: Any, triplets: Any, mode: int, mask: Any, device: Any) -> Data:
    origin = _backend.origin_of(tensor)
    place = _backend.check_device(device)
    if place is None:
        _backend.check_device(origin.device, "the device of tensor")
    shape = check_shape(tl.shape(tensor))
    mode = check_mode(mode, len(shape))
    if labels is not None and triplets is not None:
        raise ValueError("labels or triplets must be given, not both: got both.")
    n_samples, classes = shape[mode], np.array([])
    codes, comparisons = np.zeros(n_samples, dtype=int), None
    if labels is not None:
        classes, codes = encode_labels(labels, shape, mode)
    elif triplets is not None:
        comparisons = check_triplets(triplets, n_samples)
        codes[np.setdiff1d(np.arange(n_samples), comparisons)] = -1
    elif n_samples < _FEWEST_NEIGHBOURS:
        raise ValueError(
            f"tensor must hold at least {_FEWEST_NEIGHBOURS} samples along mode {mode} where there "
            f"are neither labels nor triplets, got {n_samples} "
            f"{'sample' if n_samples == 1 else 'samples'}."
        )
    observed = check_mask(mask, tensor, origin)
    copied = enter_observed(tensor, observed, origin, mode, place)
    samples, places = copied.movedim(mode, 0).contiguous(), np.arange(n_samples)
    if observed is not None:
        check_observed((~samples.isnan()).sum(dim=0).cpu().numpy(), mode)
    part = Part(samples, codes, places)
    if comparisons is not None:
        part = ComparedPart(samples, codes, places, comparisons)
    elif labels is None:
        part = NeighbouringPart(samples, codes, places, nested=True)
    return Data(tensor, mode, origin, part, classes, observed)


def _objective(
    data: Data,
    n_dimensions: int,
    margin: float | None,
    diversity: float | None,
    uniformity: float,
    locality: float,
    loss: Loss | None,
) -> Objective:
    """The terms, with the defaults that suit what is known of the samples."""
    is_blind = isinstance(data.part, NeighbouringPart)
    if margin is None:
        margin = _NEIGHBOUR_MARGIN if is_blind else _MARGIN
    if diversity is None:
        # The means of so many classes may take all directions that there are.
        n_pairs = int(np.sum(np.bincount(data.part.codes[data.part.known]) >= 2))
        is_many = n_pairs > max(n_dimensions, _DIMENSIONS)
        diversity = _DIVERSITY_OF_MANY if is_many else _DIVERSITY
        diversity = 0.0 if is_blind else diversity
    return Objective(float(margin), float(diversity), float(uniformity), float(locality), loss)


def _lend_labels(data: Data, rng: np.random.Generator) -> tuple[LabelSpreader | None, np.ndarray]:
    """What lends labels, if some are missing; the codes with those that are lent, (n,)."""
    part = data.part
    if isinstance(part, ComparedPart | NeighbouringPart) or len(part.known) == len(part):
        return None, part.codes
    spreader = LabelSpreader(part.samples, rng)
    filled = spreader(part.codes)
    warn_of_missing_labels(part.codes, filled)
    return spreader, filled


def _figures(data: Data, codes: np.ndarray) -> dict[str, Any]:
    """Diagnostics of what was given; no fit changes them. `codes` has the labels that are lent."""
    if isinstance(data.part, ComparedPart):
        return {"contradicting_share": contradicting_share(data.part.comparisons)}
    if codes is data.part.codes:
        return {}
    return {"n_lent_labels": int(np.sum(codes >= 0)) - len(data.part.known)}


def _n_dimensions(
    data: Data, encoder: str | nn.Module, rank: int | None, max_rank: int | None
) -> int:
    """Dimension of the embedding; raises if the encoder is of no use or the rank too large."""
    n_entries = int(np.prod(data.sample_shape))
    largest = max(_DIMENSIONS, n_entries)
    for name, value in [("rank", rank), ("max_rank", max_rank)]:
        if isinstance(encoder, str) and value is not None and value > largest:
            raise ValueError(
                f"{name} must be at most {largest} ({_DIMENSIONS}, or the number of entries of a "
                f"sample if that is more), got {value}."
            )
    default = max(min(_DIMENSIONS, n_entries), rank or 1)
    # The count looks beyond a small `max_rank`, to say what is cut off.
    n_dimensions = check_encoder(encoder, data.part.samples[:2], max(max_rank or 0, default))
    most = min(n_dimensions, max_rank or n_dimensions)
    if rank is not None and rank > most:
        limit = "max_rank" if most == max_rank else "the dimension of the embedding"
        raise ValueError(f"rank must be at most {limit}, {most}, got {rank}.")
    return n_dimensions


def _default_size_and_passes(
    part: Part, codes: np.ndarray, batch_size: int | None
) -> tuple[int, int]:
    """Of batches, and how many passes; for the samples that the last fit takes."""
    if codes is not part.codes:
        part = replace(part, codes=codes).take(np.flatnonzero(codes >= 0))
    size = batch_size or part.default_batch_size
    n_batches = len(part.batches(size, np.random.default_rng(0)))
    return size, int(np.clip(-(-_N_STEPS // n_batches), _FEWEST_PASSES, part.most_passes))
