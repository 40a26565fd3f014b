"""Missing entries of a sample from those that were observed."""

import numpy as np
import pytest
import torch

from tensorly_norank import _imputation
from tensorly_norank._imputation import Imputer, filled, imputer_of, mean_of_observed


def _samples(n_samples=120, shape=(5, 4), n_axes=2, noise=0.1, missing=0.3, seed=0):
    """Complete samples, and the same with NaN where an entry is missing."""
    rng = np.random.default_rng(seed)
    n_entries = int(np.prod(shape))
    loadings = rng.normal(size=(n_axes, n_entries))  # first: as many samples as asked for have them
    rows = rng.normal(size=(n_samples, n_axes)) @ loadings + 3
    rows += noise * rng.normal(size=rows.shape)
    complete = torch.from_numpy(rows.reshape(n_samples, *shape))
    hidden = torch.from_numpy(rng.random((n_samples, *shape)) < missing)
    return complete, complete.masked_fill(hidden, torch.nan)


def test_missing_entries_are_the_conditional_mean_of_the_model():
    _, samples = _samples()
    imputer = Imputer(samples)
    covariance = imputer.loadings @ imputer.loadings.T + imputer.noise * torch.eye(20)
    assert imputer.loadings.shape[1] > 0
    for sample, found in zip(samples.flatten(1), imputer(samples).flatten(1), strict=True):
        seen = ~sample.isnan()
        known = sample[seen] - imputer.mean[seen]
        weights = torch.linalg.solve(covariance[seen][:, seen], known)
        expected = imputer.mean[~seen] + covariance[~seen][:, seen] @ weights
        torch.testing.assert_close(found[~seen], expected, atol=1e-8, rtol=0)


@pytest.mark.parametrize("missing", [0.05, 0.3, 0.5])
def test_entries_that_others_determine_are_found_up_to_the_noise(missing):
    complete, samples = _samples(missing=missing, n_samples=240)
    imputer = Imputer(samples[:120])
    for part in (slice(120), slice(120, 240)):
        truth, holes = complete[part], samples[part]
        error = (imputer(holes) - truth)[holes.isnan()].square().mean().sqrt()
        assert error < 0.2  # the noise is 0.1, an entry's deviation 1.4
    assert float(imputer.noise.sqrt()) == pytest.approx(0.1, rel=0.3)


def test_the_learned_model_is_more_likely_than_the_one_it_starts_from():
    _, samples = _samples(noise=0.5)
    rows = samples.flatten(1)
    imputer = Imputer(samples)

    def log_likelihood():
        total = 0.0
        for row in rows:
            seen = ~row.isnan()
            own = imputer.loadings[seen]
            covariance = own @ own.T + imputer.noise * torch.eye(len(own), dtype=torch.float64)
            normal = torch.distributions.MultivariateNormal(imputer.mean[seen], covariance)
            total += float(normal.log_prob(row[seen]))
        return total

    learned = log_likelihood()
    imputer.mean = mean_of_observed(rows)
    imputer._start(torch.where(rows.isnan(), 0, rows - imputer.mean), imputer.loadings.shape[1])
    assert learned > log_likelihood() + 100


def test_entries_that_vary_independently_get_the_mean():
    rng = np.random.default_rng(0)
    samples = torch.from_numpy(
        np.where(rng.random((200, 6)) < 0.2, np.nan, rng.normal(size=(200, 6)))
    )
    imputer = Imputer(samples)
    assert imputer.loadings.shape[1] == 0
    expected = torch.where(samples.isnan(), samples.nanmean(dim=0), samples)
    torch.testing.assert_close(imputer(samples), expected)


def test_what_was_observed_stays_and_company_makes_no_difference():
    _, samples = _samples()
    samples = samples.float()
    imputer = Imputer(samples)
    found = imputer(samples)
    seen = ~samples.isnan()
    assert found.dtype == samples.dtype
    assert torch.equal(found[seen], samples[seen])
    assert not found.isnan().any()
    torch.testing.assert_close(imputer(samples[3:4]), found[3:4])


def test_an_entry_that_was_never_observed_gets_the_mean_of_all():
    _, samples = _samples()
    samples[:, 0, 0] = torch.nan
    found = Imputer(samples)(samples)
    expected = samples.nanmean(dim=0).nanmean()
    torch.testing.assert_close(found[:, 0, 0], expected.expand(len(samples)))
    observed = samples.clone()
    observed[:, 0, 0] = 99.0  # of which the model knows nothing
    imputer = Imputer(samples)
    torch.testing.assert_close(imputer(observed), imputer(samples))


