"""The whole recipe: what comes out, what is left alone, what is refused."""

import random
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
import tensorly as tl
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.manifold import trustworthiness

from tensorly_norank import (
    NoRankTensor,
    _batches,
    _mask,
    _parts,
    _rank_evidence,
    _recipe,
    no_rank_decomposition,
)
from tensorly_norank._components import canonical_axes
from tensorly_norank._linear_part import LinearPart
from tensorly_norank.datasets import simulate_planted
from tensorly_norank.encoders import make_encoder
from tensorly_norank.evaluation import evaluate_embedding

QUICK = {"encoder": "linear", "n_iter_max": 12, "tol": 0, "random_state": 0}


def _data(n_classes=3, shape=(5, 4), n_each=24, noise=0.3, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(n_classes), n_each)
    patterns = rng.normal(size=(n_classes, *shape))
    return patterns[labels] + noise * rng.normal(size=(len(labels), *shape)), labels


def _uncopiable():
    """A module whose weights are computed, and no leaves of the graph."""
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3).double())
    module.scale = module[1].weight * 2
    return module


def _embedding(*args, **kwargs):
    return tl.to_numpy(no_rank_decomposition(*args, **kwargs).embedding)


@pytest.mark.parametrize("encoder", ["multilinear", "linear", "mlp", "conv", "auto"])
@pytest.mark.parametrize("shape", [(9,), (5, 4), (4, 3, 5)], ids=str)
def test_every_encoder_takes_samples_of_every_order(encoder, shape):
    values, labels = _data(shape=shape)
    result = no_rank_decomposition(tl.tensor(values), labels, **QUICK | {"encoder": encoder})
    assert tuple(tl.shape(tl.cp_to_tensor(result))) == values.shape
    weights, factors = result
    assert tuple(tl.shape(weights)) == (result.rank,)
    assert [tuple(tl.shape(f)) for f in factors] == [(n, result.rank) for n in values.shape]


@pytest.mark.parametrize("mode", [1, 2, -1])
def test_samples_on_another_mode_give_the_same_components(mode):
    values, labels = _data()
    first = no_rank_decomposition(tl.tensor(values), labels, **QUICK)
    moved = tl.tensor(np.moveaxis(values, 0, mode))
    other = no_rank_decomposition(moved, labels, mode=mode, **QUICK)
    np.testing.assert_allclose(
        np.abs(tl.to_numpy(other.embedding)), np.abs(tl.to_numpy(first.embedding)), atol=1e-8
    )
    np.testing.assert_allclose(
        np.moveaxis(tl.to_numpy(tl.cp_to_tensor(other)), mode, 0),
        tl.to_numpy(tl.cp_to_tensor(first)),
        atol=1e-5,
    )


def test_separated_classes_give_one_component_less_than_classes():
    for n_classes in (2, 3, 4):
        values, labels = _data(n_classes)
        result = no_rank_decomposition(tl.tensor(values), labels, **QUICK | {"n_iter_max": 25})
        assert result.rank == result.rank_evidence.chosen == n_classes - 1


def test_labels_without_structure_give_one_component_and_a_warning():
    rng = np.random.default_rng(1)
    values, labels = rng.normal(size=(90, 5, 4)), np.arange(90) % 3
    with pytest.warns(UserWarning, match="No component separates the classes"):
        result = no_rank_decomposition(tl.tensor(values), labels, **QUICK)
    assert (result.rank, result.rank_evidence.significant) == (1, 0)


def test_same_seed_same_bits_and_generators_are_taken():
    values, labels = _data()
    tensor = tl.tensor(values)
    options = QUICK | {"encoder": "conv", "n_iter_max": 2}
    for state in (lambda: 3, lambda: np.random.default_rng(3), lambda: np.random.RandomState(3)):
        first, second = (
            _embedding(tensor, labels, **options | {"random_state": state()}) for _ in range(2)
        )
        np.testing.assert_array_equal(first, second)
    other = _embedding(tensor, labels, **options | {"random_state": 4})
    assert first.shape != other.shape or not np.allclose(first, other)


def test_a_device_may_be_named_and_is_checked_before_any_work(monkeypatch):
    values, labels = _data()
    tensor = tl.tensor(values)
    options = QUICK | {"encoder": "linear", "n_iter_max": 2}
    named = _embedding(tensor, labels, **options, device="cpu")
    np.testing.assert_array_equal(named, _embedding(tensor, labels, **options))
    monkeypatch.setattr(_mask, "enter", lambda *_: pytest.fail("the tensor was copied"))
    with pytest.raises(ValueError, match=r"device must be .*, got 'nowhere'"):
        no_rank_decomposition(tensor, labels, device="nowhere")


def test_samples_enter_on_the_device_that_is_named(monkeypatch):
    found = []
    enter = _mask.enter

    def spy(array, origin, device=None):
        found.append(device)
        return enter(array, origin, device)

    values, labels = _data()
    monkeypatch.setattr(_mask, "enter", spy)
    options = QUICK | {"encoder": "linear", "n_iter_max": 1, "device": "cpu"}
    no_rank_decomposition(tl.tensor(values), labels, **options)
    assert found == [torch.device("cpu")]


@pytest.mark.slow
def test_same_seed_same_bits_in_another_process():
    script = (
        "import numpy as np, tensorly as tl; from tensorly_norank import no_rank_decomposition\n"
        "rng = np.random.default_rng(0); y = np.repeat([0, 1, 2], 20)\n"
        "X = tl.tensor(rng.normal(size=(3, 5, 4))[y] + rng.normal(size=(60, 5, 4)))\n"
        "r = no_rank_decomposition(X, y, encoder='mlp', n_iter_max=4, tol=0, random_state=5)\n"
        "print(tl.to_numpy(r.embedding).tobytes().hex())"
    )
    run = [sys.executable, "-W", "ignore", "-c", script]
    first, second = (
        subprocess.run(run, capture_output=True, text=True, check=True).stdout for _ in range(2)
    )
    assert first == second
    assert len(first) > 100


class _Dropping(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Dropout(0.2), torch.nn.Linear(20, 6)
        )

    def forward(self, samples):
        return self.layers(samples)


