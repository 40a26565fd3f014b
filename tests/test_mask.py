"""Missing entries: what a mask may be, and least squares that never look at what it hides."""

import numpy as np
import pytest
import tensorly as tl
import torch

from tensorly_norank import (
    _factors,
    _objective,
    _parts,
    _recipe,
    fit_factors,
    no_rank_decomposition,
)


def _data(seed=0, shape=(30, 6, 5), rank=2, missing=0.3):
    """Tensor, its mask (no slice hidden), and a samples factor; numpy arrays."""
    rng = np.random.default_rng(seed)
    factors = [rng.normal(size=(length, rank)) for length in shape]
    tensor = np.einsum("ir,jr,kr->ijk", *factors) + 0.1 * rng.normal(size=shape)
    return tensor, rng.random(shape) >= missing, factors[0]


def _fit(tensor, mask, samples, mode=0, **options):
    options = {"random_state": 0, "n_iter_max": 20} | options
    return fit_factors(tl.tensor(tensor), tl.tensor(samples), mode, mask=mask, **options)


def _dense(cp_tensor):
    return tl.to_numpy(tl.cp_to_tensor(cp_tensor))


def test_of_matrices_each_column_is_a_least_squares_problem_of_its_own():
    tensor, mask, samples = _data()
    matrix, seen = tensor.reshape(30, -1), mask.reshape(30, -1)
    found = _dense(_fit(matrix, seen, samples))
    for j in range(matrix.shape[1]):
        own = seen[:, j]
        best, *_ = np.linalg.lstsq(samples[own], matrix[own, j], rcond=None)
        np.testing.assert_allclose(found[:, j], samples @ best, atol=1e-8)


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_each_factor_solves_the_dense_weighted_problem_that_the_others_leave(mode):
    tensor, mask, samples = _data()
    order = [1, 2]
    cp = _fit(
        np.moveaxis(tensor, 0, mode),
        np.moveaxis(mask, 0, mode),
        samples,
        mode,
        n_iter_max=500,
        tol=0,
    )
    factors = [tl.to_numpy(factor) for factor in cp.factors]
    factors[mode] = factors[mode] * tl.to_numpy(cp.weights)
    factors = [factors[mode], *(factors[k] for k in range(3) if k != mode)]
    for k in order:
        other = factors[3 - k]
        columns = np.einsum("sr,jr->sjr", samples, other).reshape(-1, 2)
        scale = np.linalg.norm(factors[0], axis=0) / np.linalg.norm(samples, axis=0)
        for row in range(tensor.shape[k]):
            own = mask.take(row, axis=k).reshape(-1)
            values = tensor.take(row, axis=k).reshape(-1)
            best, *_ = np.linalg.lstsq(columns[own], values[own], rcond=None)
            np.testing.assert_allclose(factors[k][row] * scale, best, atol=1e-8)


@pytest.mark.parametrize("hidden", [1e6, np.nan, -np.inf])
def test_what_stands_where_nothing_was_observed_changes_nothing(hidden):
    tensor, mask, samples = _data()
    expected = _fit(tensor, mask, samples)
    found = _fit(np.where(mask, tensor, hidden), mask, samples)
    for ours, theirs in zip(found.factors, expected.factors, strict=True):
        np.testing.assert_array_equal(tl.to_numpy(ours), tl.to_numpy(theirs))
    if np.isnan(hidden):
        by_nan = _fit(np.where(mask, tensor, hidden), "nan", samples)
        np.testing.assert_array_equal(_dense(by_nan), _dense(expected))


@pytest.mark.parametrize("mask", ["nan", True, 1])
def test_a_mask_that_hides_nothing_is_none(mask):
    tensor, _, samples = _data()
    everything = mask if mask == "nan" else np.full(tensor.shape, mask)
    found = _fit(tensor, everything, samples)
    np.testing.assert_array_equal(_dense(found), _dense(_fit(tensor, None, samples)))


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float32, list, torch.Tensor])
def test_any_array_of_zeros_and_ones_is_a_mask(kind):
    tensor, mask, samples = _data()
    given = (
        mask.astype(kind) if isinstance(kind, type) and kind not in (list, torch.Tensor) else mask
    )
    given = given.tolist() if kind is list else given
    given = torch.from_numpy(mask) if kind is torch.Tensor else given
    np.testing.assert_array_equal(
        _dense(_fit(tensor, given, samples)), _dense(_fit(tensor, mask, samples))
    )


