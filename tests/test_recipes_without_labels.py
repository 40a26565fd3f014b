"""The recipe from comparisons, and from nothing but the samples."""

import re
import warnings

import numpy as np
import pytest
import tensorly as tl
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

from tensorly_norank import decomposition, no_rank_decomposition
from tensorly_norank._parts import ComparedPart, NeighbouringPart
from tensorly_norank._recipes_without_labels import ComparisonRecipe, NeighbourRecipe
from tensorly_norank.datasets import simulate_planted
from tensorly_norank.evaluation import evaluate_embedding

QUICK = {"encoder": "linear", "n_iter_max": 20, "tol": 0, "random_state": 0}


def _shaped(n_samples=120, rank=3, noise=0.1, seed=0):
    """Samples that vary in so many directions, and noise."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n_samples, rank))
    patterns = rng.normal(size=(rank, 6, 5))
    return np.tensordot(scores, patterns, 1) + noise * rng.normal(size=(n_samples, 6, 5))


def _compared(labels, n_each, seed=0, wrong=0.0):
    """Triplets of classes as (T, 3), some of them the wrong way round."""
    rng = np.random.default_rng(seed)
    rows = []
    for anchor, label in enumerate(labels):
        same = np.setdiff1d(np.flatnonzero(labels == label), anchor)
        other = np.flatnonzero(labels != label)
        rows += zip(
            [anchor] * n_each, rng.choice(same, n_each), rng.choice(other, n_each), strict=True
        )
    rows = np.array(rows)
    is_wrong = rng.random(len(rows)) < wrong
    rows[is_wrong] = rows[is_wrong][:, [0, 2, 1]]
    return rows


def _classes(n_each=30, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), n_each)
    patterns = rng.normal(size=(3, 6, 5))
    return patterns[labels] + noise * rng.normal(size=(len(labels), 6, 5)), labels


def test_without_labels_as_many_components_are_found_as_the_samples_vary_in():
    for rank in (1, 2, 4):
        result = no_rank_decomposition(tl.tensor(_shaped(rank=rank)), **QUICK)
        assert result.rank == result.rank_evidence.chosen == rank
        assert result.rank_evidence.about == "neighbourhoods"
        assert len(result.classes) == 0


@pytest.mark.slow
def test_without_labels_new_samples_lie_more_as_in_the_data_than_by_principal_components():
    """Digits, as many as fit into two dimensions: a straight cut shows fewer neighbours."""
    digits = load_digits().images
    fitted, new = digits[:500], digits[500:800]
    options = QUICK | {"encoder": "mlp", "rank": 2, "validation_fraction": 0, "n_iter_max": 100}
    result = no_rank_decomposition(tl.tensor(fitted), **options)
    placed = tl.to_numpy(result.transform(tl.tensor(new)))
    new = new.reshape(300, -1)
    by_pca = PCA(2).fit(fitted.reshape(500, -1)).transform(new)
    for first, second in [(new, placed), (placed, new)]:  # trustworthiness, continuity
        its = {id(new): new, id(placed): by_pca}
        ours = trustworthiness(first, second, n_neighbors=10)
        assert ours > trustworthiness(its[id(first)], its[id(second)], n_neighbors=10)


@pytest.mark.parametrize("encoder", ["multilinear", "linear", "mlp", "conv"])
def test_without_labels_a_fit_begins_at_the_principal_components(encoder):
    """Of which a step changes little: distances stay those of the samples, up to their unit."""
    values = _shaped(rank=3, noise=0)
    options = {"encoder": encoder, "rank": 3, "validation_fraction": 0, "learning_rate": 1e-9}
    result = no_rank_decomposition(tl.tensor(values), n_iter_max=1, tol=0, **options)
    embedded = torch.from_numpy(tl.to_numpy(result.embedding))
    given = torch.from_numpy(values).flatten(1)
    ratio = torch.pdist(embedded) / torch.pdist(given)
    assert float(ratio.std() / ratio.mean()) < 0.02


def test_noise_has_nothing_that_could_be_counted():
    noise = np.random.default_rng(0).normal(size=(100, 6, 5))
    with pytest.warns(UserWarning, match="No component is shared by the entries"):
        result = no_rank_decomposition(tl.tensor(noise), **QUICK)
    assert result.rank == 1


def test_more_components_than_may_be_kept_are_warned_of_without_labels_too():
    with pytest.warns(UserWarning, match="max_rank=2 is smaller than the 4 components"):
        result = no_rank_decomposition(tl.tensor(_shaped(rank=4)), max_rank=2, **QUICK)
    assert result.rank == 2


def test_the_last_fit_has_the_dimension_that_was_found():
    result = no_rank_decomposition(tl.tensor(_shaped(rank=2)), **QUICK)
    assert result.encoder.n_components == result.rank == 2
    given = no_rank_decomposition(tl.tensor(_shaped(rank=2)), rank=4, **QUICK)
    assert given.encoder.n_components == given.rank == 4
    assert given.rank_evidence.chosen == 2


def test_a_module_of_the_callers_is_fitted_without_labels_too():
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(30, 5))
    result = no_rank_decomposition(tl.tensor(_shaped()), **QUICK | {"encoder": module})
    assert tl.shape(result.embedding) == (120, result.rank)
    assert result.encoder[1].weight.shape == (5, 30)


@pytest.mark.parametrize("known", ["nothing", "comparisons"])
def test_a_callback_may_end_the_fit_and_sees_what_that_gives(known):
    values, labels = _classes()
    options = QUICK | {"triplets": _compared(labels, 5)} if known == "comparisons" else QUICK
    seen = []

    def stop(state, error):
        seen.append(state)
        return state.n_iter == 3

    result = no_rank_decomposition(tl.tensor(values), callback=stop, **options)
    assert result.n_iter == 3
    expected = tl.to_numpy(seen[-1].embedding())
    np.testing.assert_allclose(tl.to_numpy(result.embedding), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("known", "encoder"), [("nothing", "auto"), ("nothing", "linear"), ("comparisons", "auto")]
)
def test_the_same_seed_gives_the_same_bits_and_transform_the_embedding(known, encoder):
    values, labels = _classes(n_each=20)
    options = QUICK | {"encoder": encoder, "n_iter_max": 3}
    options |= {"triplets": _compared(labels, 3)} if known == "comparisons" else {}
    first, second = (no_rank_decomposition(tl.tensor(values), **options) for _ in range(2))
    assert (tl.to_numpy(first.embedding) == tl.to_numpy(second.embedding)).all()
    again = tl.to_numpy(first.transform(tl.tensor(values)))
    np.testing.assert_allclose(again, tl.to_numpy(first.embedding), atol=1e-6)
    assert (first.encoder_choice is None) == (encoder == "linear")


@pytest.mark.parametrize("known", ["nothing", "comparisons"])
def test_samples_may_lie_along_any_mode(known):
    values, labels = _classes()
    options = QUICK | {"rank": 2, "n_iter_max": 3}
    options |= {"triplets": _compared(labels, 5)} if known == "comparisons" else {}
    first = no_rank_decomposition(tl.tensor(values), **options)
    last = no_rank_decomposition(tl.tensor(np.moveaxis(values, 0, -1)), mode=-1, **options)
    np.testing.assert_allclose(tl.to_numpy(first.embedding), tl.to_numpy(last.embedding), atol=1e-6)


@pytest.mark.slow
def test_comparisons_drawn_from_classes_give_what_the_classes_give():
    values, labels = _classes(noise=1.0)
    options = QUICK | {"n_iter_max": 30}
    for wrong in (0, 0.2):
        rows = _compared(labels, 30, wrong=wrong)
        result = no_rank_decomposition(tl.tensor(values), triplets=rows, **options)
        figures = evaluate_embedding(tl.to_numpy(result.embedding), labels)
        assert figures["triplet_accuracy"] > 0.97
        assert result.diagnostics["held_out_triplet_accuracy"] == pytest.approx(1 - wrong, abs=0.04)
        assert result.rank_evidence.about == "comparisons"
        assert result.rank in (1, 2)


def test_comparisons_of_the_wrong_samples_speak_for_no_component():
    values, labels = _classes()
    rows = _compared(np.random.default_rng(1).permutation(labels), 10)
    with pytest.warns(UserWarning, match="No component orders comparisons"):
        result = no_rank_decomposition(tl.tensor(values), triplets=rows, **QUICK)
    assert result.rank == 1


def test_the_share_that_contradicts_is_reported():
    values, labels = _classes()
    rows = _compared(labels, 5)
    doubled = np.concatenate([rows, rows[: len(rows) // 3][:, [0, 2, 1]]])
    result = no_rank_decomposition(tl.tensor(values), triplets=doubled, **QUICK | {"rank": 2})
    assert result.diagnostics["contradicting_share"] == pytest.approx(0.25, abs=0.01)


@pytest.mark.slow
def test_samples_that_nobody_compared_are_embedded_and_change_nothing():
    values, labels = _classes()
    rows = _compared(labels, 5)
    rows = rows[(rows != 7).all(axis=1)]
    changed = values.copy()
    changed[7] *= 3
    one, other = (
        no_rank_decomposition(tl.tensor(given), triplets=rows, rank=2, **QUICK)
        for given in (values, changed)
    )
    assert torch.equal(one.encoder.projection.weight, other.encoder.projection.weight)
    assert tl.shape(one.embedding) == (90, 2)


@pytest.mark.parametrize(
    ("kind", "recipe"), [(NeighbouringPart, NeighbourRecipe), (ComparedPart, ComparisonRecipe)]
)
def test_what_is_counted_on_was_neither_fitted_nor_watched(monkeypatch, kind, recipe):
    values, labels = _classes(n_each=40)
    splits = []

    class Watching(recipe):
        def _held_out(self, embedder, split, rng):
            splits.append(split)
            return super()._held_out(embedder, split, rng)

    monkeypatch.setitem(decomposition._RECIPES, kind, Watching)
    options = {"triplets": _compared(labels, 5)} if kind is ComparedPart else {}
    no_rank_decomposition(tl.tensor(values), **options, **QUICK)
    assert len(splits) > 1
    for split in splits:
        assert not np.isin(split.count, split.fit).any()
    assert not np.isin(splits[0].count, splits[0].stop).any()


def test_few_samples_are_decomposed_with_a_warning():
    with pytest.warns(UserWarning, match="No samples could be held out: .* six samples in"):
        result = no_rank_decomposition(tl.tensor(_shaped(12, rank=1, noise=0.01)), **QUICK)
    assert result.rank_evidence.n_held_out == 0
    rows = [[0, 1, 2], [3, 4, 5]]
    with pytest.warns(UserWarning) as caught:
        result = no_rank_decomposition(tl.tensor(_shaped(12)), triplets=rows, **QUICK)
    assert result.rank == 1
    (warning,) = caught
    assert re.search("No samples could be held out: .*: one is kept", str(warning.message))


def test_nothing_of_the_callers_is_changed():
    values, labels = _classes()
    rows = _compared(labels, 5)
    before, rows_before = values.copy(), rows.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = QUICK | {"n_iter_max": 3}
        given = values if tl.get_backend() == "numpy" else tl.tensor(values)
        no_rank_decomposition(given, **options)
        no_rank_decomposition(tl.tensor(values), triplets=rows, **options)
    assert (values == before).all() and (rows == rows_before).all()


@pytest.mark.parametrize("container", [list, np.asarray, torch.as_tensor, tl.tensor])
def test_comparisons_come_in_any_container(container):
    values, labels = _classes()
    rows = _compared(labels, 3)
    rows = rows.tolist() if container is list else container(rows)
    if container is tl.tensor:
        rows = tl.tensor(rows, dtype=tl.int64)
    options = QUICK | {"rank": 2, "validation_fraction": 0, "n_iter_max": 1}
    result = no_rank_decomposition(tl.tensor(values), triplets=rows, **options)
    assert result.rank == 2


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([[0, 1, 90]], ValueError, r"indices from 0 to 89, got \(0, 1, 90\) in row 0"),
        ([[0, 1, 2], [-1, 1, 2]], ValueError, r"indices from 0 to 89, got \(-1, 1, 2\) in row 1"),
        ([[0, 0, 2]], ValueError, "a positive other than the anchor"),
        ([[0, 1, 0]], ValueError, "a negative other than the anchor"),
        ([[0, 1, 1]] * 2, ValueError, r"other than the negative.* \(2 such rows of 2\)"),
        (np.empty((0, 3), int), ValueError, r"at least one row, got shape \(0, 3\)"),
        ([], ValueError, r"at least one row, got shape \(0,\)"),
        ([0, 1, 2], ValueError, r"shape \(T, 3\).*got shape \(3,\)"),
        ([[0, 1, 2, 3]], ValueError, r"got shape \(1, 4\)"),
        ([[0, 1, 2], [0, 1]], ValueError, "rows of unequal length"),
        ([[0.0, 1.0, 2.0]], TypeError, "integers, got dtype float64"),
        ([[True, False, True]], TypeError, "integers, got dtype bool"),
        ([["a", "b", "c"]], TypeError, "integers, got dtype"),
        ("abc", TypeError, "be an array of shape"),
        (3, TypeError, "be an array of shape"),
    ],
)
def test_comparisons_that_cannot_be_meant_are_refused(rows, error, message):
    with pytest.raises(error, match=f"triplets must .*{message}"):
        no_rank_decomposition(tl.tensor(_classes()[0]), triplets=rows)


def test_labels_beside_comparisons_are_refused():
    values, labels = _classes()
    with pytest.raises(ValueError, match="labels or triplets must be given, not both"):
        no_rank_decomposition(tl.tensor(values), labels, triplets=[[0, 1, 2]])


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match=r"at least 4 samples along mode 0 .* got 1 sample\."):
        no_rank_decomposition(tl.tensor(_shaped(1)))


def test_planted_components_are_found_without_labels_with_the_distractors():
    bunch = simulate_planted(300, rank=2, n_distractors=2, noise=0.3, random_state=0)
    result = no_rank_decomposition(bunch.tensor, **QUICK)
    assert result.rank == 4  # without labels nobody knows which of them are of no interest
