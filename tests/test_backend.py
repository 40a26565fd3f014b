"""The border: what may enter, as what, and how it goes back."""

import numpy as np
import pytest
import tensorly as tl
import torch
from scipy import sparse
from tensorly.cp_tensor import CPTensor
from torch import Tensor

from tensorly_norank import _backend

FLOATS = ["float16", "float32", "float64"]


def _tensor(values, dtype="float64"):
    """On the active backend; made by its own library, so that nothing is promoted on the way."""
    array = np.asarray(values, dtype=dtype)
    return tl.tensor(array, dtype=getattr(torch, dtype) if tl.get_backend() == "pytorch" else dtype)


def _letters(array):
    return getattr(array.dtype, "name", str(array.dtype).removeprefix("torch."))


def _working(array):
    return _backend.origin_of(array).working


def test_doubles_are_computed_in_double_and_smaller_floats_in_single_precision():
    working = {dtype: _working(_tensor([1, 2], dtype)) for dtype in FLOATS}
    assert working == {"float16": "float32", "float32": "float32", "float64": "float64"}


@pytest.mark.parametrize(
    ("dtype", "working"),
    [
        ("bool", "float32"),
        ("uint8", "float32"),
        ("int16", "float32"),
        ("int32", "float64"),
        ("int64", "float64"),
    ],
)
def test_integers_are_promoted_to_floats(dtype, working):
    array = _tensor([[0, 1], [1, 1]], dtype)
    origin = _backend.origin_of(array)
    entered = _backend.enter(array, origin)
    assert entered.dtype == getattr(torch, working)
    assert entered.tolist() == [[0, 1], [1, 1]]
    assert (origin.name, origin.largest) == (working, float(np.finfo(working).max))
    assert _letters(origin.restore(entered + 0.5)) == working


@pytest.mark.parametrize("dtype", FLOATS)
def test_results_go_back_in_the_dtype_and_backend_they_came_in(dtype):
    array = _tensor([[1, 2], [3, 4]], dtype)
    origin = _backend.origin_of(array)
    returned = origin.restore(_backend.enter(array, origin))
    assert type(returned) is type(array)
    assert _letters(returned) == _letters(origin.cast([1.0, 2.0])) == dtype
    np.testing.assert_array_equal(tl.to_numpy(returned), [[1, 2], [3, 4]])


def test_half_precision_is_computed_in_single_precision():
    array = _tensor(np.full(5, 60000.0), "float16")
    origin = _backend.origin_of(array)
    assert _backend.enter(array, origin).sum().item() == pytest.approx(5 * 60000, rel=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_entering_copies(dtype):
    array = _tensor([1, 2, 3], dtype)
    _backend.enter(array, _backend.origin_of(array)).zero_()
    np.testing.assert_array_equal(tl.to_numpy(array), [1, 2, 3])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_returning_copies(dtype):
    origin = _backend.origin_of(_tensor([1], dtype))
    inside = torch.ones(3, dtype=getattr(torch, dtype))
    returned = origin.restore(inside)
    inside.zero_()
    np.testing.assert_array_equal(tl.to_numpy(returned), [1, 1, 1])


def _refuse(*arguments, **keywords):
    raise BufferError("not this way")


@pytest.mark.skipif(tl.get_backend() != "jax", reason="of the tested backends jax speaks DLPack")
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int16", "bool"])
def test_what_speaks_dlpack_does_not_pass_through_numpy(dtype, monkeypatch):
    array = _tensor([[1, 0], [1, 1]], dtype)
    monkeypatch.setattr(type(array), "__array__", _refuse)
    monkeypatch.setattr(tl, "to_numpy", _refuse)
    monkeypatch.setattr(Tensor, "numpy", _refuse)
    origin = _backend.origin_of(array)
    returned = origin.restore(_backend.enter(array, origin))
    assert origin.device == torch.from_dlpack(array).device
    assert (returned == array).all()


@pytest.mark.skipif(tl.get_backend() != "jax", reason="of the tested backends jax speaks DLPack")
def test_where_dlpack_fails_numpy_is_the_way(monkeypatch):
    monkeypatch.setattr(torch, "from_dlpack", _refuse)
    array = _tensor([[1, 0], [1, 1]])
    origin = _backend.origin_of(array)
    returned = origin.restore(_backend.enter(array, origin))
    assert origin.device is None
    assert type(returned) is type(array)
    assert (returned == array).all()


def test_strided_arrays_enter_contiguous():
    values = np.arange(24.0).reshape(2, 3, 4)
    array = tl.transpose(_tensor(values)[:, ::2])
    entered = _backend.enter(array, _backend.origin_of(array))
    assert entered.is_contiguous()
    np.testing.assert_array_equal(entered.cpu().numpy(), values[:, ::2].transpose())


def test_gradients_stay_outside():
    tl.set_backend("pytorch")
    array = torch.ones(3, requires_grad=True)
    origin = _backend.origin_of(array)
    entered = _backend.enter(array, origin)
    assert not entered.requires_grad
    assert not origin.restore((entered.requires_grad_() * 2).sum()).requires_grad


def test_bfloat16_comes_back():
    tl.set_backend("pytorch")
    array = torch.ones(3, dtype=torch.bfloat16)
    origin = _backend.origin_of(array)
    entered = _backend.enter(array, origin)
    assert entered.dtype == torch.float32
    assert origin.restore(entered).dtype == torch.bfloat16


def test_read_only_and_reversed_arrays_enter_without_warning(recwarn):
    tl.set_backend("numpy")
    array = np.arange(3.0)[::-1]
    array.setflags(write=False)
    assert _backend.enter(array, _backend.origin_of(array)).tolist() == [2, 1, 0]
    assert not recwarn.list


@pytest.mark.parametrize("dtype", [">f8", ">f4", ">i2"])
def test_arrays_of_the_other_byte_order_enter(dtype):
    tl.set_backend("numpy")
    array = np.array([1, 2, 3], dtype)
    origin = _backend.origin_of(array)
    entered = _backend.enter(array, origin)
    assert entered.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(origin.restore(entered), [1, 2, 3])


@pytest.mark.parametrize(
    "array",
    [np.array([1j, 2]), np.array([1, None]), np.array(["a", "b"]), np.array([b"a"])],
    ids=["complex", "object", "string", "bytes"],
)
def test_what_is_not_real_is_refused_by_name(array):
    tl.set_backend("numpy")
    with pytest.raises(ValueError, match=r"samples must hold real numbers \(.*\), got dtype"):
        _backend.origin_of(array, "samples")


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="there are no longer floats here")
def test_floats_that_are_too_long_are_told_how_long_they_may_be():
    tl.set_backend("numpy")
    with pytest.raises(ValueError, match=r"a float dtype of up to 64 bits, .* got dtype float"):
        _backend.origin_of(np.ones(2, np.longdouble))


