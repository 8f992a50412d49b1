"""Atlases of the user's own: both kinds of table, and clear sentences for what does not fit."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from mri_interpret.anatomy.atlas import load_atlas
from mri_interpret.errors import UserError


@pytest.fixture
def image(tmp_path: Path) -> Path:
    labels = np.zeros((20, 20, 20), np.int16)
    labels[2:6], labels[8:12], labels[14:18] = 5, 7, 9
    nib.save(nib.Nifti1Image(labels, np.eye(4)), tmp_path / "labels.nii.gz")
    return tmp_path / "labels.nii.gz"


def test_a_csv_with_colours(image: Path, tmp_path: Path) -> None:
    table = tmp_path / "names.csv"
    table.write_text("index,name,r,g,b\n5,Left-A,255,0,0\n7,Right-A,0,0,255\n11,absent,1,2,3\n")
    atlas = load_atlas(image, table)
    assert [(region.label, region.name) for region in atlas.regions] == [(5, "Left-A"), (7, "Right-A")]
    assert atlas.regions[0].colour == (1.0, 0.0, 0.0)
    assert atlas.opposite() == {5: 7}
    assert set(np.unique(atlas.volume.array)) == {0, 5, 7}, "a label without a name counts as no region"


def test_a_csv_without_colours_gets_distinct_ones(image: Path, tmp_path: Path) -> None:
    table = tmp_path / "names.csv"
    table.write_text("index,name\n5,Left-A\n7,Right-A\n9,B\n")
    colours = {region.name: region.colour for region in load_atlas(image, table).regions}
    assert colours["Left-A"] == colours["Right-A"] != colours["B"]


def test_a_lookup_table(image: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.txt"
    table.write_text("# No. name R G B A\n0 Unknown 0 0 0 0\n5 One 51 102 153 0\n\n9 Two 1 2 3 0\n")
    atlas = load_atlas(image, table, name="mine")
    assert atlas.name == "mine"
    assert [(region.label, region.name) for region in atlas.regions] == [(5, "One"), (9, "Two")]
    assert atlas.regions[0].colour == pytest.approx((0.2, 0.4, 0.6))


@pytest.mark.parametrize(
    ("text", "name", "word"),
    [
        ("index,title\n5,A\n", "t.csv", "not understood"),
        ("index,name\nfive,A\n", "t.csv", "not understood"),
        ("5 One\n", "t.txt", "not understood"),
        ("index,name\n6,A\n", "t.csv", "No label"),
        ("index,name\n5,A\n9,A\n", "t.csv", "calls the labels 5 and 9 by the same name, A"),
    ],
)
def test_bad_tables(image: Path, tmp_path: Path, text: str, name: str, word: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=word):
        load_atlas(image, tmp_path / name)


def test_an_image_that_holds_no_labels(image: Path, tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.full((9, 9, 9), 0.5, np.float32), np.eye(4)), tmp_path / "x.nii.gz")
    (tmp_path / "t.csv").write_text("index,name\n5,A\n")
    with pytest.raises(UserError, match="no label image"):
        load_atlas(tmp_path / "x.nii.gz", tmp_path / "t.csv")
    with pytest.raises(UserError, match="cannot be read"):
        load_atlas(image, tmp_path / "missing.csv")


def test_an_itk_snap_table_pairs_left_with_right(image: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.txt"
    table.write_text('5 255 0 0 1 1 1 "Left Hippocampus"\n7 0 0 255 1 1 1 "Right Hippocampus"\n')
    atlas = load_atlas(image, table)
    assert [region.name for region in atlas.regions] == ["Left Hippocampus", "Right Hippocampus"]
    assert atlas.regions[1].colour == (0.0, 0.0, 1.0)
    assert atlas.opposite() == {5: 7}
