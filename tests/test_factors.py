"""The factor fit against parafac, least squares and known answers; on the active backend."""

import warnings

import numpy as np
import pytest
import tensorly as tl
import torch
from tensorly.cp_tensor import CPTensor, cp_normalize
from tensorly.decomposition import parafac

from tensorly_norank import _factors, _least_squares, fit_factors


def _random(*shape, seed=0):
    return tl.tensor(np.random.default_rng(seed).normal(size=shape))


def _close(ours, expected, tolerance=1e-8):
    np.testing.assert_allclose(tl.to_numpy(ours), tl.to_numpy(expected), atol=tolerance)


def _relative_error(tensor, cp):
    return float(tl.norm(tl.cp_to_tensor(cp) - tensor) / tl.norm(tensor))


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (5, 5), (6, 1)])
def test_the_leading_left_vector_is_that_of_the_singular_value_decomposition(shape):
    matrix = np.random.default_rng(0).normal(size=shape)
    leading = tl.to_numpy(_least_squares._leading_left_vector(tl.tensor(matrix)))
    expected = np.linalg.svd(matrix)[0][:, 0]
    np.testing.assert_allclose(abs(leading @ expected), 1, rtol=1e-10)
    np.testing.assert_allclose(np.linalg.norm(leading), 1, rtol=1e-10)
    of_nothing = tl.to_numpy(_least_squares._leading_left_vector(tl.zeros(shape)))
    np.testing.assert_allclose(np.linalg.norm(of_nothing), 1, rtol=1e-6)


def test_of_a_long_mode_no_square_matrix_is_made(monkeypatch):
    lengths = []
    eigh = tl.eigh

    def watched(matrix):
        lengths.append(tl.shape(matrix)[-1])
        return eigh(matrix)

    monkeypatch.setattr(tl, "eigh", watched)
    tensor, samples = _random(12, 300, 4), _random(12, 2, seed=1)
    fit_factors(tensor, samples, n_iter_max=1, random_state=0)
    assert max(lengths) <= 4


@pytest.mark.parametrize("mode", [0, 1])
def test_factors_equal_parafac_with_that_mode_fixed(mode):
    tensor = _random(9, 8, 7, 6)
    start = [_random(n, 3, seed=k + 1) for k, n in enumerate((9, 8, 7, 6))]
    init = CPTensor((None, start))
    ours = fit_factors(tensor, start[mode], mode, init=init, n_iter_max=15, tol=0)
    theirs = parafac(
        tensor, 3, init=CPTensor((None, list(start))), fixed_modes=[mode], n_iter_max=15, tol=0
    )
    theirs = cp_normalize(theirs)
    _close(ours.weights, theirs.weights)
    for factor, expected in zip(ours.factors, theirs.factors, strict=True):
        _close(factor, expected)


def test_weights_that_the_dtype_cannot_hold_are_told():
    half = (torch if tl.get_backend() == "pytorch" else np).float16
    samples, small = tl.tensor(_random(30, 2), half), tl.tensor(_random(30, 20, 10), half)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        weights = fit_factors(small, samples).weights
    assert np.isfinite(tl.to_numpy(weights)).all()
    with pytest.warns(UserWarning, match=r"weight .*, and .*float16.* ends at 6.55e\+04") as told:
        fit_factors(tl.tensor(10000 * _random(30, 20, 10), half), samples)
    assert len(told) == 1


def test_last_mode_equals_the_first_one_moved():
    tensor, samples = _random(20, 5, 4), _random(20, 2)
    first = fit_factors(tensor, samples, 0, random_state=0)
    last = fit_factors(tl.moveaxis(tensor, 0, 2), samples, -1, random_state=0)
    _close(tl.cp_to_tensor(last), tl.moveaxis(tl.cp_to_tensor(first), 0, 2), 1e-6)


def test_a_cp_tensor_is_recovered():
    truth = CPTensor((None, [_random(n, 3, seed=n) for n in (30, 6, 5, 4)]))
    tensor = tl.cp_to_tensor(truth)
    assert _relative_error(tensor, fit_factors(tensor, truth.factors[0], random_state=0)) < 1e-3


