"""Colour scales: robust limits, zero in the middle, low values transparent."""

from __future__ import annotations

import numpy as np
import pytest
from mri_interpret.planes.colour_scale import (
    SEQUENTIAL_TABLE,
    SIGNED_TABLE,
    colour_map,
    relevance_scale,
    summary_scale,
)


@pytest.fixture
def brain() -> np.ndarray:
    mask = np.zeros((30, 30, 30), np.uint8)
    mask[5:25, 5:25, 5:25] = 1
    return mask


def _relevance(mask: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(3)
    values = rng.normal(size=mask.shape).astype(np.float32)
    values[mask == 0] = 1000.0  # outside the brain: must not matter
    values[10, 10, 10] = 500.0  # one wild voxel: must not matter either
    return values


def test_the_limit_is_the_percentile_of_the_brain_and_is_stated(brain: np.ndarray) -> None:
    values = _relevance(brain)
    scale = relevance_scale(values, brain, signed=True, units="logit per voxel")
    inside = np.sort(np.abs(values[brain > 0]))
    assert scale.limit == pytest.approx(inside[int(0.995 * inside.size)], rel=0.02)
    assert scale.limit < 5
    assert f"±{scale.limit:.3g} logit per voxel" in scale.sentence
    assert "99.5th percentile" in scale.sentence


def test_signed_colours_are_warm_above_and_cool_below_zero_and_symmetric(brain: np.ndarray) -> None:
    scale = relevance_scale(_relevance(brain), brain, signed=True, units="logit")
    positive, negative = scale.rgba(np.array([0.6, -0.6]) * scale.limit)
    assert positive[0] > positive[2] + 0.3
    assert negative[2] > negative[0] + 0.3
    assert positive[3] == pytest.approx(negative[3])
    weights = np.array([0.2126, 0.7152, 0.0722])
    luminance = colour_map(SIGNED_TABLE)(np.linspace(0, 1, 255))[:, :3] @ weights
    assert np.abs(luminance - luminance[::-1]).max() < 0.15
    assert luminance.argmin() == pytest.approx(127, abs=6)


def test_low_values_are_transparent_and_the_rest_fades_in(brain: np.ndarray) -> None:
    scale = relevance_scale(_relevance(brain), brain, signed=True, units="logit")
    levels = np.array([0, 0.05, -0.099, 0.15, 0.3, 0.6, 1.0, 7.0]) * scale.limit
    alpha = scale.rgba(levels)[:, 3]
    assert np.all(alpha[:3] == 0)
    assert np.all(np.diff(alpha[2:6]) >= 0)
    assert 0 < alpha[3] < alpha[4] < alpha[5] == alpha[6] == alpha[7] < 1


def test_unsigned_maps_show_no_negative_values(brain: np.ndarray) -> None:
    scale = relevance_scale(np.abs(_relevance(brain)), brain, signed=False, units="activation")
    assert scale.low == 0
    assert scale.rgba(np.array([-scale.limit]))[0, 3] == 0
    lightness = colour_map(SEQUENTIAL_TABLE)(np.linspace(0, 1, 64))[:, :3].sum(axis=1)
    assert np.all(np.diff(lightness) > 0)


@pytest.mark.parametrize("array", [np.zeros((4, 4, 4)), np.full((4, 4, 4), np.nan)])
def test_a_map_of_nothing_says_so(array: np.ndarray) -> None:
    scale = relevance_scale(array, np.ones((4, 4, 4)), signed=True, units="logit")
    assert "zero everywhere" in scale.sentence
    assert np.all(scale.rgba(array)[..., 3] == 0)


def test_a_map_of_one_voxel_is_still_visible(brain: np.ndarray) -> None:
    values = np.zeros(brain.shape, np.float32)
    values[12, 12, 12] = 3.0
    scale = relevance_scale(values, brain, signed=False, units="logit")
    assert scale.limit == 3.0
    assert scale.rgba(values)[12, 12, 12, 3] > 0.5


def test_the_summary_shows_the_top_fifth(brain: np.ndarray) -> None:
    values = np.zeros(brain.shape, np.float32)
    inside = brain > 0
    values[inside] = np.linspace(0, 1, inside.sum())
    scale = summary_scale(brain, values)
    shown = scale.rgba(values)[..., 3] > 0
    assert scale.threshold == pytest.approx(0.8, abs=1e-3)
    assert shown[inside].mean() == pytest.approx(0.2, abs=0.005)
    assert not shown[~inside].any()


def test_a_constant_summary_has_a_scale(brain: np.ndarray) -> None:
    scale = summary_scale(brain, np.full(brain.shape, 0.5, np.float32))
    assert np.isfinite(scale.rgba(np.array([0.5]))).all()
    assert scale.limit > scale.threshold
