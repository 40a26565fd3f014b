"""What the decomposition promises as a CP tensor and as a map of new samples."""

import copy
import pickle

import numpy as np
import pytest
import tensorly as tl
import torch
from tensorly.cp_tensor import (
    CPTensor,
    cp_flip_sign,
    cp_mode_dot,
    cp_normalize,
    cp_permute_factors,
)
from tensorly.decomposition import constrained_parafac, parafac

from tensorly_norank import _backend, no_rank_decomposition


@pytest.fixture(params=[0, 1])
def fitted(request):
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 20)
    values = rng.normal(size=(3, 5, 4))[labels] + 0.3 * rng.normal(size=(60, 5, 4)) + 2
    tensor = tl.tensor(np.moveaxis(values, 0, request.param))
    result = no_rank_decomposition(
        tensor, labels, mode=request.param, encoder="mlp", n_iter_max=8, tol=0, random_state=0
    )
    return tensor, result


def _close(ours, expected, tolerance=1e-10):
    np.testing.assert_allclose(tl.to_numpy(ours), tl.to_numpy(expected), atol=tolerance)


def test_transform_of_the_tensor_is_the_embedding(fitted):
    tensor, result = fitted
    np.testing.assert_array_equal(
        tl.to_numpy(result.transform(tensor)), tl.to_numpy(result.embedding)
    )


def test_transform_does_not_depend_on_company_and_changes_nothing(fitted):
    tensor, result = fitted
    before = pickle.dumps(result.encoder)
    one = tensor[3:4] if result.mode == 0 else tensor[:, 3:4]
    _close(result.transform(one), tl.to_numpy(result.embedding)[3:4])
    assert pickle.dumps(result.encoder) == before


def test_the_samples_factor_is_the_embedding_scaled(fitted):
    _, result = fitted
    embedding = tl.to_numpy(result.embedding)
    _close(result.factors[result.mode], embedding / np.linalg.norm(embedding, axis=0))


def test_explained_variance_is_that_of_the_centred_tensor(fitted):
    tensor, result = fitted
    centred = tensor - result.offset
    left = float(tl.norm(centred - tl.cp_to_tensor(result)) ** 2 / tl.norm(centred) ** 2)
    assert result.explained_variance == pytest.approx(1 - left, abs=1e-9)
    assert tl.shape(result.offset)[result.mode] == 1


def test_inverse_transform_of_the_embedding_is_the_reconstruction(fitted):
    _, result = fitted
    _close(
        result.inverse_transform(result.embedding), tl.cp_to_tensor(result) + result.offset, 1e-8
    )


def test_similarity_is_the_gram_tensor(fitted):
    _, result = fitted
    z = tl.to_numpy(result.embedding)
    _close(tl.cp_to_tensor(result.similarity()), z @ z.T)
    _close(tl.cp_to_tensor(result.similarity(3)), np.einsum("ir,jr,kr->ijk", z, z, z))
    with pytest.raises(ValueError, match="order must be"):
        result.similarity(4)


def test_pickle_and_deepcopy_keep_it_whole(fitted):
    tensor, result = fitted
    for twin in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
        assert vars(twin).keys() == vars(result).keys()
        _close(twin.transform(tensor), result.embedding)
        assert twin.history == result.history


def test_operations_that_build_a_cp_tensor_return_a_plain_one(fitted):
    _, result = fitted
    normalised = cp_normalize(result)
    assert type(normalised) is CPTensor
    _close(tl.cp_to_tensor(normalised), tl.cp_to_tensor(result), 1e-8)


def test_repr_tells_the_story_in_five_lines(fitted):
    _, result = fitted
    lines = repr(result).split("\n")
    assert len(lines) == 5
    assert f"components: {result.rank}" in lines[1]


def test_another_active_backend_is_named(fitted):
    _, result = fitted
    tl.set_backend("pytorch" if tl.get_backend() == "numpy" else "numpy")
    for call in (result.similarity, lambda: result.inverse_transform(result.embedding)):
        with pytest.raises(RuntimeError, match="Made on TensorLy's backend"):
            call()


