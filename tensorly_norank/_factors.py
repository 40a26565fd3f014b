"""The other modes' factors for a fixed samples factor, from one reading of the data.

With the samples factor Z = QT (thin QR) fixed, ‖X₍ₘ₎ − Z·KRᵀ‖² = ‖QᵀX₍ₘ₎ − T·KRᵀ‖² + constant, so
alternating least squares needs only the small tensor G = QᵀX₍ₘ₎, to which blocks of samples add up.
Everything here is written in TensorLy's functions and runs on the caller's backend; the data are
read where they are, and small problems solved on the host.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorly as tl
from tensorly.cp_tensor import CPTensor

from tensorly_norank._backend import check_finite, enter, origin_of
from tensorly_norank._least_squares import (
    CompleteData,
    LeastSquares,
    ObservedData,
    products_of_columns,
)
from tensorly_norank._mask import HINT, Mask, check_mask, check_observed
from tensorly_norank._validation import check_mode, check_number, check_random_state, check_shape

N_ITER_MAX = 500
TOL = 1e-8
_BLOCK_ENTRIES = 2**23
_VANISHING = 1e-280  # a squared norm: the square of the least entry that `check_finite` wants
_FEW_ENTRIES = 2**20  # sweeps over fewer are done on the host: a GPU would wait for each step
_MOST_WEIGHTS = 2**27  # that are held at once; more are worked out again whenever they are needed


def fit_factors(
    tensor: Any,
    samples_factor: Any,
    mode: int = 0,
    *,
    init: Any = None,
    n_iter_max: int = N_ITER_MAX,
    tol: float = TOL,
    mask: Any = None,
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
        Where to start, as for `parafac`; its weights and its factor for `mode` are ignored. By
        default the best of 21 starts: one computed (for each component the leading singular vectors
        of its share of the unrestricted least-squares solution), twenty random.
    n_iter_max : int, default 500
        At most so many sweeps over the other modes, from each start. They cost little: see Notes.
    tol : float, default 1e-8
        Stops when the relative reconstruction error falls by less than this in a sweep; 0 runs all
        of them.
    mask : {"nan"} or array-like of the tensor's shape, optional
        1 or True where an entry was observed, 0 or False where it is missing; "nan" takes NaN as
        missing. Only what was observed counts, whatever stands elsewhere.
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
        If an argument is not as above, or a slice of another mode has no observed entry.

    Notes
    -----
    A sweep costs O(R · ∏ I_k), k over the other modes, whatever the number of samples. Columns that
    depend on one another, and more columns than samples, are allowed: among equally good solutions
    each step takes the one whose components have the smallest norms.

    With a mask the normal equations of a row are sums over the entries of its slice that were
    observed: least squares are exact, without imputation. The mask is read once for the weights
    that this takes, R² numbers for every entry of a sample, and a sweep costs R times as much.
    Where these are more than 2²⁷ numbers, every step reads the mask again, and only the computed
    start is tried.

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
    shape = check_shape(tl.shape(tensor))
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
    entered = enter(samples_factor, origin_of(samples_factor))
    check_finite(entered, "samples_factor", may_vanish=False)
    start = None if init is None else _other_factors(init, shape, mode, given[1])
    seen = check_mask(mask, tensor, origin)
    problem = compress(tensor, samples_factor, mode, mask=seen)
    if not _VANISHING < problem.total < np.inf:  # who is to blame is looked for only then
        whole = tensor if seen is None else seen.fill(tensor)
        check_finite(enter(whole, origin), hint=HINT, may_vanish=False)
    if not bool(tl.all(tl.abs(problem.contracted) < np.inf)):
        raise ValueError("tensor and samples_factor must not be so large that products overflow.")
    fit = problem.solve(start, n_iter_max, tol, rng)
    return fit.as_cp_tensor(samples_factor, mode, origin)


def _other_factors(init: Any, shape: tuple[int, ...], mode: int, rank: int) -> list[Any]:
    """The factors of a starting CPTensor for all modes but `mode`, in float64."""
    try:
        _, factors = CPTensor(init)
    except Exception as error:
        got = repr(init) if isinstance(init, str) else f"a {type(init).__name__}: {error}"
        raise ValueError(
            f"init must be None or a CPTensor of TensorLy's active backend, got {got}"
        ) from error
    found = [tuple(tl.shape(factor)) for factor in factors]
    wanted = [(length, rank) for length in shape]
    others = [k for k in range(len(shape)) if k != mode]
    if len(found) != len(shape) or any(found[k] != wanted[k] for k in others):
        raise ValueError(f"init must have factors of shapes {wanted}, got {found}.")
    for k in others:
        check_finite(enter(factors[k], origin_of(factors[k], "init")), f"factor {k} of init")
    return [_as_double(factors[k]) for k in others]  # whose first is computed anew, with its scale


def compress(
    tensor: Any, samples_factor: Any, mode: int, offset: Any = None, mask: Mask | None = None
) -> LeastSquares:
    """Read the data, by blocks of samples, for what least squares need of X = tensor − offset.

    Where that is few numbers they lie on the host, wherever the tensor is.
    """
    reader = _Reader(tensor, mode, offset, mask)
    samples = _as_double(samples_factor)
    return _of_complete(reader, samples) if mask is None else _of_observed(reader, samples)


def _of_complete(reader: _Reader, samples: Any) -> CompleteData:
    basis, triangle = tl.qr(samples)
    projected, total, _ = reader.sums(basis)
    if _is_small(projected):
        triangle, projected = _on_host(triangle), _on_host(projected)
    return CompleteData(triangle, projected, total)


def _of_observed(reader: _Reader, samples: Any) -> ObservedData:
    contracted, total, n_observed = reader.sums(samples)
    check_observed(tl.to_numpy(n_observed), reader.mode)
    rank, n_rows, *rest = tl.shape(contracted)
    n_at_once = _MOST_WEIGHTS // (rank**2 * int(np.prod(rest)))
    if n_at_once >= n_rows:
        weights = reader.weights(samples, slice(None))
        if _is_small(weights):
            contracted, weights = _on_host(contracted), _on_host(weights)
        return ObservedData(contracted, lambda rows: weights[:, rows], [slice(0, n_rows)], total)
    step = max(n_at_once, 1)
    slabs = [slice(first, min(first + step, n_rows)) for first in range(0, n_rows, step)]
    # Every sweep reads the mask again then: one start has to do.
    return ObservedData(
        contracted, lambda rows: reader.weights(samples, rows), slabs, total, n_random_starts=0
    )


def _is_small(array: Any) -> bool:
    return int(np.prod(tl.shape(array))) <= _FEW_ENTRIES


def _on_host(array: Any) -> Any:
    return _as_double(tl.to_numpy(array))


class _Reader:
    """Sums over the samples, one block of these after the other."""

    def __init__(self, tensor: Any, mode: int, offset: Any, mask: Mask | None) -> None:
        self.mode = mode
        self._tensor, self._offset, self._mask = tensor, offset, mask

    def _blocks(self, n_others: int = 1) -> Iterator[slice]:
        """So many samples at once that neither their entries nor `n_others` for each are many."""
        shape = tl.shape(self._tensor)
        n_samples = shape[self.mode]
        n_entries = int(np.prod(shape)) // max(n_samples, 1)
        length = max(1, _BLOCK_ENTRIES // max(n_entries, n_others))
        for first in range(0, n_samples, length):
            yield slice(first, first + length)

    def _index(self, samples: slice, rows: slice = slice(None)) -> tuple[slice, ...]:
        """Of some samples and, of the first other mode, some rows."""
        index = [slice(None)] * tl.ndim(self._tensor)
        index[self.mode] = samples
        index[1 if self.mode == 0 else 0] = rows
        return tuple(index)

    def sums(self, matrix: Any) -> tuple[Any, float, Any]:
        """MatrixᵀX, the squared norm of X, and how many samples each entry was observed in.

        (n, R) -> (R, *other modes); entries that are missing are 0. The last is 0 without a mask.
        """
        products, total, n_observed = 0.0, 0.0, 0.0
        for samples in self._blocks():
            index = self._index(samples)
            block = _as_double(self._tensor[index])
            if self._offset is not None:
                block = block - self._offset
            if self._mask is not None:
                seen = self._mask.seen(self._tensor, index)
                block = tl.where(seen, block, tl.zeros_like(block))
                n_observed = n_observed + tl.sum(_as_double(seen), axis=self.mode)
            products = products + tl.tensordot(matrix[samples], block, axes=([0], [self.mode]))
            total += float(tl.sum(block**2))
        return products, total, n_observed

    def weights(self, matrix: Any, rows: slice) -> Any:
        """Of each entry the products z zᵀ, summed over the samples that it was observed in.

        (R·R, *other modes), of some rows of the first other mode.
        """
        assert self._mask is not None
        total = 0.0
        for samples in self._blocks(tl.shape(matrix)[1] ** 2):
            seen = _as_double(self._mask.seen(self._tensor, self._index(samples, rows)))
            squares = products_of_columns(matrix[samples])  # (n, R·R)
            total = total + tl.tensordot(squares, seen, axes=([0], [self.mode]))
        return total


def _as_double(array: Any) -> Any:
    return tl.tensor(array, dtype=tl.backend.float64)