@pytest.mark.parametrize("encoder", ["conv", "module"])
def test_nothing_global_and_nothing_of_the_callers_changes(encoder):
    values, labels = _data()
    tensor, module = tl.tensor(values), _Dropping().double()
    weights = [parameter.detach().clone() for parameter in module.parameters()]

    def state():
        name, keys, *rest = np.random.get_state()
        return (
            random.getstate(),
            (name, keys.tobytes(), *rest),
            torch.get_rng_state().numpy().tobytes(),
            tl.get_backend(),
            torch.get_default_dtype(),
            torch.get_num_threads(),
            list(warnings.filters),
        )

    # PyTorch's first optimiser imports sympy, which adds a filter for its own kind of warning.
    torch.optim.AdamW([torch.zeros(1)])
    before = state()
    options = QUICK | {"encoder": module if encoder == "module" else encoder, "n_iter_max": 3}
    first = no_rank_decomposition(tensor, labels, **options)
    after = state()
    assert after == before
    np.testing.assert_array_equal(tl.to_numpy(tensor), values)
    for parameter, original in zip(module.parameters(), weights, strict=True):
        assert torch.equal(parameter, original)
    second = no_rank_decomposition(tensor, labels, **options)
    np.testing.assert_array_equal(tl.to_numpy(first.embedding), tl.to_numpy(second.embedding))


def test_a_module_comes_back_trained():
    values, labels = _data()
    module = _Dropping().double()
    result = no_rank_decomposition(tl.tensor(values), labels, **QUICK | {"encoder": module})
    assert isinstance(result.encoder, _Dropping)
    assert not torch.equal(result.encoder.layers[2].weight, module.layers[2].weight)


def test_a_module_may_have_one_dimension():
    values, labels = _data(2)
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(20, 1)).double()
    options = QUICK | {"encoder": module, "n_iter_max": 60, "learning_rate": 0.02}
    result = no_rank_decomposition(tl.tensor(values), labels, **options)
    assert result.rank == 1
    assert result.diagnostics["triplet_accuracy"] > 0.9


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8"])
def test_dtypes_come_back(dtype):
    values, labels = _data()
    tensor = tl.tensor((20 * values + 100).clip(0, 255).astype(dtype))
    result = no_rank_decomposition(tensor, labels, **QUICK)
    expected = {"int64": "float64", "uint8": "float32"}.get(dtype, dtype)
    for array in (result.weights, result.embedding, result.offset, *result.factors):
        assert str(array.dtype).endswith(expected)


def test_rank_and_max_rank_are_kept():
    values, labels = _data()
    assert no_rank_decomposition(tl.tensor(values), labels, rank=5, **QUICK).rank == 5
    with pytest.warns(UserWarning, match=r"max_rank=1 is smaller than the 2 components"):
        result = no_rank_decomposition(tl.tensor(values), labels, max_rank=1, **QUICK)
    assert result.rank == len(tl.to_numpy(result.weights)) == 1
    assert result.rank_evidence.significant == 2
    assert (result.rank_evidence.p_value[:2] <= 0.01).all()


def test_components_without_variance_are_zero_with_weight_zero():
    values, labels = _data(2, n_each=6)
    result = no_rank_decomposition(tl.tensor(values), labels, **QUICK | {"rank": 20})
    assert np.linalg.matrix_rank(tl.to_numpy(result.embedding)) <= 11  # of 12 centred samples
    weights = tl.to_numpy(result.weights)
    assert np.all(weights[11:] == 0) and np.all(weights[:5] > 0)
    assert np.all(tl.to_numpy(result.transform(tl.tensor(values[:1])))[:, 11:] == 0)


def test_an_encoder_that_was_fitted_before_is_warned_of_where_it_should_count():
    values, labels = _data()
    first = no_rank_decomposition(tl.tensor(values), labels, **QUICK)
    with pytest.warns(UserWarning, match="encoder has parameters already"):
        no_rank_decomposition(tl.tensor(values), labels, **QUICK | {"encoder": first.encoder})


def test_without_validation_there_is_no_evidence():
    values, labels = _data()
    options = QUICK | {"rank": 2, "validation_fraction": 0}
    result = no_rank_decomposition(tl.tensor(values), labels, **options)
    assert result.rank_evidence is None
    assert "held_out_triplet_accuracy" not in result.diagnostics


def test_what_is_counted_on_was_neither_fitted_nor_watched(monkeypatch):
    splits, counted = [], []

    def split_samples(*arguments):
        splits.extend(_batches.split_samples(*arguments))
        return splits

    def count_components(held_out, *arguments):
        counted.extend(part.embedding.codes for part in held_out)
        return _rank_evidence.count_components(held_out, *arguments)

    monkeypatch.setattr(_parts, "split_samples", split_samples)
    monkeypatch.setattr(_recipe, "count_components", count_components)
    values, labels = _data(n_each=30)
    no_rank_decomposition(tl.tensor(values), labels, **QUICK)
    codes = np.unique(labels, return_inverse=True)[1]
    assert len(counted) > 1
    for split, own in zip(splits, counted, strict=False):
        np.testing.assert_array_equal(own, codes[split.count])
        assert not np.isin(split.count, split.fit).any()
    assert not np.isin(splits[0].count, splits[0].stop).any()


def test_a_fit_learns_from_one_part_and_is_stopped_by_one_that_does_not_count(monkeypatch):
    fits, looks = [], []
    train, look = _recipe.train, _recipe.Recipe._held_out

    def training(embedder, part, *args, held_out=None, **kwargs):
        fits.append((part.places, [] if held_out is None else held_out.places))
        return train(embedder, part, *args, held_out=held_out, **kwargs)

    def looking(self, embedder, split, rng):
        looks.append((split, *fits[-1], embedder.mean))
        return look(self, embedder, split, rng)

    monkeypatch.setattr(_recipe, "train", training)
    monkeypatch.setattr(_recipe.Recipe, "_held_out", looking)
    values, labels = _data(n_each=30)
    no_rank_decomposition(tl.tensor(values), labels, **QUICK)
    assert len(looks) > 1
    for split, fitted, watched, mean in looks:
        assert fitted.tolist() == split.fit.tolist()
        np.testing.assert_allclose(mean, values[split.fit].mean(axis=0), atol=1e-8)
        assert list(watched) == ([] if split.stop is None else split.stop.tolist())
    assert len(looks[0][2]) and fits[-1][0].tolist() == list(range(90))


