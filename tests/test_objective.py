"""What a fit minimises: the terms, and a loss of the caller's in place of the triplets."""

import copy
import re

import numpy as np
import pytest
import tensorly as tl
import torch

from tensorly_norank import NoRankDecomposition, no_rank_decomposition
from tensorly_norank._embedder import Embedder
from tensorly_norank._objective import Objective, check_loss
from tensorly_norank._parts import Part
from tensorly_norank._training import Plan, Settings, train
from tensorly_norank.encoders import make_encoder
from tensorly_norank.losses import (
    diversity_loss,
    locality_loss,
    triplet_loss,
    uniformity_loss,
)


def _part(n_each=16, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(n_classes), n_each)
    patterns = rng.normal(size=(n_classes, 5, 4))
    return Part(torch.from_numpy(patterns[codes] + rng.normal(size=(len(codes), 5, 4))), codes)


def _fit(loss=None, dtype="float64", **options):
    part = _part()
    labels = np.array(["a", "b", "c"])[part.codes]
    tensor = tl.tensor(part.samples.numpy().astype(dtype))
    keywords = {"encoder": "linear", "random_state": 0, "n_iter_max": 5, "tol": 0} | options
    return no_rank_decomposition(tensor, labels, loss=loss, **keywords)


def _triplets(embedding, labels):
    return triplet_loss(embedding, labels, 0.8)


class _Proxies(torch.nn.Module):
    """Cross-entropy with a learned direction for each class, as classification losses have it."""

    def __init__(self, n_classes=3, n_dimensions=20):
        super().__init__()
        start = torch.randn(n_classes, n_dimensions, generator=torch.Generator().manual_seed(0))
        self.directions = torch.nn.Parameter(start)
        self.n_calls = 0

    def forward(self, embedding, labels):
        self.n_calls += 1
        return torch.nn.functional.cross_entropy(5 * embedding @ self.directions.T, labels)


_HELD = _Proxies().double()


def _with_parameters(embedding, labels):
    return _HELD(embedding, labels)


def test_the_objective_is_the_weighted_sum_of_its_terms():
    part, objective = _part(), Objective(0.5, 2.0, 3.0, 4.0)
    points = torch.nn.functional.normalize(part.samples.flatten(1)[:, :6])
    batch = part.place(part.batches(48, np.random.default_rng(0))[0])
    samples, labels = part.samples[batch.indices], part.labels[batch.indices]
    embedded = points[batch.indices]
    terms = objective.terms(part, embedded, batch, samples, samples)
    flat = samples.flatten(1)
    weighted = (
        2 * diversity_loss(embedded)
        + 3 * uniformity_loss(embedded)
        + 4 * locality_loss(embedded, labels, torch.cdist(flat, flat))
    )
    expected = triplet_loss(embedded, labels, 0.5, batch.weights) + weighted
    torch.testing.assert_close(objective.total(terms), expected)
    monitored = objective.monitored(part, points, part.samples, 48)
    assert monitored == pytest.approx(part.hinge(points, 0.5) + float(weighted))


def test_anchors_of_a_batch_have_its_weights_and_near_is_what_is_near_before_it_is_varied():
    whole = _part()
    part = whole.take(np.r_[0:16, 16:20, 32:35])  # 16, 4 and 3 samples
    batch = part.place(part.batches(8, np.random.default_rng(0))[0])
    assert len(batch.weights.unique()) > 1
    samples, labels = part.samples[batch.indices], part.labels[batch.indices]
    points, varied = samples.flatten(1)[:, :6], samples.flip(0)
    terms = Objective(0.5, 0.0, 0.0, 1.0).terms(part, points, batch, samples, varied)
    expected = triplet_loss(points, labels, 0.5, batch.weights)
    torch.testing.assert_close(terms["triplet"], expected)
    assert terms["triplet"] != triplet_loss(points, labels, 0.5)
    flat = samples.flatten(1)
    expected = locality_loss(points, labels, torch.cdist(flat, flat))
    torch.testing.assert_close(terms["locality"], expected)


def test_a_weight_of_zero_leaves_a_term_out():
    part, objective = _part(), Objective(1.0, 0.0, 0.0, 0.0)
    assert not objective.regularisers(part.samples.flatten(1), part.labels, part.samples)


def test_triplets_as_a_loss_give_the_fit_without_one():
    # Of classes of the same size, and with nothing held out: anchors weigh the same.
    with_loss, plain = (_fit(loss, rank=2, validation_fraction=0) for loss in (_triplets, None))
    np.testing.assert_allclose(
        tl.to_numpy(with_loss.embedding), tl.to_numpy(plain.embedding), atol=1e-8
    )
    np.testing.assert_allclose(with_loss.history["loss"], plain.history["triplet"], atol=1e-8)
    assert "triplet" not in with_loss.history
    assert with_loss.settings["loss"] == "_triplets" and plain.settings["loss"] is None


