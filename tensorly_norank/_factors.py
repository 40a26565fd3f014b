"""The other modes' factors for a fixed samples factor, from one reading of the data.

With the samples factor Z = QT (thin QR) fixed, ‖X₍ₘ₎ − Z·KRᵀ‖² = ‖QᵀX₍ₘ₎ − T·KRᵀ‖² + constant, so
alternating least squares needs only the small tensor G = QᵀX₍ₘ₎, to which blocks of samples add up.
Everything here is written in TensorLy's functions and runs on the caller's backend; the data are
read where they are, and small problems solved on the host.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorly as tl
from tensorly.cp_tensor import CPTensor

from tensorly_norank._backend import Origin, check_finite, enter, origin_of
from tensorly_norank._validation import check_mode, check_number, check_random_state

N_ITER_MAX = 500
TOL = 1e-8
_BLOCK_ENTRIES = 2**23
_FEW_ENTRIES = 2**20  # of G: sweeps over fewer are done on the host, a GPU would wait for each step
_N_RANDOM_STARTS = 20
_N_TRIAL_ITERATIONS = 30
_N_FINISHED = 5  # of the trials, the best go on to the end


def fit_factors(
    tensor: Any,
    samples_factor: Any,
    mode: int = 0,
    *,
    init: Any = None,
    n_iter_max: int = N_ITER_MAX,
    tol: float = TOL,
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
) -> CPTensor:
    """CP decomposition in which the factor of one mode is given: least squares for the others.

    The factors are those of ``parafac(..., fixed_modes=[mode])`` from the same start, but the data
    are read once, block by block, however many iterations it takes. The tensor is not centred.

    Parameters
    ----------
    tensor : tensor of shape (I_0, ..., I_{N-1})
        Of order 2 or more, in the active backend. Integers are promoted to floats.
    samples_factor : tensor of shape (I_mode, R)
        The fixed factor, from `no_rank_decomposition` or anywhere else.
    mode : int, default 0
        The mode that it belongs to; any, the last one too.
    init : CPTensor, optional
        Where to start, as for `parafac`; its factor for `mode` is ignored. By default the best of
        21 starts: one computed (for each component the leading singular vectors of its share of
        the unrestricted least-squares solution), twenty random.
    n_iter_max : int, default 500
        At most so many sweeps over the other modes. They cost little: see Notes.
    tol : float, default 1e-8
        Stops when the relative reconstruction error falls by less than this in a sweep; 0 runs all
        of them.
    random_state : int, RandomState or Generator, optional
        For the random starts; None draws fresh ones.

    Returns
    -------
    CPTensor
        Weights (R,) hold the norms of the components, the factors have columns of norm 1 (a column
        of zeros stays zero, with weight 0). The fixed mode's factor is `samples_factor` with its
        columns scaled. In the tensor's backend, float dtype and device.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    Notes
    -----
    A sweep costs O(R · ∏ I_k), k over the other modes, whatever the number of samples. Columns that
    depend on one another, and more columns than samples, are allowed: among equally good solutions
    each step takes the one whose components have the smallest norms.

    Examples
    --------
    >>> import numpy as np, tensorly as tl
    >>> from tensorly_norank import fit_factors
    >>> rng = np.random.default_rng(0)
    >>> truth = tl.cp_tensor.CPTensor(
    ...     (None, [tl.tensor(rng.normal(size=(n, 2))) for n in (30, 5, 4)])
    ... )
    >>> fitted = fit_factors(truth.to_tensor(), truth.factors[0], random_state=0)
    >>> bool(tl.norm(fitted.to_tensor() - truth.to_tensor()) < 1e-6)
    True
    """
    origin = origin_of(tensor)
    shape = tuple(tl.shape(tensor))
    check_number(len(shape), "the order of tensor", integer=True, low=2)
    if 0 in shape:
        raise ValueError(f"tensor must not be empty, got shape {shape}.")
    mode = check_mode(mode, len(shape))
    check_number(n_iter_max, "n_iter_max", integer=True, low=1)
    check_number(tol, "tol")
    rng = check_random_state(random_state)
    origin_of(samples_factor, "samples_factor")
    given = tuple(tl.shape(samples_factor))
    if len(given) != 2 or given[0] != shape[mode] or given[1] < 1:
        raise ValueError(
            f"samples_factor must have shape ({shape[mode]}, n_components) for mode {mode} of a "
            f"tensor of shape {shape}, got {given}."
        )
    samples_factor = origin.double(samples_factor)
    start = None if init is None else _other_factors(init, shape, mode, given[1])
    problem = compress(tensor, samples_factor, mode)
    if not np.isfinite(problem.total):  # one number tells; who is to blame is looked for only then
        check_finite(enter(tensor, origin))
    if not bool(tl.all(tl.abs(problem.projected) < np.inf)):
        check_finite(enter(samples_factor, origin_of(samples_factor)), "samples_factor")
        raise ValueError("tensor and samples_factor must not be so large that products overflow.")
    fit = problem.solve(start, n_iter_max, tol, rng)
    return fit.as_cp_tensor(samples_factor, mode, origin)


def _other_factors(init: Any, shape: tuple[int, ...], mode: int, rank: int) -> list[Any]:
    """The factors of a starting CPTensor for all modes but `mode`, in float64."""
    try:
        weights, factors = CPTensor(init)
    except Exception as error:
        raise ValueError(
            f"init must be a CPTensor, got a {type(init).__name__}: {error}"
        ) from error
    found = [tuple(tl.shape(factor)) for factor in factors]
    wanted = [(length, rank) for length in shape]
    others = [k for k in range(len(shape)) if k != mode]
    if len(found) != len(shape) or any(found[k] != wanted[k] for k in others):
        raise ValueError(f"init must have factors of shapes {wanted}, got {found}.")
    start = [tl.tensor(factors[k], dtype=tl.backend.float64) for k in others]
    if weights is not None:
        start[0] = start[0] * tl.reshape(tl.tensor(weights, dtype=tl.backend.float64), (1, -1))
    return start


@dataclass(frozen=True)
class FactorFit:
    """Factors of the other modes, and how well they do."""

    factors: list[Any]  # (I_k, R) each, not normalised
    residual: float  # squared norm of tensor − offset − reconstruction
    total: float  # squared norm of tensor − offset

    @property
    def explained_variance(self) -> float:
        """Share of the squared norm that the reconstruction accounts for."""
        return 1 - self.residual / self.total if self.total > 0 else 0.0

    def as_cp_tensor(self, samples_factor: Any, mode: int, origin: Origin) -> CPTensor:
        """The CP tensor with unit-norm columns, in the caller's dtype."""
        factors = [origin.double(factor) for factor in self.factors]
        factors.insert(mode, origin.double(samples_factor))
        weights = tl.ones(tl.shape(factors[0])[1], **tl.context(factors[0]))
        for k, factor in enumerate(factors):
            norms = tl.sqrt(tl.sum(factor**2, axis=0))
            weights = weights * norms
            factors[k] = factor / tl.reshape(tl.where(norms > 0, norms, norms + 1), (1, -1))
        return CPTensor((origin.cast(weights), [origin.cast(factor) for factor in factors]))


