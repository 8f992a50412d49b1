"""Shares of relevance where it should not be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mri_interpret.checks.outside_brain import check_outside_brain, far_outside, fluid, frame, share_where
from scipy import ndimage

from Testing.checks.small_networks import SHAPE, brain, linear_case


def test_a_share_is_of_absolute_relevance() -> None:
    relevance = np.array([1.0, -2.0, 1.0, 0.0])
    assert share_where(relevance, np.array([0, 1, 0, 1])) == pytest.approx(0.5)
    assert math.isnan(share_where(np.zeros(4), np.ones(4)))


def test_far_outside_is_measured_in_millimetres() -> None:
    inside = np.zeros((9, 3, 3), bool)
    inside[0] = True
    far = far_outside(inside, (2.0, 1.0, 1.0), 5.0)
    assert far.any(axis=(1, 2)).tolist() == [False, False, False, *[True] * 6]


def test_far_outside_is_that_of_the_whole_volumes_distances() -> None:
    inside = np.zeros((20, 24, 18), bool)
    inside[5:9, 6:14, 3:8] = np.random.default_rng(0).random((4, 8, 5)) > 0.4
    distance = ndimage.distance_transform_edt(~inside, sampling=(1.0, 1.5, 2.0))
    for margin in (1.0, 2.0, 3.7, 30.0):
        np.testing.assert_array_equal(far_outside(inside, (1.0, 1.5, 2.0), margin), distance > margin)


def test_the_frame_is_two_voxels_wide() -> None:
    assert (~frame((10, 8, 7))).sum() == 6 * 4 * 3


def test_fluid_is_the_darkest_of_three_classes() -> None:
    rng = np.random.default_rng(0)
    tissue = rng.choice([0, 1, 2], size=(20, 20, 20), p=[0.15, 0.45, 0.4])
    image = np.array([0.15, 0.55, 0.85])[tissue] + rng.normal(0, 0.04, tissue.shape)
    inside = np.ones(image.shape, bool)
    inside[:3] = False
    found = fluid(image, inside)
    assert not found[:3].any()
    assert (found == ((tissue == 0) & inside)).mean() > 0.995
    assert not fluid(np.full((4, 4, 4), 0.5), np.ones((4, 4, 4), bool)).any()


def test_verdicts() -> None:
    inside = brain()
    good = inside.astype(float)
    stray = good + 5.0 * (np.indices(SHAPE)[0] == 0)
    explained, _ = linear_case(maps={"good": good, "stray": stray, "zero": np.zeros(SHAPE)}, spacing=(1.0, 1.0, 1.0))
    verdicts = {(row.method, row.check): row for row in check_outside_brain(explained)}
    assert verdicts["good", "outside the brain"].value == 0
    assert verdicts["good", "outside the brain"].verdict == "pass"
    expected = 5.0 * 14 * 10 / (good.sum() + 5.0 * 14 * 10)
    far = verdicts["stray", "outside the brain"]
    assert far.value == pytest.approx(expected)
    assert far.verdict == "fail"
    assert verdicts["stray", "border of the volume"].verdict == "fail"
    assert verdicts["zero", "fluid"].verdict == "not applicable"


def test_a_coarse_methods_own_resolution_is_not_held_against_it() -> None:
    inside = brain()
    bleeding = inside + 1.0 * ~inside
    fine, _ = linear_case(maps={"grad_cam": bleeding}, spacing=(1.0, 1.0, 1.0))
    coarse, _ = linear_case(
        maps={"grad_cam": bleeding},
        spacing=(1.0, 1.0, 1.0),
        details={"grad_cam": {"feature_spacing_voxels": [[4.0, 4.0, 4.0]]}},
    )
    assert coarse.resolution_mm("grad_cam") == 4.0
    assert check_outside_brain(fine)[0].verdict == "fail"
    assert check_outside_brain(coarse)[0].value == 0
