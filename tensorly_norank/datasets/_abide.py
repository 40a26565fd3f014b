"""ABIDE: functional connectivity, from nilearn's loader and its cache."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from tensorly_norank._optional import import_optional
from tensorly_norank._validation import check_choice, check_flag, check_number
from tensorly_norank.datasets._bunch import make_bunch
from tensorly_norank.datasets._cache import check_folder, say_how_to_get

_PIPELINES = ("ccs", "cpac", "dparsf", "niak")
_REGIONS = (
    "rois_aal",
    "rois_cc200",
    "rois_cc400",
    "rois_dosenbach160",
    "rois_ez",
    "rois_ho",
    "rois_tt",
)


def load_abide(
    *,
    n_subjects: int | None = None,
    derivative: str = "rois_aal",
    pipeline: str = "cpac",
    band_pass_filtering: bool = True,
    global_signal_regression: bool = False,
    quality_checked: bool = True,
    data_home: str | os.PathLike[str] | None = None,
) -> Bunch:
    """ABIDE: how the regions of a brain at rest go together, in people with autism and without.

    The regions' time series come through `nilearn.datasets.fetch_abide_pcp`, the extra ``abide``,
    which downloads them once (some 300 KB a subject). A subject is the Pearson correlation of each
    region with each other.

    Parameters
    ----------
    n_subjects : int, optional
        The first so many; by default all. The table goes by sites: the first hundred are of three.
    derivative : str, default "rois_aal"
        Which atlas the regions are from: "rois_aal", "rois_cc200", "rois_cc400",
        "rois_dosenbach160", "rois_ez", "rois_ho" or "rois_tt".
    pipeline : {"ccs", "cpac", "dparsf", "niak"}, default "cpac"
        Which software prepared the images.
    band_pass_filtering : bool, default True
        Whether only frequencies from 0.01 to 0.1 Hz are kept.
    global_signal_regression : bool, default False
        Whether the mean over the whole brain was regressed out.
    quality_checked : bool, default True
        Leave out subjects whose images a rater rejected.
    data_home : str or path-like, optional
        nilearn's cache. By default the environment variables NILEARN_SHARED_DATA and NILEARN_DATA
        name it, or it is ``~/nilearn_data``.

    Returns
    -------
    Bunch
        A dictionary whose entries are attributes too:

        tensor : tensor of shape (n_subjects, n_regions, n_regions)
            Correlations, float32, symmetric with a diagonal of 1, in TensorLy's active backend. A
            region without signal, one that never changes or is not finite throughout, has
            correlation 0 with every other.
        labels : ndarray of shape (n_subjects,)
            0 for autism, 1 for a control. In :func:`simulate_connectivity` 0 is a control.
        class_names : ndarray of shape (2,)
            "ASD" and "TD": autism spectrum disorder, typical development.
        dims : list of str
            "subject", "region", "other region".
        ticks : list of ndarray
            The samples' class names, the numbers of the regions in the atlas's order, twice.
        sites : ndarray of shape (n_subjects,)
            Where each subject was scanned: sites differ in scanners and in their share of autism.
            Names, ready to be the `groups` of :func:`~tensorly_norank.evaluation.compare`; of
            numbers it would take a -1 for a missing site.
        subjects : ndarray of shape (n_subjects,)
            ABIDE's number of each subject.
        n_timepoints : ndarray of shape (n_subjects,)
            How many images each subject's correlations come from.
        DESCR, reference, licence : str, list of str, str
            What the data are, whom to cite, what one may do with them.

    Raises
    ------
    ImportError
        Without nilearn.
    TypeError, ValueError
        If an argument is not as above.
    OSError
        When the time series are neither in the cache nor to be had from the network.

    References
    ----------
    .. [1] A. Di Martino et al., "The autism brain imaging data exchange: towards a large-scale
       evaluation of the intrinsic brain architecture in autism", Molecular Psychiatry 19, 2014.
    .. [2] C. Craddock et al., "The Neuro Bureau Preprocessing Initiative: open sharing of
       preprocessed neuroimaging data and derivatives", Neuroinformatics 2013.

    Examples
    --------
    >>> from tensorly_norank.datasets import load_abide
    >>> tuple(load_abide(n_subjects=100).tensor.shape)  # doctest: +SKIP
    (100, 116, 116)
    """
    check_folder(data_home)
    check_choice(derivative, "derivative", _REGIONS)
    check_choice(pipeline, "pipeline", _PIPELINES)
    for name, value in [
        ("band_pass_filtering", band_pass_filtering),
        ("global_signal_regression", global_signal_regression),
        ("quality_checked", quality_checked),
    ]:
        check_flag(value, name)
    if n_subjects is not None:
        check_number(n_subjects, "n_subjects", integer=True, low=1)
    abide = _fetch_abide(
        data_home,
        derivatives=[derivative],
        n_subjects=n_subjects,
        pipeline=pipeline,
        band_pass_filtering=band_pass_filtering,
        global_signal_regression=global_signal_regression,
        quality_checked=quality_checked,
    )
    return _abide_bunch(abide.phenotypic, abide[derivative], abide.description)


def _fetch_abide(data_home: str | os.PathLike[str] | None, **options: Any) -> Any:
    """What nilearn returns; `options` are those of its function."""
    nilearn = import_optional("nilearn.datasets", "abide", "load_abide")
    if data_home is not None:
        data_home = os.path.expanduser(data_home)  # nilearn would make a folder called "~"
    folders = [Path(folder, "ABIDE_pcp") for folder in nilearn.get_data_dirs(data_home)]
    folder = next(filter(Path.is_dir, folders), folders[0])
    filtered = "filt" if options["band_pass_filtering"] else "nofilt"
    regressed = "global" if options["global_signal_regression"] else "noglobal"
    series = f"{options['pipeline']}/{filtered}_{regressed}/*_{options['derivatives'][0]}.1D"
    with say_how_to_get(
        "load_abide",
        "ABIDE",
        places=folders,
        looked_for=f"{folder / 'Phenotypic_V1_0b_preprocessed1.csv'} and {folder / series}",
        put="these files of the Preprocessed Connectomes Project there",
        environment="NILEARN_DATA",
        errors=(ValueError,),  # what is missing has no place to be written to
    ):
        return nilearn.fetch_abide_pcp(data_dir=data_home, verbose=0, **options)


def _abide_bunch(phenotypic: Any, series: Sequence[np.ndarray], description: str) -> Bunch:
    """Correlations and labels of the subjects, whose series are (n_timepoints, n_regions)."""
    series = [np.atleast_2d(one) for one in series]
    n_regions = sorted({one.shape[1] for one in series})
    if len(n_regions) != 1:
        raise ValueError(
            "load_abide needs subjects that have the same number of regions, got "
            f"{', '.join(map(str, n_regions)) or 'no subject at all'}: look into nilearn's cache."
        )
    return make_bunch(
        np.stack([_correlations(one) for one in series]).astype(np.float32),
        np.asarray(phenotypic["DX_GROUP"], np.int64) - 1,
        ["ASD", "TD"],
        dims=["subject", "region", "other region"],
        ticks=[np.arange(n_regions[0])] * 2,
        descr="Pearson correlations between the time series of the regions of a brain at rest.\n\n"
        + description,
        reference=[
            "Di Martino, A., et al. (2014). The autism brain imaging data exchange: towards a "
            "large-scale evaluation of the intrinsic brain architecture in autism. Molecular "
            "Psychiatry, 19(6), 659–667. doi:10.1038/mp.2013.78",
            "Craddock, C., et al. (2013). The Neuro Bureau Preprocessing Initiative: open sharing "
            "of preprocessed neuroimaging data and derivatives. Frontiers in Neuroinformatics, "
            "Conference Abstract: Neuroinformatics 2013. doi:10.3389/conf.fninf.2013.09.00041",
        ],
        licence="Non-commercial research: Creative Commons Attribution-NonCommercial-ShareAlike.",
        sites=np.asarray(phenotypic["SITE_ID"]).astype(str),
        subjects=np.asarray(phenotypic["SUB_ID"], np.int64),
        n_timepoints=np.array([len(one) for one in series]),
    )


def _correlations(series: np.ndarray) -> np.ndarray:
    """Pearson correlations between columns; 0 with a column that has no signal, 1 with itself."""
    series = np.where(np.isfinite(series).all(axis=0), series, 0)
    spread = np.ptp(series, axis=0)
    varies = np.flatnonzero(spread)
    correlations = np.eye(series.shape[1])
    if len(varies):
        # Scaled first: the variance of a tiny signal would vanish. And corrcoef is symmetric up to
        # rounding only.
        among = np.corrcoef(series[:, varies] / spread[varies], rowvar=False)
        correlations[np.ix_(varies, varies)] = (among + among.T) / 2
    return correlations
