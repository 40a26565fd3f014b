"""A decomposition in a file: arrays as safetensors, everything else as JSON in its header.

Nothing in a file is executed. Encoders are built from sizes, by the classes of a fixed list; a
module of the caller's has to be given back.
"""

from __future__ import annotations

import copy
import dataclasses
import errno
import hashlib
import json
import numbers
import os
import secrets
import shutil
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tensorly_norank import _backend, encoders
from tensorly_norank._components import CanonicalAxes
from tensorly_norank._embedder import Embedder
from tensorly_norank._encoder_choice import EncoderChoice
from tensorly_norank._imputation import Imputer
from tensorly_norank._optional import import_optional
from tensorly_norank._rank_evidence import RankEvidence
from tensorly_norank.encoders import Encoder

_OF_CLASS_MEANS = ("class_accuracy", "class_accuracy_se")
FORMAT = 4  # what is written; `_MIGRATIONS` bring older files up to it
# From format k, a function of tensors and header to those of format k + 1.
_MIGRATIONS: dict[int, Any] = {
    1: lambda tensors, header: (tensors, header | {"moves": []}),  # there was one copy of a sample
    # What is significant was kept, also of few samples.
    2: lambda tensors, header: (tensors, _without_evidence(header, "likely")),
    3: lambda tensors, header: (tensors, _without_evidence(header, *_OF_CLASS_MEANS)),
}
_HEADER, _DIGEST = "tensorly_norank", "sha256"
_ENCODERS = {name: getattr(encoders, name) for name in encoders.__all__ if name != "Encoder"}
_IMPUTER = ("mean", "loadings", "noise", "is_known")
_LABELS = (bool, int, float, str)  # what JSON gives back as it was
_PACKAGES = ("tensorly-norank", "tensorly", "torch", "numpy", "scikit-learn")