@pytest.mark.parametrize("dtype", [">f8", ">i4", np.longdouble, object])
def test_masks_of_numpy_may_be_of_any_kind_and_layout(dtype):
    tensor, mask, samples = _data()
    given = mask.astype(dtype)[:, ::-1][:, ::-1]
    np.testing.assert_array_equal(
        _dense(_fit(tensor, given, samples)), _dense(_fit(tensor, mask, samples))
    )


def test_components_are_recovered_from_half_of_the_entries():
    rng = np.random.default_rng(0)
    factors = [rng.normal(size=(length, 3)) for length in (60, 8, 7)]
    tensor = np.einsum("ir,jr,kr->ijk", *factors)
    mask = rng.random(tensor.shape) < 0.5
    np.testing.assert_allclose(
        _dense(_fit(tensor, mask, factors[0], tol=0, n_iter_max=200)), tensor, atol=1e-6
    )


def test_without_holes_the_normal_equations_by_entry_give_what_the_compression_gives():
    tensor, _, samples = _data()
    nearly = np.ones(tensor.shape)
    nearly[0, 0, 0] = 0
    changed = tensor.copy()
    whole = _fit(tensor, None, samples, tol=0, n_iter_max=200)
    changed[0, 0, 0] = _dense(whole)[0, 0, 0]  # what least squares would put there
    np.testing.assert_allclose(
        _dense(_fit(changed, nearly, samples, tol=0, n_iter_max=200)), _dense(whole), atol=0.02
    )


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_blocks_and_slabs_add_up_to_the_whole(mode, monkeypatch):
    tensor, mask, samples = _data()
    tensor, mask = np.moveaxis(tensor, 0, mode), np.moveaxis(mask, 0, mode)
    start = _fit(tensor, mask, samples, mode, n_iter_max=1)
    whole = _fit(tensor, mask, samples, mode, init=start, n_iter_max=9, tol=0)
    monkeypatch.setattr(_factors, "_BLOCK_ENTRIES", 70)
    monkeypatch.setattr(_factors, "_MOST_WEIGHTS", 45)  # two rows at once
    by_parts = _fit(tensor, mask, samples, mode, init=start, n_iter_max=9, tol=0)
    np.testing.assert_allclose(_dense(by_parts), _dense(whole), atol=1e-10)
    computed = _dense(_fit(tensor, mask, samples, mode))
    hidden = np.sqrt(np.mean((computed - tensor)[mask] ** 2))
    assert hidden < 0.12  # as much as there is noise


def test_more_components_than_samples_that_show_an_entry_are_allowed():
    tensor, mask, _ = _data(missing=0.6)
    samples = np.random.default_rng(1).normal(size=(30, 20))
    found = _dense(_fit(tensor, mask, samples))
    assert np.isfinite(found).all()
    assert np.abs((found - tensor)[mask]).mean() < np.abs(tensor[mask]).mean()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda mask: "none", ValueError, "mask must be an array, None or 'nan', got 'none'"),
        (lambda mask: mask[1:], ValueError, r"shape of tensor, \(30, 6, 5\), got \(29, 6, 5\)"),
        (lambda mask: mask * 2.0, ValueError, "nothing but 1 or True"),
        (lambda mask: np.where(mask, 1, np.nan), ValueError, "nothing but 1 or True"),
        (lambda mask: mask.astype(str), TypeError, "numbers or booleans, got dtype <U5"),
        (lambda mask: mask & False, ValueError, "got no observed entry at all"),
        (
            lambda mask: mask & (np.arange(5) != 3),
            ValueError,
            r"got none of slice 3 along mode 2 \(1 such slices",
        ),
    ],
)
def test_bad_masks_are_named(change, error, message):
    tensor, mask, samples = _data()
    with pytest.raises(error, match=message):
        _fit(tensor, change(mask), samples)


def test_numbers_that_were_observed_must_be_finite():
    tensor, mask, samples = _data()
    tensor[0, 0, 0], mask[0, 0, 0] = np.nan, True
    tensor[1, 0, 0], mask[1, 0, 0] = np.nan, False
    with pytest.raises(ValueError, match=r"got 1 NaN .* index \(0, 0, 0\)"):
        _fit(tensor, mask, samples)


def test_the_mask_is_not_changed():
    tensor, mask, samples = _data()
    before = mask.copy()
    _fit(tensor, mask, samples)
    np.testing.assert_array_equal(mask, before)


QUICK = {"n_iter_max": 3, "tol": 0, "random_state": 0}


