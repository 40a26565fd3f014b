"""The data sets that the benchmarks share.

Digits, serology and Indian Pines come with the dependencies. Olivetti faces are looked for in
scikit-learn's own cache (SCIKIT_LEARN_DATA names another place), LFW in the file that the
environment variable LFW70 names (an .npz with `X` (1288, 62, 47) and `y`); benchmarks say so when
they leave one out.
"""

import os

import numpy as np


def load(name):
    """Samples first, float32, and class codes; None where the data are not at hand."""
    loaded = _LOADERS[name]()
    if loaded is None:
        print(f"{name}: skipped, the data are not at hand (see benchmarks/_data.py)")
        return None
    tensor, labels = loaded
    return np.asarray(tensor, np.float32), np.unique(labels, return_inverse=True)[1]


def _digits():
    from sklearn.datasets import load_digits

    digits = load_digits()
    return digits.images, digits.target


def _serology():
    from tensorly.datasets import load_covid19_serology

    data = load_covid19_serology()
    return data.tensor, np.asarray(data.ticks[0])


def _pines(n_most=60):
    """5 × 5 patches around labelled pixels, at most 60 of each of the 16 crops."""
    from tensorly.datasets import load_indian_pines

    data = load_indian_pines()
    truth = np.asarray(data.ticks[0])
    padded = np.pad(np.asarray(data.tensor), ((2, 2), (2, 2), (0, 0)), "reflect")
    rng = np.random.default_rng(0)
    patches, labels = [], []
    for crop in range(1, 17):
        for i, j in rng.permutation(np.argwhere(truth == crop))[:n_most]:
            patches.append(padded[i : i + 5, j : j + 5])
            labels.append(crop)
    return np.stack(patches), np.array(labels)


def _olivetti():
    from sklearn.datasets import fetch_olivetti_faces

    try:
        faces = fetch_olivetti_faces(download_if_missing=False)
    except OSError:
        return None
    return faces.images, faces.target


def _lfw():
    path = os.environ.get("LFW70")
    if path is None:
        return None
    with np.load(path) as file:
        return file["X"], file["y"]


_LOADERS = {
    "digits": _digits,
    "serology": _serology,
    "pines": _pines,
    "olivetti": _olivetti,
    "lfw": _lfw,
}