def describe(result: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What a `NoRankTensor` consists of: tensors by name, on the host, and what JSON can hold."""
    origin, embedder = result._origin, result._embedder
    arrays = {"weights": result.weights, "embedding": result.embedding, "offset": result.offset}
    arrays |= {f"factors.{k}": factor for k, factor in enumerate(result.factors)}
    tensors = {name: _backend.enter(array, origin) for name, array in arrays.items()}
    tensors |= {"axes.mean": result._axes.mean, "axes.axes": result._axes.axes}
    tensors |= {f"embedder.{name}": value for name, value in embedder.state_dict().items()}
    header = {
        "format": FORMAT,
        "versions": {name: _version(name) for name in _PACKAGES},
        "mode": result.mode,
        "dtype": origin.name,
        "working": origin.working,
        "fitted_shape": list(result._fitted_shape),
        "explained_variance": result.explained_variance,
        "converged": result.converged,
        "history": result.history,
        "diagnostics": {name: _plain(value) for name, value in result.diagnostics.items()},
        "settings": {name: _plain(value) for name, value in result.settings.items()},
        "classes": _describe_labels(result.classes),
        "encoder": _describe_encoder(embedder.encoder),
        "keeps_distances": embedder.keeps_distances,
        "moves": embedder.moves,
        "fills_in": embedder.imputer is not None,
        "rank_evidence": _describe_record(result.rank_evidence),
        "encoder_choice": _describe_record(result.encoder_choice),
    }
    # Copies, for modules may share parameters, which safetensors does not write.
    tensors = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    _check_shapes(tensors, header)
    return tensors, header


def restore(
    tensors: dict[str, Tensor], header: dict[str, Any], encoder: nn.Module | None, device: Any
) -> dict[str, Any]:
    """The arguments of `NoRankTensor` that they stand for, on TensorLy's active backend."""
    origin = _backend.origin_named(header["dtype"], header["working"], device)
    home = origin.device or torch.device("cpu")
    n_modes = len(header["fitted_shape"])
    factors = [origin.restore(tensors[f"factors.{k}"]) for k in range(n_modes)]
    embedder = _restore_embedder(tensors, header, encoder).to(home)
    return {
        "cp_tensor": (origin.restore(tensors["weights"]), factors),
        "mode": header["mode"],
        "embedding": origin.restore(tensors["embedding"]),
        "offset": origin.restore(tensors["offset"]),
        "explained_variance": header["explained_variance"],
        "rank_evidence": _restore_record(RankEvidence, header["rank_evidence"]),
        "encoder_choice": _restore_record(EncoderChoice, header["encoder_choice"]),
        "history": header["history"],
        "diagnostics": header["diagnostics"],
        "converged": header["converged"],
        "settings": header["settings"],
        "classes": _restore_array(header["classes"]),
        "embedder": embedder,
        "axes": CanonicalAxes(tensors["axes.mean"], tensors["axes.axes"]).to(home),
        "origin": origin,
    }


def write(path: str | os.PathLike[str], tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Into a file, the whole of it or nothing; what stood there is replaced by a whole file."""
    safetensors = import_optional("safetensors.torch", "io", "NoRankTensor.save")
    place = _place_to_write(path)
    text = json.dumps(header)
    content = safetensors.save(tensors, {_HEADER: text, _DIGEST: _digest(tensors, text)})
    beside = place.with_name(f".{secrets.token_hex(8)}")
    try:
        with open(beside, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if place.exists():
            shutil.copymode(place, beside)
        os.replace(beside, place)
    except BaseException as error:
        beside.unlink(missing_ok=True)
        if isinstance(error, OSError):  # which names a file that nobody knows
            raise type(error)(error.errno, error.strerror, os.fspath(path)) from error
        raise


def _place_to_write(path: str | os.PathLike[str]) -> Path:
    """Where a link leads; an OSError if what is there is no file that may be replaced."""
    text = os.fsdecode(path)
    place = Path(os.path.realpath(text))
    if not text or text.endswith(os.sep) or place.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), text)
    if place.exists() and not place.is_file():  # a device, a pipe
        raise OSError(errno.EINVAL, "not a regular file", text)
    if place.exists() and not os.access(place, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), text)
    return place


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header of a file that `write` has written; a ValueError if it is another one."""
    safetensors = import_optional("safetensors", "io", "NoRankTensor.load")
    with open(path, "rb"):
        pass  # for the error that Python gives where it cannot be read
    try:
        with safetensors.safe_open(os.fsdecode(path), framework="pt") as file:
            entries = file.metadata() or {}
            # Copied to where torch would put them: kernels round by the alignment of memory.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
    except Exception as error:  # of safetensors, which are of no common class
        raise _bad(path, f"it is no whole safetensors file ({error})") from error
    if _HEADER not in entries or _DIGEST not in entries:
        raise _bad(path, "it is a safetensors file of something else")
    if entries[_DIGEST] != _digest(tensors, entries[_HEADER]):
        raise _bad(path, "it was altered after it was saved: its content is not what it was")
    tensors, header = _migrate(path, tensors, json.loads(entries[_HEADER]))
    try:
        _check_shapes(tensors, header)
    except (KeyError, TypeError, ValueError) as error:
        raise _bad(path, f"its parts do not fit together ({error})") from error
    return tensors, header


def _check_shapes(tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Raise a ValueError that names the first tensor of another shape than others ask for."""
    shape, mode = list(header["fitted_shape"]), header["mode"]
    (rank,), dimension = tensors["weights"].shape, tensors["axes.mean"].shape[0]
    expected = {f"factors.{k}": (length, rank) for k, length in enumerate(shape)}
    expected |= {"embedding": (shape[mode], rank), "axes.axes": (dimension, dimension)}
    expected |= {"offset": (*shape[:mode], 1, *shape[mode + 1 :])}
    expected |= {"embedder.mean": (*shape[:mode], *shape[mode + 1 :])}
    for place, step in header["moves"]:
        if place not in range(len(shape) - 1) or not isinstance(step, int):
            raise ValueError(f"moves must be of a mode and by whole places, has {[place, step]}")
    for name, one in expected.items():
        if tuple(tensors[name].shape) != one:
            raise ValueError(f"{name} must have shape {one}, has {tuple(tensors[name].shape)}")


def _migrate(
    path: Any, tensors: dict[str, Tensor], header: dict[str, Any]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if header["format"] > FORMAT:
        raise _bad(
            path,
            f"it is of format {header['format']}, written by tensorly_norank "
            f"{header['versions']['tensorly-norank']}; this version reads formats up to {FORMAT}",
        )
    for older in range(header["format"], FORMAT):
        tensors, header = _MIGRATIONS[older](tensors, header)
    return tensors, header


def _without_evidence(header: dict[str, Any], *names: str) -> dict[str, Any]:
    """With None for fields that there were not yet."""
    evidence = header["rank_evidence"]
    if evidence is not None:
        evidence = evidence | dict.fromkeys(names)
    return header | {"rank_evidence": evidence}


def _bad(path: Any, reason: str) -> ValueError:
    return ValueError(f"{os.fspath(path)!r} does not hold a decomposition to load: {reason}.")


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    """Of names, dtypes, shapes and values, and of the text."""
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # run from a folder
        return None


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    is_other_number = isinstance(value, numbers.Real) and not isinstance(value, bool | int | float)
    return float(value) if is_other_number else value  # a fraction, for example


def _describe_labels(labels: np.ndarray) -> dict[str, Any]:
    values = labels.tolist()
    strangers = [one for one in values if not isinstance(one, _LABELS)]
    if strangers:
        raise TypeError(
            "classes must be numbers, strings or truth values to be saved, got "
            f"{strangers[0]!r} of type {type(strangers[0]).__name__}: name them by strings."
        )
    return _describe_array(labels)


def _describe_array(array: np.ndarray) -> dict[str, Any]:
    return {"dtype": array.dtype.str, "values": array.tolist()}


def _restore_array(described: dict[str, Any]) -> np.ndarray:
    """Of one dimension."""
    if described["dtype"].startswith(("<U", ">U")):
        return np.array(described["values"], dtype=str)  # as long as it takes, whatever a file says
    restored = np.empty(len(described["values"]), dtype=described["dtype"])
    restored[:] = described["values"]
    return restored


def _describe_record(record: Any) -> dict[str, Any] | None:
    """The fields of a dataclass."""
    if record is None:
        return None
    fields = {one.name: getattr(record, one.name) for one in dataclasses.fields(record)}
    return {
        name: _describe_array(value)
        if isinstance(value, np.ndarray)
        else sorted(value.items())
        if isinstance(value, dict)
        else _plain(value)
        for name, value in fields.items()
    }


def _restore_record(kind: Any, fields: dict[str, Any] | None) -> Any:
    if fields is None:
        return None
    restored = {}
    for one in dataclasses.fields(kind):
        value = fields[one.name]
        if isinstance(value, dict):
            value = _restore_array(value)
        elif one.name == "stability":
            value = {int(count): share for count, share in value}
        elif isinstance(value, list):
            value = tuple(value)
        restored[one.name] = value
    return kind(**restored)


def _describe_encoder(encoder: nn.Module) -> dict[str, Any]:
    name = type(encoder).__name__
    if isinstance(encoder, Encoder) and type(encoder) is _ENCODERS.get(name):
        return {
            "name": name,
            "sample_shape": list(encoder.sample_shape),
            "n_components": encoder.n_components,
            "sizes": encoder.sizes,
        }
    return {"name": name, "is_custom": True}


def _restore_embedder(
    tensors: dict[str, Tensor], header: dict[str, Any], encoder: nn.Module | None
) -> Embedder:
    state = {
        name.removeprefix("embedder."): tensor
        for name, tensor in tensors.items()
        if name.startswith("embedder.")
    }
    own = {
        name.removeprefix("encoder."): state[name] for name in state if name.startswith("encoder.")
    }
    mean = state["mean"]
    fitted = _filled_encoder(_empty_encoder(header["encoder"], encoder), own)
    imputer = None
    if header["fills_in"]:
        imputer = Imputer(mean.new_zeros(2, *mean.shape))
        for name in _IMPUTER:
            setattr(imputer, name, state[f"imputer.{name}"])
    embedder = Embedder(
        fitted,
        mean.new_zeros(1, *mean.shape),
        keeps_distances=header["keeps_distances"],
        imputer=imputer,
        moves=tuple((mode, step) for mode, step in header["moves"]),
    )
    embedder.mean, embedder.scale = mean, state["scale"]
    return embedder


def _empty_encoder(described: dict[str, Any], given: nn.Module | None) -> nn.Module:
    """A copy of the module that is given; or one of ours, without memory for its parameters."""
    name = described["name"]
    if given is not None and not isinstance(given, nn.Module):
        raise TypeError(
            f"encoder must be a torch.nn.Module or None, got {given!r} of type "
            f"{type(given).__name__}."
        )
    if described.get("is_custom"):
        if given is None:
            raise ValueError(
                f"encoder must be given: the file's is a {name}, which is not one of this "
                "package's. Pass a module of the same architecture; its copy gets the parameters."
            )
        return copy.deepcopy(given)
    if given is not None:
        raise ValueError(
            f"encoder must be None, got {type(given).__name__}: the file has a {name}."
        )
    if name not in _ENCODERS:
        raise ValueError(f"encoder must be one of {sorted(_ENCODERS)}, got {name!r} in the file.")
    with torch.device("meta"):
        encoder: Encoder = _ENCODERS[name](
            described["sample_shape"], described["n_components"], **described["sizes"]
        )
    encoder.initialized = True
    return encoder


def _filled_encoder(encoder: nn.Module, state: dict[str, Tensor]) -> nn.Module:
    """With these parameters, of these shapes and no others."""
    expected = {name: tuple(one.shape) for name, one in encoder.state_dict().items()}
    found = {name: tuple(one.shape) for name, one in state.items()}
    for name in [*expected, *found]:
        if expected.get(name) != found.get(name):
            raise ValueError(
                "encoder must be of the architecture that was saved: its parameter "
                f"{name!r} has shape {expected.get(name, 'none')}, that of the file "
                f"{found.get(name, 'none')}."
            )
    # In the order of memory that the encoder gives them: by that, too, convolutions round.
    placed = {
        name: torch.empty_strided(one.shape, one.stride(), dtype=state[name].dtype, device="cpu")
        for name, one in encoder.state_dict().items()
    }
    for name, values in placed.items():
        values.copy_(state[name])
    encoder.load_state_dict(placed, assign=True)
    return encoder.eval()