def test_a_loss_is_given_points_on_the_sphere_and_the_numbers_of_their_classes():
    seen = []

    def loss(embedding, labels):
        seen.append((embedding.detach().clone(), labels.clone()))
        return _triplets(embedding, labels)

    result = _fit(loss, rank=2, validation_fraction=0)
    assert result.classes.tolist() == ["a", "b", "c"]
    for points, labels in seen:
        assert points.dtype == torch.float64 and labels.dtype == torch.int64
        torch.testing.assert_close(points.norm(dim=1), torch.ones(len(points)).double())
        assert set(labels.tolist()) == {0, 1, 2}


def test_the_watched_error_is_the_mean_of_the_loss_over_batches_always_the_same():
    part = _part()
    points = torch.nn.functional.normalize(part.samples.flatten(1)[:, :6])
    objective = Objective(0.8, 1.0, 0.0, 0.0, _triplets)
    batches = part.batches(12, np.random.default_rng(0))
    assert len(batches) > 1
    values = [_triplets(points[one.indices], part.labels[one.indices]) for one in batches]
    expected = float(torch.stack(values).mean() + diversity_loss(points))
    for _ in range(2):
        found = objective.monitored(part, points, part.samples, 12)
        assert found == pytest.approx(expected)


def test_parameters_of_a_loss_are_learned_in_a_copy_beside_the_encoder():
    part, loss = _part(), _Proxies(n_dimensions=4)
    before = copy.deepcopy(loss.state_dict())
    encoder = make_encoder("linear", (5, 4), 4)
    embedder = Embedder(encoder, part.samples)
    encoder.initialize(embedder.standardise(part.samples), torch.Generator().manual_seed(0))
    objective = Objective(0.8, 0.0, 0.0, 0.0, loss)
    owned = []

    def own_copy(self, points):
        owned.append(original(self, points))
        return owned[-1]

    original = Objective.own_copy
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Objective, "own_copy", own_copy)
        rng = np.random.default_rng(0)
        fit = train(embedder, part, objective, Plan(Settings(20, 0, 32, 2e-2)), rng)
    (own,) = owned
    assert own.loss.directions.dtype == torch.float64
    assert fit.history["loss"][-1] < fit.history["loss"][0]
    moved = (own.loss.directions.detach() - before["directions"]).abs().min()
    assert moved > 1e-3
    assert torch.equal(loss.directions, before["directions"]) and loss.n_calls == 0
    n_batches = len(part.batches(32, rng))
    assert own.loss.n_calls == 20 * n_batches  # watching calls a copy


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_loss_with_parameters_works_from_end_to_end(dtype):
    result, again = (_fit(_Proxies(), dtype, n_iter_max=30) for _ in range(2))
    assert result.diagnostics["held_out_triplet_accuracy"] > 0.7
    assert tl.to_numpy(result.embedding).dtype == dtype
    np.testing.assert_array_equal(tl.to_numpy(result.embedding), tl.to_numpy(again.embedding))


@pytest.mark.parametrize("encoder", ["linear", "mlp"])
def test_a_loss_that_draws_leaves_the_global_generator_as_it_is(encoder):
    def loss(embedding, labels):
        return _triplets(embedding + 0.1 * torch.randn_like(embedding), labels)

    def embedding(seed):
        torch.manual_seed(seed)
        found = _fit(loss, encoder=encoder).embedding
        assert torch.equal(torch.rand(3), torch.rand(3, generator=_seeded(seed)))
        return tl.to_numpy(found)

    np.testing.assert_array_equal(embedding(1), embedding(2))
    printed = _fit(loss, encoder=encoder, verbose=2).embedding  # watched in every fit
    np.testing.assert_array_equal(embedding(1), tl.to_numpy(printed))


def test_a_loss_works_where_the_caller_wants_no_gradients():
    expected = tl.to_numpy(_fit(_triplets).embedding)
    with torch.inference_mode():
        np.testing.assert_array_equal(tl.to_numpy(_fit(_triplets).embedding), expected)


class _Remembering(torch.nn.Module):
    def forward(self, embedding, labels):
        self.last = _triplets(embedding, labels)
        return self.last


def test_a_loss_that_cannot_be_copied_once_it_was_called_is_refused():
    with pytest.raises(ValueError, match="loss must be one that can be copied after a call"):
        _fit(_Remembering())


def test_a_loss_that_knows_too_few_classes_is_refused():
    labels = np.repeat(np.arange(100), 2)
    tensor = tl.tensor(np.random.default_rng(0).normal(size=(200, 5, 4)))
    with pytest.raises(ValueError, match=r"loss failed for .* IndexError: Target 99 is out of"):
        no_rank_decomposition(tensor, labels, encoder="linear", loss=_Proxies(n_classes=99))


def _seeded(seed):
    return torch.Generator().manual_seed(seed)


def _without_the_lone(embedding, labels):
    """A mean over the positives of each anchor, of which some have none."""
    is_positive = (labels[:, None] == labels).double().fill_diagonal_(0)
    return ((embedding @ embedding.T * is_positive).sum(1) / is_positive.sum(1)).mean()


