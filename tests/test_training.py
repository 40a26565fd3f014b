"""The loop: schedule, stopping, history, randomness."""

import io
import math

import numpy as np
import pytest
import torch

from tensorly_norank import _training
from tensorly_norank._embedder import Augmentation, Embedder
from tensorly_norank._objective import Objective
from tensorly_norank._parts import Part
from tensorly_norank._training import Plan, Settings, _Stopper, train
from tensorly_norank.encoders import make_encoder

SETTINGS = Settings(n_iter_max=20, tol=0, batch_size=32, learning_rate=2e-3)
TRIPLETS_ONLY = Objective(margin=1.0, diversity=0.0, uniformity=0.0, locality=0.0)


def _part(n_each=16, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(n_classes), n_each)
    patterns = rng.normal(size=(n_classes, 5, 4))
    samples = patterns[codes] + 0.3 * rng.normal(size=(len(codes), 5, 4))
    return Part(torch.from_numpy(samples), codes)


def _embedder(part, name="linear", seed=0):
    encoder = make_encoder(name, part.samples.shape[1:], 4)
    embedder = Embedder(encoder, part.samples).to(part.samples)
    generator = torch.Generator().manual_seed(seed)
    encoder.initialize(embedder.standardise(part.samples), generator)
    return embedder


def _train(embedder, part, settings=SETTINGS, objective=TRIPLETS_ONLY, **options):
    rng = options.pop("rng", np.random.default_rng(0))
    return train(embedder, part, objective, Plan(settings), rng, **options)


