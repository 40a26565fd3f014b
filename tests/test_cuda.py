"""What is promised of GPUs; skipped where there is none."""

import copy

import numpy as np
import pytest
import tensorly as tl
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tensorly_norank import (
    NoRankTensor,
    _backend,
    _factors,
    _recipe,
    _training,
    fit_factors,
    no_rank_decomposition,
)
from tensorly_norank.datasets import simulate_planted
from tensorly_norank.losses import diversity_loss, locality_loss, triplet_loss, uniformity_loss

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
    pytest.mark.filterwarnings("ignore::UserWarning"),  # of short fits
]

SHORT = {"n_iter_max": 4, "tol": 0, "random_state": 0}
COMPARED = np.random.default_rng(0).permuted(np.tile(np.arange(120), (400, 1)), axis=1)[:, :3]


@pytest.fixture(autouse=True)
def _pytorch_backend(_chosen_backend):
    tl.set_backend("pytorch")


def _planted(dtype="float64", **kwargs):
    """120 samples (8, 10) of 4 classes, numpy arrays."""
    settings = {"n_samples": 120, "sample_shape": (8, 10), "n_classes": 4, "rank": 2}
    tl.set_backend("numpy")
    bunch = simulate_planted(**settings | kwargs, random_state=0)
    tl.set_backend("pytorch")
    return bunch.tensor.astype(dtype), bunch.labels


def _known(kind, labels):
    """Keywords that say what is alike."""
    if kind == "classes":
        return {"labels": labels}
    if kind == "some classes":
        return {"labels": np.where(np.arange(len(labels)) % 3 == 0, -1, labels)}
    return {"triplets": COMPARED} if kind == "comparisons" else {}


KINDS = ["classes", "some classes", "comparisons", "nothing"]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_results_are_where_the_tensor_is_and_of_its_dtype(kind, dtype):
    tensor, labels = _planted(dtype)
    on_gpu = torch.from_numpy(tensor).cuda()
    result = no_rank_decomposition(on_gpu, **_known(kind, labels), rank=3, **SHORT)
    embedded = result.transform(on_gpu[:7])
    tensors = [result.weights, *result.factors, result.embedding, result.offset, embedded]
    tensors += [result.inverse_transform(embedded), *result.similarity(3).factors]
    for one in tensors:
        assert one.device == on_gpu.device
        assert one.dtype == on_gpu.dtype
    tolerance = {"float16": 1e-2, "float32": 1e-5, "float64": 1e-10}[dtype]
    torch.testing.assert_close(embedded, result.embedding[:7], rtol=0, atol=tolerance)
    assert torch.equal(on_gpu.cpu(), torch.from_numpy(tensor))


@pytest.mark.parametrize("place", ["numpy", "cpu", "cuda"])
@pytest.mark.parametrize("kind", KINDS)
def test_holes_are_filled_in_there_wherever_the_mask_is(kind, place, tmp_path):
    tensor, labels = _planted("float32")
    seen = np.random.default_rng(0).random(tensor.shape) > 0.2
    mask = seen if place == "numpy" else torch.from_numpy(seen).to(place)
    results = [
        no_rank_decomposition(
            torch.from_numpy(np.where(seen, tensor, filler)).cuda(),
            **_known(kind, labels),
            mask=mask,
            encoder="linear",
            rank=3,
            **SHORT,
        )
        for filler in (np.float32(0), np.float32(1e6))
    ]
    assert torch.equal(results[0].embedding, results[1].embedding)
    assert all(factor.is_cuda for factor in results[0].factors)
    holed = torch.from_numpy(np.where(seen, tensor, np.nan)).cuda()
    embedded = results[0].transform(holed, mask="nan")
    torch.testing.assert_close(embedded, results[0].embedding, rtol=0, atol=1e-4)
    results[0].save(tmp_path / "ours")
    there = NoRankTensor.load(tmp_path / "ours", device="cuda")
    assert torch.equal(there.transform(holed, mask="nan"), embedded)


def test_factors_of_observed_entries_are_those_of_the_cpu():
    rng = np.random.default_rng(0)
    tensor, samples_factor = rng.normal(size=(20, 5, 4)), rng.normal(size=(20, 2))
    mask = rng.random(tensor.shape) > 0.3
    ours, theirs = (
        fit_factors(
            torch.from_numpy(tensor).to(device),
            torch.from_numpy(samples_factor).to(device),
            mask=mask,
            random_state=0,
        )
        for device in ("cuda", "cpu")
    )
    assert all(factor.is_cuda for factor in ours.factors)
    _alike(ours, theirs)


