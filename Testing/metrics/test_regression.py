"""Errors and correlations of predicted numbers, against scikit-learn and SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mri_interpret.metrics.regression import estimate, mean_absolute_error, mean_error, pearson, r_squared
from scipy import stats
from sklearn import metrics

RNG = np.random.default_rng(3)
TRUE = RNG.uniform(40, 90, 60)
PREDICTED = 0.8 * TRUE + 12 + RNG.normal(0, 5, 60)


def test_they_agree_with_scikit_learn_and_scipy() -> None:
    assert r_squared(PREDICTED, TRUE) == pytest.approx(metrics.r2_score(TRUE, PREDICTED))
    assert mean_absolute_error(PREDICTED, TRUE) == pytest.approx(metrics.mean_absolute_error(TRUE, PREDICTED))
    assert mean_error(PREDICTED, TRUE) == pytest.approx(PREDICTED.mean() - TRUE.mean())
    assert pearson(PREDICTED, TRUE) == pytest.approx(stats.pearsonr(PREDICTED, TRUE).statistic)


def test_intervals_agree_with_scipys_bootstrap() -> None:
    found = estimate(pearson, PREDICTED, TRUE)
    other = stats.bootstrap(
        (PREDICTED, TRUE), lambda a, b: stats.pearsonr(a, b).statistic, paired=True, vectorized=False,
        n_resamples=2000, method="percentile", rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    assert (found.low, found.high) == pytest.approx((other.low, other.high), abs=0.01)
    assert found.low < found.value < found.high
    assert found.n == 60


def test_exact_and_useless_predictions() -> None:
    assert r_squared(TRUE, TRUE) == 1
    assert r_squared(np.full(60, TRUE.mean()), TRUE) == pytest.approx(0)
    assert r_squared(TRUE + 100, TRUE) < -10
    assert pearson(TRUE + 100, TRUE) == pytest.approx(1)
    assert mean_error(TRUE + 100, TRUE) == pytest.approx(100)


@pytest.mark.parametrize("same", [7.0, 0.1])
def test_what_is_not_defined(same: float) -> None:
    constant = np.full(5, same)
    varied = np.arange(5.0)
    assert math.isnan(r_squared(varied, constant))
    assert math.isnan(pearson(varied, constant))
    assert math.isnan(pearson(constant, varied))
    assert math.isnan(estimate(pearson, constant, varied).low)


def test_two_subjects_have_no_interval() -> None:
    found = estimate(mean_absolute_error, [1.0, 2.0], [2.0, 4.0])
    assert (found.value, found.n) == (1.5, 2)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_draws_of_one_subject_only_do_not_spoil_the_interval() -> None:
    """Of three subjects, one draw in nine holds the same one three times: no correlation is defined then."""
    found = estimate(pearson, [1.0, 2.0, 4.0], [1.0, 3.0, 3.5])
    assert -1 <= found.low <= found.value <= found.high <= 1
