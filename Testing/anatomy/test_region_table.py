"""region_table: any image in, one table out, refused in one sentence where it cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
from mri_interpret.anatomy.atlas import load_default_atlas
from mri_interpret.anatomy.region_statistics import OUTSIDE, RegionStatistics
from mri_interpret.anatomy.region_table import region_table
from mri_interpret.errors import UserError
from mri_interpret.images.volume import Volume, resample
from mri_interpret.preprocessing.template import load_template

AFFINE = np.array([[4.0, 0, 0, -78], [0, 4, 0, -112], [0, 0, 4, -72], [0, 0, 0, 1]])
SHAPE = (40, 48, 40)


def _map() -> np.ndarray:
    """Noise, and the right hippocampus hot."""
    labels = resample(load_default_atlas().volume, Volume(np.zeros(SHAPE), AFFINE).grid, order=0).array
    noise = np.random.default_rng(0).normal(size=SHAPE)
    return np.where(labels == 53, 9.0, noise).astype(np.float32)


def test_it_is_the_statistics_of_the_atlas_on_the_maps_grid() -> None:
    values = _map()
    found = region_table(values, affine=AFFINE)
    atlas = load_default_atlas()
    grid = Volume(values, AFFINE).grid
    inside = resample(load_template(1)[1], grid, order=0).array > 0
    expected = RegionStatistics(resample(atlas.volume, grid, order=0), inside, atlas, "template").table({"map": values})
    assert found.dataframe.equals(expected)
    assert found.top().names == ["Right-Hippocampus"]
    assert found.outside_brain() == pytest.approx(np.abs(values[~inside]).sum() / np.abs(values).sum(), rel=1e-5)
    assert len(found) == len(expected)
    assert "Right-Hippocampus" in repr(found)


@pytest.mark.parametrize("kind", ["path", "nibabel", "itk", "volume", "tuple", "dictionary"])
def test_every_kind_of_image(kind: str, tmp_path: Path) -> None:
    values = _map()
    image = nibabel.Nifti1Image(values, AFFINE)
    image.set_sform(AFFINE, code=4)
    given: Any = image
    if kind == "path":
        given = tmp_path / "map.nii.gz"
        nibabel.save(image, given)
    elif kind == "itk":
        given = SimpleITK.GetImageFromArray(values.T)
        given.SetSpacing((4.0, 4.0, 4.0))
        given.SetDirection(np.diag([-1.0, -1, 1]).ravel().tolist())
        given.SetOrigin((78.0, 112.0, -72.0))
    elif kind == "volume":
        given = Volume(values, AFFINE)
    elif kind == "tuple":
        given = (values, AFFINE)
    elif kind == "dictionary":
        given = {"map": image, "other": Volume(values * 0, AFFINE)}
    found = region_table(given).dataframe.query("method == 'map'").reset_index(drop=True)
    expected = region_table(values, affine=AFFINE).dataframe
    assert found["region"].equals(expected["region"])
    assert np.allclose(found["share"], expected["share"])


def test_a_map_in_a_scans_own_space() -> None:
    """The same map, whose world was turned and moved: the affine brings it back."""
    values = _map()
    to_template = np.array([[0.0, 1, 0, 30], [-1, 0, 0, -20], [0, 0, 1, 5], [0, 0, 0, 1]])
    moved = np.linalg.inv(to_template) @ AFFINE
    found = region_table(values, affine=moved, to_template=to_template)
    expected = region_table(values, affine=AFFINE).dataframe
    assert set(found.dataframe["space"]) == {"native"}
    assert np.allclose(found.dataframe["share"], expected["share"])
    peak = found.dataframe.set_index("region").loc["Right-Hippocampus", ["peak_r", "peak_a", "peak_s"]].to_numpy(float)
    there = expected.set_index("region").loc["Right-Hippocampus", ["peak_r", "peak_a", "peak_s"]].to_numpy(float)
    assert np.allclose((to_template @ [*peak, 1])[:3], there)


def test_a_mask_decides_what_is_brain() -> None:
    values = _map()
    mask = np.zeros(SHAPE, np.uint8)
    mask[:, :, :20] = 1
    by_array = region_table(values, mask, affine=AFFINE).dataframe
    by_image = region_table(values, Volume(mask, AFFINE), affine=AFFINE).dataframe
    assert by_array.equals(by_image)
    rows = by_array.set_index("region")
    assert rows.loc[OUTSIDE, "volume_mm3"] == pytest.approx(values.size / 2 * 64)
    assert rows.loc["ctx-lh-superiorparietal", "volume_mm3"] == 0


def test_an_atlas_of_the_users_own(tmp_path: Path) -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[:20], labels[20:] = 1, 2
    nibabel.save(nibabel.Nifti1Image(labels, AFFINE), tmp_path / "halves.nii.gz")
    (tmp_path / "halves.csv").write_text("index,name\n1,Left half\n2,Right half\n", encoding="utf-8")
    values = np.where(labels == 2, 3.0, 1.0)
    found = region_table(values, atlas=(tmp_path / "halves.nii.gz", tmp_path / "halves.csv"), affine=AFFINE)
    rows = found.dataframe.set_index("region")
    assert rows.loc["Right half", "mean"] == 3
    assert "No region stands out" in found.top().sentence


def test_several_maps_and_their_page() -> None:
    values = _map()
    found = region_table({"hot <b>": values, "zero": values * 0}, affine=AFFINE)
    assert found.maps == ["hot <b>", "zero"]
    page = found._repr_html_()
    assert "hot &lt;b&gt;" in page
    assert "<b>hot <b>" not in page
    assert "zero everywhere in the brain" in page
    assert "lies outside the brain and is not counted" in page
    with pytest.raises(KeyError, match="no map 'cold'"):
        found.top("cold")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"map": np.zeros((3, 3, 3)), "affine": None}, "no orientation|comes without an affine"),
        ({"map": {}}, "No map was given"),
        ({"map": np.full(SHAPE, np.nan)}, "64000|76800 voxels of the map 'map' are not finite"),
        ({"mask": np.zeros((2, 2, 2))}, "The mask has shape"),
        ({"mask": np.zeros(SHAPE)}, "No voxel of the map lies in the brain mask"),
        (
            {"affine": AFFINE + np.array([[0, 0, 0, 900.0]] + [[0] * 4] * 3)},
            "No voxel of the map|No region of the atlas",
        ),
        ({"to_template": np.eye(3)}, "invertible 4 x 4"),
        ({"atlas": "Harvard"}, "An atlas is given as a pair"),
        ({"map": {"a": (np.zeros(SHAPE), AFFINE), "b": (np.zeros((4, 4, 4)), AFFINE)}}, "'b' lies on another grid"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], words: str) -> None:
    given = {"map": np.ones(SHAPE), "affine": AFFINE} | changes
    with pytest.raises(UserError, match=words):
        region_table(given.pop("map"), **given)