def test_where_a_sample_that_counts_lies_does_not_depend_on_the_others(monkeypatch):
    pairs, look = [], _recipe.Recipe._held_out

    def looking(self, embedder, split, rng):
        samples = self.data.part.samples.clone()
        samples[split.count[0]] *= -10
        data = replace(self.data, part=replace(self.data.part, samples=samples))
        other = look(replace(self, data=data), embedder, split, np.random.default_rng(0))
        pairs.append((look(self, embedder, split, rng), other))
        return pairs[-1][0]

    monkeypatch.setattr(_recipe.Recipe, "_held_out", looking)
    values, labels = _data(n_each=30)
    no_rank_decomposition(tl.tensor(values), labels, **QUICK)
    for one, other in pairs:
        for ours, theirs in [(one.embedding, other.embedding), (one.linear, other.linear)]:
            np.testing.assert_allclose(ours.fitted_means, theirs.fitted_means, atol=1e-6)
            different = np.abs(ours.coordinates - theirs.coordinates).max(axis=1) > 1e-6
            assert np.flatnonzero(different).tolist() == [0]


def test_held_out_samples_are_set_beside_means_of_the_fitted_on_the_same_axes(monkeypatch):
    seen, look = [], _recipe.Recipe._held_out

    def looking(self, embedder, split, rng):
        fitted = self.data.part.take(split.fit)
        points = embedder.embed(fitted.samples)
        samples = embedder.standardise(fitted.samples)
        linear = LinearPart(samples, points, fitted.codes, np.random.default_rng(0))(samples)
        held_out = look(self, embedder, split, rng)
        for own, part in ((points, held_out.embedding), (linear, held_out.linear)):
            placed = canonical_axes(own, fitted.labels).project(own).double().numpy()
            seen.append((part, [placed[fitted.codes == code].mean(axis=0) for code in range(3)]))
        return held_out

    monkeypatch.setattr(_recipe.Recipe, "_held_out", looking)
    values, labels = _data(n_each=30)
    no_rank_decomposition(tl.tensor(values), labels, **QUICK)
    for part, expected in seen:
        assert part.fitted_classes.tolist() == [0, 1, 2]
        np.testing.assert_allclose(part.fitted_means, expected, atol=1e-5)
    assert not np.allclose(seen[0][1], seen[1][1], atol=1e-3)


def test_where_the_structure_is_linear_the_axes_of_the_linear_part_come_first():
    """A line of classes that the sphere bends: the first axis follows the line itself."""
    rng = np.random.default_rng(0)
    labels = np.arange(240) % 6
    along = labels - 2.5 + 0.2 * rng.normal(size=240)
    values = np.einsum("i,jk->ijk", along, rng.normal(size=(5, 4)))
    values += 0.3 * rng.normal(size=values.shape)
    options = QUICK | {"n_iter_max": 40}
    result = no_rank_decomposition(tl.tensor(values), labels, **options)
    assert result.rank_evidence.linear
    assert result.rank == 1
    first = tl.to_numpy(result.embedding)[:, 0]
    points = result._embedder.embed(torch.from_numpy(values).to(result._embedder.mean))
    plain = canonical_axes(points, torch.from_numpy(labels)).project(points)[:, 0]
    ours, others = (abs(np.corrcoef(along, axis)[0, 1]) for axis in (first, plain.detach().numpy()))
    assert ours > others


@pytest.mark.parametrize("n_each", [2, 3])
def test_where_nothing_can_be_held_out_all_samples_count_the_components(n_each):
    planted = simulate_planted(
        40 * n_each, rank=2, n_classes=40, n_distractors=2, noise=0.5, random_state=0
    )
    with pytest.warns(UserWarning, match="No samples could be held out"):
        result = no_rank_decomposition(planted.tensor, planted.labels, **QUICK)
    evidence = result.rank_evidence
    assert result.rank == evidence.significant == 2
    assert (evidence.n_held_out, evidence.needed) == (0, 0)
    assert "held_out_triplet_accuracy" not in result.diagnostics


def test_where_nothing_can_be_tested_there_is_one_component_and_a_warning():
    values, _ = _data()
    labels = ["a", "a", *range(len(values) - 2)]
    with pytest.warns(UserWarning) as caught:
        result = no_rank_decomposition(tl.tensor(values), labels, **QUICK)
    assert "No samples could be held out" in str(caught[0].message)
    assert "fewer than two classes have enough samples" in str(caught[1].message)
    assert result.rank == 1
    assert np.isnan(result.rank_evidence.p_value).all()


def test_verbosity_changes_nothing():
    values, labels = _data()
    plain = _embedding(tl.tensor(values), labels, **QUICK)
    np.testing.assert_array_equal(plain, _embedding(tl.tensor(values), labels, verbose=2, **QUICK))


def test_the_callback_sees_every_pass_and_can_stop():
    values, labels = _data()
    seen = []

    def callback(state, error):
        seen.append((state.n_iter, error))
        if state.n_iter == 3:
            assert isinstance(state.result(), NoRankTensor)
            assert len(state.embedding()) == len(labels)
        return state.n_iter == 5

    result, errors = no_rank_decomposition(
        tl.tensor(values), labels, callback=callback, return_errors=True, **QUICK
    )
    assert [n for n, _ in seen] == [1, 2, 3, 4, 5]
    assert [error for _, error in seen] == errors
    assert result.n_iter == 5


@pytest.mark.parametrize("n_passes", [11, 12])
def test_a_callback_that_looks_changes_nothing(n_passes):
    values, labels = _data()
    options = QUICK | {"n_iter_max": n_passes}
    plain = no_rank_decomposition(tl.tensor(values), labels, **options)
    watched = no_rank_decomposition(
        tl.tensor(values), labels, callback=lambda state, error: state.result() is None, **options
    )
    assert plain.history == watched.history
    np.testing.assert_array_equal(plain.rank_evidence.p_value, watched.rank_evidence.p_value)
    np.testing.assert_array_equal(tl.to_numpy(plain.embedding), tl.to_numpy(watched.embedding))


def test_what_a_callback_keeps_stays_as_it_was():
    values, labels = _data()
    tensor, seen = tl.tensor(values), []
    options = QUICK | {"rank": 2, "validation_fraction": 0, "n_iter_max": 5}
    no_rank_decomposition(
        tensor, labels, callback=lambda state, error: seen.append(state.result()), **options
    )
    first, last = (tl.to_numpy(result.embedding) for result in (seen[0], seen[-1]))
    assert np.abs(first - last).max() > 0.01
    np.testing.assert_allclose(tl.to_numpy(seen[0].transform(tensor)), first, atol=1e-8)