def test_order_two_is_plain_least_squares():
    tensor, samples = _random(30, 5), _random(30, 3)
    solution = np.linalg.lstsq(tl.to_numpy(samples), tl.to_numpy(tensor), rcond=None)[0]
    fitted = fit_factors(tensor, samples, random_state=0)
    _close(tl.cp_to_tensor(fitted), tl.to_numpy(samples) @ solution)


def test_dependent_and_zero_columns_are_allowed():
    tensor, one = _random(30, 5, 4), _random(30, 1)
    samples = tl.concatenate([one, one, 0 * one], axis=1)
    fitted = fit_factors(tensor, samples, random_state=0)
    assert np.isfinite(_relative_error(tensor, fitted))
    assert float(fitted.weights[2]) == 0
    assert float(tl.norm(fitted.factors[0][:, 2])) == 0


def test_more_columns_than_samples_are_allowed():
    fitted = fit_factors(_random(3, 5, 4), _random(3, 6), random_state=0)
    assert fitted.rank == 6
    assert np.isfinite(tl.to_numpy(fitted.weights)).all()


def test_columns_have_norm_one():
    fitted = fit_factors(_random(12, 5, 4), _random(12, 2), random_state=0)
    for factor in fitted.factors:
        _close(tl.sum(factor**2, axis=0), np.ones(2))


def test_blocks_add_up_to_the_whole(monkeypatch):
    tensor, samples = _random(4, 23, 5), _random(23, 2)
    whole = fit_factors(tensor, samples, 1, random_state=0)
    monkeypatch.setattr(_factors, "_BLOCK_ENTRIES", 60)
    _close(tl.cp_to_tensor(fit_factors(tensor, samples, 1, random_state=0)), tl.cp_to_tensor(whole))


def test_with_a_mask_no_more_is_held_than_a_block(monkeypatch):
    tensor, samples = _random(4, 23, 5), _random(23, 3)
    mask = np.random.default_rng(0).random((4, 23, 5)) > 0.2
    whole = fit_factors(tensor, samples, 1, mask=mask, random_state=0)
    original, held = _factors.products_of_columns, []

    def products(matrix):
        held.append(int(np.prod(tl.shape(matrix))) * tl.shape(matrix)[1])
        return original(matrix)

    monkeypatch.setattr(_factors, "_BLOCK_ENTRIES", 60)
    monkeypatch.setattr(_factors, "products_of_columns", products)
    found = fit_factors(tensor, samples, 1, mask=mask, random_state=0)
    assert held and max(held) <= 60
    _close(tl.cp_to_tensor(found), tl.cp_to_tensor(whole))


class _ReadByBlocks(np.ndarray):
    """Counts the rows that are taken, and refuses to be computed with as a whole."""

    n_read = 0

    def __getitem__(self, index):
        block = np.asarray(self)[index]
        _ReadByBlocks.n_read += len(block)
        return block

    def __array_ufunc__(self, *args, **kwargs):
        raise AssertionError("the whole tensor was read")


@pytest.mark.skipif(tl.get_backend() != "numpy", reason="only numpy's arrays can count")
def test_the_data_are_read_once(monkeypatch):
    monkeypatch.setattr(_factors, "_BLOCK_ENTRIES", 200)
    tensor = _random(40, 5, 4).view(_ReadByBlocks)
    fit_factors(tensor, _random(40, 2), random_state=0)
    assert _ReadByBlocks.n_read == 40


@pytest.mark.parametrize("seed", range(3))
def test_explained_variance_has_its_bound_and_beats_random_starts(seed):
    tensor, samples = _random(60, 8, 7, 6, seed=seed), _random(60, 5, seed=seed + 50)
    problem = _factors.compress(tensor, samples, 0)
    fit = problem.solve(None, 500, 1e-8, np.random.default_rng(0))
    bound = float(tl.sum(problem.projected**2)) / problem.total
    assert fit.explained_variance <= bound + 1e-12
    for k in range(10):
        start = [_random(length, 5, seed=100 * k + length) for length in (8, 7, 6)]
        assert (
            fit.explained_variance
            >= problem.solve(start, 500, 1e-8, None).explained_variance - 1e-4
        )