def test_the_learning_rate_rises_stays_and_falls_to_zero():
    plan = Plan(SETTINGS)
    factors = [plan.factor(progress) for progress in np.linspace(0, plan.n_iter, 201)]
    rising, falling = factors[:21], factors[20 * plan.n_plateau // 2 :]
    assert np.all(np.diff(rising) >= 0)
    assert max(factors) == 1.0
    assert plan.factor(plan.n_plateau) == pytest.approx(1.0)
    assert np.all(np.diff(falling) <= 0)
    assert factors[-1] == pytest.approx(0, abs=1e-12)


def test_a_shortened_plan_rises_and_falls_in_a_share_of_the_passes():
    plan = Plan(Settings(100, 1e-3, 32, 2e-3))
    plan.end_plateau(48)  # 80 passes in all
    short = plan.shortened(0.25)
    assert (short.n_iter, short.n_plateau, short.settings.n_warm_up) == (20, 12, 2)
    assert plan.n_iter == 80
    assert short.factor(6) == 1
    for progress in (12, 16, 19):
        assert short.factor(progress) == pytest.approx(plan.factor(4 * progress))
    assert plan.shortened(1e-6).n_iter == 1


@pytest.mark.parametrize("verbose", [0, 1])
def test_a_fit_that_nothing_can_stop_is_watched_only_to_be_printed(verbose, capsys):
    part = _part()
    fit = _train(_embedder(part), part, stops=False, verbose=verbose)
    assert fit.n_iter == 20 == len(fit.history["objective"])
    assert len(fit.history["error"]) == 20 * verbose
    assert bool(capsys.readouterr().out) == bool(verbose)


def test_a_plateau_shortens_the_plan_and_leaves_the_decay_its_share():
    plan = Plan(Settings(100, 1e-3, 32, 2e-3))
    plan.end_plateau(12)
    assert (plan.n_iter, plan.n_plateau, plan.converged) == (20, 12, True)
    late = Plan(Settings(100, 1e-3, 32, 2e-3))
    late.end_plateau(90)
    assert late.n_iter == 100  # never longer than n_iter_max


@pytest.mark.parametrize(("tol", "ends"), [(1e-3, True), (0.0, False)])
def test_only_a_positive_tol_finds_a_plateau(tol, ends):
    stopper = _Stopper(Settings(50, tol, 32, 2e-3))
    assert any(stopper.plateaued(1.0) for _ in range(50)) == ends


@pytest.mark.parametrize(("n_iter_max", "patience"), [(100, 20), (10, 5)])
def test_a_fifth_of_the_passes_without_improvement_is_a_plateau(n_iter_max, patience):
    stopper = _Stopper(Settings(n_iter_max, 1e-3, 32, 2e-3))
    found = [stopper.plateaued(1.0) for _ in range(patience + 1)]
    assert found == [False] * patience + [True]


def test_a_steady_improvement_is_no_plateau():
    stopper = _Stopper(Settings(50, 1e-3, 32, 2e-3))
    assert not any(stopper.plateaued(0.95**n) for n in range(50))


@pytest.mark.parametrize("left", [0.8, 1.0, 1.1])
@pytest.mark.parametrize("sign", [1, -1])  # of an objective that falls below zero, too
def test_the_last_fall_is_that_within_the_patience_before_the_decay(left, sign):
    stopper = _Stopper(Settings(100, 0.0, 32, 2e-3))
    for n in range(100):  # smoothed, what falls by the same share in each pass still does
        stopper.plateaued(sign * left ** (n / 20) if n < 60 else 0.0)
    assert stopper.last_fall(60) == pytest.approx(sign * (1 - left), abs=0.01)


def test_of_no_more_passes_than_the_patience_nobody_knows_the_last_fall():
    stopper = _Stopper(Settings(8, 0.0, 32, 2e-3))
    for _ in range(8):
        stopper.plateaued(0.0)
    assert np.isnan(stopper.last_fall(5)) and stopper.last_fall(6) == 0


def test_a_fit_that_ran_all_passes_says_how_its_error_fell_at_last():
    part = _part(n_each=32)
    for learning_rate, low, high in [(1e-9, -0.01, 0.01), (5e-3, 0.2, 1)]:
        plan = Plan(Settings(20, 0.0, 32, learning_rate))
        fit = train(_embedder(part, "mlp"), part, TRIPLETS_ONLY, plan, np.random.default_rng(0))
        assert fit.n_iter == 20 and low < fit.last_fall < high
    assert _train(_embedder(part), part, stops=False).last_fall == 0


def test_negative_errors_improve_by_falling():
    stopper = _Stopper(Settings(50, 1e-3, 32, 2e-3))  # uniformity makes the objective negative
    assert not any(stopper.plateaued(-1 - 0.1 * n) for n in range(50))


@pytest.mark.parametrize("name", ["multilinear", "linear", "mlp", "conv"])
def test_training_puts_held_out_triplets_in_order(name):
    everything = _part(n_each=32)
    part = everything.take(np.arange(0, 96, 2))
    held_out = everything.take(np.arange(1, 96, 2))
    settings = Settings(60, 0, 32, 5e-3)
    fit = _train(_embedder(part, name), part, settings, held_out=held_out)
    assert fit.history["triplet_accuracy"][-1] > 0.97
    assert fit.history["error"][-1] < 0.7 * fit.history["error"][0]


def test_history_has_a_value_a_pass_and_the_terms_that_count():
    part = _part()
    objective = Objective(1.0, 1.0, 0.5, 0.5)
    fit = _train(_embedder(part), part, objective=objective)
    expected = {"error", "triplet_accuracy", "learning_rate", "objective", "triplet", "diversity"}
    assert set(fit.history) == expected | {"uniformity", "locality"}
    assert {len(values) for values in fit.history.values()} == {SETTINGS.n_iter_max}
    total = np.array([fit.history[name] for name in ("triplet", "diversity")]).sum(axis=0)
    total += 0.5 * np.array([fit.history[name] for name in ("uniformity", "locality")]).sum(axis=0)
    np.testing.assert_allclose(fit.history["objective"], total, rtol=1e-6)


def test_the_watched_error_is_the_held_out_one():
    part, held_out = _part(), _part(seed=0).take(np.arange(0, 48, 3))
    embedder = _embedder(part)
    fit = _train(embedder, part, held_out=held_out)
    points = embedder.embed(held_out.samples)
    expected = TRIPLETS_ONLY.monitored(held_out, points, held_out.samples, 32)
    assert fit.history["error"][-1] == pytest.approx(expected)


def test_fitted_triplets_are_watched_beside_held_out_ones():
    everything = _part()
    held_out, part = everything.take(np.arange(0, 48, 3)), everything.take(np.arange(1, 48, 3))
    embedder = _embedder(part)
    fit = _train(embedder, part, held_out=held_out)
    for name, watched in [("triplet_accuracy", held_out), ("fitted_triplet_accuracy", part)]:
        expected = watched.triplet_accuracy(embedder.embed(watched.samples))
        assert fit.history[name][-1] == pytest.approx(expected)
        assert len(fit.history[name]) == fit.n_iter
    assert "fitted_triplet_accuracy" not in _train(_embedder(part), part).history


def test_the_callback_ends_the_loop():
    part = _part()
    fit = _train(_embedder(part), part, on_pass=lambda fit: fit.n_iter == 3)
    assert (fit.n_iter, fit.stopped) == (3, True)


def test_all_randomness_comes_from_the_generator():
    part = _part()
    points = []
    for seed in (0, 0, 1):
        embedder = _embedder(part, "conv")
        torch.manual_seed(len(points))  # must not matter
        _train(embedder, part, rng=np.random.default_rng(seed))
        points.append(embedder.embed(part.samples))
    assert torch.equal(points[0], points[1])
    assert not torch.equal(points[0], points[2])


def test_training_ends_in_evaluation_mode_with_all_generators_returned():
    part = _part()
    embedder = _embedder(part, "conv")
    _train(embedder, part)
    assert not embedder.training
    assert not any(
        isinstance(getattr(m, "generator", None), torch.Generator) for m in embedder.modules()
    )


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_bar_that_counts_passes_and_other_streams_lines(monkeypatch, capsys):
    pytest.importorskip("tqdm")
    part, terminal = _part(), _Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    _train(_embedder(part), part, verbose=1, title="a fit")
    assert "a fit" in terminal.getvalue()
    assert "20/20" in terminal.getvalue()
    assert capsys.readouterr().out == ""
    _train(_embedder(part), part, verbose=2, title="a fit")
    assert capsys.readouterr().out.count("a fit: pass") == 20


def test_an_infinite_sample_stops_the_run_and_names_the_term():
    part = _part()
    embedder = _embedder(part)
    embedder.scale.fill_(math.nan)
    with pytest.raises(FloatingPointError, match=r"The triplet became nan in pass 1"):
        _train(embedder, part)


def test_the_record_of_a_pass_has_means_and_names_what_was_not_finite_in_any_step():
    record = _training._Record()
    for value in (1.0, 2.0, 6.0):
        record.add({"triplet": torch.tensor(value), "objective": torch.tensor(2 * value)})
    assert record.means(1) == {"triplet": 3, "objective": 6}
    record.add({"triplet": torch.tensor(1.0), "objective": torch.tensor(math.inf)})
    record.add({"triplet": torch.tensor(math.nan), "objective": torch.tensor(1.0)})
    with pytest.raises(FloatingPointError, match="The triplet became nan in pass 7"):
        record.check(7)
    with pytest.raises(FloatingPointError, match="The objective became inf in pass 7"):
        record.means(7)


def test_a_step_that_diverges_is_not_taken():
    part = _part()
    embedder = _embedder(part)
    before = [own.clone() for own in embedder.parameters()]
    embedder.scale.fill_(math.nan)
    with pytest.raises(FloatingPointError):
        _train(embedder, part)
    for own, old in zip(embedder.parameters(), before, strict=True):
        assert torch.equal(own, old)


def test_augmentation_leaves_the_batch_as_it_is_and_adds_noise_of_the_given_size():
    part = _part(n_each=400)
    before = part.samples.clone()
    nothing = torch.zeros_like(before)
    varied = Augmentation(0.2, transfer=0.0)(part.samples, nothing, torch.Generator())
    assert torch.equal(part.samples, before)
    assert float((varied - before).std()) == pytest.approx(0.2, rel=0.05)


def test_a_random_share_of_each_difference_is_transferred():
    samples, differences = torch.zeros(400, 2), torch.ones(400, 2)
    varied = Augmentation(0.0, transfer=0.5)(samples, differences, torch.Generator())
    assert torch.equal(varied[:, 0], varied[:, 1])  # one share a sample
    assert 0 <= varied.min() < 0.02 and 0.48 < varied.max() <= 0.5


def test_shifts_move_the_convolved_modes_and_repeat_the_edge():
    samples = torch.arange(40.0).repeat(64, 1)
    nothing = torch.zeros_like(samples)
    varied = Augmentation(0.0, shift=0.05, shifted_modes=(0,))(samples, nothing, torch.Generator())
    offsets = varied[:, 20] - 20
    assert set(offsets.tolist()) == {-2.0, -1.0, 0.0, 1.0, 2.0}
    expected = (torch.arange(40.0) + offsets[:, None]).clamp(0, 39)
    assert torch.equal(varied, expected)


def test_embedded_rows_do_not_depend_on_their_company():
    part = _part(n_each=200)
    for name in ("multilinear", "linear", "mlp", "conv"):
        embedder = _embedder(part, name)
        together = embedder.embed(part.samples)
        torch.testing.assert_close(together[257:258], embedder.embed(part.samples[257:258]))
        as_they_are = embedder.embed(part.samples, moved=False)
        torch.testing.assert_close(as_they_are.norm(dim=1), torch.ones(600, dtype=torch.float64))


def _module():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(20, 4)).double()


