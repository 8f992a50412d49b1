"""Further inputs of a model in the participants table: columns of their own, BIDS names, and what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from mri_interpret.cohort.participants_table import read_table
from mri_interpret.cohort.subject_result import subject_key
from mri_interpret.cohort.subjects import Settings, Subject
from mri_interpret.cohort.validation import Cohort, InvalidTable, read_cohort
from mri_interpret.models.outputs import OutputMeaning

from Testing.cohort.test_cohort_table import write_image

CLASSES = OutputMeaning("logits", ("CN", "AD"))


def cohort_of(folder: Path, text: str, inputs: tuple[str, ...] = ("flair",), **columns: str) -> Cohort:
    table = folder / "participants.tsv"
    table.write_text(text.replace(",", "\t"))
    return read_cohort(read_table(table, columns, inputs), CLASSES, inputs=inputs)


@pytest.mark.parametrize("head", ["flair", "FLAIR", "Flair"])
def test_a_column_names_the_files(tmp_path: Path, head: str) -> None:
    for name in ("t1", "flair"):
        write_image(tmp_path / f"{name}.nii.gz")
    cohort = cohort_of(tmp_path, f"participant_id,path,{head},age\nS1,t1.nii.gz,flair.nii.gz,70\n")
    assert cohort.subjects[0].inputs == {"flair": (tmp_path / "flair.nii.gz").resolve()}
    assert cohort.covariates == ("age",)


def test_another_column_can_be_named(tmp_path: Path) -> None:
    for name in ("t1", "second"):
        write_image(tmp_path / f"{name}.nii.gz")
    text = "participant_id,path,other\nS1,t1.nii.gz,second.nii.gz\n"
    assert cohort_of(tmp_path, text, flair="other").subjects[0].inputs["flair"].name == "second.nii.gz"


def test_files_are_found_by_their_bids_suffix(tmp_path: Path) -> None:
    """In the subject's session, whatever the folder of the data type, the case and the w at the end."""
    anat = tmp_path / "sub-A" / "ses-1" / "anat"
    for path in (anat / "sub-A_ses-1_T1w.nii.gz", anat / "sub-A_ses-1_acq-tse_T2w.nii.gz",
                 anat / "sub-A_ses-1_FLAIR.nii.gz",
                 tmp_path / "sub-A" / "ses-1" / "pet" / "sub-A_ses-1_trc-18FFDG_pet.nii.gz",
                 tmp_path / "sub-A" / "ses-2" / "anat" / "sub-A_ses-2_FLAIR.nii.gz"):  # fmt: skip
        write_image(path)
    cohort = cohort_of(tmp_path, "participant_id,session_id\nsub-A,ses-1\n", ("flair", "t2", "PET"))
    assert {name: path.name for name, path in cohort.subjects[0].inputs.items()} == {
        "flair": "sub-A_ses-1_FLAIR.nii.gz",
        "t2": "sub-A_ses-1_acq-tse_T2w.nii.gz",
        "PET": "sub-A_ses-1_trc-18FFDG_pet.nii.gz",
    }


def test_every_subject_without_its_file_is_named(tmp_path: Path) -> None:
    for subject in "ABCD":
        write_image(tmp_path / f"sub-{subject}" / "anat" / f"sub-{subject}_T1w.nii.gz")
    write_image(tmp_path / "sub-A" / "anat" / "sub-A_FLAIR.nii.gz")
    for run in (1, 2):
        write_image(tmp_path / "sub-C" / "anat" / f"sub-C_run-{run}_FLAIR.nii.gz")
    (tmp_path / "sub-D" / "anat" / "sub-D_FLAIR.nii.gz").write_bytes(b"no image")
    with pytest.raises(InvalidTable) as caught:
        cohort_of(tmp_path, "participant_id\nA\nB\nC\nD\n")
    missing, several, damaged = caught.value.problems
    assert missing.startswith("Line 3 (sub-B): no flair image lies in ")
    assert missing.endswith("name it in a column 'flair', or the BIDS root in the option 'bids-root'.")
    assert "Line 4 (sub-C): there are 2 flair images" in several
    assert damaged.startswith("Line 5 (sub-D): ")


def test_an_empty_entry_and_a_missing_file_are_named(tmp_path: Path) -> None:
    write_image(tmp_path / "t1.nii.gz")
    with pytest.raises(InvalidTable) as caught:
        cohort_of(tmp_path, "participant_id,path,flair\nA,t1.nii.gz,n/a\nB,t1.nii.gz,none.nii.gz\n")
    empty, missing = caught.value.problems
    assert empty == "Line 2 (sub-A): the column 'flair' is empty, and the model wants that input."
    assert "Line 3 (sub-B)" in missing
    assert "none.nii.gz" in missing


def test_a_result_depends_on_the_further_inputs(tmp_path: Path) -> None:
    first, second = (write_image(tmp_path / f"{name}.nii.gz", (4, 4, size)) for name, size in (("a", 4), ("b", 5)))
    settings = Settings(("lrp",), "AD")
    keys = {
        subject_key("scan", Subject("A", Path("t1.nii.gz"), inputs=inputs), settings, ["model"])
        for inputs in ({}, {"x": first}, {"x": second}, {"x": first, "y": second}, {"x": second, "y": first})
    }
    assert len(keys) == 5
