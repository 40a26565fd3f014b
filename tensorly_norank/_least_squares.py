"""Alternating least squares for the factors of all modes but one, whose factor Z is fixed.

With Z fixed, what least squares need of the data are sums over the samples: products with Z, and
weights, which say how Z was observed. Everything here is written in TensorLy's functions, in
float64.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorly as tl
from tensorly.cp_tensor import CPTensor

from tensorly_norank._backend import Origin
from tensorly_norank._warnings import warn

_N_RANDOM_STARTS = 20
_N_TRIAL_ITERATIONS = 30
_N_FINISHED = 5  # of the trials, the best go on to the end


@dataclass(frozen=True)
class FactorFit:
    """Factors of the other modes, and how well they do."""

    factors: list[Any]  # (I_k, R) each, not normalised
    residual: float  # squared norm of tensor − offset − reconstruction, of what was observed
    total: float  # squared norm of tensor − offset, of what was observed

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
        heaviest = float(tl.max(weights))
        if heaviest > origin.largest:
            warn(
                f"A component has the weight {heaviest:.3g}, and {origin.dtype} ends at "
                f"{origin.largest:.3g}: it becomes infinite. Pass the tensor in a wider dtype, or "
                "divide it by a constant."
            )
        with np.errstate(over="ignore"):  # which has been said better
            weights = origin.cast(weights)
        return CPTensor((weights, [origin.cast(factor) for factor in factors]))


class LeastSquares(ABC):
    """The problem, once the data have been read.

    Attributes
    ----------
    contracted : array of shape (R, *other modes)
        ZᵀX.
    total : float
        Squared norm of the data.
    n_random_starts : int
        How many starts are tried beside the one that is computed.
    """

    contracted: Any
    total: float
    n_random_starts = _N_RANDOM_STARTS

    def solve(
        self,
        start: list[Any] | None,
        n_iter_max: int,
        tol: float,
        rng: np.random.Generator,
    ) -> FactorFit:
        """Alternating least squares, from `start` or from the best of several starts."""
        if start is not None:
            context = tl.context(self.contracted)
            return self._iterate([tl.tensor(one, **context) for one in start], n_iter_max, tol)
        n_tried = min(_N_TRIAL_ITERATIONS, n_iter_max)
        fits = [self._iterate(one, n_tried, tol) for one in self._starts(rng)]
        if n_iter_max > n_tried:
            best = sorted(fits, key=lambda trial: trial.residual)[:_N_FINISHED]
            fits = [self._iterate(trial.factors, n_iter_max - n_tried, tol) for trial in best]
        return min(fits, key=lambda fit: fit.residual)

    def _iterate(self, start: list[Any], n_iter_max: int, tol: float) -> FactorFit:
        factors = list(start)
        previous = np.inf
        for _ in range(n_iter_max):
            for k in range(len(factors)):
                grams = self._grams(factors, k)  # (I_k or 1, R, R)
                products = matricized_products(self.contracted, factors, k)  # (I_k, R)
                factors[k] = _row_by_row(products, pseudo_inverse(grams))
            last = factors[-1]
            fitted = float(tl.sum(_row_by_row(last, grams) * last))
            residual = self._residual(float(tl.sum(products * last)), fitted)
            error = np.sqrt(residual / self.total) if self.total > 0 else 0.0
            if tol and previous - error < tol:
                break
            previous = error
        return FactorFit(factors, residual, self.total)

    @abstractmethod
    def _grams(self, factors: list[Any], k: int) -> Any:
        """What the rows of factor k, times this, give in `matricized_products`; (I_k or 1, R, R).

        One for all rows where every entry was observed as often.
        """

    def _residual(self, product: float, fitted: float) -> float:
        """Squared norm of what is left, from ⟨X, fit⟩ and ‖fit‖²."""
        return max(self.total - 2 * product + fitted, 0.0)

    @abstractmethod
    def _unrestricted(self) -> Any:
        """Of each entry of a sample its coefficients by itself, (R, *other modes)."""

    def _starts(self, rng: np.random.Generator) -> list[list[Any]]:
        rank, *lengths = tl.shape(self.contracted)
        context = tl.context(self.contracted)
        random = [
            [tl.tensor(rng.random((length, rank)), **context) for length in lengths]
            for _ in range(self.n_random_starts)
        ]
        return [self._leading_vectors(), *random]

    def _leading_vectors(self) -> list[Any]:
        """Of each component's share of the unrestricted solution, the best vector per mode."""
        shares = self._unrestricted()
        factors = []
        for k in range(tl.ndim(shares) - 1):
            columns = []
            for r in range(tl.shape(shares)[0]):
                leading = _leading_left_vector(tl.unfold(shares[r], k))
                # The sign is free: mostly positive reads best.
                columns.append(leading * (1.0 if float(tl.sum(leading)) >= 0 else -1.0))
            factors.append(tl.stack(columns, axis=1))
        return factors


class CompleteData(LeastSquares):
    """Of data without holes: with Z = QT (thin QR) least squares need only G = QᵀX.

    ‖X₍ₘ₎ − Z·KRᵀ‖² = ‖QᵀX₍ₘ₎ − T·KRᵀ‖² + constant.

    Parameters
    ----------
    triangle : array of shape (min(n, R), R)
        T.
    projected : array of shape (min(n, R), *other modes)
        G.
    total : float
        Squared norm of the data.
    """

    def __init__(self, triangle: Any, projected: Any, total: float) -> None:
        self.total, self.projected = total, projected
        self.contracted = tl.tensordot(tl.transpose(triangle), projected, 1)
        self._gram = tl.dot(tl.transpose(triangle), triangle)  # (R, R)
        self._projected_total = float(tl.sum(projected**2))

    def _grams(self, factors: list[Any], k: int) -> Any:
        grams = self._gram
        for j, factor in enumerate(factors):
            if j != k:
                grams = grams * tl.dot(tl.transpose(factor), factor)
        return grams[None]

    def _residual(self, product: float, fitted: float) -> float:
        """What no factors can reach is added apart: it would drown the misfit of the others."""
        misfit = max(self._projected_total - 2 * product + fitted, 0.0)
        return max(self.total - self._projected_total, 0.0) + misfit

    def _unrestricted(self) -> Any:
        return tl.tensordot(pseudo_inverse(self._gram), self.contracted, 1)