def test_complex_torch_tensors_are_refused():
    tl.set_backend("pytorch")
    with pytest.raises(ValueError, match=r"must hold real numbers \(.*\), got dtype torch.complex"):
        _backend.origin_of(torch.ones(2, dtype=torch.complex64))


@pytest.mark.parametrize(
    ("backend", "stranger", "described"),
    [
        ("numpy", torch.ones(2), "a torch.Tensor"),
        ("pytorch", np.ones(2), "a numpy.ndarray"),
        ("numpy", [1.0, 2.0], "a list"),
        ("numpy", None, "a NoneType"),
    ],
)
def test_tensors_of_another_backend_are_refused_in_one_sentence(backend, stranger, described):
    tl.set_backend(backend)
    message = f"X must be a tensor of TensorLy's active backend, '{backend}', got {described}"
    with pytest.raises(TypeError, match=message):
        _backend.origin_of(stranger, "X")
    assert tl.get_backend() == backend


@pytest.mark.parametrize(
    ("stranger", "advice"),
    [
        (np.eye(2).tolist(), r"Convert it with tl.tensor\(X\), or change the backend"),
        (sparse.csr_matrix(np.eye(2)), r"Convert it with tl.tensor\(X.toarray\(\)\)\.$"),
        (CPTensor((None, [tl.ones((2, 1))] * 2)), r"X.to_tensor\(\) is the tensor that it stands"),
        (None, "got a NoneType.$"),
    ],
    ids=["list", "sparse", "CPTensor", "nothing"],
)
def test_the_advice_about_strangers_is_good(stranger, advice):
    with pytest.raises(TypeError, match=advice):
        _backend.origin_of(stranger, "X")


def test_the_largest_number_is_that_of_the_callers_dtype():
    largest = [_backend.origin_of(_tensor([1], dtype)).largest for dtype in FLOATS]
    assert largest == [float(np.finfo(dtype).max) for dtype in FLOATS]


def test_entries_that_are_not_finite_are_counted_and_located():
    tensor = torch.zeros(3, 4)
    _backend.check_finite(tensor)
    tensor[1, 2], tensor[2, 0], tensor[2, 1] = torch.inf, torch.nan, -torch.inf
    message = r"X must be finite, got 1 NaN and 2 infinite entries among 12, .* index \(1, 2\)"
    with pytest.raises(ValueError, match=message):
        _backend.check_finite(tensor, "X")


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu"), None])
def test_a_device_that_is_there_is_taken(device):
    found = _backend.check_device(device)
    assert found == (None if device is None else torch.device("cpu"))
    array = _tensor([1, 2])
    assert _backend.enter(array, _backend.origin_of(array), found).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("device", "error"),
    [
        ("nowhere", ValueError),
        ("meta", ValueError),
        ("cuda:99", ValueError),
        ("hpu", ValueError),
        (3.5, TypeError),
    ],
)
def test_a_device_that_cannot_compute_is_named(device, error):
    with pytest.raises(error, match=rf"device must be one .*, got {device!r}[:.]"):
        _backend.check_device(device)


@pytest.mark.parametrize("array", [[1, 2], np.array([1, 2]), torch.tensor([1.0, 2.0])], ids=str)
def test_any_array_like_becomes_numpy(array):
    converted = _backend.to_numpy(array)
    assert isinstance(converted, np.ndarray)
    assert converted.tolist() == [1, 2]


def test_a_tensor_with_gradient_becomes_numpy():
    assert _backend.to_numpy(torch.ones(2, requires_grad=True)).tolist() == [1, 1]


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.skipif(tl.get_backend() != "pytorch", reason="layouts are torch's")
def test_sparse_tensors_and_such_without_data_are_refused():
    nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(2)])
    for tensor in (torch.eye(3).to_sparse(), torch.empty(3, 3, device="meta"), nested):
        with pytest.raises(TypeError, match="tensor must be a dense tensor, got one"):
            _backend.origin_of(tensor)


@pytest.mark.skipif(tl.get_backend() != "numpy", reason="masked arrays are numpy's")
def test_masked_arrays_are_refused_rather_than_unmasked():
    masked = np.ma.masked_greater(np.arange(6.0).reshape(3, 2), 3)
    assert _backend.origin_of(np.ma.array(np.ones(3))).working == "float64"
    with pytest.raises(TypeError, match="tensor must not be a masked array, got one with 2 masked"):
        _backend.origin_of(masked)
