"""The loop that fits an encoder: objective, schedule, stopping, history.

It knows torch and nothing of TensorLy, and of what is alike only what a part of the samples says.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from tensorly_norank._embedder import Embedder
from tensorly_norank._global_state import lent_global_generators
from tensorly_norank._objective import Objective
from tensorly_norank._parts import Part
from tensorly_norank._progress import is_tenth, progress_bar
from tensorly_norank.encoders import Encoder

_WARM_UP = 0.1  # share of `n_iter_max` in which the learning rate rises
_PATIENCE = 0.2  # the same, without improvement: with half of it some fits end far too soon
_DECAY = 0.4  # share of all passes in which it falls to zero
_SMOOTHING = 0.8  # of the exponential average that `tol` looks at
_LARGEST_GRADIENT = 1.0
_WEIGHT_DECAY = 1e-2
_MONITORED = 512  # so many of the fitted samples are watched where none are held out
_FEWEST_MONITORED = 64  # and, beside held-out ones, as many as these but no fewer than this


@dataclass(frozen=True)
class Settings:
    """How long and how fast."""

    n_iter_max: int
    tol: float
    batch_size: int
    learning_rate: float

    @property
    def n_warm_up(self) -> int:
        """Passes in which the learning rate rises."""
        return max(1, round(_WARM_UP * self.n_iter_max))

    @property
    def patience(self) -> int:
        """Passes without improvement after which the decay begins."""
        return max(5, round(_PATIENCE * self.n_iter_max))


@dataclass
class Plan:
    """Learning rate per pass: rise, plateau until nothing improves, then decay to zero."""

    settings: Settings
    n_iter: int = field(init=False)  # passes in all; fewer than allowed once the plateau has ended
    converged: bool = False

    def __post_init__(self) -> None:
        self.n_iter = self.settings.n_iter_max

    def end_plateau(self, n_done: int) -> None:
        """Decay from here on, for the decay's share of all passes; unless it has begun already."""
        self.n_iter = min(self.n_iter, n_done + round(n_done * _DECAY / (1 - _DECAY)))
        self.converged = True

    def shortened(self, share: float) -> Plan:
        """The same rise, plateau and decay in a share of the passes."""
        settings = replace(
            self.settings, n_iter_max=max(1, round(share * self.settings.n_iter_max))
        )
        plan = Plan(settings)
        plan.n_iter = max(1, round(share * self.n_iter))
        return plan

    @property
    def n_plateau(self) -> int:
        """Passes before the decay."""
        return self.n_iter - math.floor(_DECAY * self.n_iter)

    def factor(self, progress: float) -> float:
        """The learning rate at `progress` passes, as a share of the largest."""
        rising = min(1.0, (progress + 0.1) / self.settings.n_warm_up)
        n_decay = self.n_iter - self.n_plateau
        falling = (self.n_iter - progress) / n_decay if n_decay else 1.0
        return rising * (0.5 - 0.5 * math.cos(math.pi * min(1.0, max(falling, 0.0))))