def test_gradients_are_those_of_one_step_alone(monkeypatch):
    """With steps too small to matter, all have the same norm."""
    part, norms, clip = _part(), [], torch.nn.utils.clip_grad_norm_

    def clipped(parameters, most):
        norms.append(clip(parameters, most))
        return norms[-1]

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", clipped)
    _train(Embedder(_module(), part.samples), part, Settings(5, 0, 48, 1e-12))
    assert [float(norm) for norm in norms] == pytest.approx([float(norms[0])] * 5)


def test_steps_follow_gradients_of_length_one_at_most(monkeypatch):
    part, norms, step = _part(), [], torch.optim.AdamW.step

    def stepping(optimizer, *rest):
        own = [each.grad.norm() for each in optimizer.param_groups[0]["params"]]
        norms.append(float(torch.stack(own).norm()))
        return step(optimizer, *rest)

    monkeypatch.setattr(torch.optim.AdamW, "step", stepping)
    steep = Objective(1.0, 0.0, 0.0, 0.0, lambda points, codes: 1e3 * points[:, 0].sum())
    settings = Settings(2, 0, 48, 1e-3)
    _train(Embedder(_module(), part.samples), part, settings, steep, stops=False)
    assert norms == pytest.approx([1.0, 1.0], rel=1e-3)


