"""The data sets that the benchmarks share.

Digits, serology and Indian Pines come with the dependencies, Olivetti faces and LFW from
scikit-learn's own cache (SCIKIT_LEARN_DATA names another place), the first 100 subjects of ABIDE
from nilearn's, which downloads what it lacks. LFW and ABIDE may also lie in files that the
environment variables LFW70 and ABIDE100 name (.npz with `X`, 1288 images of 62×47 or 100 matrices
of 116×116, `y`, and of ABIDE `site`). Galaxies, crystals and connectivity are simulated. Benchmarks
say so when they leave a data set out.

Galaxies and crystals of the default difficulty have bright centres and peaks, so that all methods
get what those who work with such data take: the arcsinh of the brightness in units of about the
sky's noise, and the logarithm of one more than the counts.
"""

import os
import zipfile

import numpy as np

from tensorly_norank import datasets

N_SUBJECTS = 100  # of ABIDE, the same wherever they come from


def load(name):
    """Samples first, float32, and class codes; None where the data are not at hand."""
    try:
        return _LOADERS[name]()
    except (OSError, ImportError) as error:  # no file, no package that reads it
        print(f"{name}: skipped. {error}")
        return None


def _tensor_and_labels(bunch):
    return bunch.tensor, bunch.labels


def _from_file(variable, *names):
    """Arrays of the file that an environment variable names, the samples first; None without it."""
    path = os.environ.get(variable)
    if path is None:
        return None
    with open(path, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise OSError(f"{variable}={path} is not an .npz file")
    with np.load(path) as file:
        if missing := [name for name in names if name not in file]:
            raise OSError(f"{variable}={path} has {list(file)}, but no {' and no '.join(missing)}")
        samples, *others = (file[name] for name in names)
    lengths = {len(array) for array in (samples, *others)}
    if len(lengths) > 1:
        raise OSError(f"{variable}={path}: {', '.join(names)} have the lengths {sorted(lengths)}")
    return np.asarray(samples, np.float32), *others


def _lfw():
    found = _from_file("LFW70", "X", "y")
    return found or _tensor_and_labels(datasets.load_lfw(download_if_missing=False))


def load_abide_subjects():
    """Connectivity, group and site of each of the first hundred subjects."""
    if found := _from_file("ABIDE100", "X", "y", "site"):
        return found
    bunch = datasets.load_abide(n_subjects=N_SUBJECTS)
    return bunch.tensor, bunch.labels, bunch.sites


def _galaxies():
    tensor, labels = _tensor_and_labels(datasets.simulate_galaxies(1000, random_state=0))
    return np.arcsinh(tensor / 20), labels


def _crystals():
    tensor, labels = _tensor_and_labels(datasets.simulate_crystals(1050, random_state=0))
    return np.log1p(tensor), labels


_LOADERS = {
    "digits": lambda: _tensor_and_labels(datasets.load_digits()),
    "serology": lambda: _tensor_and_labels(datasets.load_covid19_serology()),
    "pines": lambda: _tensor_and_labels(datasets.load_indian_pines_patches()),
    "olivetti": lambda: _tensor_and_labels(datasets.load_olivetti(download_if_missing=False)),
    "lfw": _lfw,
    "abide": lambda: load_abide_subjects()[:2],
    "galaxies": _galaxies,
    "galaxies, paper": lambda: _tensor_and_labels(
        datasets.simulate_galaxies(500, difficulty="paper", random_state=0)
    ),
    "crystals": _crystals,
    "crystals, paper": lambda: _tensor_and_labels(
        datasets.simulate_crystals(700, difficulty="paper", random_state=0)
    ),
    "connectivity": lambda: _tensor_and_labels(datasets.simulate_connectivity(random_state=0)),
}

NAMES = tuple(_LOADERS)
