"""Region statistics: parts add up to the whole, and each column equals a plain computation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mri_interpret.anatomy.atlas import Atlas, Region, load_default_atlas, mirrored_name
from mri_interpret.anatomy.region_statistics import BACKGROUND, OUTSIDE, RegionStatistics
from mri_interpret.images.volume import Volume

SHAPE = (12, 10, 8)
AFFINE = np.array([[-2.0, 0, 0, 11], [0, 3, 0, -15], [0, 0, 2.5, -4], [0, 0, 0, 1]])


@pytest.fixture
def atlas() -> Atlas:
    labels = np.zeros(SHAPE, np.uint16)
    labels[:4, 2:8, 2:6] = 53  # i grows to the left: the first voxels are on the right
    labels[8:, 2:8, 2:6] = 17
    labels[5:7, 2:8, 2:6] = 16
    names = {17: "Left-Hippocampus", 53: "Right-Hippocampus", 16: "Brain-Stem", 99: "Left-Nothing"}
    regions = tuple(Region(label, name, (1.0, 0.0, 0.0)) for label, name in sorted(names.items()))
    return Atlas("test", Volume(labels, AFFINE), regions)


@pytest.fixture
def mask() -> np.ndarray:
    inside = np.zeros(SHAPE, np.uint8)
    inside[1:11, 1:9, 1:7] = 1
    return inside


def test_the_parts_add_up_to_the_whole(atlas: Atlas, mask: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    maps = {"signed": rng.normal(size=SHAPE).astype(np.float32), "positive": rng.random(SHAPE).astype(np.float32)}
    table = RegionStatistics(atlas.volume, mask, atlas, "native", sum_factor=0.5).table(maps)
    for name, values in maps.items():
        rows = table[table["method"] == name]
        assert rows["sum"].sum() == pytest.approx(0.5 * values.sum(dtype=np.float64), rel=1e-9)
        brain = rows[rows["label"] >= 0]
        assert brain["share"].sum() == pytest.approx(1.0)
        assert brain["positive_share"].sum() == pytest.approx(1.0)
        assert brain["negative_share"].sum() == pytest.approx(1.0 if values.min() < 0 else 0.0)
        outside = np.abs(values[mask == 0]).sum(dtype=np.float64) / np.abs(values).sum(dtype=np.float64)
        assert rows.loc[rows["label"] == -1, "share"].item() == pytest.approx(outside)
        assert rows["volume_mm3"].sum() == pytest.approx(values.size * 15.0)
    assert len(table) == 2 * (4 + 2)


def test_each_column_against_a_plain_computation(atlas: Atlas, mask: np.ndarray) -> None:
    values = np.random.default_rng(1).normal(size=SHAPE)
    table = RegionStatistics(atlas.volume, mask, atlas, "native").table({"m": values}).set_index("region")
    inside = mask > 0
    groups = {
        "Left-Hippocampus": inside & (atlas.volume.array == 17),
        "Right-Hippocampus": inside & (atlas.volume.array == 53),
        "Brain-Stem": inside & (atlas.volume.array == 16),
        BACKGROUND: inside & (atlas.volume.array == 0),
        OUTSIDE: ~inside,
    }
    for name, voxels in groups.items():
        row, here = table.loc[name], values[voxels]
        assert row["sum"] == pytest.approx(here.sum())
        assert row["mean"] == pytest.approx(here.mean())
        assert row["volume_mm3"] == pytest.approx(voxels.sum() * 15.0)
        whole = values if name == OUTSIDE else values[inside]
        assert row["share"] == pytest.approx(np.abs(here).sum() / np.abs(whole).sum())
        assert row["positive_share"] == pytest.approx(here[here > 0].sum() / whole[whole > 0].sum())
        assert row["negative_share"] == pytest.approx(here[here < 0].sum() / whole[whole < 0].sum())
        assert row["gain"] == pytest.approx(np.abs(here).mean() / np.abs(values[inside]).mean())
        assert row["peak"] == here[np.abs(here).argmax()]
        place = np.argwhere(voxels & (values == row["peak"]))[0]
        assert np.allclose(row[["peak_r", "peak_a", "peak_s"]].astype(float), AFFINE[:3, :3] @ place + AFFINE[:3, 3])
    left, right = (np.abs(values[groups[f"{side}-Hippocampus"]]).mean() for side in ("Left", "Right"))
    for side in ("Left", "Right"):
        assert table.loc[f"{side}-Hippocampus", "asymmetry"] == pytest.approx((left - right) / (left + right))
    assert np.isnan(table.loc["Brain-Stem", "asymmetry"])
    assert table.loc["Left-Nothing", "volume_mm3"] == 0
    assert table.loc["Left-Hippocampus", "voxels"] == groups["Left-Hippocampus"].sum()


def test_a_structure_has_the_volume_that_was_measured(atlas: Atlas, mask: np.ndarray) -> None:
    """Not the count of its voxels inside the mask, which would be a second number for one structure."""
    measured = replace(atlas, measured_mm3={17: 4321.5})
    table = RegionStatistics(atlas.volume, mask, measured, "native").table({"m": np.ones(SHAPE)}).set_index("region")
    assert table.loc["Left-Hippocampus", "volume_mm3"] == 4321.5
    counted = np.count_nonzero((atlas.volume.array == 53) & (mask > 0))
    assert table.loc["Right-Hippocampus", "volume_mm3"] == pytest.approx(15.0 * counted)
    assert table.loc["Right-Hippocampus", "voxels"] == counted


def test_what_lies_outside_the_brain_changes_nothing_inside(atlas: Atlas, mask: np.ndarray) -> None:
    values = np.random.default_rng(2).normal(size=SHAPE)
    loud = np.where(mask > 0, values, 1e6)
    quiet, shouted = (
        RegionStatistics(atlas.volume, mask, atlas, "native").table({"m": one}).query("label >= 0")
        for one in (values, loud)
    )
    np.testing.assert_array_equal(
        quiet.drop(columns=["method", "space", "region"]), shouted.drop(columns=["method", "space", "region"])
    )


def test_bad_maps_are_refused(atlas: Atlas, mask: np.ndarray) -> None:
    statistics = RegionStatistics(atlas.volume, mask, atlas, "native")
    with pytest.raises(ValueError, match="shape"):
        statistics.table({"m": np.zeros((3, 3, 3))})
    with pytest.raises(ValueError, match="NaN"):
        statistics.table({"m": np.full(SHAPE, np.nan)})
    assert not statistics.table({"zero": np.zeros(SHAPE)})["share"].any()


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Left-Hippocampus", "Right-Hippocampus"),
        ("ctx-lh-entorhinal", "ctx-rh-entorhinal"),
        ("Amygdala L", "Amygdala R"),
        ("lh_insula", "rh_insula"),
        ("Hippocampus_left", "Hippocampus_right"),
        ("Brain-Stem", None),
        ("Right-Hippocampus", None),
    ],
)
def test_counterparts(left: str, right: str | None) -> None:
    assert mirrored_name(left) == right


def test_the_default_atlas_has_its_sides_right() -> None:
    atlas = load_default_atlas()
    names = {region.label: region.name for region in atlas.regions}
    assert names[17] == "Left-Hippocampus"
    assert not any("unknown" in name.lower() for name in names.values())
    assert len(atlas.opposite()) >= 45
    affine = atlas.volume.affine
    for left, right in atlas.opposite().items():
        for label, sign in ((left, -1), (right, 1)):
            centre = affine[:3, :3] @ np.argwhere(atlas.volume.array == label).mean(0) + affine[:3, 3]
            assert np.sign(centre[0]) == sign, f"{names[label]} lies at R {centre[0]:.0f} mm"
    hippocampus = affine[:3, :3] @ np.argwhere(atlas.volume.array == 53).mean(0) + affine[:3, 3]
    assert np.linalg.norm(hippocampus - [27, -22, -14]) < 8