def _sum(embedding, labels):
    return embedding.sum()


def test_a_loss_is_tried_where_the_samples_are_whatever_torchs_default_device():
    seen = []

    def loss(points, labels):
        seen.append({points.device.type, labels.device.type})
        return _triplets(points, labels)

    with torch.device("meta"):  # where nothing can be computed
        check_loss(loss, 20, _part(), 32)
    assert seen == [{"cpu"}, {"cpu"}]


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        ("triplet", TypeError, "loss must be callable as loss(embedding, labels), got 'triplet'"),
        (lambda z, y: z.norm(dim=1), TypeError, "return a real torch tensor of shape (), got"),
        (lambda z, y: z[:1, 0], TypeError, "got torch.float64 of shape (1,) for 48 points"),
        (lambda z, y: 0.5, TypeError, "shape (), got 0.5 for 48 points"),
        (lambda z, y: _sum(z, y) * np.nan, ValueError, "must return a finite number, got nan"),
        (lambda z, y: _sum(z, y).detach(), ValueError, "must have a gradient by the embedding"),
        (lambda z, y: y.double().mean(), ValueError, "by the embedding, got none for 48"),
        (
            lambda z, y: (z - z.detach()).square().sum().sqrt(),
            ValueError,
            "got one with NaN or infinite entries",
        ),
        (
            _without_the_lone,
            ValueError,
            "got nan for 32 points of dimension 20 and their labels, one",
        ),
        (lambda z: z.sum(), ValueError, "loss failed for 48 points of dimension 20 and their"),
        (lambda z, y: _sum(z, y) * 1j, TypeError, "got torch.complex128 of shape ()"),
        (_with_parameters, ValueError, "loss must have no parameters but its own"),
        (_Proxies(n_dimensions=7), ValueError, "loss failed for 48 points of dimension 20"),
    ],
    ids=[
        *("no function", "vector", "one entry", "float", "nan", "detached", "labels alone"),
        *("nan gradient", "lone samples", "one argument", "complex", "parameters held"),
        "another dimension",
    ],
)
def test_what_is_no_loss_is_named_before_training(loss, error, message, monkeypatch):
    monkeypatch.setattr("tensorly_norank._recipe.train", None)
    with pytest.raises(error, match=re.escape(message)):
        _fit(loss)


@pytest.mark.parametrize("known", [{}, {"triplets": [[0, 1, 2]]}])
def test_a_loss_without_labels_is_refused(known):
    tensor = tl.tensor(np.random.default_rng(0).normal(size=(20, 5, 4)))
    with pytest.raises(ValueError, match="loss needs labels, got none"):
        no_rank_decomposition(tensor, loss=_triplets, **known)


def test_a_loss_that_becomes_nan_stops_the_fit_and_is_named():
    calls = []

    def loss(embedding, labels):
        calls.append(0)
        return _triplets(embedding, labels) * (np.nan if len(calls) > 4 else 1)

    with pytest.raises(FloatingPointError, match="The loss became nan in pass"):
        _fit(loss, rank=2, validation_fraction=0)


def test_a_loss_that_is_nan_only_where_it_is_watched_stops_the_fit():
    def loss(embedding, labels):
        value = _triplets(embedding, labels)
        return value if torch.is_grad_enabled() else value * np.nan

    with pytest.raises(FloatingPointError, match="The watched error became nan in pass 1"):
        _fit(loss)


def test_a_loss_learns_from_lent_labels_too():
    part = _part(n_each=30)
    labels = np.array([0, 1, 2, None], dtype=object)[np.where(np.arange(90) % 3, 3, part.codes)]
    tensor = tl.tensor(part.samples.numpy())
    with pytest.warns(UserWarning, match="60 of 90 labels are missing"):
        result = no_rank_decomposition(
            tensor, labels, loss=_triplets, encoder="linear", n_iter_max=5, tol=0, random_state=0
        )
    assert result.diagnostics["n_lent_labels"] > 0


def test_the_class_takes_a_loss_as_the_function_does():
    part = _part()
    tensor = part.samples.numpy()
    options = {"encoder": "linear", "n_iter_max": 5, "tol": 0, "random_state": 0}
    model = NoRankDecomposition(loss=_Proxies(), **options).fit(tensor, part.codes)
    result = no_rank_decomposition(tl.tensor(tensor), part.codes, loss=_Proxies(), **options)
    np.testing.assert_array_equal(model.embedding_, tl.to_numpy(result.embedding))


@pytest.mark.parametrize("name", ["TripletMarginLoss", "NTXentLoss", "ArcFaceLoss"])
def test_losses_of_pytorch_metric_learning_plug_in(name):
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    options = {"num_classes": 3, "embedding_size": 20} if name == "ArcFaceLoss" else {}
    result = _fit(getattr(losses, name)(**options), "float32", n_iter_max=20)
    assert result.settings["loss"] == name
    assert result.diagnostics["held_out_triplet_accuracy"] > 0.7
