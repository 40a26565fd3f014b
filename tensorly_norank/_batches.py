"""Which samples form a batch: P classes × K samples, every sample in every pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_MOST_HELD_OUT = 1200  # samples: more tell little more, at a cost that grows with their square
_FEWEST_BATCHES = 16  # in a pass of comparisons
_MOST_COMPARISONS = 4096  # in a batch
_FEWEST_HELD_OUT = 6  # samples without classes, to count on or to stop by: fewer tell nothing
_SMALLEST_CHUNK = 4  # samples of a class in a batch: fewer leave hardly any positives


@dataclass(frozen=True)
class Batch:
    """Samples of one training step."""

    indices: np.ndarray  # (B,) which samples
    weights: np.ndarray  # (B,) weight of each as an anchor: over a pass, all classes weigh the same
    triplets: np.ndarray | None = None  # (T, 3) places in `indices`, where comparisons are given
    depth: float = 1.0  # from 0, the first coordinate alone, to 1, where coordinates are nested


def default_batch_size(n_samples: int) -> int:
    """Small sets need many steps a pass, large ones full batches."""
    return int(np.clip(2 ** np.ceil(np.log2(max(n_samples, 1) / 16)), 64, 512))


def class_balanced_pass(
    labels: np.ndarray, batch_size: int, rng: np.random.Generator
) -> list[Batch]:
    """Divide all samples into batches of P classes × K samples, no class twice in a batch.

    Classes are cut into chunks of at most K samples without repeats. Where all classes fit into a
    batch, every batch holds a chunk of each, and small classes come again, reshuffled, until the
    largest has been shown once. With more classes than fit, those with most chunks left come first,
    and places left over go to the classes shown least. What stays unequal the anchor weights even
    out.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
        Class codes.
    batch_size : int
        At most so many samples a batch.
    rng : numpy Generator
        Shuffles samples and classes.
    """
    classes, labels, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    n_classes = len(classes)
    members = np.split(np.argsort(labels, kind="stable"), np.cumsum(sizes)[:-1])
    classes_per_batch = min(n_classes, max(2, batch_size // _SMALLEST_CHUNK))
    chunk_size = max(2, batch_size // classes_per_batch)

    def chunks(code: int) -> list[np.ndarray]:
        shuffled = rng.permutation(members[code])
        return np.array_split(shuffled, -(-len(shuffled) // chunk_size))

    waiting = [chunks(code) for code in range(n_classes)]
    n_chunks = np.array([len(queue) for queue in waiting])
    n_batches = max(n_chunks.max(), -(-n_chunks.sum() // classes_per_batch))
    times_shown = np.zeros(n_classes)
    batches = []
    n_waiting = n_chunks.copy()
    for _ in range(n_batches):
        chosen = np.lexsort((rng.random(n_classes), times_shown, -n_waiting))[:classes_per_batch]
        batch = []
        for code in chosen:
            waiting[code] = waiting[code] or chunks(code)
            batch.append(waiting[code].pop())
            n_waiting[code] = len(waiting[code])
            times_shown[code] += len(batch[-1])
        batches.append(np.concatenate(batch))
    weight = times_shown.sum() / (n_classes * times_shown)
    return [Batch(indices, weight[labels[indices]]) for indices in batches]


def comparisons_pass(
    comparisons: np.ndarray, batch_size: int, rng: np.random.Generator
) -> list[Batch]:
    """Divide comparisons (T, 3) into batches that name so many samples at most.

    Where samples are few for the comparisons, they are divided at random, so often as 16 batches
    take, and a batch holds the comparisons among its own: more than as many that were drawn at
    random. Which ones are shown changes from pass to pass then. Where samples are many, comparisons
    are divided themselves.
    """
    samples = np.unique(comparisons)
    n_parts = -(-len(samples) // batch_size)
    n_apart = max(1, batch_size // 3)
    if len(comparisons) / n_parts**3 < n_apart:
        return _comparisons_apart(comparisons, n_apart, rng)
    batches = []
    batch_of = np.zeros(samples[-1] + 1, dtype=int)
    for _ in range(-(-_FEWEST_BATCHES // n_parts)):
        batch_of[samples] = rng.permutation(len(samples)) % n_parts
        of_row = batch_of[comparisons]
        within = np.flatnonzero((of_row == of_row[:, :1]).all(axis=1))
        order = within[np.argsort(of_row[within, 0], kind="stable")]
        ends = np.searchsorted(of_row[order, 0], np.arange(1, n_parts))
        for rows in np.split(order, ends):
            if len(rows):
                some = np.sort(rng.permutation(rows)[:_MOST_COMPARISONS])
                batches.append(_batch_of_comparisons(comparisons[some]))
    # Of few comparisons that are repeated often it may be that no division holds one.
    return batches or _comparisons_apart(comparisons, n_apart, rng)


def _comparisons_apart(
    comparisons: np.ndarray, n_each: int, rng: np.random.Generator
) -> list[Batch]:
    """Comparisons in random order, so many in a batch."""
    shuffled = rng.permutation(comparisons)
    parts = np.array_split(shuffled, -(-len(shuffled) // n_each))
    return [_batch_of_comparisons(rows) for rows in parts]


def _batch_of_comparisons(rows: np.ndarray) -> Batch:
    indices, places = np.unique(rows, return_inverse=True)
    return Batch(indices, np.ones(len(indices)), places.reshape(rows.shape))


def random_pass(n_samples: int, batch_size: int, rng: np.random.Generator) -> list[Batch]:
    """Divide samples into batches of about the same size, at most so many."""
    shuffled = rng.permutation(n_samples)
    parts = np.array_split(shuffled, -(-n_samples // batch_size))
    return [Batch(indices, np.ones(len(indices))) for indices in parts]


@dataclass(frozen=True)
class Split:
    """Which samples serve what in one fit; no sample serves two purposes."""

    fit: np.ndarray  # indices of the samples that the fit learns from
    stop: np.ndarray | None  # those that decide when it ends
    count: np.ndarray | None  # those that the components are counted on


def split_samples(
    codes: np.ndarray, fraction: float, rng: np.random.Generator, n_most: int = 3
) -> list[Split]:
    """Hold out a share of the labelled samples, by class, for stopping and for counting.

    Held-out samples are of use in pairs of a class, and a class must keep two for the fit. A class
    whose share is 4 samples or more gives that; a smaller one gives 2 samples, if it has 4, and
    only so many such classes do as the fraction allows (at least two). Where fewer than two classes
    can give anything, nothing is held out. Of large data the share is less: 1,200 samples will do.

    Returns
    -------
    list of Split
        The first one gives a third (at least 2 samples) of each large class's share to stopping,
        the rest to counting. In the others, up to `n_most` in all, every held-out sample counts;
        what they hold out is disjoint from what the ones before them do.
    """
    everything = np.flatnonzero(codes >= 0)
    fraction = min(fraction, _MOST_HELD_OUT / len(everything))
    n_classes = int(codes.max()) + 1
    by_class = everything[np.argsort(codes[everything], kind="stable")]
    ends = np.cumsum(np.bincount(codes[everything], minlength=n_classes))[:-1]
    members = [rng.permutation(own) for own in np.split(by_class, ends)]
    shares = [min(round(fraction * len(own)), len(own) - 2) for own in members]
    large = [code for code in range(n_classes) if shares[code] >= 4]
    small = [code for code in range(n_classes) if shares[code] < 4 <= len(members[code])]
    if fraction == 0:
        small = []
    n_small = round(fraction * sum(len(members[code]) for code in small) / 2)
    splits = []
    for k in range(n_most):
        drawn = rng.permutation([code for code in small if len(members[code]) >= 2 * (k + 1)])
        giving = {code: 2 for code in drawn[: max(2 - len(large), n_small)]}
        giving |= {
            code: shares[code] for code in large if len(members[code]) >= shares[code] * (k + 1)
        }
        if len(giving) < 2:
            break
        held_out = {code: members[code][n * k : n * (k + 1)] for code, n in giving.items()}
        stop = {}
        if k == 0 and len(large) >= 2:
            stop = {code: held_out[code][: max(2, shares[code] // 3)] for code in large}
        count = [own[len(stop.get(code, ())) :] for code, own in held_out.items()]
        splits.append(
            Split(
                np.setdiff1d(everything, np.concatenate([*held_out.values()])),
                np.sort(np.concatenate([*stop.values()])) if stop else None,
                np.sort(np.concatenate(count)),
            )
        )
    return splits or [Split(everything, None, None)]


def split_at_random(
    indices: np.ndarray, fraction: float, rng: np.random.Generator, n_most: int = 3
) -> list[Split]:
    """As `split_samples`, where there are no classes: a third of the share stops the first fit.

    Nothing is held out where that would be fewer than six samples, and fewer than six stop nothing.
    """
    n_held_out = round(min(fraction * len(indices), _MOST_HELD_OUT))
    if n_held_out < _FEWEST_HELD_OUT:
        return [Split(indices, None, None)]
    order = rng.permutation(indices)
    splits = []
    for k in range(min(n_most, len(order) // n_held_out)):
        held_out = order[n_held_out * k : n_held_out * (k + 1)]
        n_stop = n_held_out // 3 if k == 0 and n_held_out // 3 >= _FEWEST_HELD_OUT else 0
        splits.append(
            Split(
                np.setdiff1d(indices, held_out),
                np.sort(held_out[:n_stop]) if n_stop else None,
                np.sort(held_out[n_stop:]),
            )
        )
    return splits


def drawn_evenly(
    codes: np.ndarray,
    n_most: int,
    rng: np.random.Generator,
    urgent: Sequence[int] | np.ndarray = (),
) -> np.ndarray:
    """At most so many samples, evenly over classes; two of each urgent one before all others."""
    order, place = shuffle_within_classes(codes, rng)
    waits = ~np.isin(codes[order], urgent) | (place >= 2)
    return order[np.lexsort((rng.random(len(codes)), place, waits))[:n_most]]


def some_samples(codes: np.ndarray, n_most: int, rng: np.random.Generator) -> np.ndarray:
    """At most `n_most` samples at random, evenly over classes: a pair of each in turn.

    What is left over of classes, and classes of one, take turns as one class more, so that samples
    that have one of their own class and one of another have them among so many, too.
    """
    if len(codes) <= n_most:
        return np.arange(len(codes))
    pairs = pairs_within_classes(codes, rng)
    _, first, sizes = np.unique(pairs, return_index=True, return_counts=True)
    kinds = np.where(sizes == 2, codes[first], codes.max() + 1)
    shuffled = rng.permutation(len(kinds))
    in_turn = shuffled[np.argsort(_places_in_class(kinds[shuffled]), kind="stable")]
    return np.flatnonzero(np.isin(pairs, in_turn[: n_most // 2]))


def shuffle_within_classes(
    codes: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The samples by class and at random within it, (n,), and the place of each in its class."""
    shuffled = rng.permutation(len(codes))
    order = shuffled[np.argsort(codes[shuffled], kind="stable")]
    return order, _places_in_class(codes[order])


def _places_in_class(codes: np.ndarray) -> np.ndarray:
    """How many of its class each comes after, (n,)."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    places = np.empty(len(codes), dtype=int)
    places[order] = np.arange(len(codes)) - np.searchsorted(ordered, ordered)
    return places


def pairs_within_classes(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Number random pairs of a class, (n,): what is left over of a class is a pair by itself."""
    by_class, place = shuffle_within_classes(codes, rng)
    _, numbers = np.unique(np.stack([codes[by_class], place // 2]), axis=1, return_inverse=True)
    pairs = np.empty(len(codes), dtype=int)
    pairs[by_class] = numbers.reshape(-1)
    return pairs