@pytest.mark.filterwarnings("ignore")
def test_what_a_callback_sees_says_how_it_was_made():
    values, _, given = _partly_labelled()
    seen = []
    options = QUICK | {"n_iter_max": 1, "margin": 0.7}
    result = no_rank_decomposition(
        tl.tensor(values),
        given,
        callback=lambda state, error: seen.append(state.result()),
        **options,
    )
    assert seen[0].settings == result.settings
    assert options.items() <= result.settings.items()
    assert seen[0].diagnostics["n_lent_labels"] == result.diagnostics["n_lent_labels"] == 75


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("random_state", "noted"),
    [(np.int64(3), 3), (None, None), (np.random.default_rng(3), None)],
    ids=["integer", "none", "generator"],
)
def test_settings_note_a_seed_as_pythons_own_number(random_state, noted):
    values, labels = _data()
    options = QUICK | {"n_iter_max": 1, "rank": 2, "random_state": random_state}
    found = no_rank_decomposition(tl.tensor(values), labels, **options).settings["random_state"]
    assert found == noted and type(found) is type(noted)


def test_tol_zero_runs_all_passes_and_a_plateau_ends_the_fit():
    values, labels = _data()
    result = no_rank_decomposition(tl.tensor(values), labels, **QUICK)
    assert (result.n_iter, result.converged) == (12, False)
    result = no_rank_decomposition(
        tl.tensor(values), labels, **QUICK | {"tol": 0.5, "n_iter_max": 100}
    )
    assert result.converged
    assert result.n_iter < 100
    assert all(len(values) == result.n_iter for values in result.history.values())


def test_classes_too_small_to_be_tested_make_a_warning_that_counts_them():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), [40, 40, 40, 3, 2, 1])
    values = rng.normal(size=(6, 5, 4))[labels] + 0.3 * rng.normal(size=(126, 5, 4))
    with pytest.warns(UserWarning, match="^3 of the classes have too few samples") as caught:
        result = no_rank_decomposition(tl.tensor(values), labels, **QUICK)
    assert [one.filename for one in caught] == [__file__]
    assert result.rank_evidence.n_untested == 3
    assert result.rank == 2


@pytest.mark.filterwarnings("ignore:.*labels are missing:UserWarning")
@pytest.mark.parametrize("n_unlabelled", [0, 60])
def test_of_two_samples_a_class_what_is_likely_is_kept(n_unlabelled):
    """Also where most samples have no label: those that have one decide."""
    rng = np.random.default_rng(0)
    means = rng.normal(size=(12, 5, 4))
    labels = np.concatenate([np.repeat(np.arange(12), 2), np.full(n_unlabelled, -1)])
    values = means[np.arange(len(labels)) // 2 % 12] + 0.7 * rng.normal(size=(len(labels), 5, 4))
    with pytest.warns(UserWarning, match="No samples could be held out"):
        result = no_rank_decomposition(tl.tensor(values), labels, **QUICK)
    evidence = result.rank_evidence
    assert evidence.significant < evidence.likely
    assert result.rank == evidence.chosen == evidence.likely
    assert f"({evidence.likely} found, 0 samples held out)" in repr(result)


@pytest.mark.filterwarnings("ignore:.*labels are missing:UserWarning")
def test_of_five_samples_a_class_what_is_likely_is_kept():
    """All labelled samples say how few there are, not the held-out or the unlabelled ones."""
    rng = np.random.default_rng(0)
    labels = np.concatenate([np.repeat(np.arange(8), 5), np.full(40, -1)])
    values = rng.normal(size=(8, 5, 4))[np.arange(80) // 5 % 8] + rng.normal(size=(80, 5, 4))
    result = no_rank_decomposition(tl.tensor(values), labels, **QUICK)
    evidence = result.rank_evidence
    assert evidence.n_held_out > 0
    assert result.rank == evidence.chosen == max(evidence.likely, 1)
    assert f"({evidence.likely} found, " in repr(result)


def test_what_is_kept_for_want_of_evidence_spans_the_class_means_of_the_embedding():
    """But for one axis, which is of its linear part."""
    values = np.random.default_rng(0).normal(size=(30, 6, 5))
    labels = np.repeat(np.arange(6), 5)
    with pytest.warns(UserWarning, match="5 are kept all the same"):
        result = no_rank_decomposition(
            tl.tensor(values), labels, encoder="mlp", n_iter_max=30, tol=0, random_state=0
        )
    assert result.rank == 5 and result.rank_evidence.linear
    points = tl.to_numpy(result.embedding).astype(float)
    whole = result._embedder.embed(torch.from_numpy(values)).double().numpy()
    between = [
        np.square(
            np.stack([own[labels == one].mean(axis=0) for one in range(6)]) - own.mean(axis=0)
        )
        for own in (points, whole)
    ]
    assert between[0].sum() / between[1].sum() == pytest.approx(1, abs=0.003)


@pytest.mark.parametrize("sizes", [[200, 5, 5, 5], [60, 60, 6], [300, 7]], ids=str)
def test_small_classes_beside_large_ones_are_tested(sizes):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    values = rng.normal(size=(len(sizes), 5, 4))[labels] + 0.3 * rng.normal(size=(sum(sizes), 5, 4))
    evidence = no_rank_decomposition(tl.tensor(values), labels, **QUICK).rank_evidence
    assert (evidence.n_untested, evidence.likely) == (0, None)
    assert evidence.significant >= min(2, len(sizes) - 1)


@pytest.mark.parametrize("name", ["rank", "max_rank"])
def test_more_components_than_there_can_be_are_refused(name):
    values, labels = _data()
    with pytest.raises(ValueError, match=f"^{name} must be at most 64 .*got 65"):
        no_rank_decomposition(tl.tensor(values), labels, **QUICK | {name: 65})


def test_a_module_may_return_more_components_than_a_sample_has_entries():
    values, labels = _data()
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(20, 70))
    options = QUICK | {"encoder": module, "n_iter_max": 2, "rank": 66}
    assert no_rank_decomposition(tl.tensor(values), labels, **options).rank == 66


def test_a_fit_that_is_cut_short_warns():
    values, labels = _data()
    options = QUICK | {"tol": 1e-3, "n_iter_max": 20, "learning_rate": 5e-3}
    with pytest.warns(ConvergenceWarning, match="fell markedly when n_iter_max=20") as caught:
        no_rank_decomposition(tl.tensor(values), labels, **options)
    assert caught[0].filename == __file__


def test_passes_that_are_too_few_to_tell_whether_the_error_fell_say_so():
    values, labels = _data()
    with pytest.warns(ConvergenceWarning, match="^n_iter_max=2 passes are too few to tell"):
        no_rank_decomposition(tl.tensor(values), labels, **QUICK | {"tol": 1e-3, "n_iter_max": 2})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "sizes",
    [(2500, 5), (2500, 1), (12, 1500), (2, *[1] * 600)],
    ids=["few", "one", "some", "two among many of one"],
)
@pytest.mark.parametrize("verbose", [0, 1])
def test_a_small_class_beside_a_large_one_is_fitted(sizes, verbose):
    codes = np.repeat(np.arange(len(sizes)), sizes)
    values = np.random.default_rng(0).normal(size=(len(codes), 3)) + codes[:, None] % 5
    options = {"encoder": "linear", "rank": 1, "n_iter_max": 1, "verbose": verbose}
    for seed in range(2):
        result = no_rank_decomposition(tl.tensor(values), codes, random_state=seed, **options)
        assert np.isfinite(result.history["error"]).all()
        assert np.isfinite(list(result.diagnostics.values())).all()


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_whose_error_hardly_fell_any_more_does_not_warn():
    values, labels = _data()
    options = {"tol": 1e-9, "n_iter_max": 12, "learning_rate": 1e-9}
    result = no_rank_decomposition(tl.tensor(values), labels, **QUICK | options)
    assert (result.n_iter, result.converged) == (12, False)


