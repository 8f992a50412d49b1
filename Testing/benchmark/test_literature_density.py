"""Maps against the peaks of published studies: what is made of known peaks, titles and maps."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from mri_interpret.benchmark.stored_maps import maps_path, save_maps
from mri_interpret.images.volume import Grid, Volume
from scipy import ndimage

from Testing.benchmarks.literature_density import (
    Regions,
    compared,
    file_profile,
    map_profiles,
    peak_profiles,
    regions_of_template,
    studies,
    study_profiles,
)

SHAPE = (24, 24, 24)
GRID = Grid(SHAPE, np.diag([2.0, 2.0, 2.0, 1.0]))


@pytest.fixture
def regions() -> Regions:
    """Eight cubes that fill the grid."""
    i, j, k = np.indices(SHAPE) // 12
    labels = (4 * i + 2 * j + k + 1).astype(np.int64)
    return Regions(labels, tuple(range(1, 9)), tuple(f"ctx-{n}" for n in range(1, 9)), labels > 0, GRID)


def test_a_peak_is_spread_over_the_regions_as_a_gaussian_is(regions: Regions) -> None:
    peaks = np.array([[11.0, 11.0, 11.0], [23.0, 11.0, 11.0], [400.0, 0.0, 0.0]])
    found = peak_profiles(regions, peaks, 12.0)
    one = np.zeros(SHAPE)
    one[6, 6, 6] = 1
    blurred = ndimage.gaussian_filter(one, 12 / 2.354820045 / 2)
    expected = ndimage.mean(blurred, regions.labels, regions.numbers)
    assert found[0] == pytest.approx(expected, abs=1e-7)
    assert found[0].argmax() == 0
    assert found[1][0] == pytest.approx(found[1][4], rel=0.35), "between two cubes"
    assert not found[2].any(), "outside the grid"


def test_each_study_counts_once_and_studies_without_a_peak_not_at_all(regions: Regions) -> None:
    rows = [(7, 11, 11, 11), (7, 35, 11, 11), (8, 11, 11, 11), (9, 999, 0, 0)]
    found = study_profiles(regions, pd.DataFrame(rows, columns=["id", "x", "y", "z"]), 12.0)
    assert list(found.index) == [7, 8]
    single = peak_profiles(regions, np.array([[11.0, 11, 11], [35.0, 11, 11]]), 12.0)
    assert found.loc[7].to_numpy() == pytest.approx(single.mean(0))


def test_studies_are_found_by_their_titles() -> None:
    titles = {
        1: "Gray matter atrophy in Alzheimer's disease",
        2: "Resting state in Alzheimer's disease",
        3: "Voxel-based morphometry of musicians",
        4: "Finger tapping",
        5: "Grey matter volume and ageing",
    }
    table = pd.DataFrame({"id": [*titles, 6], "title": [*titles.values(), titles[1]], "space": ["MNI"] * 5 + ["TAL"]})
    found = studies(table)
    assert {name: ids.tolist() for name, ids in found.items()} == {"disease": [1], "structural": [3], "any": [3, 4]}


def test_a_map_like_the_disease_and_unlike_the_controls(regions: Regions) -> None:
    rng = np.random.default_rng(0)
    disease = np.arange(8.0)
    densities = {
        "disease": disease + rng.normal(0, 0.1, (40, 8)),
        "structural": disease[::-1] + rng.normal(0, 0.1, (40, 8)),
        "any": rng.normal(0, 1, (40, 8)),
    }
    table = compared({"like": disease[None], "unlike": disease[None, ::-1]}, densities, regions.grey, repeats=50)
    assert table["disease"].tolist() == ["1.00 [1.00, 1.00]", "-1.00 [-1.00, -1.00]"]
    assert table["structural studies"].tolist() == ["-1.00", "1.00"]
    assert table["more than structural"].tolist() == ["2.00 [2.00, 2.00]", "-2.00 [-2.00, -2.00]"]


def test_only_the_size_of_a_map_in_a_file_counts(regions: Regions, tmp_path: Path) -> None:
    values = np.where(regions.labels == 3, -2.0, 0.5).astype(np.float32)
    path = tmp_path / "group map.nii.gz"
    Volume(values, GRID.affine).to_nibabel().to_filename(path)
    found = file_profile(regions, path)
    assert found.shape == (1, 8)
    assert found[0].argmax() == 2
    assert (found > 0).all()


def test_stored_maps_of_all_folders_and_those_that_report(regions: Regions, tmp_path: Path) -> None:
    given = SimpleNamespace(mask=regions.labels > 0, image=torch.zeros(1, 1, *SHAPE), effect=np.ones(SHAPE))
    for folder, index, label in (("a", 0, 1), ("a", 1, 2), ("b", 3, 5)):
        path = maps_path(tmp_path / folder, "network", index)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_maps(path, given, {"lrp": np.where(regions.labels == label, 1.0, 0.1)})
    folders = [tmp_path / "a", tmp_path / "b"]
    found = map_profiles(regions, folders)
    assert found["lrp"].argmax(axis=1).tolist() == [0, 1, 4]
    assert found["effect"] == pytest.approx(np.ones((3, 8)))
    assert map_profiles(regions, folders, reporting=True)["lrp"].argmax(axis=1).tolist() == [1, 4]
    with pytest.raises(ValueError, match="no stored maps"):
        map_profiles(regions, [tmp_path])


def test_the_atlas_has_grey_matter_in_both_hemispheres() -> None:
    found = regions_of_template()
    grey = {name for name, chosen in zip(found.names, found.grey, strict=True) if chosen}
    assert {"Left-Hippocampus", "Right-Hippocampus", "ctx-lh-entorhinal"} <= grey
    assert not any("White-Matter" in name or "Ventricle" in name for name in grey)