@pytest.mark.parametrize("encoder", ["linear", "multilinear", "mlp", "conv", "auto"])
def test_components_are_counted_there(encoder):
    tensor, labels = _planted("float32", n_samples=300)
    result = no_rank_decomposition(
        torch.from_numpy(tensor).cuda(), labels, encoder=encoder, random_state=0
    )
    assert result.rank == result.rank_evidence.significant == 2
    assert result.diagnostics["held_out_triplet_accuracy"] > 0.8


def test_a_fit_without_random_numbers_is_that_of_the_cpu():
    """A module of the caller's: samples are not varied, and batches are drawn on the host."""
    tensor, labels = _planted()
    module = nn.Sequential(nn.Flatten(), nn.Linear(80, 20), nn.Tanh(), nn.Linear(20, 6)).double()
    results = [
        no_rank_decomposition(
            torch.from_numpy(tensor).to(device), labels, encoder=module, locality=0.5, **SHORT
        )
        for device in ("cpu", "cuda")
    ]
    ours, theirs = (result.embedding.cpu() for result in results)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-8)
    errors = [result.history["error"] for result in results]
    np.testing.assert_allclose(*errors, rtol=1e-8)
    p_values = [result.rank_evidence.p_value for result in results]
    np.testing.assert_allclose(*p_values, atol=0.02)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-10)])