class ObservedData(LeastSquares):
    """Of data with holes: every entry of a sample was observed in samples of its own.

    Row i of factor k then has normal equations of its own, whose matrix is a sum over the other
    entries e of slice i of W_e = Σ_s z_s z_sᵀ, s over the samples that it was observed in, times
    the products of the other factors' rows. These weights, R² numbers for every entry of a sample,
    take one reading of the mask.

    Parameters
    ----------
    contracted : array of shape (R, *other modes)
        ZᵀX, missing entries being 0.
    weights_of : callable
        The weights (R·R, *other modes) of a range of rows of the first other mode.
    slabs : list of slice
        Ranges that may be held at once.
    total : float
        Squared norm of what was observed.
    n_random_starts : int
        How many starts are tried beside the one that is computed.
    """

    def __init__(
        self,
        contracted: Any,
        weights_of: Callable[[slice], Any],
        slabs: list[slice],
        total: float,
        n_random_starts: int = _N_RANDOM_STARTS,
    ) -> None:
        self.contracted = contracted
        self.total = total
        self.n_random_starts = n_random_starts
        self._weights_of, self._slabs = weights_of, slabs

    def _grams(self, factors: list[Any], k: int) -> Any:
        rank = tl.shape(self.contracted)[0]
        squares = [products_of_columns(factor) for factor in factors]  # (I_j, R·R)
        of_slabs = [
            matricized_products(self._weights_of(rows), [squares[0][rows], *squares[1:]], k)
            for rows in self._slabs
        ]
        flat = tl.concatenate(of_slabs, axis=0) if k == 0 else sum(of_slabs)
        return tl.reshape(flat, (-1, rank, rank))

    def _unrestricted(self) -> Any:
        rank, *lengths = tl.shape(self.contracted)
        solved = []
        for rows in self._slabs:
            contracted = tl.reshape(self.contracted[:, rows], (rank, -1))
            weights = tl.reshape(self._weights_of(rows), (rank * rank, -1))
            grams = tl.reshape(tl.transpose(weights), (-1, rank, rank))
            rows_of_entries = _row_by_row(tl.transpose(contracted), pseudo_inverse(grams))
            solved.append(tl.reshape(tl.transpose(rows_of_entries), (rank, -1, *lengths[1:])))
        return tl.concatenate(solved, axis=1)


def products_of_columns(matrix: Any) -> Any:
    """(I, R) -> (I, R·R): of each row all products of two of its entries."""
    products = tl.reshape(matrix, (-1, tl.shape(matrix)[1], 1)) * matrix[:, None, :]
    return tl.reshape(products, (tl.shape(matrix)[0], -1))


def _leading_left_vector(matrix: Any) -> Any:
    """Of (I, J) the left singular vector (I,) of the largest singular value, of unit length.

    From the Gram matrix of the shorter side: a mode may be far longer than all others together.
    """
    n_rows, n_columns = tl.shape(matrix)
    if n_rows > n_columns:
        _, vectors = tl.eigh(tl.dot(tl.transpose(matrix), matrix))
        leading = tl.dot(matrix, vectors[:, -1])
        length = tl.norm(leading)
        if float(length) > 0:
            return leading / length
        return tl.ones(n_rows, **tl.context(matrix)) / n_rows**0.5  # of nothing, any will do
    _, vectors = tl.eigh(tl.dot(matrix, tl.transpose(matrix)))
    return vectors[:, -1]


def _row_by_row(rows: Any, matrices: Any) -> Any:
    """Each row (I, R) times its matrix (I or 1, R, R), (I, R)."""
    return tl.matmul(rows[:, None, :], matrices)[:, 0, :]


def matricized_products(contracted: Any, factors: list[Any], mode: int) -> Any:
    """Contract (R, *other modes) with every factor but that of `mode`, component-wise: (I_k, R)."""
    for k in reversed(range(len(factors))):
        if k != mode:
            shape = [1] * tl.ndim(contracted)
            shape[0], shape[k + 1] = tl.shape(factors[k])[::-1]
            weights = tl.reshape(tl.transpose(factors[k]), tuple(shape))
            contracted = tl.sum(contracted * weights, axis=k + 1)
    return tl.transpose(contracted)


def pseudo_inverse(grams: Any) -> Any:
    """Of symmetric positive semi-definite matrices (..., R, R): minimum-norm solutions.

    The diagonals are scaled to 1 first, so that a short column is no dependent one.
    """
    lengths = tl.sqrt(tl.abs(tl.einsum("...rr->...r", grams)))
    lengths = tl.where(lengths > 0, lengths, lengths + 1)
    scales = lengths[..., :, None] * lengths[..., None, :]
    values, vectors = tl.eigh(grams / scales)
    largest = tl.max(tl.abs(values), axis=-1)[..., None]
    kept = values > largest * tl.shape(grams)[-1] * tl.eps(tl.backend.float64)
    inverses = kept / tl.where(kept, values, values * 0 + 1)
    across = tl.einsum("...rq->...qr", vectors)
    return tl.matmul(vectors * inverses[..., None, :], across) / scales
