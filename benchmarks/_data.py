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


def _lfw():
    path = os.environ.get("LFW70")
    if path is None:
        return _tensor_and_labels(datasets.load_lfw(download_if_missing=False))
    with np.load(path) as file:
        return np.asarray(file["X"], np.float32), file["y"]


def load_abide_subjects():
    """Connectivity, group and site of each of the first hundred subjects."""
    path = os.environ.get("ABIDE100")
    if path is None:
        bunch = datasets.load_abide(n_subjects=N_SUBJECTS)
        return bunch.tensor, bunch.labels, bunch.sites
    with np.load(path) as file:
        return np.asarray(file["X"], np.float32), file["y"], file["site"]


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