def test_values_that_were_never_seen_as_large_are_found():
    """The second entry follows the first, and is hidden where that is large."""
    first = torch.randn(400, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    others = first[:, None] * torch.tensor([1.0, 2.0, -1.0, 0.5]) + 5
    samples = others + 0.05 * torch.from_numpy(np.random.default_rng(0).normal(size=(400, 4)))
    samples[first > 0.3, 1] = torch.nan
    error = (Imputer(samples)(samples) - others)[first > 0.3, 1]
    assert error.square().mean().sqrt() < 0.25
    assert (samples[:, 1].nanmean() - others[first > 0.3, 1]).square().mean().sqrt() > 2


def test_many_samples_are_drawn_at_random():
    """Two conditions that take turns: every second sample would show one of them alone."""
    samples = torch.randn(4000, 4, generator=torch.Generator().manual_seed(0))
    samples[1::2] += 10
    samples[0, 0] = torch.nan
    assert (Imputer(samples).mean - 5).abs().max() < 0.5


def test_torchs_default_device_changes_nothing():
    _, samples = _samples()
    expected = filled(samples)
    with torch.device("meta"):  # where nothing can be computed
        found = filled(samples)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("missing", [0.2, 0.4])
def test_no_axis_is_found_by_chance(missing):
    """What it would fill in would be alike, and pass for structure (one axis in four sets had)."""
    n_axes = []
    for seed in range(15):
        rng = np.random.default_rng(seed)
        samples = torch.from_numpy(rng.normal(size=(60, 20)))
        samples[torch.from_numpy(rng.random((60, 20)) < missing)] = torch.nan
        n_axes.append(Imputer(samples).loadings.shape[1])
    assert np.count_nonzero(n_axes) <= 1


def test_a_clear_axis_is_found_where_much_is_missing():
    n_axes = [
        Imputer(_samples(100, n_axes=1, noise=0.5, missing=0.3, seed=seed)[1]).loadings.shape[1]
        for seed in range(10)
    ]
    assert n_axes.count(1) >= 9


def test_samples_of_many_entries_get_few_axes(monkeypatch):
    """Beside few that are judged by, all of them count: it is they that are learned."""
    monkeypatch.setattr(_imputation, "_MOST_ENTRIES", 8)
    monkeypatch.setattr(_imputation, "_MOST_PRODUCTS", 80)  # 20 entries with 2² products each
    learn, asked = Imputer._learn, []

    def learned(self, rows, n_axes):
        asked.append(n_axes)
        learn(self, rows, n_axes)

    monkeypatch.setattr(Imputer, "_learn", learned)
    _, samples = _samples()
    Imputer(samples)
    assert max(asked) == 2


def test_a_few_entries_have_axes_too():
    _, samples = _samples(n_samples=300, shape=(3,), n_axes=1)
    assert Imputer(samples).loadings.shape[1] == 1


@pytest.mark.parametrize(
    "samples",
    [
        torch.full((5, 3), 2.0).index_put(
            (torch.tensor(0), torch.tensor(0)), torch.tensor(torch.nan)
        ),
        torch.tensor([[1.0, torch.nan]]),
        torch.tensor([[torch.nan], [1.0]]),
        1e-30 * _samples()[1],
        1e30 * _samples()[1],
    ],
    ids=["constant", "one sample", "one entry", "tiny", "huge"],
)
def test_little_or_extreme_data_are_filled_in(samples):
    assert Imputer(samples)(samples).isfinite().all()


def test_nothing_is_learned_where_nothing_is_missing():
    complete, samples = _samples()
    assert imputer_of(complete) is None
    assert filled(complete) is complete
    assert torch.equal(filled(samples), Imputer(samples)(samples))


def test_a_step_of_the_model_is_that_of_expectation_and_maximisation(monkeypatch):
    """Against a reference that goes through samples and entries one by one."""
    _, samples = _samples(noise=0.5, n_samples=40)
    rows = samples.flatten(1)
    imputer = Imputer(samples)
    n_axes = imputer.loadings.shape[1]
    monkeypatch.setattr(_imputation, "_N_ITERATIONS", 0)
    imputer._learn(rows, n_axes)
    loadings, mean, noise = imputer.loadings, imputer.mean, imputer.noise
    monkeypatch.setattr(_imputation, "_N_ITERATIONS", 1)
    imputer._learn(rows, n_axes)
    prior = torch.diag(torch.tensor([1.0 * _imputation._PRIOR_SAMPLES] * n_axes + [1e-12]))
    moments = torch.zeros(20, n_axes + 1, n_axes + 1, dtype=torch.float64)
    cross, total = torch.zeros(20, n_axes + 1, dtype=torch.float64), 0.0
    for row in rows:
        seen = ~row.isnan()
        own, known = loadings[seen], (row - mean)[seen]
        covariance = torch.linalg.inv(torch.eye(n_axes) + own.T @ own / noise)
        score = torch.cat([covariance @ own.T @ known / noise, torch.ones(1)])
        second = torch.outer(score, score)
        second[:-1, :-1] += covariance
        moments[seen] += second
        cross[seen] += known[:, None] * score
        total += float(known.square().sum())
    expected = torch.linalg.solve(moments + prior, cross)
    torch.testing.assert_close(imputer.loadings, expected[:, :-1], rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(imputer.mean, mean + expected[:, -1], rtol=1e-6, atol=1e-8)
    left = total - 2 * (expected * cross).sum()
    left += torch.einsum("pq,pqr,pr->", expected, moments, expected)
    torch.testing.assert_close(imputer.noise, left / (~rows.isnan()).sum())


def test_few_samples_have_few_axes():
    _, samples = _samples(n_samples=11, n_axes=4, noise=0.01, missing=0.1)
    assert Imputer(samples).loadings.shape[1] <= 2


def test_the_mean_of_numbers_whose_sum_is_too_large_is_theirs():
    samples = torch.full((100, 2), 2e38)
    samples[:50, 0] = samples[1, 1] = torch.nan
    torch.testing.assert_close(mean_of_observed(samples), torch.full((2,), 2e38))