@pytest.mark.parametrize("n_sweeps", [1, 7, 30, 45])
def test_what_is_returned_took_as_many_sweeps_as_asked_for(n_sweeps):
    problem = _factors.compress(_random(40, 8, 7, 6), _random(40, 3), 0)
    fits = [
        problem._iterate(start, n_sweeps, 0) for start in problem._starts(np.random.default_rng(0))
    ]
    found = problem.solve(None, n_sweeps, 0, np.random.default_rng(0))
    assert np.isclose([fit.residual for fit in fits], found.residual, rtol=1e-10).any()
    assert problem.solve(None, n_sweeps + 1, 0, np.random.default_rng(0)).residual < found.residual


def test_residual_is_that_of_the_centred_data():
    tensor, samples = _random(25, 6, 5) + 3, _random(25, 2)
    offset = tl.reshape(tl.mean(tensor, axis=0), (1, 6, 5))
    fit = _factors.compress(tensor, samples, 0, offset).solve(
        None, 100, 1e-9, np.random.default_rng(0)
    )
    cp = fit.as_cp_tensor(samples, 0, _factors.origin_of(tensor))
    share = 1 - _relative_error(tensor - offset, cp) ** 2
    assert fit.explained_variance == pytest.approx(share, abs=1e-9)


def test_dtypes_are_kept_and_integers_promoted():
    whole = tl.tensor(np.arange(60).reshape(5, 4, 3))
    assert "float64" in str(fit_factors(whole, _random(5, 2), random_state=0).factors[1].dtype)
    single = tl.tensor(np.ones((5, 4, 3), np.float32))
    assert "float32" in str(fit_factors(single, _random(5, 2), random_state=0).weights.dtype)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples_factor": np.ones((4, 2))}, "samples_factor must have shape"),
        ({"mode": 3}, "mode must be"),
        ({"n_iter_max": 0}, "n_iter_max must be"),
        ({"tol": -1.0}, "tol must be"),
        ({"init": (None, [np.ones((5, 2))] * 3)}, "init must have factors"),
        (
            {"init": (None, [np.ones((5, 2)), np.ones((4, 2)), np.full((3, 2), np.nan)])},
            "factor 2 of init must be finite, got 6 NaN",
        ),
        ({"tensor": np.full((5, 4, 3), np.nan)}, "tensor must be finite, got 60 NaN"),
        ({"samples_factor": np.full((5, 2), np.inf)}, "samples_factor must be finite, got 0 NaN"),
        ({"tensor": np.ones(5)}, "tensor must be of order 2 or more"),
        ({"tensor": np.full((5, 4, 3), 1e-155)}, "tensor must hold some number beyond 1e-140"),
        ({"samples_factor": np.full((5, 2), 1e-200)}, "samples_factor must hold some number"),
        ({"samples_factor": np.full((5, 2), 1e153)}, "samples_factor must hold no number beyond"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"tensor": np.ones((5, 4, 3)), "samples_factor": np.ones((5, 2))} | change
    for name in ("tensor", "samples_factor"):
        arguments[name] = tl.tensor(arguments[name])
    if "init" in arguments:
        arguments["init"] = (None, [tl.tensor(factor) for factor in arguments["init"][1]])
    with pytest.raises(ValueError, match=message):
        fit_factors(**arguments)


@pytest.mark.parametrize("small", [1e-4, 1e-8, 1e-12])
def test_the_scale_of_a_column_does_not_matter(small):
    tensor, samples = _random(30, 6, 5), _random(30, 3)
    scaled = samples * tl.tensor(np.array([[1.0, small, 1.0]]))
    expected = fit_factors(tensor, samples, random_state=0)
    _close(fit_factors(tensor, scaled, random_state=0).weights, expected.weights, 1e-5)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_scale_of_the_data_goes_to_the_weights(scale):
    tensor, samples = _random(30, 6, 5), _random(30, 3)
    expected = fit_factors(tensor, samples, random_state=0)
    fitted = fit_factors(scale * tensor, samples, random_state=0)
    _close(fitted.weights / scale, expected.weights, 1e-6)


