"""The encoder that the data choose: on samples left out, with no more work than it takes."""

from collections import Counter
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
import tensorly as tl
import torch
from hypothesis import given
from hypothesis import strategies as st

from tensorly_norank import (
    _encoder_choice,
    _recipe,
    _training,
    no_rank_decomposition,
)
from tensorly_norank._encoder_choice import (
    _quarters,
    _share_alike,
    choose_encoder,
    encoder_of_few,
    moves_cost_triplets,
    neighbours_are_alike,
)
from tensorly_norank._parts import Part
from tensorly_norank.datasets import simulate_planted
from tensorly_norank.encoders import ConvEncoder, MLPEncoder, candidates

LABELS = np.repeat(np.arange(4), 20)
QUICK = {"n_iter_max": 15, "tol": 0, "random_state": 0}


class Embedding:
    """In place of a fitted embedder: a function of samples (n, 1) that hold their own numbers."""

    def __init__(self, function):
        self.embed = function

    def fill(self, samples):
        return samples


def points(seed, spread):
    """Four corners of the plane, and samples around them."""
    corners = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    generator = torch.Generator().manual_seed(seed)
    return corners[torch.from_numpy(LABELS)] + spread * torch.randn(80, 2, generator=generator)


def race(maps, labels=LABELS, seed=0):
    """The choice between embeddings that no fit changes, and (name, numbers, share) of the fits."""
    fits = []

    def fit(name, share, part):
        fits.append((name, part.samples[:, 0].long().numpy(), share))
        return Embedding(lambda samples: maps[name][samples[:, 0].long()])

    part = Part(torch.arange(len(labels), dtype=torch.float32)[:, None], labels)
    return choose_encoder(list(maps), part, 0.8, fit, np.random.default_rng(seed)), fits


def test_what_orders_triplets_clearly_best_is_chosen():
    maps = {"noise": points(0, 5.0), "fair": points(2, 0.9), "good": points(1, 0.2)}
    choice, _ = race(maps)
    assert choice.chosen == "good"
    noise, fair, good = choice.triplet_accuracy
    assert noise < 0.6 < fair < 0.9 < good


def test_who_is_clearly_behind_after_one_fit_gets_no_second():
    maps = {"noise": points(0, 5.0), "close": points(2, 0.22), "good": points(1, 0.2)}
    choice, fits = race(maps)
    assert Counter(name for name, _, _ in fits) == {"noise": 1, "close": 2, "good": 2}
    assert np.isfinite(choice.triplet_accuracy).all()
    tight = points(1, 0.01)
    _, fits = race({"near": 0.3 * tight, "far": tight})  # the same order, and hinges apart
    assert Counter(name for name, _, _ in fits) == {"near": 1, "far": 2}


def test_the_figures_of_who_was_fitted_once_are_of_the_samples_left_out_then():
    maps = {"noise": points(0, 5.0), "good": points(1, 0.2)}
    with mock.patch.object(_encoder_choice, "_OUT", 1e9):
        both, _ = race(maps)
    once, _ = race(maps)
    assert once.triplet_accuracy[0] != both.triplet_accuracy[0]
    assert once.triplet_accuracy[0] == pytest.approx(both.triplet_accuracy[0], abs=0.1)
    assert once.triplet_accuracy_se[0] > both.triplet_accuracy_se[0]
    assert once.triplet_accuracy[1] == both.triplet_accuracy[1]


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")])
def test_of_those_that_nothing_tells_apart_the_better_one_is_taken(order):
    noise = points(1, 1.0) - points(1, 0.0)
    maps = {"one": points(0, 0.5), "two": 1.1 * (points(0, 0.5) + 0.03 * noise)}
    choice, _ = race({name: maps[name] for name in order})
    assert not any(choice.behind)
    assert np.argmin(choice.hinge) != np.argmax(choice.triplet_accuracy)
    assert choice.chosen == order[np.argmax(choice.triplet_accuracy)]