def test_verbose_prints_plain_lines_and_silence_is_silent(capsys):
    values, labels = _data()
    no_rank_decomposition(tl.tensor(values), labels, **QUICK)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""
    no_rank_decomposition(tl.tensor(values), labels, verbose=1, **QUICK)
    assert "fit on a part: pass 12/12" in capsys.readouterr().out


def test_a_term_that_is_not_finite_stops_the_run_and_is_named():
    class Broken(_Dropping):
        def forward(self, samples):
            points = super().forward(samples)
            return points * float("nan") if self.training else points

    values, labels = _data()
    with pytest.raises(FloatingPointError, match=r"triplet.*pass 1"):
        no_rank_decomposition(tl.tensor(values), labels, **QUICK | {"encoder": Broken().double()})


def test_labels_may_be_strings_tuples_and_mixtures():
    values, codes = _data()
    expected = _embedding(tl.tensor(values), codes, **QUICK)
    for names in (["a", "b", "c"], [(0, 1), (1, 0), (2, 2)], ["x", 1, (2,)]):
        labels = [names[code] for code in codes]
        np.testing.assert_array_equal(_embedding(tl.tensor(values), labels, **QUICK), expected)


def test_singletons_are_allowed():
    values, labels = _data()
    labels = np.where(np.arange(len(labels)) == 0, 9, labels)
    result = no_rank_decomposition(tl.tensor(values), labels, **QUICK)
    assert list(result.classes) == [0, 1, 2, 9]


VALUES, LABELS = _data()


def _with(index, value):
    changed = VALUES.copy()
    changed[index] = value
    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tensor": np.ones(72)}, "tensor must be of order 2"),
        ({"tensor": np.ones((0, 3)), "labels": []}, "tensor must not be empty"),
        ({"tensor": VALUES + 1j}, "tensor must hold real numbers"),
        ({"tensor": _with((3, 1, 2), np.nan)}, r"1 NaN and 0 infinite .*\(3, 1, 2\)"),
        ({"tensor": _with((3, 1, 2), np.inf)}, r"0 NaN and 1 infinite .*\(3, 1, 2\)"),
        ({"tensor": _with((3, 1, 2), 1e150)}, r"beyond 1e\+140, .* got 1e\+150"),
        ({"tensor": 1e-170 * VALUES}, r"beyond 1e-140, .* got \d.*e-1\d\d at most"),
        ({"labels": LABELS[:-1]}, "labels must hold one label for each of the 72"),
        ({"labels": LABELS[:5]}, "Mode 1 has that length"),
        ({"labels": LABELS * 0}, "1 class"),
        ({"labels": np.arange(72)}, "1 sample each"),
        ({"labels": [None] * 72}, "all 72 labels are missing"),
        ({"labels": LABELS + 0.5}, "labels must name classes"),
        ({"labels": np.ones((72, 2))}, "labels must be one-dimensional"),
        ({"encoder": "cnn"}, "encoder must be one of .* got 'cnn'"),
        ({"encoder": torch.nn.Flatten(0).double()}, "encoder must return"),
        ({"encoder": torch.nn.Linear(3, 3).double()}, "encoder must map"),
        ({"encoder": _uncopiable()}, "encoder must be a module that copy.deepcopy can copy"),
        ({"max_rank": 0}, "max_rank must be at least 1, got 0"),
        ({"rank": 65}, "rank must be at most"),
        ({"rank": 0}, "rank must be at least 1"),
        ({"diversity": -1.0}, "diversity must be"),
        ({"uniformity": -1.0}, "uniformity must be"),
        ({"locality": float("nan")}, "locality must be"),
        ({"margin": 0}, "margin must be greater than 0"),
        ({"mode": 3}, "mode must be"),
        ({"validation_fraction": 0}, "validation_fraction must be greater than 0"),
        ({"validation_fraction": 1}, "validation_fraction must be"),
        ({"n_iter_max": 0}, "n_iter_max must be"),
        ({"learning_rate": 0}, "learning_rate must be"),
        ({"batch_size": 2}, "batch_size must be"),
        ({"random_state": -1}, "random_state must be"),
    ],
)
def test_bad_values_are_named_before_any_training(change, message):
    arguments = {"tensor": VALUES, "labels": LABELS, "callback": _never} | change
    if "rank" in change and change["rank"] == 65:
        arguments["max_rank"] = 64
    arguments["tensor"] = tl.tensor(arguments["tensor"])
    with pytest.raises(ValueError, match=message):
        no_rank_decomposition(**arguments)


def _never(state, error):
    raise AssertionError("training began")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tensor": VALUES.tolist()}, "tensor must be a tensor of TensorLy's active backend"),
        ({"max_rank": 2.5}, "max_rank must be an integer"),
        ({"margin": True}, "margin must be a number"),
        ({"encoder": 3}, "encoder must be a name or a torch.nn.Module"),
        ({"callback": 3}, "callback must be callable"),
        ({"random_state": "a"}, "random_state must be"),
        ({"labels": "abc"}, "labels must be one label per sample"),
        ({"labels": [[0]] * 71 + [{}]}, "labels must be hashable"),
    ],
)
def test_bad_types_are_named_before_any_training(change, message):
    arguments = {"tensor": tl.tensor(VALUES), "labels": LABELS, "callback": _never} | change
    with pytest.raises(TypeError, match=message):
        no_rank_decomposition(**arguments)