@dataclass(frozen=True)
class CompressedFit:
    """What is left of the data once the samples factor Z = QT is fixed, in float64."""

    triangle: Any  # T, (min(n, R), R)
    projected: Any  # G = QᵀX, (min(n, R), *other modes)
    total: float  # squared norm of the data

    def solve(
        self,
        start: list[Any] | None,
        n_iter_max: int,
        tol: float,
        rng: np.random.Generator,
    ) -> FactorFit:
        """Alternating least squares, from `start` or from the best of several starts."""
        if start is not None:
            context = tl.context(self.projected)
            return self._iterate([tl.tensor(one, **context) for one in start], n_iter_max, tol)
        trials = [self._iterate(one, _N_TRIAL_ITERATIONS, tol) for one in self._starts(rng)]
        best = sorted(trials, key=lambda trial: trial.residual)[:_N_FINISHED]
        finished = [self._iterate(trial.factors, n_iter_max, tol) for trial in best]
        return min(finished, key=lambda fit: fit.residual)

    def _iterate(self, start: list[Any], n_iter_max: int, tol: float) -> FactorFit:
        factors = list(start)
        contracted = tl.tensordot(tl.transpose(self.triangle), self.projected, 1)  # (R, *other)
        gram = tl.dot(tl.transpose(self.triangle), self.triangle)  # (R, R)
        projected_total = float(tl.sum(self.projected**2))
        previous = np.inf
        for _ in range(n_iter_max):
            for k in range(len(factors)):
                grams = gram
                for j, factor in enumerate(factors):
                    if j != k:
                        grams = grams * tl.dot(tl.transpose(factor), factor)
                products = _matricized_products(contracted, factors, k)  # (I_k, R)
                factors[k] = tl.dot(products, _pseudo_inverse(grams))
            last = factors[-1]
            fitted = tl.sum(grams * tl.dot(tl.transpose(last), last))
            misfit = projected_total - 2 * float(tl.sum(products * last)) + float(fitted)
            residual = self.total - projected_total + max(misfit, 0.0)
            error = np.sqrt(max(residual, 0.0) / self.total) if self.total > 0 else 0.0
            if tol and previous - error < tol:
                break
            previous = error
        return FactorFit(factors, residual, self.total)

    def _starts(self, rng: np.random.Generator) -> list[list[Any]]:
        lengths = tl.shape(self.projected)[1:]
        rank = tl.shape(self.triangle)[1]
        context = tl.context(self.projected)
        random = [
            [tl.tensor(rng.random((length, rank)), **context) for length in lengths]
            for _ in range(_N_RANDOM_STARTS)
        ]
        return [self._leading_vectors(), *random]

    def _leading_vectors(self) -> list[Any]:
        """Of each component's share of the unrestricted solution T⁺G, the best vector per mode."""
        gram = tl.dot(tl.transpose(self.triangle), self.triangle)
        contracted = tl.tensordot(tl.transpose(self.triangle), self.projected, 1)
        shares = tl.tensordot(_pseudo_inverse(gram), contracted, 1)  # (R, *other modes)
        factors = []
        for k in range(tl.ndim(shares) - 1):
            columns = []
            for r in range(tl.shape(shares)[0]):
                unfolded = tl.unfold(shares[r], k)  # (I_k, rest)
                _, vectors = tl.eigh(tl.dot(unfolded, tl.transpose(unfolded)))
                leading = vectors[:, -1]
                # The sign is free: mostly positive reads best.
                columns.append(leading * (1.0 if float(tl.sum(leading)) >= 0 else -1.0))
            factors.append(tl.stack(columns, axis=1))
        return factors