def test_the_few_of_small_classes_are_no_tie_break():
    labels = np.repeat(np.arange(4), [40, 30, 6, 4])
    corners = points(0, 0.0)[::20][labels]
    spread = torch.randn(80, 2, generator=torch.Generator().manual_seed(3))
    small = torch.from_numpy(labels >= 2)[:, None]
    # One is better at the large classes, the other at the small ones, which tell it by chance.
    maps = {
        "large": corners + torch.where(small, 0.7, 0.45) * spread,
        "small": corners + torch.where(small, 0.4, 0.55) * spread,
    }
    choice, _ = race(maps, labels)
    assert not any(choice.behind)
    assert choice.triplet_accuracy[0] < choice.triplet_accuracy[1]
    assert choice.plain_accuracy[0] > choice.plain_accuracy[1]
    assert choice.chosen == "large"


@pytest.mark.parametrize("order", [("near", "far"), ("far", "near")])
def test_of_equal_shares_of_triplets_the_least_hinge_is_taken(order):
    tight = points(1, 0.01)
    maps = {"near": 0.999 * tight, "far": tight}
    choice, _ = race({name: maps[name] for name in order})
    assert choice.triplet_accuracy[0] == choice.triplet_accuracy[1] == pytest.approx(1)
    assert not any(choice.behind)
    assert choice.chosen == order[np.argmin(choice.hinge)]


def test_where_all_triplets_are_in_order_the_distance_from_the_margin_decides():
    tight = points(1, 0.01)
    choice, _ = race({"near": 0.3 * tight, "far": tight, "nearer": 0.1 * tight})
    assert choice.triplet_accuracy == pytest.approx(1)
    assert choice.chosen == "far"
    assert choice.behind == ("hinge", "", "hinge")
    # By hand: two other classes lie √2 away, one 2, times the scale; one's own does not.
    near = 0.3 * np.sqrt(2)
    assert choice.hinge[0] == pytest.approx((2 * (0.8 - near) + (0.8 - 0.6)) / 3, abs=0.02)


def test_hinges_do_not_decide_against_the_order_of_triplets():
    wide = 0.05 * points(1, 0.01)  # all in order, all within the margin
    half = points(0, 0.01)
    half[LABELS == 3] = half[LABELS == 2].roll(1, 0)  # two classes in one place, two far away
    choice, _ = race({"half": half, "wide": wide})
    assert choice.hinge[0] < choice.hinge[1]
    assert choice.chosen == "wide"


def test_who_is_behind_in_triplets_by_the_last_level_puts_nobody_out_by_hinges():
    # By 2.5 standard errors: too few to be out after the first fits.
    accuracy = np.array([[0.9, 0.95], [0.9, 0.95], [0.9, 0.95], [0.95, 0.9]] * 4)
    weights = np.full(16, 1 / 16)
    gap = accuracy @ [-1, 1]
    assert 2 < weights @ gap / np.sqrt(weights**2 @ (gap - gap.mean()) ** 2) < 3
    hinge = np.tile([0.1, 0.2], (16, 1))
    placed = np.stack([accuracy, hinge])
    assert _encoder_choice._behind(["", ""], placed, weights, 3.0) == ["", ""]
    assert _encoder_choice._behind(["", ""], placed, weights, 2.0) == ["triplets", ""]
    level = np.stack([0 * accuracy, hinge])
    assert _encoder_choice._behind(["", ""], level, weights, 3.0) == ["", "hinge"]


def test_figures_and_their_errors_are_means_over_classes():
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat([0, 1, 2], [12, 24, 44]))
    maps = torch.from_numpy(rng.normal(size=(80, 2)))
    placed = []
    place = _encoder_choice._place

    def keep(embedder, part, fitted, left_out, *others):
        placed.append((labels[left_out], place(embedder, part, fitted, left_out, *others)))
        return placed[-1][1]

    with mock.patch.object(_encoder_choice, "_place", keep):
        choice, _ = race({"one": maps}, labels)
    codes = np.concatenate([codes for codes, _ in placed])
    for figure, mean, error in [
        (0, choice.triplet_accuracy, choice.triplet_accuracy_se),
        (1, choice.hinge, choice.hinge_se),
    ]:
        values = np.concatenate([both[figure] for _, both in placed])
        by_class = [values[codes == code] for code in range(3)]
        total = np.mean([own.mean() for own in by_class])
        variance = sum(((own - total) ** 2).sum() / (3 * len(own)) ** 2 for own in by_class)
        assert mean[0] == pytest.approx(total)
        assert error[0] == pytest.approx(np.sqrt(variance))


