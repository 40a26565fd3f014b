"""Labelled images, from scikit-learn's loaders and their cache."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from tensorly_norank._optional import import_optional
from tensorly_norank._validation import check_flag, check_number
from tensorly_norank.datasets._bunch import make_bunch
from tensorly_norank.datasets._cache import check_folder, say_how_to_get


def load_digits() -> Bunch:
    """Handwritten digits: the small set that comes with scikit-learn.

    Returns
    -------
    Bunch
        A dictionary whose entries are attributes too:

        tensor : tensor of shape (1797, 8, 8)
            Grey images, float32 from 0 to 16, in TensorLy's active backend.
        labels : ndarray of shape (1797,)
            Which digit each is, 0 to 9.
        class_names : ndarray of shape (10,)
            "0" to "9".
        dims : list of str
            "sample", "row", "column".
        ticks : list of ndarray
            The samples' class names, the numbers of the rows and of the columns.
        DESCR, reference, licence : str, list of str, str
            What the data are, whom to cite, what one may do with them.

    References
    ----------
    .. [1] E. Alpaydin and C. Kaynak, "Cascading classifiers", Kybernetika 34(4), 1998.

    Examples
    --------
    >>> from tensorly_norank.datasets import load_digits
    >>> digits = load_digits()
    >>> tuple(digits.tensor.shape)
    (1797, 8, 8)
    >>> digits.ticks[0][:3].tolist()
    ['0', '1', '2']
    """
    import sklearn.datasets

    digits = sklearn.datasets.load_digits()
    return _image_bunch(
        digits.images,
        digits.target,
        [str(name) for name in digits.target_names],
        descr=digits.DESCR,
        reference=[
            "Alpaydin, E., Kaynak, C. (1998). Cascading classifiers. Kybernetika, 34(4), 369–374.",
            "Alpaydin, E., Kaynak, C. (1998). Optical Recognition of Handwritten Digits. UCI "
            "Machine Learning Repository. doi:10.24432/C50P49",
        ],
        licence="Creative Commons Attribution 4.0 International (UCI Machine Learning Repository).",
    )


def load_olivetti(
    *, data_home: str | os.PathLike[str] | None = None, download_if_missing: bool = True
) -> Bunch:
    """Olivetti faces: ten grey photographs of each of 40 people.

    They come through `sklearn.datasets.fetch_olivetti_faces`, which downloads them once (2 MB).

    Parameters
    ----------
    data_home : str or path-like, optional
        scikit-learn's cache. By default the environment variable SCIKIT_LEARN_DATA names it, or it
        is ``~/scikit_learn_data``.
    download_if_missing : bool, default True
        False raises an error at once when the faces are not in the cache.

    Returns
    -------
    Bunch
        A dictionary whose entries are attributes too:

        tensor : tensor of shape (400, 64, 64)
            Grey images, float32 from 0 to 1, in TensorLy's active backend.
        labels : ndarray of shape (400,)
            Who each is, 0 to 39, ten times each, in this order.
        class_names : ndarray of shape (40,)
            "person 1" to "person 40": the data name nobody.
        dims : list of str
            "sample", "row", "column".
        ticks : list of ndarray
            The samples' class names, the numbers of the rows and of the columns.
        DESCR, reference, licence : str, list of str, str
            What the data are, whom to cite, what one may do with them.

    Raises
    ------
    TypeError
        If `data_home` is not as above.
    OSError
        When the faces are neither in the cache nor to be had from the network.

    References
    ----------
    .. [1] F. S. Samaria and A. C. Harter, "Parameterisation of a stochastic model for human face
       identification", IEEE Workshop on Applications of Computer Vision, 1994.

    Examples
    --------
    >>> from tensorly_norank.datasets import load_olivetti
    >>> tuple(load_olivetti().tensor.shape)  # doctest: +SKIP
    (400, 64, 64)
    """
    check_folder(data_home)
    check_flag(download_if_missing, "download_if_missing")
    import sklearn.datasets

    place = _scikit_learn_home(data_home) / "olivetti_py3.pkz"
    with say_how_to_get(
        "load_olivetti",
        "the Olivetti faces",
        places=[place],
        looked_for=place,
        put="that file there",
        environment="SCIKIT_LEARN_DATA",
        errors=(ValueError,),  # of a file that is no pickle
    ):
        faces = sklearn.datasets.fetch_olivetti_faces(
            data_home=data_home, download_if_missing=download_if_missing
        )
    return _image_bunch(
        faces.images,
        faces.target,
        [f"person {number}" for number in range(1, 41)],
        descr=faces.DESCR,
        reference=[
            "Samaria, F. S., Harter, A. C. (1994). Parameterisation of a stochastic model for "
            "human face identification. Proceedings of the Second IEEE Workshop on Applications of "
            "Computer Vision, 138–142. doi:10.1109/ACV.1994.341300",
        ],
        licence="When using these images, please give credit to AT&T Laboratories Cambridge.",
    )


def load_lfw(
    *,
    min_faces_per_person: int = 70,
    resize: float | None = 0.5,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
) -> Bunch:
    """Labeled Faces in the Wild: grey press photographs of people with many of them.

    They come through `sklearn.datasets.fetch_lfw_people` (funneled, its default crop), which
    downloads them once (200 MB) and needs Pillow: the extra ``images``.

    Parameters
    ----------
    min_faces_per_person : int, default 70
        People with fewer photographs are left out; with 70, seven people remain.
    resize : float, optional, default 0.5
        By how much the crop of 125 × 94 pixels is scaled; None leaves it.
    data_home : str or path-like, optional
        scikit-learn's cache. By default the environment variable SCIKIT_LEARN_DATA names it, or it
        is ``~/scikit_learn_data``.
    download_if_missing : bool, default True
        False raises an error at once when the photographs are not in the cache.

    Returns
    -------
    Bunch
        A dictionary whose entries are attributes too:

        tensor : tensor of shape (n_samples, height, width)
            Grey images, float32 from 0 to 1, in TensorLy's active backend; (1288, 62, 47) by
            default.
        labels : ndarray of shape (n_samples,)
            Who each is. The classes differ in size: 71 to 530 by default.
        class_names : ndarray of shape (n_classes,)
            The people's names, in alphabetical order.
        dims : list of str
            "sample", "row", "column".
        ticks : list of ndarray
            The samples' class names, the numbers of the rows and of the columns.
        DESCR, reference, licence : str, list of str, str
            What the data are, whom to cite, what one may do with them.

    Raises
    ------
    ImportError
        Without Pillow.
    TypeError, ValueError
        If an argument is not as above.
    OSError
        When the photographs are neither in the cache nor to be had from the network.

    References
    ----------
    .. [1] G. B. Huang, M. Ramesh, T. Berg and E. Learned-Miller, "Labeled Faces in the Wild: a
       database for studying face recognition in unconstrained environments", University of
       Massachusetts, Amherst, Technical Report 07-49, 2007.

    Examples
    --------
    >>> from tensorly_norank.datasets import load_lfw
    >>> tuple(load_lfw().tensor.shape)  # doctest: +SKIP
    (1288, 62, 47)
    """
    check_folder(data_home)
    check_flag(download_if_missing, "download_if_missing")
    import_optional("PIL", "images", "load_lfw", package="Pillow")
    check_number(min_faces_per_person, "min_faces_per_person", integer=True, low=1)
    if resize is not None:
        check_number(resize, "resize", include_low=False)
    import sklearn.datasets

    home = _scikit_learn_home(data_home) / "lfw_home"
    with say_how_to_get(
        "load_lfw",
        "Labeled Faces in the Wild",
        places=[home],
        looked_for=home,
        put="pairs.txt, pairsDevTrain.txt, pairsDevTest.txt and lfw-funneled.tgz there",
        environment="SCIKIT_LEARN_DATA",
    ):
        faces = sklearn.datasets.fetch_lfw_people(
            min_faces_per_person=min_faces_per_person,
            resize=resize,
            data_home=data_home,
            download_if_missing=download_if_missing,
        )
    return _image_bunch(
        faces.images,
        faces.target,
        faces.target_names,
        descr=faces.DESCR,
        reference=[
            "Huang, G. B., Ramesh, M., Berg, T., Learned-Miller, E. (2007). Labeled Faces in the "
            "Wild: a database for studying face recognition in unconstrained environments. "
            "University of Massachusetts, Amherst, Technical Report 07-49.",
            "Huang, G. B., Jain, V., Learned-Miller, E. (2007). Unsupervised joint alignment of "
            "complex images. ICCV. doi:10.1109/ICCV.2007.4408858",
        ],
        licence="For research; the photographs are the property of those who took them.",
    )


def _image_bunch(
    images: np.ndarray, labels: np.ndarray, class_names: Sequence[str], **texts: Any
) -> Bunch:
    """A data set of grey images, (n_samples, height, width)."""
    return make_bunch(
        np.ascontiguousarray(images, np.float32),
        labels,
        class_names,
        dims=["sample", "row", "column"],
        ticks=[np.arange(size) for size in images.shape[1:]],
        **texts,
    )


def _scikit_learn_home(data_home: str | os.PathLike[str] | None) -> Path:
    """Where scikit-learn keeps its files; its own function creates the folder, and may fail."""
    if data_home is None:
        data_home = os.environ.get("SCIKIT_LEARN_DATA", Path("~", "scikit_learn_data"))
    return Path(data_home).expanduser()
