"""The participants table: separators, columns, BIDS naming, and every problem in one report before anything runs."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from mri_interpret.cohort import bids
from mri_interpret.cohort.participants_table import read_table
from mri_interpret.cohort.validation import Cohort, InvalidTable, read_cohort
from mri_interpret.errors import UserError
from mri_interpret.models.outputs import OutputMeaning

CLASSES = ("CN", "MCI", "AD")


def write_image(path: Path, shape: tuple[int, ...] = (4, 4, 4)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.ones(shape, np.float32), np.eye(4)), path)
    return path


def cohort(table: Path, **options: object) -> Cohort:
    return read_cohort(read_table(table), OutputMeaning("logits", CLASSES), **options)  # type: ignore[arg-type]


def problems(table: Path) -> tuple[str, ...]:
    with pytest.raises(InvalidTable) as found:
        cohort(table)
    return found.value.problems


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "subject,dx,age,path\n1,CN,61.5,a.nii.gz\n"),
        ("t.csv", "subject;dx;age;path\n1;CN;61,5;a.nii.gz\n"),
        ("t.tsv", "\ufeffparticipant_id\tGroup\tage\tpath\n\nsub-1\tcn\t61.5\ta.nii.gz\n"),
    ],
)
def test_separators_column_names_and_paths_beside_the_table(tmp_path: Path, name: str, text: str) -> None:
    write_image(tmp_path / "a.nii.gz")
    (tmp_path / name).write_text(text, encoding="utf-8")
    (subject,) = cohort(tmp_path / name).subjects
    assert (subject.name, subject.group, subject.covariates) == ("sub-1", "CN", {"age": 61.5})
    assert subject.scan == (tmp_path / "a.nii.gz").resolve()


def test_every_problem_is_reported_at_once(tmp_path: Path) -> None:
    write_image(tmp_path / "good.nii.gz")
    write_image(tmp_path / "4d.nii.gz", (4, 4, 4, 5))
    (tmp_path / "broken.nii.gz").write_bytes(b"this is no image")
    (tmp_path / "empty.nii").write_bytes(b"")
    (tmp_path / "text.docx").write_bytes(b"x")
    table = tmp_path / "t.csv"
    rows = [
        "participant_id,group,path",
        "01,CN,good.nii.gz",
        "02,CN,missing.nii.gz",
        "03,CN,broken.nii.gz",
        "04,CN,4d.nii.gz",
        "05,SMC,good.nii.gz",
        "sub-01,CN,good.nii.gz",
        "---,CN,good.nii.gz",
        "06,CN,empty.nii",
        "07,CN,text.docx",
        "08,CN,",
    ]
    table.write_text("\n".join(rows))
    found = problems(table)
    assert len(found) == 9
    expected = [
        ("Line 3", "missing.nii.gz", "does not exist"),
        ("Line 4", "broken.nii.gz", "not a readable image"),
        ("Line 5", "4-dimensional"),
        ("Line 6", "'SMC'", "CN, MCI, AD", "option 'groups'"),
        ("Line 7", "sub-01 is on line 2 already"),
        ("Line 8", "no letters or digits"),
        ("Line 9", "0 bytes"),
        ("Line 10", "not in an image format"),
        ("Line 11", "no T1w image"),
    ]
    for sentence, words in zip(found, expected, strict=True):
        assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["is empty"]),
        ("participant_id,group\n", ["lists no subject"]),
        ("name,group\nx,CN\n", ["participant_id"]),
        ("participant_id,group,group\n1,CN,CN\n", ["'group' twice"]),
        ("participant_id,group\n1,CN,extra\n", ["Line 2", "3 entries for 2 columns"]),
    ],
)
def test_tables_that_are_none(tmp_path: Path, text: str, words: list[str]) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UserError) as found:
        read_table(tmp_path / "t.csv")
    assert all(word in str(found.value) for word in words)


def test_a_missing_or_binary_table(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        read_table(tmp_path / "none.tsv")
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(UserError, match="UTF-8"):
        read_table(tmp_path / "t.csv")


def test_t1w_images_are_found_in_a_bids_root(tmp_path: Path) -> None:
    plain = write_image(tmp_path / "sub-A1" / "anat" / "sub-A1_acq-mprage_run-1_T1w.nii.gz")
    visit = write_image(tmp_path / "sub-B2" / "ses-02" / "anat" / "sub-B2_ses-02_T1w.nii.gz")
    write_image(tmp_path / "sub-B2" / "ses-01" / "anat" / "sub-B2_ses-01_T1w.nii.gz")
    write_image(tmp_path / "sub-A1" / "anat" / "sub-A1_T2w.nii.gz")
    table = tmp_path / "participants.tsv"
    table.write_text("participant_id\tsession_id\nsub-A1\tn/a\nsub-B2\tses-02\n")
    first, second = cohort(tmp_path).subjects  # the root stands for its participants.tsv
    assert first.scan == plain.resolve()
    assert (second.scan, second.name, second.folder) == (visit.resolve(), "sub-B2_ses-02", Path("sub-B2/ses-02"))
    assert [path.name for path in bids.find_images(tmp_path, "T1w", "B2")] == [
        "sub-B2_ses-01_T1w.nii.gz",
        "sub-B2_ses-02_T1w.nii.gz",
    ]
    table.write_text("participant_id\nsub-B2\n")
    (sentence,) = problems(table)
    assert "2 T1w images" in sentence


def test_groups_can_have_other_words(tmp_path: Path) -> None:
    write_image(tmp_path / "a.nii.gz")
    (tmp_path / "t.csv").write_text("id,diagnosis,path\n1,Control,a.nii.gz\n2,,a.nii.gz\n")
    first, second = cohort(tmp_path / "t.csv", group_map={"control": "CN"}).subjects
    assert (first.group, second.group) == ("CN", "")


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        (["CN"], "one subject"),
        (["AD", "AD"], "All subjects are AD"),
        (["", ""], "names no groups"),
        (["CN", "AD", ""], "1 subjects have no group"),
        (["CN", "AD"], "No subject is MCI"),
    ],
)
def test_what_a_table_cannot_show_is_said(tmp_path: Path, groups: list[str], words: str) -> None:
    write_image(tmp_path / "a.nii.gz")
    rows = "".join(f"{number},{group},a.nii.gz\n" for number, group in enumerate(groups))
    (tmp_path / "t.csv").write_text("id,group,path\n" + rows)
    assert any(words in note for note in cohort(tmp_path / "t.csv").notes)


def test_segmentations_of_some_subjects_are_not_comparable(tmp_path: Path) -> None:
    write_image(tmp_path / "a.nii.gz")
    for own, said in ((["a.nii.gz", ""], True), (["a.nii.gz"] * 2, False), (["", ""], False)):
        rows = "".join(f"{number},CN,a.nii.gz,{path}\n" for number, path in enumerate(own))
        (tmp_path / "t.csv").write_text("id,group,path,segmentation\n" + rows)
        notes = cohort(tmp_path / "t.csv").notes
        assert any("1 of 2 subjects bring their own segmentation" in note for note in notes) == said


def test_names_of_derivatives_follow_the_standard() -> None:
    name = bids.derivative("sub-01_ses-a", "relevance", space=bids.TEMPLATE_SPACE, desc="grad_cam_pp")
    assert name == "sub-01_ses-a_space-MNI152NLin2009aSym_desc-gradcampp_relevance.nii.gz"
    assert bids.derivative("sub-01", "stat", ".tsv") == "sub-01_stat.tsv"


@pytest.mark.parametrize(
    "header", [",participant_id,group,path", ",participant_id,,path", "Unnamed: 0,participant_id,group,path"]
)
def test_an_unnamed_column_plays_no_role(tmp_path: Path, header: str) -> None:
    """pandas writes its index so: it must not become the session, the mask or a covariate."""
    write_image(tmp_path / "scan.nii")
    (tmp_path / "t.csv").write_text(f"{header}\n7,01,CN,scan.nii\n")
    found = cohort(tmp_path / "t.csv")
    (subject,) = found.subjects
    assert (subject.name, subject.session, subject.mask) == ("sub-01", "", None)
    assert subject.group == ("CN" if "group" in header else "")
    assert found.covariates == ()
    assert subject.covariates == {}


@pytest.mark.skipif(os.name == "nt", reason="Windows forbids these names and links")
def test_paths_with_awkward_names_are_found(tmp_path: Path) -> None:
    names = [
        "a & b <c> \"d\" 'e'.nii",
        "100%#;(x)[y]{z}$.nii",
        "-dash.nii",
        "脑 мозг دماغ.nii",
        "line\nend.nii",
        "x" * 200 + ".nii",
    ]
    for name in names:
        write_image(tmp_path / name)
    with (tmp_path / "t.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["participant_id", "path"])
        writer.writerows((f"s{number}", name) for number, name in enumerate(names))
    assert [subject.scan.name for subject in cohort(tmp_path / "t.csv").subjects] == names


@pytest.mark.skipif(os.name == "nt", reason="Windows forbids these names and links")
def test_a_path_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "link.nii").symlink_to(tmp_path / "annex" / "key")
    (tmp_path / "loop.nii").symlink_to(tmp_path / "loop.nii")
    names = ["link.nii", "loop.nii", "y" * 300 + ".nii", "gone/scan.nii"]
    (tmp_path / "t.csv").write_text("participant_id,path\n" + "".join(f"s{i},{name}\n" for i, name in enumerate(names)))
    found = problems(tmp_path / "t.csv")
    assert len(found) == 4
    for sentence, words in zip(
        found, ["is a link to", "cannot be opened", "cannot be opened", "does not exist"], strict=True
    ):
        assert words in sentence
        assert "\n" not in sentence


@pytest.mark.parametrize("name", ["t.tsv", "t.csv"])
def test_a_quote_that_is_not_closed_swallows_nobody(tmp_path: Path, name: str) -> None:
    write_image(tmp_path / "a.nii")
    rows = ["participant_id\tpath\tnote", '1\ta.nii\t"moved a lot', '2\ta.nii\t"a ""good"" scan"', "3\ta.nii\tfine"]
    if name == "t.tsv":  # BIDS knows no quotes in a TSV
        (tmp_path / name).write_text("\n".join(rows) + "\n")
        notes = [subject.covariates["note"] for subject in cohort(tmp_path / name).subjects]
        assert notes == ['"moved a lot', 'a "good" scan', "fine"]
    else:
        (tmp_path / name).write_text("\n".join(rows).replace("\t", ",") + "\n")
        with pytest.raises(UserError, match=r"is not understood from line 2 on .*: check its quotes\."):
            read_table(tmp_path / name)


def test_an_entry_that_is_no_number_among_numbers_is_said(tmp_path: Path) -> None:
    write_image(tmp_path / "a.nii")
    rows = ["1\t70\t72,5\tA\t1", "2\t89+\t80,1\tB\t2", "3\t75\t61,0\tC\tx", "4\t71\t70,9\t\ty", "5\tinf\t66,0\t\tz"]
    header = "participant_id\tage\tscore\tsite\tcode\tpath"
    (tmp_path / "t.tsv").write_text("\n".join([header, *(f"{row}\ta.nii" for row in rows)]) + "\n")
    found = cohort(tmp_path / "t.tsv")
    assert found.odd == {"age": (3, "89+"), "score": (2, "72,5")}
    said = [note for note in found.notes if "is no number" in note]
    assert said[0].startswith("Line 3: the age '89+' is no number as the others are")
    assert len(said) == 2


def test_a_subject_with_a_session_and_without_one_would_share_a_folder(tmp_path: Path) -> None:
    write_image(tmp_path / "a.nii")
    rows = ["participant_id\tsession_id\tpath", "1\t\ta.nii", "1\ta\ta.nii", "2\ta\ta.nii", "2\tb\ta.nii"]
    (tmp_path / "t.tsv").write_text("\n".join(rows) + "\n")
    (sentence,) = problems(tmp_path / "t.tsv")
    assert "Line 3 (sub-1): the subject is named with a session and without one (line 2)" in sentence


def test_a_number_that_a_spreadsheet_wrote_with_decimals_is_that_subject(tmp_path: Path) -> None:
    for name in ("sub-1", "sub-10"):
        write_image(tmp_path / name / "anat" / f"{name}_T1w.nii")
    (tmp_path / "participants.tsv").write_text("participant_id\n1.0\n10.0\n")
    assert [subject.scan.parts[-3] for subject in cohort(tmp_path).subjects] == ["sub-1", "sub-10"]


def test_columns_that_differ_in_case_alone_cannot_share_a_role(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("participant_id,Group,group\n1,CN,AD\n")
    with pytest.raises(UserError, match="'Group' and 'group', which both may say each subject's group"):
        read_table(tmp_path / "t.csv")


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_scan_that_a_data_set_keeps_elsewhere_has_the_name_of_its_link(tmp_path: Path) -> None:
    kept = write_image(tmp_path / "annex" / "objects" / "MD5E-s1.nii.gz")
    for name, target in (("sub-1", kept), ("sub-2", tmp_path / "annex" / "objects" / "gone")):
        path = tmp_path / name / "anat" / f"{name}_T1w.nii.gz"
        path.parent.mkdir(parents=True)
        path.symlink_to(target)
    (tmp_path / "participants.tsv").write_text("participant_id\n1\n")
    assert cohort(tmp_path).subjects[0].scan.name == "sub-1_T1w.nii.gz"
    (tmp_path / "participants.tsv").write_text("participant_id\n2\n")
    (sentence,) = problems(tmp_path / "participants.tsv")
    assert "datalad get" in sentence