def _classes(dtype="float64"):
    """60 samples (5, 4) of three classes, their labels, and a mask; numpy arrays."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 20)
    values = rng.normal(size=(3, 5, 4))[labels] + 0.3 * rng.normal(size=(60, 5, 4)) + 2
    return values.astype(dtype), labels, rng.random(values.shape) >= 0.2


def _known(kind, labels):
    rows = np.array([[i, (i + 1) % 20, 20 + i] for i in range(20)])
    return {
        "classes": {"labels": labels},
        "some classes": {"labels": np.where(np.arange(60) % 3 == 0, -1, labels)},
        "comparisons": {"triplets": rows},
        "nothing": {},
    }[kind]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("kind", "encoder"),
    [
        ("classes", "mlp"),
        ("some classes", "auto"),
        ("comparisons", "linear"),
        ("nothing", "linear"),
        ("nothing", "auto"),
    ],
)
def test_what_stands_in_holes_changes_no_decomposition(kind, encoder):
    values, labels, mask = _classes()
    options = _known(kind, labels) | QUICK | {"encoder": encoder}
    expected = no_rank_decomposition(tl.tensor(np.where(mask, values, 0)), mask=mask, **options)
    for hidden, given in [(1e6, mask), (np.nan, "nan")]:
        tensor = tl.tensor(np.where(mask, values, hidden))
        result = no_rank_decomposition(tensor, mask=given, **options)
        np.testing.assert_array_equal(
            tl.to_numpy(result.embedding), tl.to_numpy(expected.embedding)
        )
        np.testing.assert_array_equal(_dense(result), _dense(expected))
        assert result.explained_variance == expected.explained_variance
        assert result.history == expected.history
        embedded = tl.to_numpy(result.transform(tensor, given))
        np.testing.assert_array_equal(embedded, tl.to_numpy(result.embedding))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_mask_of_ones_changes_no_decomposition():
    values, labels, mask = _classes()
    options = {"labels": labels, "encoder": "linear"} | QUICK
    plain = no_rank_decomposition(tl.tensor(values), **options)
    for everything in ("nan", np.ones_like(mask)):
        result = no_rank_decomposition(tl.tensor(values), mask=everything, **options)
        np.testing.assert_array_equal(tl.to_numpy(result.embedding), tl.to_numpy(plain.embedding))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("mode", [0, 1, 2])
def test_errors_and_offset_are_of_what_was_observed(mode):
    values, labels, mask = _classes()
    values, mask = np.moveaxis(values, 0, mode), np.moveaxis(mask, 0, mode)
    result = no_rank_decomposition(
        tl.tensor(values), labels, mode=mode, mask=mask, encoder="linear", **QUICK
    )
    offset = np.nanmean(np.where(mask, values, np.nan), axis=mode, keepdims=True)
    np.testing.assert_allclose(tl.to_numpy(result.offset), offset, atol=1e-12)
    centred = mask * (values - offset)
    left = np.sum((mask * (centred - _dense(result))) ** 2) / np.sum(centred**2)
    assert result.explained_variance == pytest.approx(1 - left, abs=1e-9)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_holes_are_filled_in_by_what_the_fitted_samples_say_and_learned_once(monkeypatch):
    learned, counted = [], []
    learn, hold_out = _recipe.imputer_of, _recipe.Recipe._held_out
    monkeypatch.setattr(_recipe, "imputer_of", lambda x: learned.append(x) or learn(x))

    def spy(recipe, embedder, split, rng):
        counted.append(recipe.data.part.take(split.count).samples)
        return hold_out(recipe, embedder, split, rng)

    monkeypatch.setattr(_recipe.Recipe, "_held_out", spy)
    values, labels, mask = _classes()
    result = no_rank_decomposition(tl.tensor(values), labels, mask=mask, **QUICK)
    assert result._embedder.imputer is not None
    *parts, everything = (x.nan_to_num().flatten(1) for x in learned)
    assert len(everything) == 60
    assert len({one.cpu().numpy().tobytes() for one in parts}) == len(parts)
    held_out = counted[0].nan_to_num().flatten(1)
    first_fit = next(one for one in parts if len(one) >= 40)
    assert torch.cdist(first_fit, held_out).min() > 0


def test_errors_say_what_the_mask_holds():
    tensor, labels = tl.tensor(np.ones((4, 3))), [0, 0, 1, 1]
    for mask, error in (
        (
            np.array([[1, 0, 1], [0.5, 1, 7], [1, 1, 1], [1, 1, 1]]),
            "got 2 other entries, the first of them 0.5",
        ),
        ([[1, 0, 1], [1]], "mask must be an array of the tensor's shape"),
    ):
        with pytest.raises(ValueError, match=error):
            no_rank_decomposition(tensor, labels, mask=mask)
    with pytest.raises(TypeError, match=r"^mask must not be a masked.*would be used\.$"):
        no_rank_decomposition(tensor, labels, mask=np.ma.masked_equal(np.eye(4, 3), 0))
    holed = np.array([[1.0, np.nan, 2], [0, 1, 2]])
    with pytest.raises(ValueError, match="mask='nan' takes NaN as missing"):
        fit_factors(tl.tensor(holed), tl.tensor(np.ones((2, 1))))
    with pytest.raises(ValueError, match=r"1 infinite entries among 6.*\(0, 1\)\.$"):
        fit_factors(tl.tensor(np.nan_to_num(holed, nan=np.inf)), tl.tensor(np.ones((2, 1))))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["classes", "some classes", "comparisons", "nothing"])
def test_no_neighbours_are_looked_for_among_holes(kind, monkeypatch):
    nearest, locality = _parts._nearest_samples, _objective.locality_loss

    def checked(samples):
        assert samples.isfinite().all()
        return nearest(samples)

    def checked_loss(points, labels, distances):
        assert distances.isfinite().all()
        return locality(points, labels, distances)

    monkeypatch.setattr(_parts, "_nearest_samples", checked)
    monkeypatch.setattr(_objective, "locality_loss", checked_loss)
    values, labels, mask = _classes()
    result = no_rank_decomposition(
        tl.tensor(values), mask=mask, locality=0.5, **_known(kind, labels), **QUICK
    )
    assert all(np.isfinite(value) for value in result.diagnostics.values())


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_fit_without_holes_fills_in_the_mean_sample():
    values, labels, mask = _classes()
    result = no_rank_decomposition(tl.tensor(values), labels, encoder="linear", **QUICK)
    expected = result.transform(tl.tensor(np.where(mask, values, values.mean(axis=0))))
    found = result.transform(tl.tensor(np.where(mask, values, np.nan)), "nan")
    np.testing.assert_allclose(tl.to_numpy(found), tl.to_numpy(expected), atol=1e-10)


def test_samples_and_slices_of_which_nothing_was_observed_are_named():
    values, labels, mask = _classes()
    options = {"encoder": "linear"} | QUICK
    hidden = mask.copy()
    hidden[[7, 9]] = False
    with pytest.raises(ValueError, match=r"of every sample, got .* sample 7 along mode 0 \(2 such"):
        no_rank_decomposition(tl.tensor(values), labels, mask=hidden, **options)
    hidden = mask.copy()
    hidden[:, 2] = False
    with pytest.raises(ValueError, match="got none of slice 2 along mode 1"):
        no_rank_decomposition(tl.tensor(values), labels, mask=hidden, **options)
    with pytest.raises(ValueError, match="tensor must be finite, got 1 NaN"):
        no_rank_decomposition(
            tl.tensor(np.where(np.arange(1200).reshape(60, 5, 4) == 50, np.nan, values)),
            labels,
            mask=mask | True,
            **options,
        )


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_bad_masks_of_new_samples_are_named():
    values, labels, mask = _classes()
    result = no_rank_decomposition(tl.tensor(values), labels, encoder="linear", **QUICK)
    with pytest.raises(ValueError, match=r"shape of samples, \(4, 5, 4\), got \(60, 5, 4\)"):
        result.transform(tl.tensor(values[:4]), mask)
    with pytest.raises(ValueError, match="of every sample, got no observed entry of sample 1"):
        result.transform(tl.tensor(values[:4]), mask[:4] & (np.arange(4) != 1)[:, None, None])
    with pytest.raises(ValueError, match="samples must be finite"):
        result.transform(tl.tensor(np.where(mask, values, np.nan)))


@pytest.mark.parametrize("mode", [1, 2])
def test_what_is_hidden_is_named_by_the_modes_of_the_tensor_whatever_that_of_the_samples(mode):
    rng = np.random.default_rng(0)
    values, labels = rng.normal(size=(60, 5, 4)), np.repeat([0, 1, 2], 20)
    hidden_slice, hidden_sample = np.ones((2, *values.shape), bool)
    hidden_slice[:, 2] = False  # mode 0 once the samples are on another
    hidden_sample[7] = False
    tensor, no_slice, no_sample = (
        np.moveaxis(one, 0, mode) for one in (values, hidden_slice, hidden_sample)
    )
    samples = tl.tensor(rng.normal(size=(60, 2)))
    with pytest.raises(ValueError, match="got none of slice 2 along mode 0"):
        fit_factors(tl.tensor(tensor), samples, mode, mask=no_slice)
    with pytest.raises(ValueError, match=rf"of every sample, got .* sample 7 along mode {mode} "):
        no_rank_decomposition(
            tl.tensor(tensor), labels, mode=mode, mask=no_sample, encoder="linear"
        )
