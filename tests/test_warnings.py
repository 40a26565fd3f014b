"""Warnings that name the caller's line."""

import warnings

import numpy as np
import pytest
import tensorly as tl
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tensorly_norank import NoRankDecomposition, no_rank_decomposition
from tensorly_norank._warnings import warn
from tensorly_norank.evaluation import evaluate_embedding

QUICK = {"encoder": "linear", "n_iter_max": 2, "random_state": 0}


def test_a_warning_from_outside_the_package_is_of_the_line_that_calls():
    with pytest.warns(DeprecationWarning, match="old") as caught:
        warn("old", DeprecationWarning)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("labels", [None, [0, 1] * 5, [0, 1, 0, 1, None] * 2], ids=str)
def test_all_warnings_of_a_decomposition_are_of_the_line_that_calls_it(labels):
    tensor = tl.tensor(np.random.default_rng(0).normal(size=(10, 3, 2)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        no_rank_decomposition(tensor, labels, **QUICK)
    assert len(caught) >= 2
    assert {warning.filename for warning in caught} == {__file__}


def _data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(40, 6)), [0, 1, 0, 1, None] * 8


@pytest.mark.parametrize("method", ["fit", "fit_transform"])
@pytest.mark.parametrize("is_in_a_pipeline", [False, True])
def test_warnings_of_the_estimator_are_of_the_line_that_calls_it(method, is_in_a_pipeline):
    model = NoRankDecomposition(**QUICK)
    model = make_pipeline(StandardScaler(), model) if is_in_a_pipeline else model
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        getattr(model.set_output(transform="default"), method)(*_data())
    assert caught
    assert {warning.filename for warning in caught} == {__file__}


def test_warnings_of_a_cross_validation_are_of_the_line_that_asks_for_it():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cross_val_score(NoRankDecomposition(**QUICK), *_data(), cv=KFold(2))
    assert caught
    assert {warning.filename for warning in caught} == {__file__}


def test_warnings_of_figures_are_of_the_line_that_asks_for_them():
    with pytest.warns(UserWarning, match="NaN, because") as caught:
        evaluate_embedding(np.eye(3), [0, 1, 2], random_state=0)
    assert {warning.filename for warning in caught} == {__file__}