@pytest.mark.parametrize("encoder", ["linear", "multilinear", "mlp", "conv"])
def test_samples_are_embedded_as_on_the_cpu(encoder, dtype, tolerance):
    """Convolutions of float32 are rounded to TF32 on newer cards, as torch's own default is."""
    tensor, labels = _planted(dtype)
    samples = torch.from_numpy(tensor)
    result = no_rank_decomposition(samples.cuda(), labels, encoder=encoder, rank=3, **SHORT)
    on_cpu = copy.deepcopy(result._embedder).cpu().embed(samples)
    on_gpu = result._embedder.embed(samples.cuda()).cpu()
    if encoder == "conv" and dtype == "float32" and torch.backends.cudnn.allow_tf32:
        tolerance = 1e-2
    torch.testing.assert_close(on_gpu, on_cpu, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_losses_and_gradients_are_those_of_the_cpu(dtype, tolerance):
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(90, 7, generator=generator, dtype=dtype)
    labels = torch.randint(9, (90,), generator=generator)

    def value_and_gradient(device):
        embedding = points.to(device).requires_grad_()
        own = labels.to(device)
        distances = torch.cdist(embedding, embedding).detach().flip(0, 1)
        total = (
            triplet_loss(embedding, own, 0.5)
            + diversity_loss(embedding)
            + uniformity_loss(embedding)
            + locality_loss(embedding, own, distances)
        )
        total.backward()
        return total.detach().cpu(), embedding.grad.cpu()

    for ours, theirs in zip(value_and_gradient("cuda"), value_and_gradient("cpu"), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "terms", [{}, {"locality": 0.5, "uniformity": 0.1}], ids=["default", "all"]
)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoder", ["linear", "multilinear", "mlp", "conv"])
def test_no_training_step_waits_for_the_gpu(encoder, kind, terms, monkeypatch):
    """From the first step of a pass to the last, nothing is looked at on the host."""

    n_passes = [0]

    class Watched(_training._Record):
        def __init__(self):
            n_passes[0] += 1
            torch.cuda.set_sync_debug_mode("error")
            super().__init__()

        def means(self, n_pass):
            torch.cuda.set_sync_debug_mode("default")
            return super().means(n_pass)

    tensor, labels = _planted("float32")
    on_gpu = torch.from_numpy(tensor).cuda()
    settings = {"encoder": encoder, "rank": 2, **SHORT}
    monkeypatch.setattr(_training, "_Record", Watched)
    try:
        no_rank_decomposition(on_gpu, **_known(kind, labels), **terms, **settings)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert n_passes[0] >= 8  # of a first fit, whose coordinates are nested without labels, and one


class _ToHost(TorchDispatchMode):
    """Counts the numbers that are copied from a GPU to the host."""

    n_numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        given = [one for one in args if isinstance(one, torch.Tensor)]
        if (
            isinstance(result, torch.Tensor)
            and not result.is_cuda
            and any(one.is_cuda for one in given)
        ):
            self.n_numbers += result.numel()
        return result


def test_the_tensor_is_not_copied_to_the_host():
    """At most 4,096 of its samples at a time: for principal components, three times."""
    generator = torch.Generator("cuda").manual_seed(0)
    tensor = torch.randn(60_000, 24, 24, generator=generator, device="cuda")
    labels = np.arange(60_000) % 5
    with _ToHost() as copied:
        no_rank_decomposition(tensor, labels, encoder="linear", rank=3, **SHORT)
    assert 0 < copied.n_numbers < tensor.numel() / 2


@pytest.mark.parametrize("backend", ["numpy", "pytorch"])
def test_device_moves_the_training_and_brings_all_results_back(backend, monkeypatch):
    tensor, labels = _planted("float32")
    tl.set_backend(backend)
    given = tensor if backend == "numpy" else torch.from_numpy(tensor)
    settings = {"encoder": "mlp", "rank": 3, **SHORT}
    trained = []
    monkeypatch.setattr(
        _recipe,
        "train",
        lambda embedder, part, *args, **kwargs: (
            trained.append(part.samples.is_cuda) or _training.train(embedder, part, *args, **kwargs)
        ),
    )
    result = no_rank_decomposition(given, labels, device="cuda", **settings)
    assert trained and all(trained)
    assert not any(own.is_cuda for own in result._embedder.state_dict().values())
    for one in [result.weights, *result.factors, result.offset, result.transform(given)]:
        assert isinstance(one, type(given))
        assert backend == "numpy" or one.device == given.device
    embedding = tl.to_numpy(result.embedding)
    np.testing.assert_allclose(tl.to_numpy(result.transform(given)), embedding, atol=1e-5)
    tl.set_backend("pytorch")
    there = no_rank_decomposition(torch.from_numpy(tensor).cuda(), labels, **settings)
    np.testing.assert_allclose(there.embedding.cpu(), embedding, atol=1e-4)


@pytest.mark.parametrize("backend", ["cupy", "jax"])
def test_arrays_of_other_libraries_are_fitted_on_the_gpu_and_results_lie_there(backend):
    library = pytest.importorskip(backend)
    tensor, labels = _planted("float32")
    settings = {"encoder": "mlp", "rank": 3, **SHORT}
    with _ToHost() as expected:
        ours = no_rank_decomposition(torch.from_numpy(tensor).cuda(), labels, **settings)
    tl.set_backend(backend)
    given = tl.tensor(tensor)
    if backend == "jax" and library.default_backend() != "gpu":
        pytest.skip("jax sees no GPU")
    with _ToHost() as copied:
        result = no_rank_decomposition(given, labels, **settings)
    assert copied.n_numbers <= expected.n_numbers
    embedded = result.transform(given)
    for one in [result.weights, *result.factors, embedded, result.inverse_transform(embedded)]:
        assert type(one) is type(given)
        assert one.device == given.device
        assert one.dtype == given.dtype
    assert _backend.origin_of(given).device.type == "cuda"
    np.testing.assert_allclose(tl.to_numpy(result.embedding), ours.embedding.cpu(), atol=1e-5)
    np.testing.assert_array_equal(tl.to_numpy(given), tensor)


@pytest.mark.parametrize("encoder", ["linear", "mlp", "conv"])
def test_files_carry_results_from_one_device_to_the_other(encoder, tmp_path):
    tensor, labels = _planted("float32")
    on_gpu = torch.from_numpy(tensor).cuda()
    result = no_rank_decomposition(on_gpu, labels, encoder=encoder, rank=3, **SHORT)
    result.save(tmp_path / "ours")
    there = NoRankTensor.load(tmp_path / "ours", device="cuda")
    assert all(factor.is_cuda for factor in [there.weights, *there.factors])
    assert torch.equal(there.embedding, result.embedding)
    torch.testing.assert_close(there.transform(on_gpu), result.transform(on_gpu))
    here = NoRankTensor.load(tmp_path / "ours")
    assert not any(factor.is_cuda for factor in [here.weights, *here.factors])
    tolerance = 1e-2 if encoder == "conv" else 1e-4  # TF32, as above
    embedded = here.transform(torch.from_numpy(tensor))
    torch.testing.assert_close(embedded, result.embedding.cpu(), rtol=0, atol=tolerance)


def test_figures_are_drawn_of_results_that_lie_there():
    pytest.importorskip("matplotlib").use("Agg")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    plotting = pytest.importorskip("tensorly_norank.plotting")
    tensor, labels = _planted("float32")
    on_gpu, labels = torch.from_numpy(tensor).cuda(), torch.from_numpy(labels).cuda()
    result = no_rank_decomposition(on_gpu, labels, encoder="mlp", rank=3, **SHORT)
    plotting.plot_decomposition(result, labels)
    plotting.plot_embedding(result.embedding, labels)
    plotting.plot_components(result)
    plotting.plot_similarity(result, labels)
    pyplot.close("all")


def test_samples_on_another_device_are_embedded_and_go_back_there():
    tensor, labels = _planted("float32")
    on_cpu = torch.from_numpy(tensor)
    for here, there in ((on_cpu, on_cpu.cuda()), (on_cpu.cuda(), on_cpu)):
        result = no_rank_decomposition(here, labels, encoder="linear", rank=3, **SHORT)
        embedded = result.transform(there)
        assert embedded.device == there.device
        torch.testing.assert_close(embedded.cpu(), result.embedding.cpu(), rtol=0, atol=1e-4)
        assert result.inverse_transform(embedded).device == here.device


@pytest.mark.parametrize("encoder", ["linear", "multilinear", "mlp"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_bits(kind, encoder):
    """Of convolutions that is not promised: cuDNN's are not reproducible unless asked to be."""
    tensor, labels = _planted("float32")
    on_gpu = torch.from_numpy(tensor).cuda()
    settings = {"encoder": encoder, "rank": 3, **SHORT}
    first, second = (
        no_rank_decomposition(on_gpu, **_known(kind, labels), **settings) for _ in range(2)
    )
    assert torch.equal(first.embedding, second.embedding)
    assert first.history == second.history


def test_generators_of_the_gpu_are_left_as_they_are():
    tensor, labels = _planted("float32")
    on_gpu = torch.from_numpy(tensor).cuda()
    module = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(80, 6))
    before = torch.cuda.get_rng_state(), torch.get_rng_state()
    for encoder in ("mlp", module):
        no_rank_decomposition(on_gpu, labels, encoder=encoder, **SHORT)
    assert torch.equal(before[0], torch.cuda.get_rng_state())
    assert torch.equal(before[1], torch.get_rng_state())


@pytest.mark.parametrize("few", [0, 2**20], ids=["on the GPU", "on the host"])
@pytest.mark.parametrize("mode", [0, 2])
def test_factors_are_those_of_the_cpu_also_of_more_components_than_entries(mode, few, monkeypatch):
    monkeypatch.setattr(_factors, "_FEW_ENTRIES", few)
    rng = np.random.default_rng(0)
    tensor = torch.from_numpy(rng.normal(size=(6, 9, 7)))
    samples_factor = torch.from_numpy(rng.normal(size=(tensor.shape[mode], 11)))
    settings = {"n_iter_max": 50, "random_state": 0}
    theirs = fit_factors(tensor, samples_factor, mode, **settings)
    start = fit_factors(tensor, samples_factor, mode, n_iter_max=1, random_state=1)
    refined = fit_factors(tensor, samples_factor, mode, init=start, **settings)
    for fixed in (samples_factor.cuda(), samples_factor):
        ours = fit_factors(tensor.cuda(), fixed, mode, **settings)
        assert all(factor.is_cuda for factor in ours.factors)
        _alike(ours, theirs)
        _alike(fit_factors(tensor.cuda(), fixed, mode, init=start, **settings), refined)


def _alike(ours, theirs):
    ours, theirs = tl.cp_to_tensor(ours).cpu(), tl.cp_to_tensor(theirs)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


def test_callbacks_and_several_fits_on_another_mode_work_there():
    tensor, labels = _planted("float32")
    on_gpu = torch.from_numpy(np.moveaxis(tensor, 0, 1).copy()).cuda()
    seen = []
    result = no_rank_decomposition(
        on_gpu,
        labels,
        mode=1,
        encoder="mlp",
        n_init=2,
        n_iter_max=6,
        random_state=0,
        callback=lambda state, error: seen.append(state.embedding().device),
    )
    assert set(seen) == {on_gpu.device} == {result.embedding.device}
    assert len(result.rank_evidence.refits) == 2


def test_a_device_that_is_not_there_is_named():
    tensor, labels = _planted("float32")
    with pytest.raises(ValueError, match=r"device must be .*, got 'cuda:99'"):
        no_rank_decomposition(torch.from_numpy(tensor), labels, device="cuda:99")