def test_a_module_trains_in_training_mode_and_is_watched_in_the_other():
    part, modes = _part(), []

    class Watching(torch.nn.Sequential):
        def forward(self, samples):
            modes.append((self.training, torch.is_grad_enabled()))
            return super().forward(samples)

    module = Watching(torch.nn.Flatten(), torch.nn.Linear(20, 4)).double()
    _train(Embedder(module, part.samples), part, Settings(3, 0, 32, 1e-3))
    assert set(modes) == {(True, True), (False, False)}


def test_what_is_embedded_in_training_is_varied_and_neighbours_are_those_of_the_samples(
    monkeypatch,
):
    part, near, terms = _part(), [], Objective.terms
    encoder = make_encoder("linear", (5, 4), 4)
    embedder = Embedder(encoder, part.samples)
    given = embedder.standardise(part.samples).flatten(1)
    encoder.initialize(given.view(-1, 5, 4), torch.Generator().manual_seed(0))

    def watched(self, part, points, batch, samples, varied):
        both = (samples.flatten(1), varied.flatten(1))
        near.append([torch.cdist(one, given).min(dim=1).values for one in both])
        return terms(self, part, points, batch, samples, varied)

    monkeypatch.setattr(Objective, "terms", watched)
    _train(embedder, part, Settings(2, 0, 32, 1e-3), stops=False)
    assert near
    for samples, varied in near:
        assert samples.max() < 1e-6
        assert varied.min() > 0.01


def test_the_watched_error_is_smoothed():
    stopper = _Stopper(Settings(50, 1e-3, 32, 2e-3))
    for error in (1.0, 0.0, 0.0):
        stopper.plateaued(error)
    assert stopper.course == pytest.approx([1.0, 0.8, 0.64])


def test_an_improvement_is_measured_against_the_error():
    stopper = _Stopper(Settings(50, 1e-3, 32, 2e-3))
    assert not any(stopper.plateaued(1e-4 * 0.95**n) for n in range(50))
