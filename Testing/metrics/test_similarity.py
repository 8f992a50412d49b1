"""Measures of likeness, against independent computations and published numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mri_interpret.metrics.similarity import (
    LikenessTo,
    correlation,
    dice,
    rank_correlations,
    region_profile,
    spearman,
    ssim,
)
from scipy import stats

SHAPE = (9, 8, 10)


def _maps(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    inside = rng.random(SHAPE) < 0.6
    first = rng.normal(size=SHAPE)
    return first, first + rng.normal(size=SHAPE), inside


def test_spearman_is_scipys_inside_the_brain() -> None:
    a, b, inside = _maps()
    a[~inside] = 1e6  # must not count
    assert spearman(a, b, inside) == pytest.approx(stats.spearmanr(a[inside], b[inside]).statistic)
    expected = stats.spearmanr(np.abs(a[inside]), np.abs(b[inside])).statistic
    assert spearman(a, b, inside, absolute=True) == pytest.approx(expected)
    assert spearman(a, -a, inside) == pytest.approx(-1)
    assert spearman(a, -a, inside, absolute=True) == pytest.approx(1)


@given(st.integers(0, 50), st.floats(0.01, 100))
@settings(max_examples=20, deadline=None)
def test_a_positive_factor_changes_neither_measure(seed: int, factor: float) -> None:
    a, b, inside = _maps(seed)
    assert spearman(factor * a, b, inside) == pytest.approx(spearman(a, b, inside))
    assert ssim(factor * a, b, inside) == pytest.approx(ssim(a, b, inside))
    assert ssim(a, b, inside) == pytest.approx(ssim(b, a, inside))


@pytest.mark.parametrize("measure", [spearman, ssim])
def test_constant_and_broken_maps_have_no_likeness(measure) -> None:  # type: ignore[no-untyped-def]
    a, _, inside = _maps()
    assert math.isnan(measure(a, np.zeros(SHAPE), inside))
    broken = a.copy()
    broken[np.argwhere(inside)[0][0], :, :] = np.nan
    assert math.isnan(measure(a, broken, inside))


def test_ssim_is_one_for_equal_maps_and_the_formulas_value_for_others() -> None:
    a, b, _ = _maps()
    inside = np.ones(SHAPE, bool)
    assert ssim(a, -a, inside) == pytest.approx(1)
    # Equation 13 at one voxel, with the Gaussian window written out.
    scaled = [np.clip(np.abs(m) / np.percentile(np.abs(m), 99.5), 0, 1) for m in (a, b)]
    only = np.zeros(SHAPE, bool)
    only[4, 4, 5] = True
    scaled = [np.clip(np.abs(m) / np.abs(m[only]), 0, 1) * only for m in (a, b)]
    index = np.indices(SHAPE)
    squared = sum((index[axis] - centre) ** 2 for axis, centre in enumerate((4, 4, 5)))
    reach = np.abs(index - np.array([4, 4, 5])[:, None, None, None]).max(axis=0)
    window = np.exp(-squared / (2 * 0.5**2)) * (reach <= 2)
    window /= window.sum()
    mean_a, mean_b = ((window * m).sum() for m in scaled)
    var_a, var_b = ((window * m**2).sum() - mean**2 for m, mean in zip(scaled, (mean_a, mean_b), strict=True))
    cov = (window * scaled[0] * scaled[1]).sum() - mean_a * mean_b
    expected = (2 * mean_a * mean_b + 1e-4) * (2 * cov + 9e-4)
    expected /= (mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4)
    assert ssim(a, b, only, sigma=0.5) == pytest.approx(expected, rel=1e-6)


def test_ssim_does_not_depend_on_how_much_air_surrounds_the_brain() -> None:
    a, b, inside = _maps()
    padded = [np.pad(values, 9) for values in (a, b)]
    assert ssim(*padded, np.pad(inside, 9)) == pytest.approx(ssim(*(np.pad(v, 30) for v in (a, b)), np.pad(inside, 30)))


def test_unrelated_maps_are_less_alike_than_related_ones() -> None:
    a, b, inside = _maps()
    other = np.random.default_rng(99).normal(size=SHAPE)
    assert ssim(a, other, inside) < ssim(a, b, inside) < 1


def test_a_region_profile_is_density_over_the_brains_mean() -> None:
    values = np.zeros((4, 2, 1))
    values[0] = -6.0
    values[1] = 2.0
    labels = np.array([5, 3, 0, 9])[:, None, None] * np.ones((4, 2, 1), int)
    inside = np.ones((4, 2, 1), bool)
    inside[3] = False  # label 9 lies outside the brain: it is no region of this brain
    np.testing.assert_allclose(region_profile(values, labels, inside), np.array([2.0, 6.0]) / (16 / 6))
    np.testing.assert_array_equal(region_profile(np.zeros((4, 2, 1)), labels, inside), [0, 0])


def test_dice_and_correlation_by_hand() -> None:
    a, b = np.array([1, 1, 0, 0]), np.array([0.5, 0, 2, 0])
    assert dice(a, b) == pytest.approx(2 * 1 / 4)
    assert math.isnan(dice(a * 0, b * 0))
    assert correlation([1, 2, 3, 5], [2, 1, 4, 4]) == pytest.approx(
        stats.pearsonr([1, 2, 3, 5], [2, 1, 4, 4]).statistic
    )
    assert math.isnan(correlation([1, 1, 1], [1, 2, 3]))
    assert math.isnan(correlation([1.0], [2.0]))


@pytest.mark.parametrize("columns", [1, 2, 5])
def test_rank_correlations_are_scipys_column_by_column(columns: int) -> None:
    rng = np.random.default_rng(columns)
    data, other = rng.integers(0, 6, (12, columns)).astype(float), rng.normal(size=12)
    r, p = rank_correlations(data, other)
    for column in range(columns):
        expected = stats.spearmanr(data[:, column], other)
        assert (r[column], p[column]) == pytest.approx((expected.statistic, expected.pvalue))
    data[:, 0] = 3.0
    assert np.isnan(rank_correlations(data, other)[0][0])
    assert np.isnan(rank_correlations(data, np.ones(12))[0]).all()


def test_a_part_of_the_voxels_tells_how_alike_maps_are() -> None:
    """As of grids of 1 mm: an eighth of the voxels of a sphere, whose rank correlation then scatters by 0.01."""
    rng = np.random.default_rng(3)
    shape = (64, 70, 60)
    a = rng.normal(size=shape) * (1 + np.indices(shape)[0] % 2)  # a phase of two voxels, as strides make it
    b = 0.7 * a / a.std() + 0.7 * rng.normal(size=shape)
    inside = sum((axis - size / 2) ** 2 for axis, size in zip(np.indices(shape), shape, strict=True)) < 28**2
    every, part = LikenessTo(a, inside), LikenessTo(a, inside, share=1 / 8)
    assert every.spearman(b, absolute=True) == spearman(a, b, inside, absolute=True)
    assert abs(part.spearman(b, absolute=True) - every.spearman(b, absolute=True)) < 0.03
    assert part.spearman(b) == LikenessTo(a, inside, share=1 / 8).spearman(b)  # always the same voxels
    assert part.spearman(b) != every.spearman(b)
    assert part.ssim(b) == every.ssim(b) == ssim(a, b, inside)


def test_a_brain_of_which_no_voxel_is_drawn_is_compared_at_all_voxels() -> None:
    values = np.random.default_rng(0).normal(size=(12, 12, 12))
    inside = np.zeros(values.shape, bool)
    inside[7, 5:8, 6] = True
    assert LikenessTo(values, inside, share=1e-9).spearman(-values) == pytest.approx(-1)
