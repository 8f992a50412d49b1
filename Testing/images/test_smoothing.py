"""Smoothing inside the brain, against the sum written out."""

from __future__ import annotations

import numpy as np
import pytest
from mri_interpret.images.smoothing import FWHM_PER_SIGMA, box_around, sigma_in_voxels, smooth_inside

SHAPE = (7, 9, 6)


def _case() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=SHAPE), rng.random(SHAPE) < 0.5


def test_a_gaussian_has_half_its_height_at_half_its_width() -> None:
    assert np.exp(-((FWHM_PER_SIGMA / 2) ** 2) / 2) == pytest.approx(0.5)
    assert sigma_in_voxels(8.0, (2.0, 1.0, 4.0)) == pytest.approx(8 / FWHM_PER_SIGMA / np.array([2.0, 1.0, 4.0]))


def test_it_is_the_weighted_mean_over_the_voxels_inside() -> None:
    values, inside = _case()
    sigma = np.array([0.8, 1.1, 0.6])
    smooth, weight = smooth_inside(values, inside, sigma)
    for place in ((0, 0, 0), (3, 4, 2), (6, 8, 5)):
        offsets = np.indices(SHAPE) - np.array(place)[:, None, None, None]
        reach = np.floor(4 * sigma + 0.5)[:, None, None, None]
        kernel = np.exp(-((offsets / sigma[:, None, None, None]) ** 2).sum(0) / 2) * (np.abs(offsets) <= reach).all(0)
        expected = (kernel * inside * values).sum() / (kernel * inside).sum()
        assert smooth[place] == pytest.approx(expected)
    again, _ = smooth_inside(values, inside, sigma, weight=weight)
    np.testing.assert_array_equal(again, smooth)


def test_what_lies_outside_does_not_enter_and_constants_stay() -> None:
    values, inside = _case()
    first, _ = smooth_inside(values, inside, 1.5)
    second, _ = smooth_inside(np.where(inside, values, 1e9), inside, 1.5)
    np.testing.assert_allclose(first, second)
    constant, _ = smooth_inside(np.full(SHAPE, 3.0, np.float32), inside, 1.5)
    assert constant.dtype == np.float32
    np.testing.assert_allclose(constant[inside], 3.0, rtol=1e-5)


def test_beyond_the_border_there_is_nothing_unless_the_scan_goes_on() -> None:
    inside = np.ones((5, 1, 1), bool)
    assert smooth_inside(np.ones((5, 1, 1)), inside, (1.0, 0, 0))[1][0, 0, 0] < 0.75
    assert smooth_inside(np.ones((5, 1, 1)), inside, (1.0, 0, 0), mode="reflect")[1][0, 0, 0] == pytest.approx(1)


def test_the_box_around_what_is_chosen() -> None:
    chosen = np.zeros(SHAPE, bool)
    chosen[2:4, 5, 1:3] = True
    assert box_around(chosen) == (slice(2, 4), slice(5, 6), slice(1, 3))
    assert box_around(chosen, 2) == (slice(0, 6), slice(3, 8), slice(0, 5))
    assert box_around(np.zeros(SHAPE, bool)) == (slice(None),) * 3
