"""Entropy of a map's histogram, and its rise, against values that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mri_interpret.checks.randomisation import complexity_rise
from mri_interpret.metrics.complexity import BINS, histogram_entropy

INSIDE = np.ones((10, 10, 10), bool)


def test_known_entropies() -> None:
    evenly = np.linspace(-3, 5, 1000).reshape(INSIDE.shape)
    assert histogram_entropy(evenly, INSIDE) == pytest.approx(math.log(BINS), abs=1e-3)
    two = np.where(evenly > evenly.mean(), 1.0, 0.0)
    assert histogram_entropy(two, INSIDE) == pytest.approx(math.log(2))
    quarter = np.where(np.arange(1000).reshape(INSIDE.shape) < 250, 1.0, 0.0)
    assert histogram_entropy(quarter, INSIDE) == pytest.approx(-0.25 * math.log(0.25) - 0.75 * math.log(0.75))
    assert histogram_entropy(np.full(INSIDE.shape, 7.0), INSIDE) == 0
    assert math.isnan(histogram_entropy(np.where(quarter > 0, np.nan, 1.0), INSIDE))
    assert math.isnan(histogram_entropy(quarter, INSIDE & False))


def test_the_scale_of_a_map_and_what_lies_outside_do_not_matter() -> None:
    values = np.random.default_rng(0).normal(size=INSIDE.shape)
    half = INSIDE.copy()
    half[5:] = False
    assert histogram_entropy(1e-30 * values, half) == pytest.approx(histogram_entropy(values, half))
    assert histogram_entropy(np.where(half, values, 1e6), half) == histogram_entropy(values, half)


def test_the_rise_is_relative_and_zero_for_a_map_that_ignores_the_network() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(size=INSIDE.shape)
    sparse = np.where(rng.random(INSIDE.shape) < 0.02, noise, 0.0)
    assert complexity_rise(noise, noise, INSIDE) == 0
    rise = complexity_rise(sparse, noise, INSIDE)
    before, after = histogram_entropy(sparse, INSIDE), histogram_entropy(noise, INSIDE)
    assert rise == pytest.approx((after - before) / before)
    assert rise > 1
    assert complexity_rise(noise, sparse, INSIDE) < 0
    assert math.isnan(complexity_rise(np.zeros(INSIDE.shape), noise, INSIDE))