class _Stopper:
    """Whether the smoothed objective still improves by the share `tol`; and how it did at last."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.best = math.inf
        self.course: list[float] = []  # of the smoothed objective
        self.n_since_best = 0

    def plateaued(self, error: float) -> bool:
        before = self.course[-1] if self.course else error
        smoothed = _SMOOTHING * before + (1 - _SMOOTHING) * error
        self.course.append(smoothed)
        if smoothed < self.best - self.settings.tol * abs(self.best) or math.isinf(self.best):
            self.best, self.n_since_best = smoothed, 0
        else:
            self.n_since_best += 1
        return bool(self.settings.tol) and self.n_since_best >= self.settings.patience

    def last_fall(self, n_plateau: int) -> float:
        """The share by which it fell within the patience before the decay; NaN of few passes."""
        n_before = n_plateau - self.settings.patience
        if n_before < 1:
            return math.nan
        before, after = self.course[n_before - 1], self.course[n_plateau - 1]
        return (before - after) / abs(before) if before else 0.0


@dataclass
class Fit:
    """What a run of the loop leaves behind, beside the trained encoder."""

    history: dict[str, list[float]]
    plan: Plan
    stopped: bool = False  # by the callback
    # Share by which the error fell before the decay, if the passes ran out; NaN of too few.
    last_fall: float = 0.0

    @property
    def n_iter(self) -> int:
        """Passes that were run."""
        return len(self.history["learning_rate"])


def train(
    embedder: Embedder,
    part: Part,
    objective: Objective,
    plan: Plan,
    rng: np.random.Generator,
    *,
    held_out: Part | None = None,
    stops: bool = True,
    verbose: int = 0,
    title: str = "fit",
    on_pass: Callable[[Fit], bool] | None = None,
) -> Fit:
    """Fit the embedder's encoder in place.

    Parameters
    ----------
    embedder : Embedder
        Standardisation, encoder and sphere.
    part : Part
        The samples to learn from.
    objective : Objective
        What is minimised.
    plan : Plan
        The passes; cut short where `stops` and nothing improves any more.
    rng : numpy Generator
        The one source of randomness.
    held_out : Part, optional
        Samples that are watched for stopping; without them, a part of the fitted ones is.
    stops : bool
        Whether a plateau ends the fit early. If not, errors are only taken to be printed.
    verbose : int
        1: a progress bar on a terminal, some ten lines elsewhere; 2: a line every pass.
    title : str
        What `verbose` calls this fit.
    on_pass : callable, optional
        Called with the fit after every pass; True stops it.
    """
    part = part.filled_by(embedder.fill)
    held_out = None if held_out is None else held_out.filled_by(embedder.fill)
    objective = objective.own_copy(part.samples)
    watched = _Watched(part, held_out, objective, plan.settings.batch_size, rng)
    generator = torch.Generator(part.samples.device).manual_seed(int(rng.integers(2**63)))
    learned = [*embedder.parameters(), *objective.parameters()]
    optimizer = torch.optim.AdamW(
        learned, lr=plan.settings.learning_rate, weight_decay=_WEIGHT_DECAY
    )
    is_watched = stops or verbose > 0  # which takes as long as the steps do
    stopper = _Stopper(plan.settings)
    fit = Fit({"error": [], "triplet_accuracy": [], "learning_rate": [], "objective": []}, plan)
    with (
        torch.enable_grad(),  # the caller may have switched it off
        _randomness_of_its_own(embedder.encoder, generator, objective.loss is not None),
        _reporter(plan, verbose, title) as report,
    ):
        while fit.n_iter < plan.n_iter:
            means = _one_pass(embedder, part, objective, optimizer, fit, generator, rng)
            figures = watched.figures(embedder) if is_watched else {}
            _check_error(figures.get("error", 0.0), fit.n_iter + 1)
            _append(fit.history, means | figures)
            if is_watched:
                report(fit)
            if on_pass is not None and on_pass(fit):
                fit.stopped = True
                break
            if stops and not plan.converged and stopper.plateaued(figures["error"]):
                plan.end_plateau(fit.n_iter)
    if stops and not (plan.converged or fit.stopped):
        fit.last_fall = stopper.last_fall(plan.n_plateau)
    embedder.eval()
    return fit


class _Watched:
    """Samples that are looked at after every pass: held-out ones, and as many of the fitted."""

    def __init__(
        self,
        part: Part,
        held_out: Part | None,
        objective: Objective,
        batch_size: int,
        rng: np.random.Generator,
    ) -> None:
        n_most = _MONITORED if held_out is None else max(_FEWEST_MONITORED, len(held_out))
        fitted = part.some(n_most, rng)
        self._fitted = None if held_out is None else fitted
        self._watched = fitted if held_out is None else held_out
        self._objective = objective
        self._batch_size = batch_size

    @torch.no_grad()
    def figures(self, embedder: Embedder) -> dict[str, float]:
        """The objective, and the share of triplets in order."""
        part = self._watched
        points = embedder.embed(part.samples, moved=False)  # which takes a part of the time
        samples = embedder.standardise(part.samples)
        figures = {
            "error": self._objective.monitored(part, points, samples, self._batch_size),
            "triplet_accuracy": part.triplet_accuracy(points),
        }
        if self._fitted is not None:
            points = embedder.embed(self._fitted.samples, moved=False)
            figures["fitted_triplet_accuracy"] = self._fitted.triplet_accuracy(points)
        return figures


def _one_pass(
    embedder: Embedder,
    part: Part,
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    fit: Fit,
    generator: torch.Generator,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Show every sample once or more; the mean of each term over the batches."""
    embedder.train()
    batches = [part.place(batch) for batch in part.batches(fit.plan.settings.batch_size, rng)]
    record = _Record()
    learned = optimizer.param_groups[0]["params"]
    for step, batch in enumerate(batches):
        rate = fit.plan.settings.learning_rate * fit.plan.factor(fit.n_iter + step / len(batches))
        optimizer.param_groups[0]["lr"] = rate
        samples = embedder.scaled(part.samples[batch.indices])
        differences = part.differences(samples, batch, generator)
        varied = embedder.augmentation(samples, differences, generator)
        points = embedder.encode(varied)
        terms = objective.terms(part, points, batch, samples, varied)
        total = objective.total(terms)
        optimizer.zero_grad()
        total.backward()
        norm = nn.utils.clip_grad_norm_(learned, _LARGEST_GRADIENT)
        record.add(terms | {"gradient norm": norm, "objective": total})
        if not norm.is_cuda:
            record.check(fit.n_iter + 1)
        optimizer.step()
    means = record.means(fit.n_iter + 1)
    del means["gradient norm"]
    return means | {"learning_rate": rate}


