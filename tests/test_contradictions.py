"""How many comparisons cannot hold together, against trying all orders of the pairs."""

import itertools

import numpy as np
import pytest

from tensorly_norank._contradictions import contradicting_share


def _partly_reversed(n_rows, share, seed):
    """Comparisons of real distances between twelve points, and which are the wrong way round."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(12, 2))
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    rows = np.array([rng.permutation(12)[:3] for _ in range(n_rows)])
    near, far = distances[rows[:, 0], rows[:, 1]], distances[rows[:, 0], rows[:, 2]]
    is_wrong = rng.random(len(rows)) < share
    swapped = (near > far) != is_wrong
    rows[swapped] = rows[swapped][:, [0, 2, 1]]
    return rows, is_wrong


def _by_trying(rows):
    """Fewest comparisons that an order of all pairs breaks, as a share."""
    edges = [(frozenset((a, p)), frozenset((a, n))) for a, p, n in rows]
    pairs = sorted({pair for edge in edges for pair in edge}, key=sorted)
    fewest = len(rows)
    for order in itertools.permutations(range(len(pairs))):
        place = dict(zip(pairs, order, strict=True))
        fewest = min(fewest, sum(place[near] > place[far] for near, far in edges))
    return fewest / len(rows)


@pytest.mark.parametrize(
    ("rows", "share"),
    [
        ([(0, 1, 2), (0, 2, 3), (0, 1, 3)], 0),
        ([(0, 1, 2), (0, 2, 1)], 1 / 2),
        ([(0, 1, 2)] * 3 + [(0, 2, 1)], 1 / 4),  # a majority holds
        ([(0, 1, 2), (0, 2, 3), (0, 3, 1)], 1 / 3),  # a circle of one anchor
        ([(0, 1, 2), (2, 0, 1), (1, 2, 0)], 1 / 3),  # a circle of three: {01}<{02}<{12}<{01}
    ],
)
def test_known_cases(rows, share):
    assert contradicting_share(np.array(rows)) == pytest.approx(share)


@pytest.mark.parametrize("seed", range(12))
def test_never_below_the_least_and_seldom_above(seed):
    rng = np.random.default_rng(seed)
    rows = np.array([rng.permutation(4)[:3] for _ in range(14)])  # six pairs
    least = _by_trying(rows.tolist())
    assert least - 1e-12 <= contradicting_share(rows) <= least + 1 / 14 + 1e-12


def test_comparisons_of_real_distances_never_contradict():
    rows, _ = _partly_reversed(5000, 0.0, seed=0)
    assert contradicting_share(rows) == 0


def test_with_many_comparisons_a_pair_the_share_that_was_reversed_is_found():
    rows, is_wrong = _partly_reversed(30_000, 0.2, seed=0)
    assert contradicting_share(rows) == pytest.approx(is_wrong.mean(), abs=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_hardly_more_contradict_than_were_reversed(seed):
    """Reversing them back fulfils all: the least share is no larger than theirs."""
    rows, is_wrong = _partly_reversed(600, 0.1, seed)
    assert contradicting_share(rows) <= is_wrong.mean() + 0.005
