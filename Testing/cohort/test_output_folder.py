"""A cohort's results take the place of no scan and of nobody's files."""

from __future__ import annotations

from pathlib import Path

import pytest
from mri_interpret.cohort.planning import Options, make_plan
from mri_interpret.errors import UserError

from Testing.cohort.cohort_scans import write_cohort


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("place", [".", "derivatives"])
def test_results_take_the_place_of_no_scan(tmp_path: Path, options: Options, place: str) -> None:
    """The output is the BIDS root itself, or a folder that another program filled."""
    table = write_cohort(tmp_path, ["CN"], bids=True)
    other = tmp_path / "derivatives" / "sub-01" / "anat" / "sub-01_desc-preproc_T1w.nii.gz"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"somebody's work")
    before = contents(tmp_path)
    with pytest.raises(UserError, match=r"Results cannot be written into .*: .*Choose an empty folder"):
        make_plan(table, tmp_path / place, options)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "text"),
    [("dataset_description.json", '{"GeneratedBy": [{"Name": "fMRIPrep"}]}'), ("group/notes.txt", "x")],
)
def test_another_data_sets_files_are_not_replaced(tmp_path: Path, options: Options, name: str, text: str) -> None:
    table = write_cohort(tmp_path / "in", ["CN"])
    path = tmp_path / "out" / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(UserError, match="which MRIInterpret did not make"):
        make_plan(table, tmp_path / "out", options)
    (tmp_path / "out" / "dataset_description.json").write_text('{"GeneratedBy": [{"Name": "MRIInterpret"}]}')
    make_plan(table, tmp_path / "out", options)


def test_a_scan_that_lies_in_its_own_results_is_not_replaced(tmp_path: Path, options: Options) -> None:
    """Also in a folder that this program made: what is asked for here is a map of a map."""
    table = write_cohort(tmp_path, ["CN"])
    (tmp_path / "dataset_description.json").write_text('{"GeneratedBy": [{"Name": "MRIInterpret"}]}')
    with pytest.raises(UserError, match=r"the cohort's own file .*sub-01_T1w\.nii\.gz lies where results would go"):
        make_plan(table, tmp_path, options)
    moved = table.rename(tmp_path / "table.tsv")
    link = tmp_path / "kept.nii.gz"
    (tmp_path / "sub-01").rename(tmp_path / "scans")
    link.symlink_to(tmp_path / "scans" / "anat" / "sub-01_T1w.nii.gz")
    moved.write_text(moved.read_text().replace("sub-01/anat/sub-01_T1w.nii.gz", "kept.nii.gz"))
    make_plan(moved, tmp_path, options)
    with pytest.raises(UserError, match="the participants table itself lies there"):
        make_plan(moved.rename(tmp_path / "participants.tsv"), tmp_path, options)
