"""Of several fits the best is returned, and it knows how the others went."""

import numpy as np
import pytest
import tensorly as tl
import torch
from tensorly.cp_tensor import CPTensor

from tensorly_norank import no_rank_decomposition
from tensorly_norank._replicates import best_of, factor_match_score
from tensorly_norank.datasets import simulate_planted


def _cp(rank, seed=0):
    rng = np.random.default_rng(seed)
    return CPTensor((None, [tl.tensor(rng.normal(size=(n, rank))) for n in (12, 9, 7)]))


def test_components_match_themselves_in_any_order_sign_and_scale():
    cp = _cp(4)
    order = [2, 0, 3, 1]
    scales = tl.tensor(np.array([2.0, -1.0, 0.5, -3.0]))
    turned = CPTensor((None, [factor[:, order] * scales for factor in cp.factors]))
    assert factor_match_score(cp, turned) == pytest.approx(1)
    assert factor_match_score(turned, cp) == pytest.approx(1)


def test_what_matches_in_one_mode_only_does_not_match():
    cp, other = _cp(3), _cp(3, seed=1)
    mixed = CPTensor((None, [cp.factors[0], *other.factors[1:]]))
    assert factor_match_score(cp, mixed) < 0.6


def test_a_component_without_partner_counts_nothing():
    cp = _cp(4)
    fewer = CPTensor((None, [factor[:, :3] for factor in cp.factors]))
    assert factor_match_score(cp, fewer) == pytest.approx(0.75)


def test_half_precision_adds_up():
    factor = np.random.default_rng(0).normal(size=(5000, 2)).astype("float16")
    half = tl.tensor(factor, dtype=tl.tensor(factor).dtype)
    cp = CPTensor((None, [half, half[:9], half[9:20]]))
    assert factor_match_score(cp, cp) == pytest.approx(1, abs=1e-3)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_several_fits_of_half_precision_are_compared():
    tl.set_backend("pytorch")
    values = torch.randn(40, 3, 4, generator=torch.Generator().manual_seed(0))
    labels = np.arange(40) % 2
    values[labels == 1] += 2
    result = no_rank_decomposition(
        values.bfloat16(), labels, encoder="linear", n_init=2, n_iter_max=3, random_state=0
    )
    assert 0 < result.diagnostics["factor_match_score"] <= 1


@pytest.fixture(scope="module")
def planted():
    return simulate_planted(120, (6, 5), 2, 4, 1, random_state=0)


OPTIONS = {"encoder": "linear", "n_iter_max": 10, "tol": 0, "random_state": 0}


def test_the_best_of_several_fits_is_returned_with_the_counts_of_all(planted):
    tensor, labels = tl.tensor(planted.tensor), planted.labels
    result = no_rank_decomposition(tensor, labels, n_init=3, **OPTIONS)
    assert len(result.rank_evidence.refits) == 3
    assert result.rank_evidence.chosen in result.rank_evidence.refits
    assert 0 < result.diagnostics["factor_match_score"] <= 1 + 1e-9
    first = no_rank_decomposition(tensor, labels, **OPTIONS)
    held_out = "held_out_triplet_accuracy"
    assert result.diagnostics[held_out] >= first.diagnostics[held_out]
    assert first.rank_evidence.refits == ()
    assert "factor_match_score" not in first.diagnostics


def test_one_fit_is_the_first_of_several(planted):
    tensor, labels = tl.tensor(planted.tensor), planted.labels
    seen = []

    def remember(state, error):
        seen.append(error)

    no_rank_decomposition(tensor, labels, n_init=2, callback=remember, **OPTIONS)
    no_rank_decomposition(tensor, labels, callback=remember, **OPTIONS)
    assert seen[:10] == seen[20:]
    assert seen[:10] != seen[10:20]


@pytest.mark.parametrize(
    "figures",
    [
        [
            {"held_out_triplet_accuracy": 0.7, "triplet_accuracy": 0.99},
            {"held_out_triplet_accuracy": 0.9, "triplet_accuracy": 0.95},
        ],
        [{"triplet_accuracy": 0.8}, {"triplet_accuracy": 0.9}, {"triplet_accuracy": 0.7}],
    ],
    ids=["held out", "fitted"],
)
def test_the_best_fit_is_kept_by_held_out_figures_where_there_are_any(figures):
    results = [_cp(2) for _ in figures]
    for result, own in zip(results, figures, strict=True):
        result.diagnostics, result.rank_evidence = own, None
    assert best_of(results) is results[1]