def test_embeddings_that_are_no_tensors_are_refused(fitted):
    _, result = fitted
    with pytest.raises(TypeError, match="embedding must be a tensor"):
        result.inverse_transform([[0.0] * result.rank])


def test_samples_are_embedded_after_an_operation_in_place(fitted):
    tensor, result = fitted
    changed = copy.deepcopy(result)
    changed.shape = (1, 1, 1)  # as cp_mode_dot does
    np.testing.assert_array_equal(
        tl.to_numpy(changed.transform(tensor)), tl.to_numpy(result.transform(tensor))
    )


def test_factors_of_another_shape_have_no_samples_to_go_back_to(fitted):
    _, result = fitted
    changed = copy.deepcopy(result)
    other = 1 if result.mode == 0 else 0
    changed.factors[other] = changed.factors[other][:2]
    with pytest.raises(RuntimeError, match=r"changed in place, from those of shape .*cp_copy"):
        changed.inverse_transform(result.embedding)


def test_samples_that_are_next_to_nothing_are_embedded(fitted):
    tensor, result = fitted
    _close(result.transform(1e-150 * tensor), result.transform(0 * tensor))


def test_no_samples_give_no_rows(fitted):
    tensor, result = fitted
    none = tensor[:0] if result.mode == 0 else tensor[:, :0]
    assert tuple(tl.shape(result.transform(none))) == (0, result.rank)


def test_bad_samples_are_named(fitted):
    tensor, result = fitted
    with pytest.raises(ValueError, match="samples must have shape"):
        result.transform(tensor[:, :, :3])
    with pytest.raises(ValueError, match="samples must be finite, got 1200 NaN"):
        result.transform(tensor * float("nan"))
    if str(tensor.dtype).endswith("float64"):
        with pytest.raises(ValueError, match=r"samples must hold no number beyond 1e\+140"):
            result.transform(tensor * 1e150)
    with pytest.raises(TypeError, match="samples must be a tensor"):
        result.transform([1, 2])
    with pytest.raises(ValueError, match="embedding must have shape"):
        result.inverse_transform(tl.tensor(np.ones((2, result.rank + 1))))
    with pytest.raises(ValueError, match=f"embedding must be finite, got {result.rank} NaN"):
        result.inverse_transform(result.embedding[:1] * float("nan"))


def _dense(cp_tensor):
    """By the definition, in numpy."""
    weights, factors = cp_tensor
    return np.einsum("r,ir,jr,kr->ijk", tl.to_numpy(weights), *(tl.to_numpy(f) for f in factors))


def test_the_tensor_its_unfoldings_and_its_vector_are_those_of_the_definition(fitted):
    _, result = fitted
    dense = _dense(result)
    _close(result.to_tensor(), dense)
    _close(result.to_vec(), dense.reshape(-1))
    for mode in range(3):
        _close(result.to_unfolded(mode), np.moveaxis(dense, mode, 0).reshape(dense.shape[mode], -1))


def test_norm_and_inner_products_are_those_of_the_dense_tensor(fitted):
    tensor, result = fitted
    dense = _dense(result)
    assert float(result.norm()) == pytest.approx(np.linalg.norm(dense))
    inner = tl.tenalg.inner(result.to_tensor(), tensor)
    assert float(inner) == pytest.approx((dense * tl.to_numpy(tensor)).sum())


@pytest.mark.parametrize("mode", [0, 1, 2])
@pytest.mark.parametrize("order", [1, 2])
def test_mode_products_are_those_of_the_dense_tensor(fitted, mode, order):
    _, result = fitted
    dense = _dense(result)
    other = np.random.default_rng(0).normal(size=(dense.shape[mode], 3)[:order])
    expected = np.tensordot(dense, other, axes=([mode], [0]))
    product = cp_mode_dot(result, tl.tensor(other.T), mode, copy=True)
    _close(product.to_tensor(), expected if order == 1 else np.moveaxis(expected, -1, mode))
    _close(result.to_tensor(), dense)


