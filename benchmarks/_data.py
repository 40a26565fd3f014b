"""The data sets that the benchmarks share.

Digits, serology and Indian Pines come with the dependencies, Olivetti faces and LFW from
scikit-learn's own cache (SCIKIT_LEARN_DATA names another place). LFW may also lie in a file that
the environment variable LFW70 names (an .npz with `X` (1288, 62, 47) and `y`). Galaxies, crystals
and connectivity are simulated. Benchmarks say so when they leave a data set out.
"""

import os

import numpy as np

from tensorly_norank import datasets


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


_LOADERS = {
    "digits": lambda: _tensor_and_labels(datasets.load_digits()),
    "serology": lambda: _tensor_and_labels(datasets.load_covid19_serology()),
    "pines": lambda: _tensor_and_labels(datasets.load_indian_pines_patches()),
    "olivetti": lambda: _tensor_and_labels(datasets.load_olivetti(download_if_missing=False)),
    "lfw": _lfw,
    "galaxies": lambda: _tensor_and_labels(datasets.simulate_galaxies(1000, random_state=0)),
    "crystals": lambda: _tensor_and_labels(datasets.simulate_crystals(1050, random_state=0)),
    "connectivity": lambda: _tensor_and_labels(datasets.simulate_connectivity(random_state=0)),
}
