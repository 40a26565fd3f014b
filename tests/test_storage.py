"""Decompositions in files: what comes back is what was saved, or a clear error."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import tensorly as tl
import torch
from torch import nn

from tensorly_norank import NoRankTensor, _storage, no_rank_decomposition
from tensorly_norank.datasets import simulate_planted
from tensorly_norank.encoders import ConvEncoder, MLPEncoder

pytest.importorskip("safetensors")
import safetensors.torch

QUICK = {"n_iter_max": 2, "tol": 0, "random_state": 0}
OF_CLASS_MEANS = ("class_accuracy", "class_accuracy_se")
GOLDEN = Path(__file__).parent / "data" / "format_1.safetensors"


def _data(dtype="float64"):
    bunch = simulate_planted(60, sample_shape=(9, 4), n_classes=3, rank=2, random_state=0)
    dtype = getattr(torch, dtype) if tl.get_backend() == "pytorch" else dtype
    return tl.tensor(bunch.tensor, dtype=dtype), np.array(["a", "b", "c"])[bunch.labels]


def _fit(encoder="linear", dtype="float64", **options):
    tensor, labels = _data(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tensor, no_rank_decomposition(
            tensor,
            labels,
            encoder=encoder,
            **QUICK | {"rank": 2, "validation_fraction": 0} | options,
        )


def _equal(one, other):
    np.testing.assert_array_equal(tl.to_numpy(one), tl.to_numpy(other))


def _same_record(one, other):
    assert str(one) == str(other)
    for name in vars(one):
        np.testing.assert_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("encoder", ["linear", "multilinear", "mlp", "conv"])
def test_a_loaded_decomposition_embeds_to_the_same_bits(encoder, tmp_path):
    tensor, result = _fit(encoder)
    result.save(tmp_path / "one")
    again = NoRankTensor.load(tmp_path / "one")
    _equal(again.transform(tensor), result.transform(tensor))
    _equal(again.inverse_transform(again.embedding), result.inverse_transform(result.embedding))
    for name in ("weights", "embedding", "offset"):
        _equal(getattr(again, name), getattr(result, name))
    for factor, expected in zip(again.factors, result.factors, strict=True):
        _equal(factor, expected)
    assert repr(again) == repr(result)
    assert again.classes.tolist() == ["a", "b", "c"]
    assert again.encoder.initialized and not again.encoder.training


@pytest.mark.filterwarnings("ignore")
def test_evidence_choice_history_and_diagnostics_travel_along(tmp_path):
    tensor, labels = _data()
    result = no_rank_decomposition(tensor, labels, n_init=2, **QUICK)
    assert result.rank_evidence.refits and result.encoder_choice
    result.save(tmp_path / "one")
    again = NoRankTensor.load(tmp_path / "one")
    _same_record(again.rank_evidence, result.rank_evidence)
    _equal(again.transform(tensor), result.transform(tensor))
    _equal(again.transform(tensor), result.embedding)
    _same_record(again.encoder_choice, result.encoder_choice)
    np.testing.assert_equal(again.history, result.history)
    assert again.settings == result.settings
    asked_for = [again.settings[name] for name in ("n_iter_max", "encoder", "random_state")]
    assert asked_for == [2, "auto", 0]
    np.testing.assert_equal(again.diagnostics, result.diagnostics)
    assert again.explained_variance == result.explained_variance
    assert (again.n_iter, again.converged) == (result.n_iter, result.converged)


@pytest.mark.parametrize("mode", [1, 2])
def test_missing_entries_are_filled_in_as_before_on_any_mode(mode, tmp_path):
    tensor, labels = _data()
    values = np.array(tl.to_numpy(tensor))
    values[np.random.default_rng(0).random(values.shape) < 0.1] = np.nan
    tensor = tl.tensor(np.moveaxis(values, 0, mode))
    options = QUICK | {"rank": 2, "validation_fraction": 0, "encoder": "linear"}
    result = no_rank_decomposition(tensor, labels, mode=mode, mask="nan", **options)
    result.save(tmp_path / "one")
    again = NoRankTensor.load(tmp_path / "one")
    assert again.mode == mode
    _equal(again.transform(tensor, "nan"), result.embedding)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_dtypes_come_back(dtype, tmp_path):
    tensor, result = _fit(dtype=dtype)
    result.save(tmp_path / "one")
    again = NoRankTensor.load(tmp_path / "one")
    assert again.embedding.dtype == tensor.dtype == again.weights.dtype
    _equal(again.transform(tensor), result.transform(tensor))


@pytest.mark.parametrize("backend", ["numpy", "pytorch", "jax"])
def test_what_was_saved_on_one_backend_loads_on_another(backend, tmp_path):
    tensor, result = _fit(dtype="float32")
    values, expected = tl.to_numpy(tensor), tl.to_numpy(result.embedding)
    result.save(tmp_path / "one")
    pytest.importorskip({"pytorch": "torch"}.get(backend, backend))
    tl.set_backend(backend)
    again = NoRankTensor.load(tmp_path / "one")
    assert tl.is_tensor(again.embedding)
    embedded = again.transform(tl.tensor(values))
    assert tl.is_tensor(embedded) and str(embedded.dtype).endswith("float32")
    np.testing.assert_array_equal(tl.to_numpy(embedded), expected)
    assert tl.shape(tl.cp_to_tensor(again)) == tl.shape(tensor)


def test_without_labels_distances_are_kept(tmp_path):
    tensor, _ = _data()
    options = QUICK | {"rank": 2, "validation_fraction": 0, "encoder": "linear"}
    result = no_rank_decomposition(tensor, **options)
    result.save(tmp_path / "one")
    again = NoRankTensor.load(tmp_path / "one")
    _equal(again.transform(tensor), result.embedding)
    assert len(again.classes) == 0


@pytest.mark.parametrize(
    "labels",
    [np.arange(60) % 3, (np.arange(60) % 3) / 1, np.arange(60) % 2 == 0, [1, "one", 2.5] * 20],
    ids=["integers", "floats", "truth values", "mixed"],
)
def test_classes_come_back_as_what_they_were(labels, tmp_path):
    tensor, _ = _data()
    options = QUICK | {"rank": 2, "validation_fraction": 0, "encoder": "linear"}
    result = no_rank_decomposition(tensor, labels, **options)
    result.save(tmp_path / "one")
    again = NoRankTensor.load(tmp_path / "one").classes
    assert again.dtype == result.classes.dtype
    assert [type(one) for one in again.tolist()] == [type(one) for one in result.classes.tolist()]
    assert again.tolist() == result.classes.tolist()


def test_classes_that_json_does_not_know_are_refused_before_anything_is_written(tmp_path):
    tensor, _ = _data()
    options = QUICK | {"rank": 2, "validation_fraction": 0, "encoder": "linear"}
    labels = [("a", 1), ("b", 2)] * 30
    result = no_rank_decomposition(tensor, labels, **options)
    with pytest.raises(TypeError, match=r"classes must be numbers, strings .* got \('a', 1\)"):
        result.save(tmp_path / "one")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "make",
    [
        lambda: MLPEncoder((9, 4), 5, n_axes=np.int64(7), n_hidden=11),
        lambda: ConvEncoder((9, 4), 5, n_channels=(8,), n_hidden=16, convolved_modes=(0,)),
    ],
    ids=["mlp", "conv"],
)
def test_encoders_of_other_sizes_are_built_again(make, tmp_path):
    tensor, result = _fit(make())
    result.save(tmp_path / "one")
    again = NoRankTensor.load(tmp_path / "one")
    assert type(again.encoder) is type(result.encoder)
    _equal(again.transform(tensor), result.embedding)
    with pytest.raises(ValueError, match=r"encoder must be None, got .*Encoder: the file has a"):
        NoRankTensor.load(tmp_path / "one", make())


def _own(n_hidden=6):
    torch.manual_seed(n_hidden)
    return nn.Sequential(nn.Flatten(), nn.Linear(36, n_hidden), nn.BatchNorm1d(n_hidden))


def test_a_module_of_ones_own_is_given_back_and_copied(tmp_path):
    with torch.random.fork_rng():
        given, fresh, other = _own(), _own(), _own(5)
    tensor, result = _fit(given)
    result.save(tmp_path / "one")
    before = [one.detach().clone() for one in fresh.parameters()]
    again = NoRankTensor.load(tmp_path / "one", fresh)
    _equal(again.transform(tensor), result.embedding)
    assert again.encoder is not fresh
    assert all(torch.equal(*pair) for pair in zip(before, fresh.parameters(), strict=True))
    with pytest.raises(ValueError, match="encoder must be given: the file's is a Sequential"):
        NoRankTensor.load(tmp_path / "one")
    message = r"its parameter '1.weight' has shape \(5, 36\), that of the file \(6, 36\)"
    with pytest.raises(ValueError, match=message):
        NoRankTensor.load(tmp_path / "one", other)
    with pytest.raises(ValueError, match=r"'1.\w+' has shape none"):
        NoRankTensor.load(tmp_path / "one", nn.Flatten())


def test_a_class_that_is_called_like_one_of_ours_is_a_module_of_ones_own(tmp_path):
    namesake = type("MLPEncoder", (MLPEncoder,), {})  # whose forward may do something else
    _, result = _fit(namesake((9, 4), 6))
    result.save(tmp_path / "one")
    with pytest.raises(ValueError, match="encoder must be given: the file's is a MLPEncoder"):
        NoRankTensor.load(tmp_path / "one")


class _Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.flatten, self.first, self.second = nn.Flatten(), nn.Linear(36, 36), nn.Linear(36, 36)
        self.second.weight = self.first.weight

    def forward(self, samples):
        return self.second(self.first(self.flatten(samples)).relu())


def test_parameters_may_be_shared(tmp_path):
    with torch.random.fork_rng():
        given, fresh = _Tied(), _Tied()
    tensor, result = _fit(given)
    result.save(tmp_path / "one")
    _equal(NoRankTensor.load(tmp_path / "one", fresh).transform(tensor), result.embedding)


def test_numbers_that_numpy_does_not_know_become_wider(tmp_path):
    tl.set_backend("pytorch")
    _, result = _fit(dtype="bfloat16")
    result.save(tmp_path / "one")
    assert NoRankTensor.load(tmp_path / "one").embedding.dtype == torch.bfloat16
    tl.set_backend("numpy")
    again = NoRankTensor.load(tmp_path / "one")
    assert again.embedding.dtype == np.float32
    np.testing.assert_allclose(again.embedding, result.embedding.float().numpy(), atol=0.02)


def test_another_process_embeds_to_the_same_bits(tmp_path):
    tensor, result = _fit("mlp")
    result.save(tmp_path / "one")
    np.save(tmp_path / "samples.npy", tl.to_numpy(tensor))
    code = (
        "import numpy as np, tensorly as tl\n"
        "from tensorly_norank import NoRankTensor\n"
        "samples = tl.tensor(np.load('samples.npy'))\n"
        "np.save('points.npy', tl.to_numpy(NoRankTensor.load('one').transform(samples)))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=environment)
    np.testing.assert_array_equal(np.load(tmp_path / "points.npy"), tl.to_numpy(result.embedding))


def test_a_crash_while_saving_leaves_the_old_file_whole(tmp_path):
    _, result = _fit()
    path = tmp_path / "one"
    result.save(path)
    before = path.read_bytes()
    for step in ("os.fsync", "os.replace"):
        with mock.patch(step, side_effect=OSError(28, "No space left on device")):
            with pytest.raises(OSError, match="No space left"):
                result.save(path)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]


def test_a_loaded_decomposition_can_be_saved_again(tmp_path):
    for k, values in enumerate((_data()[0], tl.tensor(np.arange(2160).reshape(60, 9, 4) % 7))):
        options = QUICK | {"rank": 2, "validation_fraction": 0, "encoder": "linear"}
        result = no_rank_decomposition(values, _data()[1], **options)
        for name in (f"one{k}", f"two{k}"):
            result.save(tmp_path / name)
            result = NoRankTensor.load(tmp_path / name)
        _equal(result.transform(values), result.embedding)
        assert (tmp_path / f"one{k}").stat().st_size == (tmp_path / f"two{k}").stat().st_size


def test_a_link_is_followed_and_permissions_are_kept(tmp_path):
    _, result = _fit()
    (tmp_path / "one").write_bytes(b"old")
    (tmp_path / "one").chmod(0o600)
    (tmp_path / "link").symlink_to(tmp_path / "one")
    result.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o600
    NoRankTensor.load(tmp_path / "one")


def test_what_is_no_file_is_not_replaced(tmp_path):
    _, result = _fit()
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", f"{tmp_path}/new/", ""):
        with pytest.raises(OSError):
            result.save(path)
    assert [one.name for one in tmp_path.iterdir()] == ["pipe"]
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("encoder", ["linear", MLPEncoder])
def test_an_encoder_that_is_no_module_is_named(encoder, tmp_path):
    _, result = _fit()
    result.save(tmp_path / "one")
    with pytest.raises(TypeError, match=r"encoder must be a torch.nn.Module or None, got "):
        NoRankTensor.load(tmp_path / "one", encoder)


def test_a_path_that_cannot_be_written_or_read_is_named(tmp_path):
    _, result = _fit()
    with pytest.raises(OSError, match=r"'.*/nowhere/one'$"):
        result.save(tmp_path / "nowhere" / "one")
    with pytest.raises(OSError, match="nowhere"):
        result.save(tmp_path / "nowhere" / "one")
    with pytest.raises(FileNotFoundError, match="nobody"):
        NoRankTensor.load(tmp_path / "nobody")
    with pytest.raises(OSError, match=str(tmp_path.name)):
        NoRankTensor.load(tmp_path)


def test_a_hundred_altered_files_give_a_hundred_errors(tmp_path):
    _, result = _fit("mlp")
    path = tmp_path / "one"
    result.save(path)
    content, rng = path.read_bytes(), np.random.default_rng(0)
    header_end = 8 + int.from_bytes(content[:8], "little")
    for k in range(100):
        altered = bytearray(content)
        if k % 4 == 0:
            altered = altered[: rng.integers(len(content))]
        else:  # a byte of the header, of the values, or of the header's length
            place = rng.integers(
                *((8, header_end - 8), (header_end, len(content)), (0, 8))[k % 4 - 1]
            )
            altered[place] ^= 1 << rng.integers(8)
        path.write_bytes(altered)
        with pytest.raises(ValueError, match=r"does not hold a decomposition to load: it "):
            NoRankTensor.load(path)


def test_files_of_others_are_told_apart(tmp_path):
    path = tmp_path / "one"
    for content in (b"", b"PK\x03\x04", b"\x80\x04\x95", b"\xff" * 64):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="no whole safetensors file"):
            NoRankTensor.load(path)
    safetensors.torch.save_file({"weight": torch.ones(2)}, path, {"format": "pt"})
    with pytest.raises(ValueError, match="a safetensors file of something else"):
        NoRankTensor.load(path)


def _saved(path, **changes):
    """A file whose header says otherwise, with a digest that fits."""
    tensors, header = _storage.read(path)
    _storage.write(path, tensors, header | changes)


def test_newer_formats_are_named(tmp_path):
    _, result = _fit()
    result.save(tmp_path / "one")
    _saved(tmp_path / "one", format=_storage.FORMAT + 1)
    message = r"of format 5, written by tensorly_norank \S+; this version reads formats up to 4"
    with pytest.raises(ValueError, match=message):
        NoRankTensor.load(tmp_path / "one")


def test_older_formats_are_brought_up_to_date(tmp_path):
    _, result = _fit()
    result.save(tmp_path / "one")
    _saved(tmp_path / "one", format=0, mode="none")
    migrations = {0: lambda tensors, header: (tensors, header | {"mode": 0})}
    with mock.patch.dict(_storage._MIGRATIONS, migrations):
        assert NoRankTensor.load(tmp_path / "one").mode == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": 1},
        {"fitted_shape": [60, 9, 5]},
        {"fitted_shape": [60, 9]},
        {"fitted_shape": None},
        {"moves": [[5, 1]]},
        {"moves": [[0, 1.5]]},
        {"moves": 3},
    ],
)
def test_parts_that_do_not_fit_together_are_refused(changes, tmp_path):
    _, result = _fit()
    result.save(tmp_path / "one")
    _saved(tmp_path / "one", **changes)
    with pytest.raises(ValueError, match="its parts do not fit together"):
        NoRankTensor.load(tmp_path / "one")


@pytest.mark.parametrize(
    "described",
    [
        {"name": "Popen", "sample_shape": [9, 4], "n_components": 36, "sizes": {}},
        {"name": "LinearEncoder", "sample_shape": [9, 4], "n_components": 10**9, "sizes": {}},
        {"name": "MLPEncoder", "sample_shape": [9, 4], "n_components": 36, "sizes": {}},
        {
            "name": "MLPEncoder",
            "sample_shape": [9, 4],
            "n_components": 36,
            "sizes": {"n_hidden": 10**9},
        },
    ],
    ids=["stranger", "huge", "another", "huge sizes"],
)
def test_a_file_builds_nothing_but_what_its_tensors_are_for(described, tmp_path):
    _, result = _fit()
    result.save(tmp_path / "one")
    _saved(tmp_path / "one", encoder=described)
    with pytest.raises(ValueError, match="encoder must be"):
        NoRankTensor.load(tmp_path / "one")


def test_files_of_format_1_have_one_copy_of_a_sample(tmp_path):
    tensor = tl.tensor(np.random.default_rng(0).normal(size=(40, 20, 20)))
    options = {"encoder": "conv", "rank": 2, "n_iter_max": 2, "tol": 0, "validation_fraction": 0}
    result = no_rank_decomposition(tensor, np.arange(40) % 4, random_state=0, **options)
    result.save(tmp_path / "one")
    assert NoRankTensor.load(tmp_path / "one")._embedder.moves == ((0, 1), (1, 1))
    _saved(tmp_path / "one", format=1, moves=[[0, 2]])
    again = NoRankTensor.load(tmp_path / "one")
    points = result._axes.project(
        result._embedder.embed(torch.from_numpy(tl.to_numpy(tensor)), moved=False), 2
    )
    np.testing.assert_allclose(tl.to_numpy(again.transform(tensor)), points.numpy(), atol=1e-6)


def test_files_of_format_2_kept_what_is_significant(tmp_path):
    tensor, labels = _data("float32")
    some = np.concatenate([np.flatnonzero(labels == one)[:2] for one in np.unique(labels)])
    with pytest.warns(UserWarning, match="No samples could be held out"):
        result = no_rank_decomposition(tensor[some], labels[some], n_iter_max=2, random_state=0)
    evidence = result.rank_evidence
    assert evidence.likely is not None
    result.save(tmp_path / "one")
    assert NoRankTensor.load(tmp_path / "one").rank_evidence.likely == evidence.likely
    _, header = _storage.read(tmp_path / "one")
    for name in ("likely", *OF_CLASS_MEANS):
        del header["rank_evidence"][name]
    _saved(tmp_path / "one", format=2, rank_evidence=header["rank_evidence"])
    assert NoRankTensor.load(tmp_path / "one").rank_evidence.likely is None


def test_shares_of_few_samples_travel_along_and_files_of_format_3_have_none(tmp_path):
    tensor, labels = _data("float32")
    some = np.concatenate([np.flatnonzero(labels == one)[:8] for one in np.unique(labels)])
    result = no_rank_decomposition(tensor[some], labels[some], n_iter_max=2, tol=0, random_state=0)
    evidence = result.rank_evidence
    assert evidence.class_accuracy is not None
    result.save(tmp_path / "one")
    _same_record(NoRankTensor.load(tmp_path / "one").rank_evidence, evidence)
    _, header = _storage.read(tmp_path / "one")
    for name in OF_CLASS_MEANS:
        del header["rank_evidence"][name]
    _saved(tmp_path / "one", format=3, rank_evidence=header["rank_evidence"])
    again = NoRankTensor.load(tmp_path / "one").rank_evidence
    assert [getattr(again, name) for name in OF_CLASS_MEANS] == [None] * 2
    assert again.likely == evidence.likely


def test_what_was_changed_in_place_is_not_saved(tmp_path):
    _, result = _fit()
    result.factors[1] = result.factors[1][:3]
    with pytest.raises(RuntimeError, match=r"changed in place, .* to \(.*, 3, .*cp_copy"):
        result.save(tmp_path / "one")
    assert not list(tmp_path.iterdir())


def test_the_header_says_what_wrote_the_file(tmp_path):
    _, result = _fit()
    result.save(tmp_path / "one")
    with safetensors.safe_open(tmp_path / "one", framework="pt") as file:
        header = json.loads(file.metadata()["tensorly_norank"])
    assert header["format"] == _storage.FORMAT == 4
    assert header["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]


def test_the_golden_file_of_format_1_loads():
    """Never to be made anew: that is what it is for."""
    dtype = "float32"
    again = NoRankTensor.load(GOLDEN)
    tensor, _ = _data(dtype)
    np.testing.assert_allclose(
        tl.to_numpy(again.transform(tensor)), tl.to_numpy(again.embedding), atol=1e-5
    )
    assert again.rank == 1 and again.mode == 0 and again.rank_evidence.significant == 1
    assert again.classes.tolist() == ["a", "b", "c"]
    assert again.encoder_choice.chosen == "linear"
    assert again.settings["n_iter_max"] == 10


def test_a_device_on_which_nothing_can_be_computed_is_refused_by_load(tmp_path):
    _, result = _fit()
    result.save(tmp_path / "one")
    assert NoRankTensor.load(tmp_path / "one", device="cpu").rank == 2
    for device, error in (("nowhere", ValueError), ("meta", ValueError), (3.5, TypeError)):
        with pytest.raises(error, match="device must be one that torch can compute on"):
            NoRankTensor.load(tmp_path / "one", device=device)


def test_settings_that_were_numpys_numbers_come_back_as_pythons(tmp_path):
    numbers = {"rank": np.int64(2), "n_iter_max": np.int32(2), "margin": np.float32(0.5)}
    _, result = _fit(**numbers)
    result.save(tmp_path / "one")
    settings = NoRankTensor.load(tmp_path / "one").settings
    assert {name: settings[name] for name in numbers} == numbers
    assert [type(settings[name]) for name in numbers] == [int, int, float]


def test_what_was_never_observed_in_the_fit_counts_as_missing_after_loading_too(tmp_path):
    tensor, labels = _data()
    values = np.array(tl.to_numpy(tensor))
    values[:, 0, 0] = np.nan
    options = QUICK | {"rank": 2, "validation_fraction": 0, "encoder": "linear"}
    result = no_rank_decomposition(tl.tensor(values), labels, mask="nan", **options)
    result.save(tmp_path / "one")
    observed = tl.tensor(np.where(np.isnan(values), 99.0, values))
    again = NoRankTensor.load(tmp_path / "one")
    _equal(again.transform(observed), result.embedding)