def test_repeated_columns_fit_as_well_as_their_span_allows():
    truth = CPTensor((None, [_random(n, 2, seed=n) for n in (30, 5, 4)]))
    tensor, samples = tl.cp_to_tensor(truth), truth.factors[0]
    repeated = tl.concatenate([samples, samples[:, :1]], axis=1)
    assert _relative_error(tensor, fit_factors(tensor, repeated, random_state=0)) < 1e-3


def test_only_the_given_direction_enters_the_fixed_factor():
    samples = 5 * _random(12, 2)
    fitted = fit_factors(_random(12, 5, 4), samples, random_state=0)
    _close(fitted.factors[0] * tl.norm(samples, axis=0), samples)


def test_same_random_state_same_factors_and_global_state_untouched():
    tensor, samples = _random(20, 6, 5), _random(20, 4)
    before = np.random.get_state()[1].tolist()
    one, two = (fit_factors(tensor, samples, random_state=3) for _ in range(2))
    for factor, other in zip(one.factors, two.factors, strict=True):
        np.testing.assert_array_equal(tl.to_numpy(factor), tl.to_numpy(other))
    assert np.random.get_state()[1].tolist() == before


def test_arguments_are_not_changed():
    tensor, samples = _random(9, 5, 4), _random(9, 2)
    start = CPTensor((tl.tensor([2.0, 3.0]), [_random(n, 2, seed=n) for n in (9, 5, 4)]))
    before = [tl.copy(array) for array in (tensor, samples, start.weights, *start.factors)]
    fit_factors(tensor, samples, init=start, n_iter_max=3)
    for array, copy in zip((tensor, samples, start.weights, *start.factors), before, strict=True):
        _close(array, copy, 0)


def test_data_of_zeros_have_weights_zero():
    fitted = fit_factors(tl.zeros((6, 4, 3)), _random(6, 2), random_state=0)
    _close(fitted.weights, np.zeros(2), 0)
    assert all(np.isfinite(tl.to_numpy(factor)).all() for factor in fitted.factors)


@pytest.mark.parametrize("shape", [(0, 4, 3), (5, 0, 3)])
def test_empty_tensors_are_refused(shape):
    with pytest.raises(ValueError, match="tensor must not be empty"):
        fit_factors(tl.zeros(shape), tl.ones((shape[0], 2)))


@pytest.mark.parametrize("init", ["random", 3, (None, "svd")], ids=str)
def test_a_start_that_is_no_cp_tensor_is_refused(init):
    with pytest.raises((TypeError, ValueError), match="init must"):
        fit_factors(_random(5, 4, 3), _random(5, 2), init=init)


def test_sweeps_end_where_the_relative_error_falls_by_less_than_tol():
    tensor, start = _random(30, 6, 5), [_random(n, 3, seed=n) for n in (30, 6, 5)]
    options = {"samples_factor": start[0], "init": CPTensor((None, start))}
    fits = [fit_factors(tensor, n_iter_max=n, tol=0, **options) for n in range(1, 40)]
    falls = -np.diff([_relative_error(tensor, fit) for fit in fits])
    last = 1 + int(np.argmax(falls < 1e-3))
    assert 1 < last < 38
    stopped = fit_factors(tensor, tol=1e-3, **options)
    _close(stopped.weights, fits[last].weights, 1e-12)


def test_random_starts_are_those_of_the_seed():
    problem = _factors.compress(_random(20, 6, 5), _random(20, 2), 0)
    first, again, other = (problem._starts(np.random.default_rng(seed))[1:] for seed in (0, 0, 1))
    for one, same, another in zip(first, again, other, strict=True):
        _close(one[0], same[0], 0)
        assert float(tl.norm(one[0] - another[0])) > 0.1
    assert float(tl.norm(first[0][0] - first[1][0])) > 0.1
