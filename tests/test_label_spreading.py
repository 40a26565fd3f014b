"""Labels that neighbours lend: right where neighbours know, none where they do not."""

import numpy as np
import pytest
import torch

from tensorly_norank import _label_spreading, _linear_part
from tensorly_norank._label_spreading import LabelSpreader, _needed_confidence, _neighbour_graph


def _blobs(n_each=40, n_classes=3, seed=0):
    """Clusters far apart, and their classes."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(n_classes), n_each)
    centres = 20 * rng.normal(size=(n_classes, 4, 3))
    return torch.from_numpy(centres[codes] + rng.normal(size=(len(codes), 4, 3))), codes


def _hide(codes, n_known, seed=0):
    """All codes but those of `n_known` samples of each class."""
    order = np.random.default_rng(seed).permutation(len(codes))
    known = [order[codes[order] == code][:n_known] for code in np.unique(codes)]
    hidden = np.full(len(codes), -1)
    hidden[np.concatenate(known)] = codes[np.concatenate(known)]
    return hidden


def _lend(samples, codes, seed=0):
    return LabelSpreader(samples, np.random.default_rng(seed))(codes)


def test_clusters_get_the_labels_of_their_own():
    samples, codes = _blobs()
    assert (_lend(samples, _hide(codes, 4)) == codes).all()


@pytest.mark.parametrize("offset, unit", [(1e5, 1.0), (0.0, 1e18), (0.0, 1e-18)])
def test_neither_an_offset_nor_a_unit_changes_what_is_lent(offset, unit, monkeypatch):
    monkeypatch.setattr(_linear_part, "_N_AXES", 2)  # those that class means span
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1, 2], 120)  # so many that sklearn takes the covariance's eigenvectors
    centres = 8 * np.linalg.qr(rng.normal(size=(30, 3)))[0].T  # not far apart on any other axes
    samples = torch.from_numpy(centres[codes] + rng.normal(size=(360, 30)))
    given = _hide(codes, 8)
    lent = _lend((unit * (samples + offset)).float(), given)
    assert np.mean(lent == codes) > 0.98


@pytest.mark.parametrize("seed", range(5))
def test_where_neighbours_know_nothing_hardly_any_label_is_lent(seed):
    rng = np.random.default_rng(seed)
    samples = torch.from_numpy(rng.normal(size=(200, 10)))
    codes = rng.integers(4, size=200)
    given = _hide(codes, 10, seed)
    lent = _lend(samples, given, seed)
    assert np.sum((lent >= 0) & (given < 0)) <= 10


@pytest.mark.parametrize(("n_known", "n_wrong"), [(8, 1), (25, 7)])  # few, and outvoted for sure
def test_labels_that_are_given_stay_wrong_as_they_may_be(n_known, n_wrong):
    samples, codes = _blobs(seed=1)
    given = _hide(codes, n_known)
    given[:n_wrong] = 2  # in a cluster of class 0
    lent = _lend(samples, given)
    assert (lent[given >= 0] == given[given >= 0]).all()


def test_spreading_has_the_limit_that_theory_gives(monkeypatch):
    monkeypatch.setattr(_label_spreading, "_N_STEPS", 400)
    samples = torch.from_numpy(np.random.default_rng(0).normal(size=(50, 3)))
    spreader = LabelSpreader(samples, np.random.default_rng(0))
    codes = np.full(50, -1)
    codes[:9] = [0, 0, 0, 0, 0, 0, 1, 1, 2]
    start = np.stack([codes == code for code in range(3)], axis=1).astype(float)
    limit = np.linalg.solve(np.eye(50) - 0.9 * spreader._graph.toarray(), 0.1 * start)
    best, share = spreader._spread(codes)
    assert best.tolist() == limit.argmax(axis=1).tolist()
    np.testing.assert_allclose(share, limit.max(axis=1) / limit.sum(axis=1))


def test_classes_taken_together_or_one_by_one_give_the_same(monkeypatch):
    samples, codes = _blobs()
    spreader = LabelSpreader(samples, np.random.default_rng(0))
    together = spreader._spread(_hide(codes, 3))
    monkeypatch.setattr(_label_spreading, "_LARGEST_CHUNK", 1)
    for one, other in zip(together, spreader._spread(_hide(codes, 3)), strict=True):
        np.testing.assert_allclose(one, other)


def test_neighbours_are_joined_both_ways_and_near_ones_more():
    points = np.array([[0.0], [1.0], [3.0], [7.0], [15.0], [31.0], [100.0]])
    graph = _neighbour_graph(points).toarray()
    np.testing.assert_allclose(graph, graph.T)
    assert graph[0, 6] == 0
    assert graph[6, 5] > 0
    # By hand: the fifth neighbour of 0 lies at 31, that of 1 at 30; the wider view counts.
    weights = np.exp(-((1 / 31) ** 2))
    totals = _totals(points)
    assert graph[0, 1] == pytest.approx(weights / np.sqrt(totals[0] * totals[1]))


def _totals(points):
    distances = np.abs(points - points.T)
    order = np.sort(distances, axis=1)
    weights = np.exp(-((distances / order[:, [5]]) ** 2)) * (distances <= order[:, [5]])
    np.fill_diagonal(weights, 0)
    return np.maximum(weights, weights.T).sum(axis=1)


def test_the_confidence_that_is_needed_is_where_enough_are_right():
    confidence = np.linspace(1, 0.5, 40)
    all_right = np.ones(40, dtype=bool)
    assert _needed_confidence(all_right, confidence) == 0.5
    half = np.arange(40) < 20  # right while confident
    needed = _needed_confidence(half, confidence)
    assert np.sum(confidence >= needed) == 20
    # Of pairs that are half right the average decides. Wilson's lower end by hand: 0.887 of 21 out
    # of 22, 0.842 of 22 out of 24
    pairs = np.where(half, True, np.arange(40) % 2 == 1)
    assert np.sum(confidence >= _needed_confidence(pairs, confidence)) == 22
    assert _needed_confidence(~all_right, confidence) == np.inf
    assert _needed_confidence(all_right[:5], confidence[:5]) == np.inf  # five say too little
    assert np.isfinite(_needed_confidence(all_right[:6], confidence[:6]))


def test_equally_confident_samples_are_lent_labels_all_or_none():
    confidence = np.array([1.0] * 10 + [0.5] * 10)
    rng = np.random.default_rng(0)
    for n_right, expected in [(10, 0.5), (6, 1.0), (3, 1.0)]:  # of those at 0.5
        is_right = np.arange(20) < 10 + n_right
        for _ in range(5):
            order = rng.permutation(20)
            assert _needed_confidence(is_right[order], confidence[order]) == expected


def test_the_least_confident_must_be_right_by_themselves():
    confidence = np.concatenate([np.linspace(1, 0.9, 300), np.linspace(0.3, 0.2, 40)])
    is_right = np.arange(340) < 300  # 88 % of all, and none of the least confident ones
    assert _needed_confidence(is_right, confidence) == pytest.approx(0.9)


def test_missing_entries_are_not_taken_for_zeros():
    samples, codes = _blobs()
    is_missing = np.random.default_rng(0).random(samples.shape) < 0.2
    holes = (samples + 1000).masked_fill(torch.from_numpy(is_missing), torch.nan)
    assert (_lend(holes, _hide(codes, 4)) == codes).all()


def test_a_class_that_is_mostly_wrong_lends_nothing():
    samples, codes = _blobs(n_each=40, n_classes=8, seed=2)
    given = _hide(codes, 4, seed=2)
    given[np.flatnonzero((codes == 0) & (given < 0))[:5]] = 8  # strewn among class 0
    lent = _lend(samples, given)
    assert np.sum(lent == 8) == 5
    assert np.sum(lent >= 0) > 200


def test_what_no_label_reaches_gets_none():
    samples, codes = _blobs(n_each=20, n_classes=4)
    given = np.where(codes < 2, codes, -1)
    given[codes == 3] = np.where(np.arange(20) == 0, 3, -1)  # one label, which nobody can check
    assert (_lend(samples, given)[codes == 2] == -1).all()


def test_the_same_codes_get_the_same_labels_every_time():
    rng = np.random.default_rng(0)
    samples, codes = torch.from_numpy(rng.normal(size=(100, 2))), rng.integers(3, size=100)
    spreader, given = LabelSpreader(samples, np.random.default_rng(0)), _hide(codes, 12)
    filled = spreader(given)
    assert spreader(given).tolist() == spreader._fill(given).tolist() == filled.tolist()
    filled[:] = 0  # which is the caller's
    assert spreader(given).tolist() != filled.tolist()


def test_samples_that_are_all_the_same_are_lent_nothing():
    codes = np.array([0, 0, 1, 1, -1, -1, -1, -1])
    assert _lend(torch.ones(8, 3, dtype=torch.float64), codes).tolist() == codes.tolist()