class _Record:
    """The terms of each step of a pass, left on their device until the pass is over.

    To look at a number on a GPU means to wait for all that was asked of it before.
    """

    def __init__(self) -> None:
        self._names: list[str] = []
        self._steps: list[Tensor] = []

    def add(self, terms: dict[str, Tensor]) -> None:
        """The terms of a step, by their names."""
        self._names = list(terms)
        self._steps.append(torch.stack([term.detach().double() for term in terms.values()]))

    def check(self, n_pass: int) -> None:
        """Raise if a term of the last step is not finite."""
        self._raise_where_bad(self._steps[-1:], n_pass)

    def means(self, n_pass: int) -> dict[str, float]:
        """Of each term over the steps; raises if one was not finite in any of them."""
        values = self._raise_where_bad(self._steps, n_pass)
        return dict(zip(self._names, values.mean(axis=0).tolist(), strict=True))

    def _raise_where_bad(self, steps: list[Tensor], n_pass: int) -> np.ndarray:
        values = torch.stack(steps).cpu().numpy()  # (n_steps, n_terms)
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            step, term = bad[0]
            raise FloatingPointError(
                f"The {self._names[term]} became {values[step, term]} in pass {n_pass}: the fit "
                "has diverged. Try a smaller learning_rate, or look for extreme values in the "
                "tensor."
            )
        return values


def _check_error(error: float, n_pass: int) -> None:
    if not math.isfinite(error):  # which no comparison would notice
        raise FloatingPointError(
            f"The watched error became {error} in pass {n_pass}: the fit has diverged. Try a "
            "smaller learning_rate, or a smaller margin if it is large."
        )


def _append(history: dict[str, list[float]], values: dict[str, float]) -> None:
    for name, value in values.items():
        history.setdefault(name, []).append(value)


@contextlib.contextmanager
def _randomness_of_its_own(
    encoder: nn.Module, generator: torch.Generator, with_global: bool
) -> Iterator[None]:
    """Let every layer draw from our generator.

    Our encoders take the generator. A module of the caller's may hold layers that draw from the
    global one (nn.Dropout does), and so may a loss (`with_global`); then that one is seeded from
    ours.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(encoder, Encoder):
            encoder.draw_from(generator)
            stack.callback(encoder.draw_from, None)
        if with_global or not isinstance(encoder, Encoder):
            # Another stream than the generator's, from which nothing is drawn for this.
            seed = generator.initial_seed() ^ 1
            stack.enter_context(lent_global_generators(generator.device, seed))
        yield


@contextlib.contextmanager
def _reporter(plan: Plan, verbose: int, title: str) -> Iterator[Callable[[Fit], None]]:
    """A progress bar on a terminal (if tqdm is there), plain lines elsewhere."""
    bar = progress_bar(plan.n_iter, title, "pass") if verbose == 1 else None

    def report(fit: Fit) -> None:
        error, accuracy = fit.history["error"][-1], fit.history["triplet_accuracy"][-1]
        if bar is not None:
            bar.total = plan.n_iter
            bar.set_postfix(error=f"{error:.4g}", triplets=f"{accuracy:.3f}", refresh=False)
            bar.update()
        elif verbose > 1 or (verbose and is_tenth(fit.n_iter, plan.n_iter)):
            print(
                f"{title}: pass {fit.n_iter}/{plan.n_iter}, error {error:.5g}, "
                f"triplet accuracy {accuracy:.4f}"
            )

    try:
        yield report
    finally:
        if bar is not None:
            bar.close()
