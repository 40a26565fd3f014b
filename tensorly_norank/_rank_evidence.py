"""How many components carry structure, by samples that served no earlier decision: of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tensorly_norank._class_balance import standard_error
from tensorly_norank._few_samples import BEYOND_LINEAR_OF_FEW, Likely, are_few, likely_components
from tensorly_norank._held_out_order import (
    BEYOND_LINEAR,
    HeldOutPoints,
    is_worth_bending,
    means_in_order,
    needed_components,
    triplets_in_order,
)
from tensorly_norank._rank_search import TESTED_BEHIND, LabelledPoints, Look, SequentialTest
from tensorly_norank._warnings import warn

N_RESAMPLES = 50
_MOST_FOR_TRIPLETS = 600  # samples: each candidate takes a sort of all their pairs


@dataclass(frozen=True, eq=False)
class RankEvidence:
    """What held-out samples say about the number of components.

    Attributes
    ----------
    candidates : ndarray of int, shape (n_candidates,)
        Numbers of components that were looked at: 1, 2, ..., to the largest that may be kept, and
        at least to the second behind those that were found, if the embedding has as many axes.
    statistic, p_value : ndarray, shape (n_candidates,)
        Of the hypothesis "the class means differ in fewer than this many directions": the statistic
        on held-out samples (the mean, where several fits held out some; on principal components,
        where none could be held out), and the p-value of all looks together (where one of them
        rejects the hypothesis, later ones are skipped: an upper bound then). The hypotheses
        are tested in turn, to the second behind the first one that holds; of more than 16, those
        behind are searched by bisection. NaN where nothing was tested, and from `n_classes` on.
        A p-value comes from 599 draws for each set of samples (9,999 where those leave undecided
        what several sets say together): where no draw reaches the statistic, it is an upper bound.
    triplet_accuracy, triplet_accuracy_se : ndarray, shape (n_candidates,)
        Share of held-out triplets in the right order when this many components are kept, and the
        standard error of that share over anchors, as if the classes had been drawn, too. Of at most
        600 held-out samples, drawn evenly over classes. NaN if no sample could be held out.
    significant : int
        How many directions separate the classes: candidates in order whose p-value is 0.01 or less.
        More than `chosen` if `max_rank` or the embedding is too small.
    needed : int
        The smallest number whose triplet accuracy falls short of the best one's by no more than
        the standard error of their difference, or 0.001. 0 if no sample could be held out. It knows
        no bound and no test: where nothing is significant it may be any number.
    chosen : int
        The number of components that the decomposition keeps when `rank` is not given:
        `significant` (`likely` where that is not None; about neighbourhoods the smaller of
        `significant` and `needed`), but at least 1 and at most `max_rank`. Where samples are few
        (see `likely`), to keep too few costs more than to keep too many: there also a component for
        each class of two or more that is in no test, and all that the means of such classes span if
        nothing is found; no more than these.
    n_held_out : int
        Number of samples that were held out, of all fits together. Of classes, where fewer than
        500, the hypotheses are also tested on all labelled samples (1,000 at most), see
        :doc:`the method's page </user_guide/method>`.
    stability : dict of int to float
        Share of 50 resamples for each number of components found: four fifths of each class in each
        look, but at least 2 samples (all, where most classes of a set have three or fewer);
        without classes four fifths of the held-out samples. About what is `significant`.
        Fewer samples show less: a weak direction is found by all of them and missed by most
        resamples. Behind 16 components, of which some numbers are not tested, rounded up to the
        next one that is. Empty where nothing was tested, where half of the classes or more have
        three samples or fewer, and without classes where nothing was held out.
    linear : bool
        Whether all this is about the part of the embedding that is linear in the data, because the
        embedding as a whole orders held-out triplets no better (by 0.02, and 3 standard errors), or
        because its held-out samples leave out small classes, and show fewer components for that.
        Where samples are few (see `likely`) it is asked of held-out samples and fitted means (by
        0.02, and 2 standard errors), and where the linear part shows nothing at all it is enough
        that the embedding shows something.
        Components are then directions of the data. If False, what separates the classes is not
        linear in the data, and the directions are those of the embedding. About neighbourhoods it
        is not looked at, and False.
    n_untested : int
        Classes that were left out of all tests because they have too few samples (one; or up to
        three, or seven where held-out samples do not speak for them, beside large classes).
        Directions that only they take are not counted.
    refits : tuple of int
        `chosen` of each of the `n_init` fits; empty with a single one.
    likely : int or None
        Where most labelled samples are of classes of two to fifteen (classes of one do not enter
        here), what separates these can seldom be proved, and to keep too little costs more than to
        keep too much. There this is the number of candidates in order whose p-value is 0.1 or less,
        or what tells held-out samples their classes, if that is more: the smallest number with
        which they are nearer to the mean of their own fitted class than to those of others (of
        which samples are held out, too) as often as with the best one, but for half a standard
        error, and one less than there are such classes at most (see `class_accuracy`). Where most
        classes have two or three samples and none are held out, the p-value may be 1/2; if it is
        that or less of all that there are samples to test, or if there are fewer than 64 samples,
        nothing says where they end, and `likely` is one less than there are tested classes. It may
        well be too large, and has no error bound. 0 where nothing is `significant`; None where
        samples are not few.
    class_accuracy, class_accuracy_se : ndarray, shape (n_candidates,), or None
        Where samples are few (see `likely`) and some are held out: the share of classes whose
        fitted mean is farther from a held-out sample than that of its own class, with so many
        components, and its standard error; NaN behind as many as the means span.
    about : {"classes", "comparisons", "neighbourhoods"}
        What the evidence is about. Without classes the hypotheses are others. Of comparisons: "of
        by how much the squared distances of negatives exceed those of positives, no axis from this
        one on has more than a hundredth". Of neighbourhoods: "what the principal components before
        this one leave of the samples has entries that vary independently", tested on all samples
        and to the second behind `needed`, the smallest number behind which no further components
        bring more than 0.001 of the triplets each. See :doc:`the labels' page
        </user_guide/labels>`.
    """

    candidates: np.ndarray = field(repr=False)
    statistic: np.ndarray = field(repr=False)
    p_value: np.ndarray = field(repr=False)
    triplet_accuracy: np.ndarray = field(repr=False)
    triplet_accuracy_se: np.ndarray = field(repr=False)
    significant: int
    needed: int
    chosen: int
    n_held_out: int
    stability: dict[int, float]
    linear: bool
    n_untested: int = 0
    refits: tuple[int, ...] = ()
    about: str = "classes"
    likely: int | None = None
    class_accuracy: np.ndarray | None = field(default=None, repr=False)
    class_accuracy_se: np.ndarray | None = field(default=None, repr=False)

    @property
    def found(self) -> int:
        """How many components there are to keep, if no bound is set to them."""
        if self.likely is not None:
            return self.likely
        return found_components(self.about, self.significant, self.needed)

    @property
    def other_reading(self) -> tuple[int, str]:
        """The number to be read beside `significant`, 0 if there is none, and what it is called."""
        return (self.needed, "needed") if self.likely is None else (self.likely, "likely")

    def __str__(self) -> str:
        """The numbers, and a line for each candidate that was tested, or is needed, or likely."""
        held_out = f"{self.n_held_out} samples held out" if self.n_held_out else "none held out"
        kind = "linear in the data" if self.linear else "not linear in the data"
        kind = "about neighbourhoods" if self.about == "neighbourhoods" else kind
        kind = f"about comparisons; {kind}" if self.about == "comparisons" else kind
        likely = "" if self.likely is None else f", {self.likely} likely"
        other = likely + (f", {self.needed} needed" if self.needed else "")
        lines = [
            f"{self.chosen} chosen: {self.significant} significant{other} ({held_out}; {kind})",
            *self._table(),
        ]
        if self.refits:
            lines.append("refits give " + ", ".join(map(str, self.refits)))
        shares = ", ".join(f"{count}: {share:.0%}" for count, share in self.stability.items())
        if shares:
            lines.append(f"resamples give {shares}")
        elif np.isnan(self.p_value).all():
            lines.append("nothing was tested")
        return "\n".join(lines)

    def _table(self) -> list[str]:
        columns = {
            "components": [f"{candidate:10d}" for candidate in self.candidates],
            "statistic": [_number(one, "9.4g") for one in self.statistic],
            "p-value": [_number(one, "7.2g") for one in self.p_value],
            "triplets in order": _with_errors(self.triplet_accuracy, self.triplet_accuracy_se),
        }
        last_shown = self.needed
        if self.class_accuracy is not None and self.class_accuracy_se is not None:
            columns["classes in order"] = _with_errors(self.class_accuracy, self.class_accuracy_se)
            last_shown = max(last_shown, self.found)
        is_shown = ~np.isnan(self.p_value) | (self.candidates <= last_shown)
        widths = [max(len(name), *map(len, values)) for name, values in columns.items()]
        lines = [columns, *zip(*columns.values(), strict=True)]
        return [
            "  ".join(f"{text:{width}}" for text, width in zip(line, widths, strict=True)).rstrip()
            for line, shown in zip(lines, [True, *is_shown], strict=True)
            if shown
        ]


def _number(value: float, spec: str) -> str:
    """A dash, as wide, where there is none."""
    width, _, _ = spec.partition(".")
    return "—".rjust(int(width)) if np.isnan(value) else format(value, spec)


def _with_errors(shares: np.ndarray, errors: np.ndarray) -> list[str]:
    return [
        f"{_number(share, '6.4f')} ± {_number(error, '6.4f')}"
        for share, error in zip(shares, errors, strict=True)
    ]


def found_components(about: str, significant: int, needed: int) -> int:
    """The significant ones; of neighbourhoods no more than are needed, if that could be seen."""
    return min(significant, needed) if about == "neighbourhoods" and needed else significant


@dataclass(frozen=True)
class HeldOut:
    """Samples that one fit has not seen, on the canonical axes of those that it has."""

    embedding: HeldOutPoints  # (n, n_dimensions)
    linear: HeldOutPoints  # (n, n_dimensions): of the linear part, on axes of its own
    n_spanned: int  # how many of the axes the class means of the fit span

    def __len__(self) -> int:
        return len(self.linear)


def count_components(
    held_out: Sequence[HeldOut],
    blind: Sequence[Look],
    n_dimensions: int,
    rng: np.random.Generator,
    max_rank: int | None = None,
    sizes: np.ndarray | None = None,
) -> RankEvidence:
    """Find how many leading canonical components carry structure.

    Several sets of held-out samples, disjoint and each of a fit of its own, speak together:
    statistics are means over them, p-values are combined by Fisher's method, triplet accuracies are
    means over all anchors, classes weighing the same. (Each set was among the training samples of
    the other fits, so that the p-values are not quite independent.)

    Whether class means of the data differ in more than r directions can also be seen on coordinates
    that know no labels. So the linear part is looked at in up to four ways: on held-out samples,
    and on as many leading principal components of all samples as a quarter, an eighth and a
    sixteenth of the samples. A hypothesis is rejected if it is in any of them, at a level divided
    by their number.

    Parameters
    ----------
    held_out : sequence of HeldOut
        One for each fit; may be empty if `blind` is given.
    blind : sequence of sequences of LabelledPoints
        All labelled samples on so many leading principal components, and on fewer: halved, and each
        half on the components of the other, or on those of unlabelled samples.
    n_dimensions : int
        Of the embedding: no more components are kept.
    rng : numpy Generator
        Draws the null distributions, and the resamples of `stability`.
    max_rank : int, optional
        No more are chosen; tests go on behind it.
    sizes : ndarray of int, optional
        How many labelled samples each class has; by default how many of those given (of the blind
        ones, if there are any).

    Returns
    -------
    RankEvidence
    """
    axes, linear = [one.linear for one in held_out], [_spanned(one, one.linear) for one in held_out]
    looks: list[Look] = [linear] if linear else []
    looks += blind
    tests = SequentialTest(looks, rng)
    whole = [one.embedding for one in held_out]
    if sizes is None:
        sizes = np.bincount(np.concatenate([points.codes for points in [*blind, linear][0]]))
    likely = likely_components(tests, axes, sizes)
    found = _found(tests, likely)
    is_of_few = are_few(sizes)
    shows_nothing = bool(held_out) and is_of_few and not found
    n_kept = _kept(tests, likely, sizes)
    is_beyond = bool(held_out) and _is_beyond_linear(axes, whole, n_kept, is_of_few)
    bends = is_beyond or shows_nothing
    if bends:
        bent: list[Look] = [[_spanned(one, one.embedding) for one in held_out]]
        of_bent = SequentialTest(bent, rng, n_before=len(blind) + 1)
        likely_of_bent = likely_components(of_bent, whole, sizes)
        found_of_bent = _found(of_bent, likely_of_bent)
        # Few held-out samples may not speak for small classes, where all samples do.
        speaks_for_all = tests.classes <= of_bent.classes or found <= found_of_bent
        bends = is_beyond or found_of_bent > 0 if shows_nothing else speaks_for_all
        if bends:
            axes, tests, likely, found = whole, of_bent, likely_of_bent, found_of_bent
    most, n_candidates = n_kept_and_shown(found, n_dimensions, max_rank)
    n_resamples = N_RESAMPLES if tests.p_value and tests.can_resample else 0
    counts = [tests.count_in_resample(rng) for _ in range(n_resamples)]
    return RankEvidence(
        candidates=np.arange(1, n_candidates + 1),
        statistic=_by_candidate(tests.statistic, n_candidates),
        p_value=_by_candidate(tests.p_value, n_candidates),
        **_triplet_reading(axes, n_candidates, rng),
        significant=tests.count,
        chosen=min(_kept(tests, likely, sizes), most),
        n_held_out=sum(len(one) for one in held_out),
        stability={count: counts.count(count) / len(counts) for count in sorted(set(counts))},
        linear=not bends,
        n_untested=int(np.sum(sizes > 0)) - len(tests.classes),
        **_reading_of_few(likely, n_candidates),
    )


def _found(tests: SequentialTest, likely: Likely | None) -> int:
    """How many directions there are to keep: the significant ones where nobody asks for others."""
    return tests.count if likely is None else likely.count


def _kept(tests: SequentialTest, likely: Likely | None, sizes: np.ndarray) -> int:
    """How many components to keep: one at least, and of few samples what could not be tested.

    That is all that class means span, if nothing was found, and else a direction for each class
    that is in no test.
    """
    found = _found(tests, likely)
    if likely is None or not tests.p_value:
        return max(found, 1)
    n_classes = int(np.sum(sizes > 1))  # those alone in their class ask for nothing
    n_spanned = max(n_classes - 1, 1)
    n_untested = n_classes - len(tests.classes)
    return min(found + n_untested, n_spanned) if found else n_spanned


def _reading_of_few(likely: Likely | None, n_candidates: int) -> dict[str, Any]:
    """What is likely, and what the means of fitted classes say about each number of components."""
    if likely is None:
        return {}
    reading: dict[str, Any] = {"likely": likely.count}
    if likely.shares is not None:
        padding = np.full((2, n_candidates), np.nan)
        shares = np.hstack([likely.shares, padding])[:, :n_candidates]
        reading |= {"class_accuracy": shares[0], "class_accuracy_se": shares[1]}
    return reading


def n_kept_and_shown(found: int, n_dimensions: int, max_rank: int | None) -> tuple[int, int]:
    """How many components may be kept, and how many candidates there are to show why."""
    most = min(n_dimensions, max_rank or n_dimensions)
    return most, min(n_dimensions, max(most, found + TESTED_BEHIND))


def _by_candidate(values: dict[int, float], n_candidates: int) -> np.ndarray:
    """Entry r is about r + 1 components; NaN where nothing was tested."""
    return np.array([values.get(r, np.nan) for r in range(n_candidates)])


def _spanned(held_out: HeldOut, points: LabelledPoints) -> LabelledPoints:
    return points.leading(held_out.n_spanned)


def _is_beyond_linear(
    linear: Sequence[HeldOutPoints], whole: Sequence[HeldOutPoints], count: int, is_of_few: bool
) -> bool:
    """Whether embeddings order held-out samples better than `count` axes of their linear parts."""
    in_order = means_in_order if is_of_few else triplets_in_order
    of_linear, weights = in_order(linear, [min(count, linear[0].coordinates.shape[1])])
    of_whole, _ = in_order(whole, [whole[0].coordinates.shape[1]])
    gain = (of_whole - of_linear)[:, 0]
    return is_worth_bending(gain, weights, BEYOND_LINEAR_OF_FEW if is_of_few else BEYOND_LINEAR)


def _triplet_reading(parts: Look, n_candidates: int, rng: np.random.Generator) -> dict[str, Any]:
    """What the triplets of held-out samples say about each number of components."""
    if not parts:
        nothing = np.full(n_candidates, np.nan)
        return {"triplet_accuracy": nothing, "triplet_accuracy_se": nothing.copy(), "needed": 0}
    parts = [points.some(_MOST_FOR_TRIPLETS // len(parts), rng) for points in parts]
    accuracy, weights = triplets_in_order(parts, range(1, n_candidates + 1))
    return {
        "triplet_accuracy": weights @ accuracy,
        "triplet_accuracy_se": standard_error(accuracy, weights),
        "needed": needed_components(accuracy, weights),
    }


def warn_of_count(evidence: RankEvidence, max_rank: int | None) -> None:
    """Say plainly when the held-out samples show no structure, or more than may be kept."""
    kept = f"{evidence.chosen} {'is' if evidence.chosen == 1 else 'are'} kept."
    if evidence.found > evidence.chosen:
        limit = "max_rank" if evidence.chosen == max_rank else "the embedding's dimension"
        warn(
            f"{limit}={evidence.chosen} is smaller than the {evidence.found} components that "
            f"were found: {kept}"
        )
    needs_more = evidence.needed > evidence.chosen
    if evidence.n_untested and not np.isnan(evidence.p_value[0]):
        have = "has" if evidence.n_untested == 1 else "have"
        n_more = evidence.chosen - evidence.found
        warn(
            f"{evidence.n_untested} of the classes {have} too few samples to be tested beside the "
            "others: directions that only they take are not counted"
            + (f", and {n_more} more kept for them" if evidence.found and n_more > 0 else "")
            + ". Pass a rank to keep more"
            + (f"; {evidence.needed} order the held-out triplets best." if needs_more else ".")
        )
    if min(evidence.found, evidence.significant) > 0:
        return
    if evidence.about == "comparisons" and not evidence.n_held_out:
        return  # which has been said
    what, reason = _nothing_found(evidence)
    if evidence.likely == 0 and evidence.chosen > 1:
        kept = f"Few samples prove little: {evidence.chosen} are kept all the same."
    warn(f"No component {what} {reason}. {kept}")


def _nothing_found(evidence: RankEvidence) -> tuple[str, str]:
    """What no component does, and why that may be."""
    p_value = f"p = {evidence.p_value[0]:.2g}"
    if evidence.about == "neighbourhoods":
        return (
            "is shared by the entries of the samples",
            f"({p_value}): they may be constant, or vary independently of one another, or samples "
            "are too few",
        )
    if evidence.about == "comparisons":
        return (
            "orders comparisons with held-out samples",
            f"({p_value}): they may not depend on the data, or are too few to show it",
        )
    if np.isnan(evidence.p_value[0]):
        return (
            "could be tested for whether it separates the classes:",
            "the data may be constant, or fewer than two classes have enough samples; pass a rank "
            "to keep more",
        )
    return (
        f"{'separates' if evidence.likely is None else 'is proved to separate'} the classes",
        f"({p_value}): the labels may not depend on the data, or there are too few samples to show "
        "it",
    )
