"""Resampling within strata, and intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mri_interpret.metrics.bootstrap import bootstrap, mean_estimate, resamples


def test_resamples_keep_the_sizes_of_the_strata() -> None:
    strata = np.array([0, 1, 1, 0, 2, 1])
    draws = resamples(strata, repeats=50, seed=1)
    assert draws.shape == (50, 6)
    assert (np.sort(strata[draws], axis=1) == np.sort(strata)).all()
    assert len(np.unique(draws, axis=0)) > 10
    np.testing.assert_array_equal(draws, resamples(strata, repeats=50, seed=1))


def test_the_interval_of_a_mean_is_the_textbook_one() -> None:
    values = np.random.default_rng(1).normal(0, 2.0, 400)
    found = bootstrap(lambda index: float(values[index].mean()), np.zeros(400))
    half = 1.96 * values.std() / 20
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.15 * half)
    assert found.n == 400
    assert mean_estimate(values) == found  # the same draws


def test_the_interval_of_a_mean_leaves_nan_out_and_shrinks() -> None:
    rng = np.random.default_rng(0)
    few, many = rng.normal(5, 1, 20), rng.normal(5, 1, 2000)
    found = mean_estimate([*few, math.nan])
    assert found.value == pytest.approx(few.mean())
    assert found.low < found.value < found.high
    assert found.n == 20
    narrow = mean_estimate(many)
    # For 2000 normal values the interval is close to mean +- 1.96 standard errors.
    assert narrow.high - narrow.low == pytest.approx(2 * 1.96 * many.std() / math.sqrt(2000), rel=0.1)
    assert math.isnan(mean_estimate([math.nan]).value)