def test_a_tensor_of_another_backend_is_refused_in_one_sentence():
    other = torch.ones(72, 5, 4) if tl.get_backend() == "numpy" else np.ones((72, 5, 4))
    with pytest.raises(TypeError, match="tensor must be a tensor of TensorLy's active backend"):
        no_rank_decomposition(other, LABELS)


def test_objects_and_strings_are_no_tensors():
    for values in (VALUES.astype(object), VALUES.astype(str)):
        with pytest.raises((TypeError, ValueError), match="tensor must"):
            no_rank_decomposition(values, LABELS)


def _overfitted(**options):
    """Labels without bearing on the data, memorised: fitted and held-out figures differ."""
    rng = np.random.default_rng(1)
    values, labels = rng.normal(size=(150, 5, 4)), np.arange(150) % 3
    options = {"encoder": "mlp", "n_iter_max": 60, "tol": 0, "random_state": 0} | options
    return values, no_rank_decomposition(tl.tensor(values), labels, **options)


def test_components_are_counted_on_samples_that_were_not_fitted():
    with pytest.warns(UserWarning, match="No component separates") as caught:
        _, result = _overfitted()
    assert result.diagnostics["triplet_accuracy"] > 0.7
    assert result.rank_evidence.significant == 0
    assert result.rank_evidence.triplet_accuracy.max() < 0.6
    assert result.diagnostics["held_out_triplet_accuracy"] < 0.6
    assert caught[0].filename == __file__


def test_samples_learned_by_heart_make_a_warning_with_both_figures_and_advice():
    with pytest.warns(UserWarning, match="9.% are in order, but .* 4.%: .*More samples") as caught:
        _overfitted(rank=2)
    assert [one.filename for one in caught] == [__file__]


def test_samples_in_the_same_order_whether_held_out_or_not_make_no_warning():
    values, labels = _data()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        no_rank_decomposition(tl.tensor(values), labels, **QUICK)


def test_the_fit_that_is_returned_has_seen_all_samples():
    values, result = _overfitted(rank=2)
    np.testing.assert_allclose(result._embedder.mean.numpy(), values.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(tl.to_numpy(result.embedding).mean(axis=0), 0, atol=1e-6)


@pytest.mark.parametrize("name", ["multilinear", "linear", "mlp", "conv"])
def test_an_encoder_of_ours_may_be_given_ready_made(name):
    values, labels = _data()
    encoder = make_encoder(name, (5, 4), 6)
    options = QUICK | {"encoder": encoder, "n_iter_max": 25}
    result = no_rank_decomposition(tl.tensor(values), labels, **options)
    assert result.rank == 2
    assert result.diagnostics["triplet_accuracy"] > 0.9
    assert not encoder.initialized  # the caller's stays as it is


def test_an_initialised_encoder_is_trained_on_from_where_it_is():
    values, labels = _data()
    encoder = make_encoder("linear", (5, 4), 6).double()
    encoder.initialize(torch.from_numpy(values), torch.Generator())
    options = QUICK | {"encoder": encoder, "learning_rate": 1e-9, "n_iter_max": 1}
    result = no_rank_decomposition(tl.tensor(values), labels, **options)
    torch.testing.assert_close(result.encoder.projection.weight, encoder.projection.weight)


@pytest.mark.parametrize("scale", [2.0**-100, 2.0**-40, 2.0**60, 2.0**100])
def test_the_scale_of_the_data_does_not_matter(scale):
    values, labels = _data()
    values = values.astype(np.float32)
    expected = _embedding(tl.tensor(values), labels, **QUICK)
    scaled = np.float32(scale) * values
    np.testing.assert_allclose(_embedding(tl.tensor(scaled), labels, **QUICK), expected, atol=1e-6)


def test_an_offset_of_the_data_does_not_matter_to_neighbourhoods():
    values, labels = _data()
    options = QUICK | {"rank": 2}
    plain, moved = (
        no_rank_decomposition(tl.tensor(values + shift), labels, **options).diagnostics
        for shift in (0, 1e8)
    )
    assert plain["trustworthiness"] == pytest.approx(moved["trustworthiness"], abs=0.02)


def test_constant_data_give_one_component_and_a_warning():
    labels = np.arange(60) % 3
    with pytest.warns(UserWarning, match="the data may be constant"):
        result = no_rank_decomposition(tl.tensor(np.ones((60, 5, 4))), labels, **QUICK)
    assert result.rank == 1
    assert result.explained_variance == 0


@pytest.mark.parametrize("switched_off", [torch.no_grad, torch.inference_mode])
def test_training_goes_on_where_the_caller_has_switched_gradients_off(switched_off):
    values, labels = _data()
    expected = _embedding(tl.tensor(values), labels, **QUICK)
    with switched_off():
        np.testing.assert_array_equal(_embedding(tl.tensor(values), labels, **QUICK), expected)


def test_regularisers_enter_the_history():
    values, labels = _data()
    options = QUICK | {"uniformity": 0.5, "locality": 0.5, "diversity": 0.0}
    history = no_rank_decomposition(tl.tensor(values), labels, **options).history
    assert {"triplet", "uniformity", "locality"} <= set(history)
    assert "diversity" not in history


@pytest.mark.parametrize(
    ("labels", "weight"),
    [
        (np.arange(128) // 2, 1.0),
        (np.arange(130) // 2, 3.0),
        (np.append(np.arange(128) // 2, np.arange(64, 74)), 1.0),  # single samples do not count
        (None, 0.0),
    ],
    ids=["64 classes", "65 classes", "64 pairs and 10 single samples", "no labels"],
)
def test_diversity_is_by_default_larger_of_more_than_64_classes(labels, weight):
    tensor = np.random.default_rng(0).normal(size=(24 if labels is None else len(labels), 3, 2))
    options = {"encoder": "linear", "rank": 2, "validation_fraction": 0, "n_iter_max": 1, "tol": 0}
    by_default, given = (
        no_rank_decomposition(tl.tensor(tensor), labels, random_state=0, **options, **more)
        for more in ({}, {"diversity": weight})
    )
    np.testing.assert_array_equal(tl.to_numpy(by_default.embedding), tl.to_numpy(given.embedding))
    history = by_default.history
    assert history["objective"] == pytest.approx(
        [history["triplet"][0] + weight * history.get("diversity", [0.0])[0]]
    )


class _Useless(torch.nn.Module):
    def __init__(self, output, trainable=True):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()), requires_grad=trainable)
        self.output = output

    def forward(self, samples):
        return self.output(samples.flatten(1))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (_Useless(lambda x: x[:, :0]), "one dimension or more"),
        (_Useless(lambda x: x.long()), "must return real numbers"),
        (_Useless(lambda x: x, trainable=False), "must have parameters to train"),
        (torch.nn.Flatten(), "must have parameters to train"),
        (_Useless(lambda x: x.detach()), "gradient from _Useless"),
    ],
)
def test_modules_that_cannot_be_trained_are_refused(module, message):
    with pytest.raises(ValueError, match=message):
        no_rank_decomposition(tl.tensor(VALUES), LABELS, encoder=module)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scripted_modules_whose_copies_cannot_be_trained_are_refused():
    module = torch.jit.script(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(20, 2)))
    with pytest.raises(ValueError, match="encoder must be a module whose copy can be trained"):
        no_rank_decomposition(tl.tensor(VALUES), LABELS, encoder=module)