def compress(tensor: Any, samples_factor: Any, mode: int, offset: Any = None) -> CompressedFit:
    """Read the data once, by blocks of samples, and keep QᵀX and ‖X‖² of X = tensor − offset.

    Where they are few numbers they lie on the host, wherever the tensor is.
    """
    samples = tl.tensor(samples_factor, dtype=tl.backend.float64)
    basis, triangle = tl.qr(samples)
    shape = tl.shape(tensor)
    n_samples = shape[mode]
    n_entries = int(np.prod(shape)) // max(n_samples, 1)
    block_length = max(1, _BLOCK_ENTRIES // max(n_entries, 1))
    projected, total = 0.0, 0.0
    for first in range(0, n_samples, block_length):
        rows = slice(first, first + block_length)
        block = tl.tensor(tensor[(slice(None),) * mode + (rows,)], dtype=tl.backend.float64)
        if offset is not None:
            block = block - offset
        projected = projected + tl.tensordot(basis[rows], block, axes=([0], [mode]))
        total += float(tl.sum(block**2))
    if int(np.prod(tl.shape(projected))) <= _FEW_ENTRIES:
        triangle, projected = (
            tl.tensor(tl.to_numpy(own), dtype=tl.backend.float64) for own in (triangle, projected)
        )
    return CompressedFit(triangle, projected, total)


def _matricized_products(contracted: Any, factors: list[Any], mode: int) -> Any:
    """Contract (R, *other modes) with every factor but that of `mode`, component-wise: (I_k, R)."""
    for k in reversed(range(len(factors))):
        if k != mode:
            shape = [1] * tl.ndim(contracted)
            shape[0], shape[k + 1] = tl.shape(factors[k])[::-1]
            weights = tl.reshape(tl.transpose(factors[k]), tuple(shape))
            contracted = tl.sum(contracted * weights, axis=k + 1)
    return tl.transpose(contracted)


def _pseudo_inverse(gram: Any) -> Any:
    """Of a symmetric positive semi-definite matrix: dependent columns get least-norm solutions.

    The diagonal is scaled to 1 first, so that a short column is no dependent one.
    """
    lengths = tl.sqrt(tl.abs(tl.diag(gram)))
    lengths = tl.where(lengths > 0, lengths, lengths + 1)
    scales = tl.reshape(lengths, (-1, 1)) * tl.reshape(lengths, (1, -1))
    values, vectors = tl.eigh(gram / scales)
    cutoff = tl.max(tl.abs(values)) * tl.shape(gram)[0] * tl.eps(tl.backend.float64)
    kept = values > cutoff
    inverses = kept / tl.where(kept, values, values * 0 + 1)
    return tl.dot(vectors * tl.reshape(inverses, (1, -1)), tl.transpose(vectors)) / scales
