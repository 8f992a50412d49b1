"""Parts cover the brain once; what takes their place looks like brain."""

from __future__ import annotations

import numpy as np
import pytest
from mri_interpret.checks.imputation import blurred_brain, noisy_linear_imputation
from mri_interpret.checks.segments import atlas_segments, blocks, sums_and_sizes

from Testing.checks.small_networks import SHAPE, atlas, brain


@pytest.mark.parametrize("size", [1, 3, 5, 50])
def test_blocks_cover_the_brain_once_and_nothing_else(size: int) -> None:
    parts = blocks(brain(), size)
    assert np.array_equal(parts > 0, brain())
    assert set(np.unique(parts[brain()])) == set(range(1, parts.max() + 1))
    for part in range(1, parts.max() + 1):
        index = np.argwhere(parts == part)
        assert np.all(np.ptp(index, axis=0) < size)
    if size == 50:
        assert parts.max() == 1


def test_a_brain_that_fills_the_volume_has_blocks_too() -> None:
    parts = blocks(np.ones((4, 4, 4), bool), 2)
    assert sorted(np.unique(parts)) == list(range(1, 9))


def test_regions_fill_with_blocks_where_the_atlas_is_empty() -> None:
    labels = atlas() * 1000
    labels[:, :7] = 0
    parts = atlas_segments(labels, brain(), 4)
    assert np.array_equal(parts > 0, brain())
    for label in np.unique(labels[brain() & (labels > 0)]):
        assert len(np.unique(parts[brain() & (labels == label)])) == 1
    rest = brain() & (labels == 0)
    assert len(np.unique(parts[rest])) == blocks(rest, 4).max()
    assert not set(np.unique(parts[rest])) & set(np.unique(parts[brain() & (labels > 0)]))


def test_sums_over_parts_add_up() -> None:
    values = np.random.default_rng(0).normal(size=SHAPE)
    sums, sizes = sums_and_sizes(values, blocks(brain(), 3))
    assert sums.sum() == pytest.approx(values[brain()].sum())
    assert sizes.sum() == brain().sum()


def test_blurring_keeps_a_constant_brain_and_loses_detail() -> None:
    flat = np.where(brain(), 0.7, 0.0)
    np.testing.assert_allclose(blurred_brain(flat, brain(), 2.0), flat, atol=1e-6)
    noisy = np.random.default_rng(0).uniform(0, 1, SHAPE) * brain()
    blur = blurred_brain(noisy, brain(), 2.0)
    assert blur[brain()].std() < 0.2 * noisy[brain()].std()
    assert blur[brain()].mean() == pytest.approx(noisy[brain()].mean(), abs=0.05)
    assert not blur[~brain()].any()


def test_imputation_restores_a_slope_exactly() -> None:
    """A linear function is the mean of its neighbours, so it is what the equations must give back."""
    i, j, k = np.indices(SHAPE)
    slope = (0.02 * i + 0.03 * j - 0.01 * k + 0.3).astype(np.float32)
    everywhere = np.ones(SHAPE, bool)
    missing = np.zeros(SHAPE, bool)
    missing[3:8, 4:9, 3:7] = True
    holed = np.where(missing, 0, slope)
    filled = noisy_linear_imputation(holed, missing, everywhere, np.random.default_rng(0), noise=0.0)
    np.testing.assert_allclose(filled, slope, atol=1e-3)


def test_imputation_uses_brain_only_and_adds_the_noise_it_says() -> None:
    image = np.where(brain(), 0.5, 0.0).astype(np.float32)
    missing = np.random.default_rng(1).random(SHAPE) < 0.6
    filled = noisy_linear_imputation(image, missing, brain(), np.random.default_rng(0), noise=0.02)
    changed = filled[brain() & missing]
    assert changed.mean() == pytest.approx(0.5, abs=0.005)
    assert changed.std() == pytest.approx(0.02, rel=0.15)
    np.testing.assert_array_equal(filled[~(brain() & missing)], image[~(brain() & missing)])


def test_imputation_of_nothing_and_of_everything() -> None:
    image = np.where(brain(), 0.5, 0.0).astype(np.float32)
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(noisy_linear_imputation(image, np.zeros(SHAPE), brain(), rng), image)
    assert np.isfinite(noisy_linear_imputation(image, np.ones(SHAPE), brain(), rng)).all()
