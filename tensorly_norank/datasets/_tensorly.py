"""Labelled tensors that come with TensorLy."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import tensorly as tl
from sklearn.utils import Bunch

from tensorly_norank._validation import check_number, check_random_state
from tensorly_norank.datasets._bunch import make_bunch

_OUTCOMES = ("Negative", "Mild", "Moderate", "Severe", "Deceased")
_CROPS = (
    "Alfalfa",
    "Corn-notill",
    "Corn-mintill",
    "Corn",
    "Grass-pasture",
    "Grass-trees",
    "Grass-pasture-mowed",
    "Hay-windrowed",
    "Oats",
    "Soybean-notill",
    "Soybean-mintill",
    "Soybean-clean",
    "Wheat",
    "Woods",
    "Buildings-Grass-Trees-Drives",
    "Stone-Steel-Towers",
)


def load_covid19_serology() -> Bunch:
    """COVID-19 serology: how patients' antibodies bind, by the course of their disease.

    The data of `tensorly.datasets.load_covid19_serology`, the outcomes as labels.

    Returns
    -------
    Bunch
        A dictionary whose entries are attributes too:

        tensor : tensor of shape (438, 6, 11)
            Binding, float32, in TensorLy's active backend.
        labels : ndarray of shape (438,)
            The outcome, 0 to 4 in order of severity.
        class_names : ndarray of shape (5,)
            "Negative", "Mild", "Moderate", "Severe", "Deceased".
        dims : list of str
            "sample", "antigen", "receptor".
        ticks : list of ndarray
            The samples' class names, the names of the antigens and of the receptors.
        DESCR, reference, licence : str, list of str, str
            What the data are, whom to cite, what one may do with them.

    References
    ----------
    .. [1] Z. C. Tan, M. C. Murphy, H. S. Alpay, S. D. Taylor and A. S. Meyer, "Tensor-structured
       decomposition improves systems serology analysis", Molecular Systems Biology 17(9), 2021.
    .. [2] T. Zohar et al., "Compromised humoral functional evolution tracks with SARS-CoV-2
       mortality", Cell 183(6), 2020.

    Examples
    --------
    >>> from tensorly_norank.datasets import load_covid19_serology
    >>> serology = load_covid19_serology()
    >>> tuple(serology.tensor.shape)
    (438, 6, 11)
    >>> serology.ticks[1].tolist()
    ['S', 'RBD', 'N', 'S1', 'S2', 'S1 Trimer']
    """
    from tensorly.datasets import load_covid19_serology as load

    serology = load()
    outcomes, antigens, receptors = serology.ticks
    return make_bunch(
        tl.to_numpy(serology.tensor).astype(np.float32),
        np.array([_OUTCOMES.index(outcome) for outcome in outcomes]),
        _OUTCOMES,
        dims=["sample", "antigen", "receptor"],
        ticks=[antigens, receptors],
        descr=inspect.cleandoc(serology.DESC),
        reference=serology.reference,
        licence=inspect.cleandoc(serology.LICENSE),
    )


def load_indian_pines_patches(
    *,
    patch_size: int = 5,
    n_most: int | None = 60,
    random_state: int | np.random.RandomState | np.random.Generator | None = 0,
) -> Bunch:
    """Indian Pines: hyperspectral patches of fields, by what grows in their middle.

    Cut from `tensorly.datasets.load_indian_pines`, an image of 145 × 145 pixels and 200 bands with
    about half of its pixels labelled. Beyond its edges the image is reflected. Patches of
    neighbouring pixels overlap: a score on patches that were not fitted is none on unseen fields.

    Parameters
    ----------
    patch_size : int, default 5
        Height and width of a patch, odd.
    n_most : int, optional, default 60
        How many patches of each crop to draw at random, all of a crop that has fewer. None takes
        all 10 249.
    random_state : None, int, RandomState or Generator, default 0
        For the drawing.

    Returns
    -------
    Bunch
        A dictionary whose entries are attributes too:

        tensor : tensor of shape (n_samples, patch_size, patch_size, 200)
            The sensor's counts, float32, in TensorLy's active backend.
        labels : ndarray of shape (n_samples,)
            The crop in the middle, 0 to 15, one crop after the other.
        class_names : ndarray of shape (16,)
            The crops' names.
        dims : list of str
            "sample", "row", "column", "band".
        ticks : list of ndarray
            The samples' class names, rows and columns counted from the middle of the patch, the
            bands' wavelengths in nanometres.
        positions : ndarray of shape (n_samples, 2)
            Row and column of the middle in the image.
        DESCR, reference, licence : str, list of str, str
            What the data are, whom to cite, what one may do with them.

    References
    ----------
    .. [1] M. F. Baumgardner, L. L. Biehl and D. A. Landgrebe, "220 band AVIRIS hyperspectral image
       data set: June 12, 1992 Indian Pine Test Site 3", Purdue University Research Repository,
       2015, doi:10.4231/R7RX991C.

    Examples
    --------
    >>> from tensorly_norank.datasets import load_indian_pines_patches
    >>> pines = load_indian_pines_patches(patch_size=3, n_most=10)
    >>> tuple(pines.tensor.shape)
    (160, 3, 3, 200)
    >>> row, column = pines.positions[0]  # one of the pixels where alfalfa grows
    >>> str(pines.class_names[pines.labels[0]])
    'Alfalfa'
    """
    _check_patches(patch_size, n_most)
    generator = check_random_state(random_state)
    from tensorly.datasets import load_indian_pines

    field = load_indian_pines()
    truth, wavelengths = field.ticks
    positions = np.concatenate(
        [
            generator.permutation(np.argwhere(truth == crop))[:n_most]
            for crop in range(1, len(_CROPS) + 1)
        ]
    )
    offsets = np.arange(patch_size) - patch_size // 2
    return make_bunch(
        _patches(tl.to_numpy(field.tensor).astype(np.float32), positions, patch_size),
        truth[tuple(positions.T)].astype(np.int64) - 1,
        _CROPS,
        dims=["sample", "row", "column", "band"],
        ticks=[offsets, offsets, wavelengths],
        descr=f"Patches of {patch_size} × {patch_size} pixels around labelled ones, from this "
        f"image:\n\n{field.DESC}",
        reference=[field.reference],
        licence=field.LICENCE,
        positions=positions,
    )


def _check_patches(patch_size: Any, n_most: Any) -> None:
    check_number(patch_size, "patch_size", integer=True, low=1, high=145, include_high=True)
    if patch_size % 2 == 0:
        raise ValueError(
            f"patch_size must be odd, got {patch_size}: a patch has a pixel in its middle."
        )
    if n_most is not None:
        check_number(n_most, "n_most", integer=True, low=1)


def _patches(image: np.ndarray, positions: np.ndarray, size: int) -> np.ndarray:
    """Squares around pixels of an image, (height, width, bands) -> (n, size, size, bands)."""
    around = (size // 2, size // 2)
    padded = np.pad(image, (around, around, (0, 0)), "reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(0, 1))
    return np.ascontiguousarray(np.moveaxis(windows[tuple(positions.T)], 1, -1))