def test_normalised_permuted_and_flipped_components_are_the_same_tensor(fitted):
    _, result = fitted
    dense = _dense(result)
    normal = copy.deepcopy(result)
    _close((normal.normalize() or normal).to_tensor(), dense)  # TensorLy 0.9 returns None
    _close(cp_flip_sign(copy.deepcopy(result), mode=result.mode).to_tensor(), dense)
    turned = CPTensor((result.weights, [factor * 1.0 for factor in result.factors]))
    if tl.get_backend() != "jax":  # whose integers TensorLy's function cannot index with
        permuted, _ = cp_permute_factors(result, turned)
        _close(permuted.to_tensor(), dense)


def test_samples_that_points_stand_for_survive_signs_and_norms_that_move_in_place(fitted):
    _, result = fitted
    expected = result.inverse_transform(result.embedding)
    other = 2 if result.mode == 0 else 0
    flipped, absorbed = copy.deepcopy(result), copy.deepcopy(result)
    cp_flip_sign(flipped)
    flipped.factors[result.mode] = -flipped.factors[result.mode]
    flipped.factors[other] = -flipped.factors[other]
    absorbed.factors[result.mode] = absorbed.factors[result.mode] * absorbed.weights
    absorbed.weights = tl.ones(result.rank)
    for changed in (flipped, absorbed):
        _close(changed.inverse_transform(changed.embedding), expected)


def test_a_copy_is_plain_and_shares_nothing(fitted):
    _, result = fitted
    before = _dense(result)
    twin = result.cp_copy()
    assert type(twin) is CPTensor
    twin.weights = twin.weights * 2
    twin.factors[0] = twin.factors[0] * 3
    _close(twin.to_tensor(), 6 * before)
    _close(result.to_tensor(), before)


def test_parafac_and_constrained_parafac_take_it_as_a_start(fitted):
    tensor, result = fitted
    centred, before = tensor - result.offset, _dense(result)
    ours = float(tl.norm(centred - tl.cp_to_tensor(result)))
    writes_into_init = tl.__version__.startswith("0.9.")
    start = result.cp_copy() if writes_into_init else result
    refined = parafac(centred, result.rank, init=start, n_iter_max=20, tol=0)
    assert float(tl.norm(centred - tl.cp_to_tensor(refined))) <= ours + 1e-9
    _close(result.to_tensor(), before)
    penalties = {mode: 1e-6 for mode in range(3)}
    start = result.cp_copy()  # constrained_parafac writes into the list of factors
    refined = constrained_parafac(
        centred, result.rank, init=start, n_iter_max=20, l2_square_reg=penalties
    )
    assert float(tl.norm(centred - tl.cp_to_tensor(refined))) <= 1.1 * ours


def test_attributes_are_of_the_callers_backend_and_dtype(fitted):
    tensor, _ = fitted
    single = tl.tensor(tensor, dtype=tl.backend.float32)
    labels = np.repeat([0, 1, 2], 20)
    mode = 0 if tl.shape(tensor)[0] == 60 else 1
    result = no_rank_decomposition(
        single, labels, mode=mode, encoder="linear", n_iter_max=2, tol=0, random_state=0
    )
    embedded = result.transform(single)
    tensors = [result.weights, *result.factors, result.embedding, result.offset, embedded]
    tensors += [result.inverse_transform(embedded), *result.similarity().factors]
    for one in tensors:
        assert type(one) is type(single)
        assert one.dtype == single.dtype


def test_samples_on_each_mode_give_the_same_components():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 20)
    values = rng.normal(size=(3, 5, 4))[labels] + 0.3 * rng.normal(size=(60, 5, 4))
    results = [
        no_rank_decomposition(
            tl.tensor(np.moveaxis(values, 0, mode).copy()),
            labels,
            mode=mode,
            encoder="mlp",
            n_iter_max=8,
            tol=0,
            random_state=0,
        )
        for mode in range(3)
    ]
    for mode in (1, 2):
        assert results[mode].rank == results[0].rank
        _close(results[mode].embedding, results[0].embedding)
        _close(results[mode].factors[mode], results[0].factors[0])
        moved = np.moveaxis(tl.to_numpy(results[mode].to_tensor()), mode, 0)
        _close(tl.tensor(moved.copy()), results[0].to_tensor(), 1e-6)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-10)])
