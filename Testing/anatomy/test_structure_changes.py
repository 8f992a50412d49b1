"""Changes of volume by structure: means and sums by region, intervals, and the sentence."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mri_interpret.anatomy.atlas import Atlas, Region
from mri_interpret.anatomy.change_words import changes_words, effects_words, percent_change
from mri_interpret.anatomy.structure_changes import (
    StructureChange,
    asked_changes,
    change_table,
    changes_of,
    effects,
    volumes_of,
)
from mri_interpret.images.volume import Volume

GREY = (0.5, 0.5, 0.5)
REGIONS = (
    Region(17, "Left-Hippocampus", GREY),
    Region(53, "Right-Hippocampus", GREY),
    Region(4, "Left-Lateral-Ventricle", GREY),
)


@pytest.fixture
def regions() -> Atlas:
    """Two slabs of 1 ml and 2 ml; the ventricle has no voxel."""
    labels = np.zeros((10, 10, 6), dtype=np.int16)
    labels[..., 0], labels[..., 2:4] = 17, 53
    return Atlas("test", Volume(labels, np.diag([1.0, 2.0, 5.0, 1.0])), REGIONS)


def test_a_structure_changes_by_the_mean_over_its_voxels_and_starts_give_the_range(regions):
    change = np.zeros((10, 10, 6))
    change[:5, :, 0], change[..., 3] = 40, -10
    volume = Volume(change, regions.volume.affine)
    starts = [Volume(change * 0.5, volume.affine), Volume(change * 1.25, volume.affine)]
    left, right, ventricle = asked_changes(regions, volumes_of(regions, {17: 3.5}), volume, starts)
    assert (left.change, left.low, left.high, left.starts) == pytest.approx((0.2, 0.1, 0.25, 3))
    assert (right.change, right.low, right.high) == pytest.approx((-0.05, -0.0625, -0.025))
    assert (left.ml, left.change_ml) == pytest.approx((3.5, 0.7))  # a volume that is known is taken
    assert right.ml == pytest.approx(2.0)  # else the voxels'
    assert math.isnan(ventricle.change)
    assert ventricle.too_small


def test_an_effect_is_the_sum_over_the_models_voxels(regions):
    slope = Volume(np.full((10, 10, 6), -0.001), regions.volume.affine)
    left, right, ventricle = effects(regions, volumes_of(regions, {}), slope, factor=0.125)
    assert (left.effect, right.effect, ventricle.effect) == pytest.approx((-0.0125, -0.025, 0))
    assert math.isnan(left.change)


def test_the_table_keeps_what_the_methods_say(regions):
    said = {
        "volume_counterfactual": (StructureChange(17, "Left-Hippocampus", 3.0, 0.18, 0.16, 0.21, 4),),
        "volume_gradient": (StructureChange(17, "Left-Hippocampus", 3.0, effect=-0.03),),
    }
    table = change_table(said)
    assert table["change_ml"].tolist()[0] == pytest.approx(0.54)
    for method, changes in said.items():
        assert [str(one) for one in changes_of(table, method)] == [str(one) for one in changes]


def change(name: str, value: float, ml: float = 3.0, low: float = math.nan, high: float = math.nan) -> StructureChange:
    return StructureChange(0, name, ml, value, low, high, 0 if math.isnan(low) else 4)


def test_the_sentence_names_the_largest_with_their_sides_and_bounds_the_rest():
    sentence = changes_words(
        [
            change("Left-Hippocampus", 0.18, 3.0, 0.16, 0.21),
            change("Right-Hippocampus", 0.21, 3.0, 0.2, 0.2),
            change("Left-Inf-Lat-Vent", -0.35, 1.0),
            change("Right-Inf-Lat-Vent", -0.02, 1.0),
            change("Left-Accumbens-area", 0.9, 0.2),  # too small for a statement
            change("ctx-lh-bankssts", math.nan),
            change("3rd-Ventricle", -0.0201, 1.0),
        ]
    )
    assert sentence == (
        "left inferior lateral ventricle −35 % (−0.35 ml), left hippocampus +18 % (16 to 21 %; +0.54 ml), "
        "right +21 % (20 %; +0.63 ml), every other structure below 3 %"
    )


def test_changes_that_are_small_are_named_all_the_same_and_nothing_gives_no_words():
    assert changes_words([change("Brain-Stem", 0.012, 20.0)]) == "brain stem +1 % (+0.24 ml)"
    assert changes_words([change("Left-Hippocampus", 0.5, 0.1)]) == ""
    many = [change(f"Region {n}", 0.104 - 0.01 * n) for n in range(6)]
    assert changes_words(many).endswith("Region 2 +8 % (+0.25 ml), every other structure below 8 %")


def test_effects_are_named_by_their_size():
    found = [
        StructureChange(17, "Left-Hippocampus", 3.0, effect=-0.0312),
        StructureChange(53, "Right-Hippocampus", 3.0, effect=0.004),
        StructureChange(24, "CSF", 300.0, effect=0.0121),
        StructureChange(18, "Left-Amygdala", 0.1, effect=9.0),
    ]
    assert effects_words(found) == "left hippocampus −0.031, right +0.004, CSF outside the ventricles +0.012"


def test_a_change_in_words():
    assert [percent_change(value) for value in (0.184, -0.3, math.nan)] == ["+18 %", "−30 %", "–"]
    assert [percent_change(value) for value in (-0.002, 0.002)] == ["0 %", "0 %"], "no direction"


def test_starts_differ_from_what_was_measured_as_their_maps_do(regions):
    change = Volume(np.full((10, 10, 6), 20.0), regions.volume.affine)
    starts = [Volume(np.full((10, 10, 6), 17.0), regions.volume.affine)]
    left, right, _ = asked_changes(regions, volumes_of(regions, {}), change, starts, {17: 0.22})
    assert (left.change, left.low, left.high) == pytest.approx((0.22, 0.19, 0.22))
    assert (right.change, right.low, right.high) == pytest.approx((0.2, 0.17, 0.2))