def test_a_sample_left_out_is_scored_in_triplets_with_all_others():
    maps = points(3, 1.0)
    part = Part(torch.arange(80.0)[:, None], LABELS)
    left_out = np.arange(0, 80, 7)
    fitted = np.setdiff1d(np.arange(80), left_out)
    embedder = Embedding(lambda samples: maps[samples[:, 0].long()])
    accuracy, hinge = _encoder_choice._place(
        embedder, part, fitted, left_out, 0.5, np.random.default_rng(0)
    )
    distances = torch.cdist(maps, maps).numpy()
    for k, anchor in enumerate(left_out):
        others = np.arange(80) != anchor
        same = LABELS == LABELS[anchor]
        gaps = distances[anchor][same & others][:, None] - distances[anchor][~same]
        assert accuracy[k] == pytest.approx((gaps < 0).mean(), abs=1e-6)
        assert hinge[k] == pytest.approx(np.maximum(gaps + 0.5, 0).mean(), abs=1e-5)


def test_a_sample_that_is_scored_was_not_fitted():
    seen = []

    def fit(name, share, part):
        fitted = set(part.samples[:, 0].tolist())

        def embed(samples):
            seen.append((fitted, samples[:, 0].tolist()))
            return points(0, 0.5)[samples[:, 0].long()]

        return Embedding(embed)

    part = Part(torch.arange(80.0)[:, None], LABELS)
    choose_encoder(["one"], part, 0.8, fit, np.random.default_rng(0))
    assert len(seen) == 2
    for fitted, shown in seen:
        n_anchors = len(LABELS) - len(fitted)
        assert n_anchors == 20
        assert fitted.isdisjoint(shown[:n_anchors])
        assert fitted.issuperset(shown[n_anchors:])


