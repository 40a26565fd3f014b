"""What the decomposition promises as a CP tensor and as a map of new samples."""

import copy
import pickle

import numpy as np
import pytest
import tensorly as tl
from tensorly.cp_tensor import CPTensor, cp_normalize

from tensorly_norank import no_rank_decomposition


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