class _Collapsed(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(VALUES[0].size, 6)

    def forward(self, samples):
        return 0 * self.linear(samples.flatten(1)) + 1


def test_a_collapsed_embedding_is_told():
    with pytest.warns(UserWarning, match="no extent along 2 of its 2 components"):
        no_rank_decomposition(tl.tensor(VALUES), LABELS, **QUICK | {"encoder": _Collapsed()})


def test_minus_and_plus_one_are_two_classes():
    values, labels = _data(2)
    result = no_rank_decomposition(tl.tensor(values), 2 * labels - 1, **QUICK)
    assert list(result.classes) == [-1, 1]


def _partly_labelled(n_known=5, **options):
    """Data, all labels, and the same with some left out."""
    values, labels = _data(n_each=30, **options)
    given = labels.copy()
    given[np.arange(len(labels)) % 30 >= n_known] = -1
    return values, labels, given


def test_missing_labels_are_counted_in_a_warning_and_their_samples_embedded():
    values, labels, given = _partly_labelled()
    with pytest.warns(UserWarning, match=r"75 of 90 labels are missing \(.*\): 75 of these"):
        result = no_rank_decomposition(tl.tensor(values), given, **QUICK)
    embedding = tl.to_numpy(result.embedding)
    assert embedding.shape[0] == 90
    assert list(result.classes) == [0, 1, 2]
    assert result.diagnostics["n_lent_labels"] == 75
    np.testing.assert_allclose(
        tl.to_numpy(result.transform(tl.tensor(values))), embedding, atol=1e-8
    )
    np.testing.assert_allclose(embedding.mean(axis=0), 0, atol=1e-6)
    means = np.stack([embedding[labels == code].mean(axis=0) for code in range(3)])
    nearest = np.linalg.norm(embedding[:, None] - means, axis=2).argmin(axis=1)
    assert (nearest == labels).all()


@pytest.mark.filterwarnings("ignore:.*labels are missing")
@pytest.mark.parametrize("missing", [None, np.nan, -1], ids=str)
def test_whatever_says_that_a_label_is_missing_the_result_is_the_same(missing):
    values, _, given = _partly_labelled()
    others = [missing if code < 0 else code for code in given.tolist()]
    one, other = (_embedding(tl.tensor(values), labels, **QUICK) for labels in (given, others))
    assert (one == other).all()


@pytest.mark.filterwarnings("ignore:.*labels are missing")
@pytest.mark.parametrize("encoder", ["auto", "linear"])
def test_labels_of_samples_that_count_are_lent_to_nobody(encoder, monkeypatch):
    values, _, given = _partly_labelled(n_known=14)
    fits, shown, looks = [], [], []
    train, spread = _recipe.train, _recipe.LabelSpreader.__call__
    look = _recipe.Recipe._held_out

    def training(embedder, part, *args, **kwargs):
        fits.append(part)
        return train(embedder, part, *args, **kwargs)

    def spreading(self, codes):
        shown.append(np.flatnonzero(codes >= 0))
        return spread(self, codes)

    def looking(self, embedder, split, rng):
        looks.append((split, fits[-1], shown[-1]))
        return look(self, embedder, split, rng)

    monkeypatch.setattr(_recipe, "train", training)
    monkeypatch.setattr(_recipe.LabelSpreader, "__call__", spreading)
    monkeypatch.setattr(_recipe.Recipe, "_held_out", looking)
    no_rank_decomposition(tl.tensor(values), given, **QUICK | {"encoder": encoder})
    assert len(looks) == 3
    for split, part, lenders in looks:
        held_out = np.concatenate([split.count, [] if split.stop is None else split.stop])
        assert (given[held_out.astype(int)] >= 0).all()
        assert not np.isin(held_out, part.places).any()
        assert not np.isin(held_out, lenders).any()
        assert (given[part.places] < 0).any()  # some got a label
        assert lenders.tolist() == split.fit.tolist()
    assert fits[-1].places.tolist() == list(range(90))  # the last fit takes all labels
    assert shown[-1].tolist() == np.flatnonzero(given >= 0).tolist()


@pytest.mark.filterwarnings("ignore:.*labels are missing")
@pytest.mark.parametrize(
    "options", [{"n_init": 2}, {"mode": 1}, {"validation_fraction": 0, "rank": 2}], ids=str
)
def test_labels_may_be_missing_whatever_else_is_asked_for(options):
    values, labels, given = _partly_labelled()
    values = np.moveaxis(values, 0, options.get("mode", 0))
    seen = []
    options = options | {"callback": lambda state, error: seen.append(state.embedding())}
    result = no_rank_decomposition(tl.tensor(values), given, **QUICK | options)
    embedding = tl.to_numpy(result.embedding)
    assert embedding.shape == tuple(tl.shape(seen[0])) == (90, 2)
    assert evaluate_embedding(embedding, labels)["triplet_accuracy"] > 0.99


def _corners(distance, seed):
    """Three classes at the corners of a triangle, in noise."""
    corners = distance * np.array([[1, 0], [0, 1], [-1, -1]])
    labels = np.repeat([0, 1, 2], 60)
    values = np.random.default_rng(seed).normal(size=(180, 6, 8))
    values[:, :2, 0] += corners[labels]
    return values, labels


@pytest.mark.filterwarnings("ignore:.*labels are missing")
def test_unlabelled_samples_help_where_neighbours_are_alike():
    values, labels = _corners(3, seed=0)
    given = np.where(np.arange(180) % 60 < 4, labels, -1)
    options = QUICK | {"rank": 2, "validation_fraction": 0, "n_iter_max": 30}
    new, _ = _corners(3, seed=1)

    def order_new_ones(chosen):
        result = no_rank_decomposition(tl.tensor(values[chosen]), given[chosen], **options)
        points = tl.to_numpy(result.transform(tl.tensor(new)))
        return evaluate_embedding(points, labels)["triplet_accuracy"]

    assert order_new_ones(slice(None)) > order_new_ones(given >= 0) + 0.03


@pytest.mark.filterwarnings("ignore:.*labels are missing")
def test_unlabelled_samples_that_get_no_label_do_not_change_the_fit(monkeypatch):
    monkeypatch.setattr(_recipe.LabelSpreader, "__call__", lambda self, codes: codes)
    monkeypatch.setattr(_recipe.LabelSpreader, "__init__", lambda self, samples, rng: None)
    values, labels = _corners(1, seed=0)
    given = np.where(np.arange(180) % 60 < 30, labels, -1)
    known = given >= 0
    options = QUICK | {"rank": 2, "batch_size": 32, "validation_fraction": 0}
    alone, beside = (
        no_rank_decomposition(tl.tensor(values[chosen]), given[chosen], **options)
        for chosen in (known, slice(None))
    )
    assert torch.equal(alone.encoder.projection.weight, beside.encoder.projection.weight)
    assert torch.equal(alone.encoder.whitening.axes, beside.encoder.whitening.axes)
    np.testing.assert_allclose(tl.to_numpy(beside.embedding).mean(axis=0), 0, atol=1e-8)


SHORT = {"encoder": "linear", "tol": 0, "random_state": 0}
ONE_FIT = SHORT | {"rank": 2, "validation_fraction": 0}


@pytest.mark.parametrize(
    ("name", "other"), [("uniformity", "locality"), ("locality", "uniformity")]
)
def test_a_term_is_the_one_that_was_asked_for(name, other):
    values, labels = _data()
    tensor = tl.tensor(values)
    history = no_rank_decomposition(tensor, labels, **ONE_FIT, n_iter_max=1, **{name: 0.5}).history
    assert name in history
    assert other not in history


def test_batches_are_of_the_size_that_was_asked_for(monkeypatch):
    sizes, one_pass = [], _parts.class_balanced_pass

    def watched(codes, batch_size, rng):
        sizes.append(batch_size)
        return one_pass(codes, batch_size, rng)

    monkeypatch.setattr(_parts, "class_balanced_pass", watched)
    values, labels = _data()
    no_rank_decomposition(tl.tensor(values), labels, **ONE_FIT, n_iter_max=1, batch_size=16)
    assert set(sizes) == {16}


def test_as_many_samples_are_held_out_as_was_asked_for():
    values, labels = _data(n_each=60)
    many, few = (
        no_rank_decomposition(
            tl.tensor(values), labels, **SHORT, rank=2, n_iter_max=1, validation_fraction=fraction
        ).rank_evidence.n_held_out
        for fraction in (0.5, 0.1)
    )
    assert many > 100  # two halves, less a third of the first, which serves to stop
    assert few < 60


def test_held_out_figures_are_of_the_components_that_are_kept():
    values, labels = _data(4, n_each=40)
    one, three = (
        no_rank_decomposition(
            tl.tensor(values), labels, **SHORT, n_iter_max=12, rank=rank
        ).diagnostics
        for rank in (1, 3)
    )
    assert one["held_out_triplet_accuracy"] < three["held_out_triplet_accuracy"] - 0.02
    assert one["held_out_triplet_accuracy"] == pytest.approx(one["triplet_accuracy"], abs=0.05)


def test_a_result_that_a_callback_has_kept_does_not_grow():
    values, labels = _data()
    kept = []
    no_rank_decomposition(
        tl.tensor(values),
        labels,
        callback=lambda state, error: kept.append(state.result()),
        **ONE_FIT,
        n_iter_max=3,
    )
    assert [len(one.history["error"]) for one in kept] == [1, 2, 3]
    assert [one.n_iter for one in kept] == [1, 2, 3]


def test_diagnostics_are_those_of_scikit_learn_and_of_a_count_by_hand():
    values, labels = _data(noise=1.0)
    result = no_rank_decomposition(tl.tensor(values), labels, **ONE_FIT, n_iter_max=12, margin=0.3)
    points, rows = tl.to_numpy(result.embedding), values.reshape(len(values), -1)
    found = result.diagnostics
    assert found["trustworthiness"] == pytest.approx(trustworthiness(rows, points, n_neighbors=10))
    assert found["continuity"] == pytest.approx(trustworthiness(points, rows, n_neighbors=10))
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    shares = []
    for anchor, code in enumerate(labels):
        alike = (labels == code) & (np.arange(len(points)) != anchor)
        gaps = distances[anchor][alike][:, None] - distances[anchor][labels != code]
        shares.append(np.mean(gaps + 0.3 > 0))
    assert found["margin_violations"] == pytest.approx(np.mean(shares))


def test_where_enough_samples_are_held_out_the_others_are_not_looked_at(monkeypatch):
    values, labels = _data(n_each=850)
    said = "all samples were looked at"
    monkeypatch.setattr(_recipe.Recipe, "_principal_scores", lambda *_: pytest.fail(said))
    result = no_rank_decomposition(tl.tensor(values), labels, **SHORT, n_iter_max=1)
    assert result.rank_evidence.n_held_out >= 500


def test_without_labels_the_margin_is_a_small_one():
    values, _ = _data(noise=1.0)
    one, other = (
        no_rank_decomposition(tl.tensor(values), **ONE_FIT, n_iter_max=3, **given).embedding
        for given in ({}, {"margin": 0.02})
    )
    np.testing.assert_array_equal(tl.to_numpy(one), tl.to_numpy(other))


def test_few_comparisons_that_are_repeated_often_are_fitted_in_small_batches():
    values = np.random.default_rng(0).normal(size=(12, 4, 3))
    rows = np.array([[0, 1, 2]] * 4 + [[3, 4, 5]] * 4)
    result = no_rank_decomposition(
        tl.tensor(values),
        triplets=rows,
        batch_size=4,
        tol=0,
        rank=1,
        validation_fraction=0,
        encoder="linear",
        n_iter_max=20,
        random_state=0,
    )
    assert result.diagnostics["triplet_accuracy"] == 1