@given(st.lists(st.integers(1, 9), min_size=2, max_size=12), st.integers(0, 99))
def test_quarters_leave_something_to_learn_from_or_there_are_none(sizes, seed):
    codes = np.repeat(np.arange(len(sizes)), sizes)
    part = Part(torch.zeros(len(codes), 1), codes)
    splits = _quarters(part, np.random.default_rng(seed))
    assert len(splits) in (0, 2)
    left_out = [set(out.tolist()) for _, out in splits]
    assert not left_out or left_out[0].isdisjoint(left_out[1])
    for fitted, out in splits:
        assert set(fitted) | set(out) == set(range(len(codes)))
        assert not set(fitted) & set(out)
        n_fitted, n_out = (np.bincount(codes[part], minlength=len(sizes)) for part in (fitted, out))
        assert (n_fitted > 0).sum() >= 2
        assert n_fitted.max() >= 2
        for size, kept, lost in zip(sizes, n_fitted, n_out, strict=True):
            assert lost <= -(-size // 4) or (size == 2 and kept == 0)
            assert size != 1 or kept == 1
            assert size != 2 or kept in (0, 2)


@pytest.mark.parametrize("sizes", [(2, 1), (2, 2), (2,) + (1,) * 9])
def test_without_anything_to_compare_the_first_is_taken(sizes):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    choice, _ = race({"first": points(0, 1.0), "other": points(1, 0.1)}, labels)
    assert choice.chosen == "first"
    assert np.isnan(choice.triplet_accuracy).all()
    assert str(choice) == "first chosen: nothing could be compared"


def images(n_samples=40, seed=0):
    """Of 9×12 smooth places, float64, and labels of four classes."""
    noise = torch.randn(
        n_samples, 1, 12, 15, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    smooth = torch.nn.functional.avg_pool2d(noise, 4, stride=1)[:, 0]
    return smooth, np.arange(n_samples) % 4


ALL = candidates((9, 12))


def test_few_samples_whose_neighbouring_entries_are_alike_are_convolved_without_a_trial():
    choice = encoder_of_few(ALL, Part(*images()))
    assert choice.chosen == "conv"
    assert choice.candidates == tuple(ALL)
    assert np.isnan(choice.triplet_accuracy).all()
    assert str(choice).startswith("conv chosen: neighbouring entries are alike")


@pytest.mark.parametrize("dim", [1, 2])
def test_in_another_order_of_the_places_of_either_mode_encoders_are_compared(dim):
    samples, labels = images()
    order = np.random.default_rng(0).permutation(samples.shape[dim])
    assert encoder_of_few(ALL, Part(samples.index_select(dim, torch.tensor(order)), labels)) is None


@pytest.mark.parametrize(("n_samples", "are_compared"), [(63, False), (64, True)])
def test_enough_samples_are_left_to_a_comparison(n_samples, are_compared):
    assert (encoder_of_few(ALL, Part(*images(n_samples))) is None) == are_compared


@pytest.mark.parametrize("in_order", [True, False])
def test_of_those_that_nothing_tells_apart_convolutions_are_taken_where_they_suit(in_order):
    samples = images(80)[0]
    if not in_order:
        samples = samples[:, torch.randperm(9, generator=torch.Generator().manual_seed(0))]

    def choice(by_order=True, **maps):
        def fit(name, share, part):
            def embed(given):
                return maps[name][(given[:, 0, 0, None] == samples[:, 0, 0]).int().argmax(dim=1)]

            return Embedding(embed)

        rng = np.random.default_rng(0)
        return choose_encoder(list(maps), Part(samples, LABELS), 0.8, fit, rng, by_order)

    level = choice(mlp=points(1, 0.48), conv=points(5, 0.48))
    assert level.behind == ("", "")
    assert level.plain_accuracy[0] > level.plain_accuracy[1]
    assert level.chosen == ("conv" if in_order else "mlp")
    reason = "conv chosen: neighbouring entries are alike"
    assert str(level).splitlines()[0] == (reason if in_order else "mlp chosen")
    assert str(choice(mlp=points(5, 0.48), conv=points(1, 0.48))).startswith("conv chosen\n")
    assert choice(False, mlp=points(1, 0.48), conv=points(5, 0.48)).chosen == "mlp"
    assert choice(mlp=points(1, 0.48), conv=points(1, 1.5)).chosen == "mlp"


def test_no_convolutions_are_taken_that_are_no_candidate():
    assert encoder_of_few(["mlp", "linear"], Part(*images())) is None


def test_neighbours_are_alike_whatever_the_units_and_what_is_missing_or_never_varies():
    samples, labels = images()
    samples = 1e6 + 1e3 * samples
    samples[:, :2] = 7.0  # a margin
    samples[torch.rand(samples.shape, generator=torch.Generator().manual_seed(0)) < 0.1] = np.nan
    assert encoder_of_few(ALL, Part(samples, labels)).chosen == "conv"


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_of_samples_that_do_not_vary_nothing_is_said(value):
    samples, labels = images()
    assert encoder_of_few(ALL, Part(torch.full_like(samples, value), labels)) is None


def test_alike_are_the_places_in_three_whose_ends_are_the_least_alike():
    samples = torch.from_numpy(np.random.default_rng(0).normal(size=(6, 10, 4)))
    about_mean = samples.numpy() - samples.numpy().mean(axis=0)
    rows = about_mean.transpose(1, 0, 2).reshape(10, -1)
    cosines = rows @ rows.T / np.outer(*[np.linalg.norm(rows, axis=1)] * 2)
    are_alike = [
        cosines[k, k + 2] < min(cosines[k, k + 1], cosines[k + 1, k + 2]) for k in range(8)
    ]
    assert 0 < np.mean(are_alike) < 1
    assert _share_alike(samples, 1) == pytest.approx(np.mean(are_alike))


def test_a_candidate_that_diverges_is_left_out():
    def fit(name, share, part):
        if name == "first":
            raise FloatingPointError
        return Embedding(lambda samples: points(1, 0.5)[samples[:, 0].long()])

    part = Part(torch.arange(80.0)[:, None], LABELS)
    choice = choose_encoder(["first", "other"], part, 0.8, fit, np.random.default_rng(0))
    assert choice.chosen == "other"
    assert np.isnan(choice.hinge).tolist() == [True, False]
    assert choice.behind == ("diverged", "")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_so_is_one_whose_embedding_is_not_finite(bad):
    broken = points(1, 0.2)
    broken[7] = bad
    choice, _ = race({"broken": broken, "other": points(0, 0.5)})
    assert choice.behind == ("diverged", "")
    assert choice.chosen == "other"


def test_if_the_last_one_left_diverges_one_that_did_not_is_taken():
    maps, n_fits = {"noise": points(0, 5.0), "good": points(1, 0.2)}, Counter()

    def fit(name, share, part):
        n_fits[name] += 1
        if n_fits["good"] == 2:
            raise FloatingPointError
        return Embedding(lambda samples: maps[name][samples[:, 0].long()])

    part = Part(torch.arange(80.0)[:, None], LABELS)
    choice = choose_encoder(list(maps), part, 0.8, fit, np.random.default_rng(0))
    assert choice.behind == ("triplets", "diverged")
    assert choice.chosen == "noise"


@pytest.mark.parametrize("sizes", [[30_000, 3, 3, 3], [4] * 3000, [2] * 500 + [900]], ids=len)
def test_of_many_samples_those_that_are_scored_have_triplets(sizes):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    seen = []

    def fit(name, share, part):
        def embed(samples):
            seen.append(samples[:, 0].long().numpy())
            return torch.from_numpy(labels[seen[-1]])[:, None].float()  # classes along a line

        return Embedding(embed)

    part = Part(torch.arange(float(len(labels)))[:, None], labels)
    choice = choose_encoder(["one"], part, 0.8, fit, np.random.default_rng(0))
    assert choice.triplet_accuracy == pytest.approx(1)
    for shown in seen:
        assert len(np.unique(shown)) == len(shown) <= 512 + 1024
        sizes_shown = np.bincount(labels[shown])
        assert (sizes_shown > 0).sum() >= min(len(sizes), 250)
        assert len(sizes) > 4 or sizes_shown.min() >= 3  # small classes are all there


def test_choices_can_be_compared_and_hashed():
    one, other = (race({"one": points(0, 1.0)})[0] for _ in range(2))
    assert one == one
    assert one != other
    assert len({one, other}) == 2


def test_the_choice_prints_as_a_table():
    text = str(race({"noise": points(0, 5.0), "good": points(1, 0.1)})[0])
    assert text.startswith("good chosen\n")
    assert len(text.splitlines()) == 4
    assert [line.endswith("out: triplets") for line in text.splitlines()[2:]] == [True, False]


def _rings(n_each=60, seed=0):
    """Two classes that no linear map separates: inner and outer ring, among noise."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(["inner", "outer"], n_each)
    angle = rng.uniform(0, 2 * np.pi, 2 * n_each)
    radius = np.where(labels == "inner", 1.0, 3.0) + 0.1 * rng.normal(size=2 * n_each)
    samples = 0.1 * rng.normal(size=(2 * n_each, 3, 2))
    samples[:, 0, 0], samples[:, 1, 1] = radius * np.cos(angle), radius * np.sin(angle)
    return samples, labels


@pytest.mark.slow
def test_classes_that_no_linear_map_separates_get_a_perceptron():
    samples, labels = _rings()
    options = {"n_iter_max": 60, "tol": 0, "random_state": 0}
    result = no_rank_decomposition(tl.tensor(samples), labels, **options)
    assert result.encoder_choice.candidates == ("mlp", "multilinear", "linear")
    assert result.encoder_choice.chosen == "mlp"
    assert isinstance(result.encoder, MLPEncoder)
    again = no_rank_decomposition(tl.tensor(samples), labels, **options)
    assert again.encoder_choice.triplet_accuracy.tolist() == (
        result.encoder_choice.triplet_accuracy.tolist()
    )


@pytest.mark.filterwarnings("ignore::UserWarning")  # of short fits of little
def test_a_few_images_get_convolutions_and_what_has_no_order_a_comparison():
    samples, labels = images(24)
    order = np.random.default_rng(0).permutation(9)
    in_order, out_of_order = (
        no_rank_decomposition(tl.tensor(one.numpy()), labels, rank=2, **QUICK)
        for one in (samples, samples[:, order])
    )
    assert isinstance(in_order.encoder, ConvEncoder)
    assert np.isnan(in_order.encoder_choice.triplet_accuracy).all()
    assert not np.isnan(out_of_order.encoder_choice.triplet_accuracy).all()


def test_an_encoder_that_is_given_is_not_chosen():
    samples, labels = _rings()
    result = no_rank_decomposition(tl.tensor(samples), labels, encoder="linear", **QUICK)
    assert result.encoder_choice is None


@pytest.mark.parametrize("fraction", [0.3, 0.0])
def test_samples_that_count_have_no_say_in_the_choice(fraction):
    samples, labels = _rings(n_each=40)
    asked, held_out = [], []
    choose, look = _recipe.choose_encoder, _recipe.Recipe._held_out

    def asking(names, part, *others):
        asked.append(part.samples[:, 0, 0].tolist())
        return choose(names, part, *others)

    def looking(self, embedder, split, rng):
        held_out.append(self.data.part.samples[split.count, 0, 0].tolist())
        return look(self, embedder, split, rng)

    with (
        mock.patch.object(_recipe, "choose_encoder", asking),
        mock.patch.object(_recipe.Recipe, "_held_out", looking),
    ):
        no_rank_decomposition(
            tl.tensor(samples), labels, validation_fraction=fraction, rank=1, **QUICK
        )
    assert len(asked) == max(1, len(held_out))
    assert len(held_out) == (3 if fraction else 0)
    for part, counted in zip(asked, held_out, strict=False):
        assert set(part).isdisjoint(counted)
        assert len(part) + len(counted) == 80


def test_each_fit_that_counts_uses_the_encoder_chosen_without_its_samples():
    samples, labels = _rings(n_each=40)
    names, used, passes = iter(["linear", "mlp", "multilinear"]), [], []
    look, choose = _recipe.Recipe._held_out, _recipe.choose_encoder

    def choosing(candidates, part, margin, fit, rng, *others):
        fit("linear", 0.1, part)
        return replace(choose(candidates[:1], part, margin, fit, rng), chosen=next(names))

    def looking(self, embedder, split, rng):
        used.append(type(embedder.encoder).__name__)
        return look(self, embedder, split, rng)

    def fitting(self, plan, part, title):
        passes.append((title.split(" ")[0], plan.n_iter))
        return fit_again(self, plan, part, title)

    fit_again = _recipe.Recipe._fit_again
    with (
        mock.patch.object(_recipe, "choose_encoder", choosing),
        mock.patch.object(_recipe.Recipe, "_held_out", looking),
        mock.patch.object(_recipe.Recipe, "_fit_again", fitting),
    ):
        result = no_rank_decomposition(
            tl.tensor(samples), labels, n_iter_max=100, tol=0, rank=1, random_state=0
        )
    assert used == ["LinearEncoder", "MLPEncoder", "MultilinearEncoder"]
    assert result.encoder_choice.chosen == "linear"
    # A tenth of the passes in a trial, but five where the fit itself has a quarter of them.
    assert [n for title, n in passes if title == "trial"] == [10] * 3 + [5] * 6
    assert [n for title, n in passes if title == "fit"] == [25, 25, 100]


def race_of_moves(still, moved, labels=LABELS, fails=None, in_order=False):
    """Whether moves cost triplets, between embeddings that no fit changes, and all the fits."""
    fits = []

    def fit(is_moved, share, part):
        fits.append((is_moved, part.samples[:, 0].long().numpy(), share))
        if is_moved is fails:
            raise FloatingPointError
        return Embedding(lambda samples: (moved if is_moved else still)[samples[:, 0].long()])

    numbers = torch.arange(len(labels), dtype=torch.float32)[:, None]
    waves = torch.sin(numbers + torch.arange(20) / 3)  # whose places are in order
    part = Part(torch.cat([numbers, waves], dim=1)[:, : 21 if in_order else 1], labels)
    return moves_cost_triplets(part, [0], 0.8, fit, np.random.default_rng(0)), fits


def test_moves_are_made_unless_they_clearly_cost_triplets():
    good, fair = points(1, 0.2), points(2, 0.9)
    assert race_of_moves(good, fair)[0]
    assert not race_of_moves(fair, good)[0]
    assert not race_of_moves(good, good)[0]
    tight = points(1, 0.01)
    assert not race_of_moves(tight, 0.3 * tight)[0]  # the hinge alone is worse


def test_fits_with_moves_and_without_learn_from_the_same_samples_and_a_fit_that_fails_decides():
    good = points(1, 0.2)
    _, fits = race_of_moves(good, good)
    assert [(is_moved, share) for is_moved, _, share in fits] == 2 * [(False, 0.15), (True, 0.15)]
    for (_, first, _), (_, second, _) in (fits[:2], fits[2:]):
        np.testing.assert_array_equal(first, second)
    assert not set(np.setdiff1d(range(80), fits[0][1])) & set(np.setdiff1d(range(80), fits[2][1]))
    assert race_of_moves(good, good, fails=True)[0]
    assert not race_of_moves(good, good, fails=False)[0]


def test_moves_are_made_where_nothing_can_be_left_out():
    labels = np.zeros(80, dtype=int)
    assert race_of_moves(points(1, 0.2), points(2, 0.9), labels=labels) == (False, [])


def test_where_neighbouring_entries_are_alike_it_takes_more_to_give_moves_up():
    still, moved = points(1, 0.2), points(2, 0.3)
    assert race_of_moves(still, moved)[0]
    assert not race_of_moves(still, moved, in_order=True)[0]
    assert race_of_moves(still, points(2, 0.9), in_order=True)[0]


def test_moves_that_cost_more_than_a_hundredth_but_within_chance_are_made():
    still, moved = points(8, 0.6), points(5, 0.6)  # alike but for the noise
    assert not race_of_moves(still, moved)[0]
    with mock.patch.object(_encoder_choice, "_LEVEL", 0.0):
        assert race_of_moves(still, moved)[0]


def test_all_classes_have_the_same_say_in_moves():
    """Of a large class and three small ones moves spoil these alone."""
    labels = np.repeat(np.arange(4), [400, 12, 12, 12])
    corners = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(len(labels), 2, generator=generator)
    still = corners[torch.from_numpy(labels)] + 0.1 * noise
    moved = torch.where(torch.from_numpy(labels > 0)[:, None], still + 0.9 * noise, still)
    moved[labels > 0] = moved[labels > 0] - corners[1:].repeat_interleave(12, dim=0)
    assert race_of_moves(still, moved, labels)[0]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("fraction", [0.3, 0.0])
def test_samples_that_count_have_no_say_in_moves(fraction):
    samples, labels = _bars(0, n_each=20)
    asked, held_out = [], []
    look = _recipe.Recipe._held_out

    def deciding(part, *others):
        asked.append(part.samples[:, 0, 0].tolist())
        return len(asked) == 2  # the second of three

    def looking(self, embedder, split, rng):
        counted = self.data.part.samples[split.count, 0, 0].tolist()
        held_out.append((counted, embedder.moves))
        return look(self, embedder, split, rng)

    with (
        mock.patch.object(_recipe, "moves_cost_triplets", deciding),
        mock.patch.object(_recipe.Recipe, "_held_out", looking),
    ):
        result = no_rank_decomposition(
            tl.tensor(samples),
            labels,
            encoder="conv",
            rank=1,
            validation_fraction=fraction,
            n_iter_max=4,
            tol=0,
            random_state=0,
        )
    assert result.diagnostics["moved_short_modes"] is True
    assert len(asked) == max(1, len(held_out))
    if fraction:
        assert [moves != () for _, moves in held_out] == [True, False, True]
    for part, (counted, _) in zip(asked, held_out, strict=False):
        assert set(part).isdisjoint(counted)
        assert len(part) + len(counted) == 60


def _bars(seed, n_each=30):
    """Bars that lie or stand somewhere in (10, 10), or neither: two modes of places."""
    rng = np.random.default_rng(seed)
    samples, labels = np.zeros((3 * n_each, 10, 10)), np.repeat([0, 1, 2], n_each)
    for sample, label in zip(samples, labels, strict=True):
        row, column = rng.integers(2, 6, size=2)
        height, width = [(1, 4), (4, 1), (2, 2)][label]
        sample[row : row + height, column : column + width] = 2
    return samples + 0.3 * rng.normal(size=samples.shape), labels


class _Decided(Exception):
    """In place of the fits that follow."""


def _decide(samples, labels, encoder="conv", **kwargs):
    """Moves of the embedder that would be fitted, and in each of the trials before."""
    tried, decided = [], []

    def train(embedder, *others, **options):
        tried.append(embedder.moves)
        return _training.train(embedder, *others, **options)

    def stop(recipe, splits, settings, callback):
        decided.append(recipe._new_embedder(recipe.data.part).moves)
        raise _Decided

    with (
        mock.patch.object(_recipe, "train", train),
        mock.patch.object(_recipe, "candidates", lambda shape: ["conv"]),
        mock.patch.object(_recipe.Recipe, "_decompose", stop),
        pytest.raises(_Decided),
    ):
        no_rank_decomposition(tl.tensor(samples), labels, encoder=encoder, random_state=0, **kwargs)
    return decided[0], tried


@pytest.mark.parametrize("encoder", ["auto", "conv", "a module"])
def test_short_modes_of_places_are_moved_but_not_to_choose_the_encoder(encoder):
    if encoder == "a module":
        encoder = ConvEncoder((10, 10), 8)
    samples, labels = _bars(0)
    (moves, tried), by_one = _decide(samples, labels, encoder), ((0, 1), (1, 1))
    assert moves == by_one
    to_choose = [()] * 2 if encoder == "auto" else []
    assert tried == [*to_choose, (), by_one, (), by_one]


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["auto", "conv"])
def test_short_modes_without_order_are_not_moved(encoder, capsys):
    backend = tl.get_backend()
    tl.set_backend("numpy")
    planted = simulate_planted(300, (8, 20), n_classes=4, rank=2, random_state=0)
    tl.set_backend(backend)
    moves, _ = _decide(planted.tensor, planted.labels, encoder, verbose=1)
    assert moves == ((1, 1),)  # 20 places are not short
    assert "samples are not moved along short modes" in capsys.readouterr().out


def test_no_moves_are_tried_where_no_mode_is_short_or_nothing_moves():
    samples, labels = _bars(0, n_each=8)
    long = np.repeat(np.repeat(samples, 2, axis=1), 2, axis=2)
    assert _decide(long, labels) == (((0, 1), (1, 1)), [])
    assert _decide(samples, None) == ((), [])
    assert _decide(samples, labels, "mlp") == ((), [])
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(100, 4)).double()
    assert _decide(samples, labels, module) == ((), [])


def test_whether_neighbours_are_alike_is_seen_on_samples_from_first_to_last():
    noise = torch.randn(200, 1, 12, 15, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.avg_pool2d(noise, 4, stride=1)[:, 0]
    smooth[:100] = 0  # as where they come by class, and one of these hardly varies
    assert neighbours_are_alike(smooth, (0, 1))
