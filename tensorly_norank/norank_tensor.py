"""The decomposition that comes back: a CPTensor that knows how to embed new samples."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import tensorly as tl
import torch
from tensorly.cp_tensor import CPTensor
from torch import nn

from tensorly_norank import _backend, _storage
from tensorly_norank._components import CanonicalAxes
from tensorly_norank._embedder import Embedder
from tensorly_norank._encoder_choice import EncoderChoice
from tensorly_norank._global_state import without_modes
from tensorly_norank._mask import check_mask, enter_observed
from tensorly_norank._rank_evidence import RankEvidence
from tensorly_norank._validation import check_number


class NoRankTensor(CPTensor):
    """CP tensor whose samples factor is a learned embedding; made by `no_rank_decomposition`.

    It unpacks, reconstructs and plots like any `CPTensor`. TensorLy's operations that build a new
    CP tensor (`cp_normalize`, `cp_permute_factors`, `cp_copy`, ...) return a plain `CPTensor`: an
    encoder does not survive a change of its factors.

    Attributes
    ----------
    weights : tensor of shape (R,)
        Norms of the components.
    factors : list of tensors of shape (I_k, R)
        Columns of norm 1. ``factors[mode]`` is `embedding` with its columns scaled; the others are
        the components' patterns, fitted by least squares to ``tensor - offset``. A column of zeros
        stays zero, with weight 0.
    rank : int
        Number of components R.
    shape : tuple of int
        Shape of the tensor.
    mode : int
        The mode that indexes the samples.
    embedding : tensor of shape (I_mode, R)
        The samples; distance means dissimilarity. Coordinates lie between −2 and 2; without labels
        and triplets they are in units of the samples' deviation from their mean.
    offset : tensor
        The mean sample, of length 1 along `mode`: ``tl.cp_to_tensor(result)`` approximates
        ``tensor - offset``.
    explained_variance : float
        Share of the squared norm of ``tensor - offset`` that the CP tensor accounts for.
    rank_evidence : RankEvidence or None
        What the samples say about the number of components; None with ``validation_fraction=0``.
    encoder_choice : EncoderChoice or None
        With ``encoder="auto"``: which encoders were tried, their scores and the one that was taken.
        It prints as a table. None if an encoder was given.
    history : dict of str to list of float
        Per pass: ``error`` (the monitored objective, on held-out samples where there are enough),
        ``triplet_accuracy`` of the same samples, ``fitted_triplet_accuracy`` of fitted ones beside
        it (where the others are held out), ``objective`` and its unweighted terms
        (``triplet``, or ``loss`` for one of yours, ...) on the training batches, ``learning_rate``.
        Where samples were held out, of the first fit, on the others; not of the last one, on all.
    diagnostics : dict
        ``converged``; ``triplet_accuracy`` and ``margin_violations`` (share of triplets) of the
        fitted samples (of 1,000 of them if there are more, as all figures here), and the same with
        ``held_out_`` in front, of the samples that the first fit left for counting components,
        taken before the refit on all samples (absent where none could be held out; somewhat
        flattering, for the same samples had a say in the number of components);
        ``trustworthiness`` and ``continuity`` of the embedding against the samples (10 neighbours);
        of several fits (`n_init`) ``factor_match_score``, how far the others agree with this one;
        where labels are missing ``n_lent_labels``, how many of these samples got one from their
        neighbours; ``moved_short_modes``, where that was to be decided (see
        :class:`~tensorly_norank.encoders.ConvEncoder`); of triplets ``contradicting_share``, at
        most this share of which must be left out so that the others can hold together. What a
        triplet is `rank_evidence.about` says.
    n_iter : int
        Number of passes, of the first fit and so of the last one.
    converged : bool
        Whether the watched error ceased to improve before the passes ran out. A plateau that is
        noticed while the learning rate falls counts, so all passes may have been run.
    encoder : torch.nn.Module
        The trained encoder; it takes standardised samples.
    classes : ndarray
        The distinct labels; empty without labels.
    settings : dict
        The numbers that `no_rank_decomposition` was called with (None for what it chose itself),
        `random_state` among them if it was an integer, and the names of the encoder and of a loss
        of yours.

    Examples
    --------
    >>> import numpy as np, tensorly as tl
    >>> from tensorly_norank import no_rank_decomposition
    >>> rng = np.random.default_rng(0)
    >>> labels = np.repeat([0, 1, 2], 30)
    >>> patterns = rng.normal(size=(3, 5, 4))
    >>> tensor = tl.tensor(patterns[labels] + 0.1 * rng.normal(size=(90, 5, 4)))
    >>> result = no_rank_decomposition(tensor, labels, encoder="linear", random_state=0)
    >>> result.rank
    2
    >>> tl.shape(result.transform(tensor[:7]))
    (7, 2)
    """

    def __init__(
        self,
        cp_tensor: Any,
        *,
        mode: int,
        embedding: Any,
        offset: Any,
        explained_variance: float,
        rank_evidence: RankEvidence | None,
        encoder_choice: EncoderChoice | None,
        history: dict[str, list[float]],
        diagnostics: dict[str, Any],
        converged: bool,
        classes: np.ndarray,
        settings: dict[str, Any],
        embedder: Embedder,
        axes: CanonicalAxes,
        origin: _backend.Origin,
    ) -> None:
        super().__init__(cp_tensor)
        self.mode = mode
        self.embedding = embedding
        self.offset = offset
        self.explained_variance = explained_variance
        self.rank_evidence = rank_evidence
        self.encoder_choice = encoder_choice
        self.history = history
        self.diagnostics = diagnostics
        self.n_iter = len(history["error"])
        self.converged = converged
        self.classes = classes
        self.settings = settings
        self._embedder = embedder
        self._axes = axes
        self._origin = origin
        self._fitted_shape = tuple(self.shape)  # TensorLy's in-place operations change `shape`

    @property
    def encoder(self) -> nn.Module:
        """The trained encoder; it takes standardised samples."""
        return self._embedder.encoder

    def transform(self, samples: Any, mask: Any = None) -> Any:
        """Embed samples, new ones or those of the fit.

        Parameters
        ----------
        samples : tensor
            As the fitted tensor, of any length along `mode`.
        mask : {"nan"} or array-like of the shape of `samples`, optional
            1 where an entry was observed, 0 where it is missing ("nan": where it is NaN). Filled in
            as in the fit; where nothing was missing in the fit, by the mean sample.

        Returns
        -------
        tensor of shape (n_samples, R)
            Row by row: but for rounding, a sample's embedding does not depend on the others beside
            it. In the dtype of `samples`, without gradient.

        Raises
        ------
        TypeError, ValueError
            If `samples` is of another backend or shape, or not finite.
        """
        origin = _backend.origin_of(samples, "samples")
        wanted = list(self._fitted_shape)
        wanted[self.mode] = -1
        found = list(tl.shape(samples))
        if len(found) != len(wanted) or any(
            k != self.mode and found[k] != wanted[k] for k in range(len(wanted))
        ):
            shape = tuple("n_samples" if k == self.mode else n for k, n in enumerate(wanted))
            raise ValueError(
                f"samples must have shape {shape} as in the fit".replace("'", "")
                + f", got {tuple(found)}."
            )
        observed = check_mask(mask, samples, origin, "samples")
        entered = enter_observed(
            samples, observed, origin, self.mode, None, "samples", may_vanish=True
        )
        rows = entered.to(self._embedder.mean).movedim(self.mode, 0).contiguous()
        if len(rows) == 0:
            return origin.restore(torch.zeros(0, self.rank))
        with without_modes():
            points = self._axes.project(self._embedder.embed(rows), self.rank)
        if not bool(points.isfinite().all()):
            working = str(rows.dtype).removeprefix("torch.")
            largest = float(entered.nan_to_num(0).abs().amax())
            raise ValueError(
                f"samples must be of numbers that the encoder can embed in {working}, as it was "
                f"fitted, got one of magnitude {largest:g}."
            )
        return origin.restore(points)

    def inverse_transform(self, embedding: Any) -> Any:
        """Samples that embeddings stand for: their share of each pattern, plus `offset`.

        Parameters
        ----------
        embedding : tensor of shape (n_samples, R)
            From `transform`, or made up to see what an axis means.

        Returns
        -------
        tensor
            As the fitted tensor, with n_samples along `mode`.

        Raises
        ------
        TypeError, ValueError
            If `embedding` is of another backend or shape, or not finite.
        RuntimeError
            If TensorLy's active backend is another one than in the fit, or the factors were given
            another shape in place.
        """
        self._require_backend()
        self._require_shape()
        origin = _backend.origin_of(embedding, "embedding")
        if tl.ndim(embedding) != 2 or tl.shape(embedding)[1] != self.rank:
            raise ValueError(
                f"embedding must have shape (n_samples, {self.rank}), got "
                f"{tuple(tl.shape(embedding))}."
            )
        _backend.check_finite(_backend.enter(embedding, origin), "embedding")
        # Of each column, how many times the embedding the factor is: what works in place on a CP
        # tensor may have changed its sign or moved its norm.
        own = self._origin.double(self.embedding)
        squares = tl.sum(own**2, axis=0)
        products = tl.sum(self._origin.double(self.factors[self.mode]) * own, axis=0)
        ratios = products / tl.where(squares > 0, squares, squares + 1)
        scale = self._origin.double(self.weights) * ratios
        factors = list(self.factors)
        factors[self.mode] = self._origin.cast(embedding)
        return tl.cp_to_tensor((self._origin.cast(scale), factors)) + self.offset

    def similarity(self, order: int = 2) -> CPTensor:
        """The similarity tensor of the samples: S_ij = Σ_r z_ir z_jr, or S_ijk with three factors.

        Inner products from the mean. Without labels and triplets, where samples do not lie on a
        sphere, those that are far out are more similar to others than these are to themselves:
        distances say more there.

        Parameters
        ----------
        order : {2, 3}, default 2
            How many samples are compared at once.

        Returns
        -------
        CPTensor of shape (I_mode,) * order
            Weights 1, every factor the embedding.

        Raises
        ------
        TypeError, ValueError
            If `order` is something else.
        RuntimeError
            If TensorLy's active backend is another one than in the fit.
        """
        check_number(order, "order", integer=True, low=2, high=3, include_high=True)
        self._require_backend()
        ones = self._origin.cast(tl.ones(self.rank, **tl.context(self.embedding)))
        return CPTensor((ones, [tl.copy(self.embedding) for _ in range(order)]))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the decomposition into a file, for `load`.

        A safetensors file (extra ``io``), with everything but arrays as JSON in its header. A file
        that is there is replaced, once the new one is whole: a crash leaves it as it was (and, at
        the worst, a hidden file beside it). Of a module of yours as encoder only parameters and
        buffers are written.

        Parameters
        ----------
        path : str or path
            Usually with the ending ``.safetensors``.

        Raises
        ------
        OSError
            If it cannot be written.
        TypeError
            If classes are something else than real numbers, truth values and strings.
        RuntimeError
            If TensorLy's active backend is another one than in the fit, or the factors were given
            another shape in place.
        ImportError
            If safetensors is not installed.
        """
        self._require_backend()
        self._require_shape()
        _storage.write(path, *_storage.describe(self))

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], encoder: nn.Module | None = None, *, device: Any = None
    ) -> NoRankTensor:
        """Read a decomposition that `save` has written, into TensorLy's active backend.

        Nothing in the file is executed, and files of all earlier versions can be read.

        Parameters
        ----------
        path : str or path
        encoder : torch.nn.Module, optional
            Needed if the encoder was a module of yours: one of the same architecture, a copy of
            which gets the saved parameters. Names and shapes of these are compared; what the
            module does with them cannot be.
        device : str or torch.device, optional
            Where tensors of the pytorch backend shall lie; by default on the host.

        Returns
        -------
        NoRankTensor

        Raises
        ------
        OSError
            If there is no such file, or it cannot be read.
        ValueError
            If it is truncated, was altered, is of something else or of a newer version; if the
            encoder is missing or of another architecture; if torch cannot compute on `device`.
        TypeError
            If `encoder` is no module, or `device` no name of a device.
        ImportError
            If safetensors is not installed.

        Examples
        --------
        >>> import os, tempfile
        >>> from tensorly_norank import NoRankTensor, no_rank_decomposition
        >>> from tensorly_norank.datasets import simulate_planted
        >>> planted = simulate_planted(60, n_classes=4, random_state=0)
        >>> result = no_rank_decomposition(
        ...     planted.tensor, planted.labels, encoder="linear", random_state=0
        ... )
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "planted.safetensors")
        ...     result.save(path)
        ...     again = NoRankTensor.load(path)
        >>> bool((again.transform(planted.tensor) == result.embedding).all())
        True
        """
        tensors, header = _storage.read(path)
        return cls(**_storage.restore(tensors, header, encoder, device))

    def _require_backend(self) -> None:
        if tl.get_backend() != self._origin.backend:
            raise RuntimeError(
                f"Made on TensorLy's backend {self._origin.backend!r}, the decomposition "
                f"needs it to be active; {tl.get_backend()!r} is."
            )

    def _require_shape(self) -> None:
        shape = tuple(len(factor) for factor in self.factors)
        if shape != self._fitted_shape:
            raise RuntimeError(
                f"The factors were changed in place, from those of shape {self._fitted_shape} to "
                f"{shape}: give functions that do so result.cp_copy()."
            )

    def __repr__(self) -> str:
        """Shape, components and how they came about, in five lines."""
        evidence = self.rank_evidence
        if evidence is None:
            counted = "not counted"
        else:
            is_proved = evidence.about != "neighbourhoods" and evidence.likely is None
            word = "significant" if is_proved else "found"
            counted = f"{evidence.found} {word}, {evidence.n_held_out} samples held out"
        end = "converged" if self.converged else "not converged"
        return (
            f"NoRankTensor of shape {tuple(self.shape)}, samples on mode {self.mode}\n"
            f"  components: {self.rank} ({counted})\n"
            f"  classes: {len(self.classes) or 'none'}\n"
            f"  encoder: {type(self.encoder).__name__}, {self.n_iter} passes, {end}\n"
            f"  explained variance: {self.explained_variance:.3f}"
        )
