"""The methods that ours is set beside, as `tensorly_norank.evaluation.compare` takes them.

PCA, CP and NCA get 20 components, or as many as the data allow, Tucker 6 along each mode,
supervised UMAP 2, LDA what its classes span. LDA, NCA and supervised UMAP see principal components:
LDA those of 95 % of the variance, for it blows up directions that hardly vary.
"""

import importlib.util
import multiprocessing
import warnings
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache, partial

import numpy as np
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from tensorly.decomposition import parafac, partial_tucker
from tensorly.tenalg import khatri_rao, multi_mode_dot

RANK = 20


def embed_by_parafac(
    fit_samples, fit_labels, new_samples, random_state, rank=RANK, is_projected=False
):
    """CP of the fitted samples; all by least squares on its factors.

    Those are skew: distances between coefficients are not those between what they stand for. An
    orthonormal basis of the same patterns, on which samples are projected if asked, keeps these.
    """
    mean = fit_samples.mean(axis=0)
    cp = parafac(fit_samples - mean, rank, n_iter_max=100, init="random", random_state=random_state)
    patterns = khatri_rao([cp.weights[None] * cp.factors[1], *cp.factors[2:]])
    if is_projected:
        patterns = np.linalg.qr(patterns)[0]
    return [
        np.linalg.lstsq(patterns, (part - mean).reshape(len(part), -1).T, rcond=None)[0].T
        for part in (fit_samples, new_samples)
    ]


def embed_by_tucker(fit_samples, fit_labels, new_samples, random_state, rank=6):
    """Tucker of the other modes, so many components each at most; all samples by projection."""
    mean = fit_samples.mean(axis=0)
    modes = list(range(1, fit_samples.ndim))
    ranks = [min(rank, fit_samples.shape[mode]) for mode in modes]
    (_, factors), _ = partial_tucker(fit_samples - mean, ranks, modes, random_state=random_state)
    return [
        multi_mode_dot(part - mean, factors, modes, transpose=True).reshape(len(part), -1)
        for part in (fit_samples, new_samples)
    ]


def embed_by_umap(
    fit_samples, fit_labels, new_samples, random_state, n_axes, supervised=True, **settings
):
    """Supervised UMAP (the package umap-learn), two components as its authors suggest, or UMAP.

    In a process of its own: its compiled code sets the number of threads of the whole process, and
    what runs after it would take several times as long.
    """
    labels = fit_labels if supervised else None
    args = (fit_samples, labels, new_samples, random_state, n_axes, settings)
    return in_another_process(_fit_umap, *args)


def in_a_new_process(function, *args):
    """What a function of a module returns, called in a process that has done nothing before."""
    with _process() as process:
        return process.submit(function, *args).result()


def in_another_process(function, *args):
    """What a function of a module returns, called in another process, the same each time."""
    try:
        return _other_process().submit(function, *args).result()
    except BrokenProcessPool:  # the next call gets another
        _other_process.cache_clear()
        raise


@lru_cache
def _other_process():
    return _process()


def _process():
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def _fit_umap(fit_samples, fit_labels, new_samples, random_state, n_axes, settings):
    from umap import UMAP

    warnings.simplefilter("ignore")  # of its number of threads
    pca = PCA(n_axes, random_state=random_state)
    rows = pca.fit_transform(fit_samples.reshape(len(fit_samples), -1))
    settings = settings | {"n_neighbors": min(settings.get("n_neighbors", 15), len(rows) - 1)}
    codes = None
    if fit_labels is not None:  # -1 is what UMAP, too, takes for a missing label
        codes = np.unique(fit_labels, return_inverse=True)[1]
        codes = np.where(fit_labels == -1, -1, codes)
    umap = UMAP(random_state=random_state, **settings)
    embedding = umap.fit_transform(rows, y=codes)
    return embedding, umap.transform(pca.transform(new_samples.reshape(len(new_samples), -1)))


def peers(n_samples, n_entries):
    """By name, for so many fitted samples; supervised UMAP where it is installed."""
    n_axes = min(100, n_samples // 2, n_entries)
    methods = {
        "PCA": PCA(min(RANK, n_axes)),
        "CP": embed_by_parafac,
        "Tucker": embed_by_tucker,
        "LDA": make_pipeline(PCA(n_axes), PCA(0.95), LinearDiscriminantAnalysis()),
        "NCA": make_pipeline(
            PCA(min(40, n_axes)), NeighborhoodComponentsAnalysis(min(RANK, n_axes), max_iter=50)
        ),
        "raw": FunctionTransformer(),
    }
    if importlib.util.find_spec("umap"):
        methods["supervised UMAP"] = partial(embed_by_umap, n_axes=n_axes)
    return methods
