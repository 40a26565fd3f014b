"""What torch holds globally: lent to one fit at a time and given back, or left."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorly as tl
import torch

from tensorly_norank import no_rank_decomposition

RNG = np.random.default_rng(0)
LABELS = np.arange(40) % 3
# Its dropout draws from the global generator.
NOISY = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.3), torch.nn.Linear(20, 5))
VALUES = RNG.normal(size=(3, 5, 4))[LABELS] + 0.3 * RNG.normal(size=(40, 5, 4))


def _fit(labels=LABELS, **options):
    keywords = {"encoder": "linear", "rank": 2, "validation_fraction": 0, "n_iter_max": 9, "tol": 0}
    return no_rank_decomposition(tl.tensor(VALUES), labels, random_state=0, **keywords | options)


def _embedding(**options):
    return tl.to_numpy(_fit(**options).embedding)


def test_fits_that_draw_from_the_global_generator_do_not_disturb_one_another_in_threads():
    alone = _embedding(encoder=NOISY)
    before = torch.random.get_rng_state()
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: _embedding(encoder=NOISY), range(3)))
    assert torch.equal(before, torch.random.get_rng_state())
    for embedding in found:
        np.testing.assert_array_equal(embedding, alone)


@pytest.mark.filterwarnings("ignore:.*labels are missing")
@pytest.mark.parametrize("labels", [LABELS, np.where(np.arange(40) < 25, LABELS, -1)])
@pytest.mark.parametrize("encoder", ["linear", "multilinear", NOISY])
def test_autocast_of_the_caller_changes_no_bit(encoder, labels):
    plain = _fit(labels, encoder=encoder)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = _fit(labels, encoder=encoder)
        points = plain.transform(tl.tensor(VALUES))
        assert torch.is_autocast_enabled("cpu")
    np.testing.assert_array_equal(tl.to_numpy(rounded.embedding), tl.to_numpy(plain.embedding))
    np.testing.assert_array_equal(tl.to_numpy(points), tl.to_numpy(plain.embedding))