def test_the_same_seed_gives_the_same_embedding_on_every_backend(dtype, tolerance):
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 20)
    values = (rng.normal(size=(3, 5, 4))[labels] + rng.normal(size=(60, 5, 4))).astype(dtype)
    ours = _embedding_of(values, labels)
    device = _backend.origin_of(tl.tensor(values)).device  # a GPU's random numbers are its own
    tl.set_backend("numpy")
    _close(ours, _embedding_of(values, labels, device), tolerance)


def _embedding_of(values, labels, device=None):
    result = no_rank_decomposition(
        tl.tensor(values, dtype=getattr(tl.backend, str(values.dtype))),
        labels,
        n_iter_max=6,
        tol=0,
        random_state=0,
        device=device,
    )
    return tl.to_numpy(result.embedding)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_half_precision_stands_for_does_not_hang_on_how_many_samples_there_are():
    """Squares of 6,000 samples are more than numpy adds up in float16."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 2000)
    values = rng.normal(size=(3, 3, 2))[labels] + 0.3 * rng.normal(size=(6000, 3, 2))
    single, half = (
        no_rank_decomposition(
            tl.tensor(
                values.astype(dtype),
                dtype=getattr(torch, dtype) if tl.get_backend() == "pytorch" else dtype,
            ),
            labels,
            encoder="linear",
            n_iter_max=2,
            tol=0,
            random_state=0,
        )
        for dtype in ("float32", "float16")
    )
    points = np.array([[0.5] + [0.0] * (single.rank - 1)])
    moved = [
        tl.to_numpy(one.inverse_transform(tl.tensor(points, **tl.context(one.embedding)))[0])
        - tl.to_numpy(one.offset)[0]
        for one in (single, half)
    ]
    assert np.linalg.norm(moved[1]) == pytest.approx(np.linalg.norm(moved[0]), rel=0.02)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_numbers_that_the_fit_cannot_compute_with_are_named():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, 3, 4))
    result = no_rank_decomposition(
        tl.tensor(values.astype("float32"), dtype=tl.backend.float32),
        np.arange(40) % 2,
        encoder="linear",
        n_iter_max=2,
        random_state=0,
    )
    new = values[:2].copy()
    new[1, 0, 0] = 1e39
    with pytest.raises(ValueError, match=r"embed in float32.*magnitude 1e\+39"):
        result.transform(tl.tensor(new, dtype=tl.backend.float64))


def test_similarity_shares_no_memory_with_the_embedding(fitted):
    _, result = fitted
    if tl.get_backend() != "numpy":
        pytest.skip("memory is numpy's")
    similarity = result.similarity()
    assert not any(np.shares_memory(one, result.embedding) for one in similarity.factors)
    assert not np.shares_memory(*similarity.factors)


def test_repr_tells_what_was_counted_on_how_many_and_whether_the_training_converged(fitted):
    tensor, result = fitted
    evidence = result.rank_evidence
    assert repr(result).split("\n") == [
        f"NoRankTensor of shape {tuple(tl.shape(tensor))}, samples on mode {result.mode}",
        f"  components: {result.rank} ({evidence.significant} significant, "
        f"{evidence.n_held_out} samples held out)",
        "  classes: 3",
        "  encoder: MLPEncoder, 8 passes, not converged",
        f"  explained variance: {result.explained_variance:.3f}",
    ]
    other = copy.deepcopy(result)
    other.rank_evidence, other.converged, other.classes = None, True, result.classes[:0]
    lines = repr(other).split("\n")
    assert lines[1] == f"  components: {result.rank} (not counted)"
    assert lines[2] == "  classes: none"
    assert lines[3].endswith("8 passes, converged")


def test_a_component_without_any_share_adds_nothing_to_samples_that_points_stand_for(fitted):
    _, result = fitted
    kept = tl.tensor(np.append(np.ones(result.rank - 1), 0.0))
    other = copy.deepcopy(result)
    other.embedding, other.weights = result.embedding * kept, result.weights * kept
    other.factors[result.mode] = result.factors[result.mode] * kept
    expected = result.inverse_transform(result.embedding * kept)
    ours = other.inverse_transform(other.embedding)
    np.testing.assert_allclose(tl.to_numpy(ours), tl.to_numpy(expected), atol=1e-10)
