"""One subject: complete or not there, skipped while nothing changed, and its failure told."""

from __future__ import annotations

import errno
import gc
import json
import os
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import mri_interpret as mi
import nibabel as nib
import numpy as np
import pytest
from mri_interpret.cohort import explain_subject, folders
from mri_interpret.cohort.derivatives import write_derivatives
from mri_interpret.cohort.planning import Options, Plan, make_plan
from mri_interpret.cohort.subject_result import input_hash, read_result, subject_key
from mri_interpret.cohort.subjects import Settings, Subject, SubjectJob
from mri_interpret.cohort.validation import InvalidTable
from mri_interpret.command_line import explain as command
from mri_interpret.errors import UserError
from mri_interpret.explanation.explanation import Explanation

from Testing.cohort.cohort_scans import write_cohort, write_scan, write_segmentation
from Testing.cohort.full_disk import files_no_longer_than
from Testing.fixtures_explanation import MODEL_GRID

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory, options: Options) -> Plan:
    """A cohort of two of which the first is complete, with everything that can be written."""
    folder = tmp_path_factory.mktemp("two subjects")
    full = replace(options, native=True, pages=True, trust="fast")
    plan = make_plan(write_cohort(folder, ["CN", "AD"], bids=True), folder / "out", full)
    outcome = explain_subject.explain_subject(plan.jobs[0])
    assert outcome.reason == ""
    return plan


def names(plan: Plan) -> list[str]:
    return [job.subject.name for job in plan.jobs]


def again(plan: Plan, **changes: Any) -> Plan:
    return make_plan(plan.cohort.table, plan.output, replace(plan.options, **changes))


def quick_job(plan: Plan, place: int) -> SubjectJob:
    """A job of the plan that segments nothing and checks nothing: for tests of how its files are written."""
    job = again(plan, force=True, trust="off", pages=False).jobs[place]
    structures = write_segmentation(plan.output.parent / "structures.nii.gz")
    return replace(job, subject=replace(job.subject, segmentation=structures))


def test_the_folder_is_bids_derivatives(explained: Plan) -> None:
    folder = explained.output / "sub-01"
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    expected = {"sub-01_result.json", "sub-01_regions.tsv", "sub-01_agreement.tsv", "sub-01_prediction.json"}
    expected |= {"sub-01_provenance.json", "sub-01_report.html", "sub-01_trust.tsv", "sub-01_explanation.json"}
    for space in ("MNI152NLin2009aSym", "orig"):
        for stem in ("gradcam_relevance", "summary_relevance", "spread_relevance", "consensus_dseg"):
            expected |= {f"anat/sub-01_space-{space}_desc-{stem}{end}" for end in (".nii.gz", ".json")}
    expected |= {"anat/sub-01_space-MNI152NLin2009aSym_desc-preproc_T1w.nii.gz"}
    for stem in ("brain_mask", "template_T1w"):
        expected |= {f"anat/sub-01_space-orig_desc-{stem}.nii.gz"}
    expected |= {f"anat/sub-01_space-orig_desc-aparcaseg_dseg{end}" for end in (".nii.gz", ".json", ".tsv")}
    expected |= {"sub-01_volumes.tsv"}
    assert found == expected
    image = nib.load(folder / "anat" / "sub-01_space-MNI152NLin2009aSym_desc-gradcam_relevance.nii.gz")
    assert image.shape == tuple(MODEL_GRID["shape"])
    assert int(image.header["sform_code"]) == 4
    sidecar = json.loads((folder / "anat" / "sub-01_space-orig_desc-gradcam_relevance.json").read_text())
    assert sidecar["Units"]
    assert sidecar["Target"] == "AD - CN"
    assert not list(explained.output.glob(".partial-*"))


def test_a_subjects_report_is_drawn_anew_under_its_own_name(explained: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []
    monkeypatch.setattr(command, "write_report", lambda _explanation, path, _progress: written.append(path))
    folder = explained.output / "sub-01"
    command.saved_command(folder, None, "report")
    command.saved_command(folder / "sub-01_explanation.json", None, "report")
    assert written == [folder / "sub-01_report.html"] * 2


def test_a_subject_opens_again_with_the_scan_from_where_it_was(explained: Plan) -> None:
    subject = explained.jobs[0].subject
    folder = explained.output / "sub-01"
    found = mi.load(folder)
    record = json.loads((folder / "sub-01_prediction.json").read_text(encoding="utf-8"))
    assert found.prediction.logits == record["logits"]
    scan = nib.load(subject.scan)
    np.testing.assert_array_equal(found.scan.array, np.asarray(scan.dataobj, np.float32))
    stored = nib.load(folder / "anat" / "sub-01_space-orig_desc-gradcam_relevance.nii.gz")
    np.testing.assert_array_equal(found.maps["grad_cam"].native.array, np.asarray(stored.dataobj))
    assert {verdict.method for verdict in found.verdicts} == {"grad_cam", "summary"}
    before = subject.scan.read_bytes()
    try:
        nib.save(nib.Nifti1Image(np.asarray(scan.dataobj) + np.float32(1), scan.affine), subject.scan)
        with pytest.raises(UserError, match="is not the scan that"):
            mi.load(folder)
        subject.scan.unlink()
        with pytest.raises(UserError, match="saved without its scan"):
            mi.load(folder)
    finally:
        subject.scan.write_bytes(before)


def test_a_subject_without_maps_on_the_scans_grid_does_not_open(small_explanation: Explanation, tmp_path: Path) -> None:
    write_derivatives(small_explanation, tmp_path, "sub-01", native=False, page=False)
    with pytest.raises(UserError, match="saved without maps/lrp"):
        mi.load(tmp_path)


def test_what_is_complete_and_unchanged_is_skipped(explained: Plan) -> None:
    assert names(again(explained)) == ["sub-02"]
    assert names(again(explained, force=True)) == ["sub-01", "sub-02"]


def test_results_of_other_settings_or_versions_are_explained_again_and_it_is_said(
    explained: Plan, tmp_path: Path
) -> None:
    said = "1 of 2 subjects have results that other settings"
    assert not any(said in note for note in again(explained).notes)
    assert any(said in note for note in again(explained, methods=("lrp",)).notes)
    assert not any(said in note for note in again(explained, force=True).notes)
    earlier = tmp_path / "sub-01" / "sub-01_unit.json"  # as version 0.1.0 called it
    earlier.parent.mkdir()
    earlier.write_text('{"key": "of another version", "files": {}}')
    plan = make_plan(explained.cohort.table, tmp_path, explained.options)
    assert names(plan) == ["sub-01", "sub-02"]
    assert any(said in note for note in plan.notes)


@pytest.mark.parametrize("changes", [{"methods": ("lrp",)}, {"target": "AD"}, {"native": False}, {"space": "native"}])
def test_other_parameters_are_another_result(explained: Plan, changes: dict[str, Any]) -> None:
    assert names(again(explained, **changes)) == ["sub-01", "sub-02"]


def test_another_scan_another_model_a_lost_or_cut_file(explained: Plan, tmp_path: Path) -> None:
    from Testing.models.bundles import write_small_bundle

    assert names(again(explained, model=str(write_small_bundle(tmp_path / "other", seed=1)))) == ["sub-01", "sub-02"]
    scan = explained.cohort.subjects[0].scan
    old = scan.read_bytes()
    write_scan(scan, seed=99)
    assert names(again(explained)) == ["sub-01", "sub-02"]
    scan.write_bytes(old)
    path = next((explained.output / "sub-01" / "anat").glob("*space-orig_desc-summary*.nii.gz"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    assert names(again(explained)) == ["sub-01", "sub-02"]
    path.write_bytes(whole)
    assert names(again(explained)) == ["sub-02"]


@pytest.mark.slow
def test_a_failing_subject_is_recorded_and_forgotten_when_it_succeeds(tmp_path: Path, options: Options) -> None:
    table = write_cohort(tmp_path, ["CN"], segmented=True)
    scan = tmp_path / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    good = scan.read_bytes()
    image = nib.load(scan)
    nib.save(nib.Nifti1Image(np.zeros(image.shape, np.float32), image.affine), scan)
    plan = make_plan(table, tmp_path / "out", options)
    outcome = explain_subject.explain_subject(plan.jobs[0])
    assert "all zero" in outcome.reason
    assert not outcome.disk_full
    note = plan.output / "logs" / "sub-01.json"
    assert "all zero" in json.loads(note.read_text())["reason"]
    assert not (plan.output / "sub-01").exists()
    scan.write_bytes(good)
    plan = make_plan(table, tmp_path / "out", options)
    assert explain_subject.explain_subject(plan.jobs[0]).reason == ""
    assert not note.exists()


@pytest.mark.slow
def test_a_full_disk_is_told_apart_and_leaves_the_older_result(
    explained: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = explained.cohort.subjects[0]
    before = (explained.output / "sub-01" / "sub-01_result.json").read_bytes()
    job = quick_job(explained, 0)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    outcome = explain_subject.explain_subject(job)
    monkeypatch.undo()
    assert outcome.disk_full
    assert "Cannot write" in outcome.reason
    assert (explained.output / "sub-01" / "sub-01_result.json").read_bytes() == before
    assert read_result(explained.output, subject, explained.keys[subject.name]) is not None
    assert not list(explained.output.glob(".partial-*"))


@pytest.mark.slow
def test_a_write_that_the_system_refuses_half_way(explained: Plan, tmp_path: Path) -> None:
    job = replace(quick_job(explained, 1), output=tmp_path / "out")
    with files_no_longer_than(100_000):
        outcome = explain_subject.explain_subject(job)
    assert outcome.disk_full, outcome
    assert not list(job.output.glob("sub-*"))
    assert not list(job.output.glob(".partial-*"))


class Cycle:
    """Refers to itself, as figures do."""

    def __init__(self) -> None:
        self.itself = self


def test_what_a_subject_leaves_in_memory_is_given_back() -> None:
    gc.disable()
    try:
        there = weakref.ref(Cycle())
        assert there() is not None
        explain_subject._release_memory()
        assert there() is None
    finally:
        gc.enable()


def test_an_unforeseen_error_is_a_sentence_too(
    explained: Plan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def burst(_: Any) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(explain_subject, "_explain_and_write", burst)
    outcome = explain_subject.explain_subject(replace(explained.jobs[1], output=tmp_path))
    assert outcome.reason == "Unexpected RuntimeError: unforeseen"
    assert "Traceback" in json.loads((tmp_path / "logs" / "sub-02.json").read_text())["traceback"]


def test_weights_that_changed_after_planning_are_refused(explained: Plan, tmp_path: Path) -> None:
    explain_subject._bundle.cache_clear()
    outcome = explain_subject.explain_subject(replace(explained.jobs[1], output=tmp_path, model_hash="0" * 64))
    assert "differ from those that the run was planned with" in outcome.reason


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:

    def fail() -> None:
        with folders.completing(tmp_path, Path("sub-1") / "ses-1") as aside:
            (aside / "half").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not list(tmp_path.iterdir())
    for text in ("first", "second"):
        with folders.completing(tmp_path, Path("sub-1") / "ses-1") as aside:
            (aside / "whole").write_text(text)
            assert not (tmp_path / "sub-1" / "ses-1" / "whole").exists() or text == "second"
    assert (tmp_path / "sub-1" / "ses-1" / "whole").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["sub-1"]


def test_one_run_at_a_time_and_leftovers_are_swept(tmp_path: Path) -> None:
    (tmp_path / ".partial-old").mkdir()
    with folders.locked(tmp_path):
        assert folders.sweep(tmp_path) == 1
        with pytest.raises(UserError, match="Another run"), folders.locked(tmp_path):
            pass
    with folders.locked(tmp_path):
        pass
    with pytest.raises(UserError, match="Cannot write"), folders.locked(Path("/proc/nothing")):
        pass


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"methods": ()}, "No attribution method"),
        ({"space": "moon"}, "'moon'"),
        ({"target": "Healthy"}, "'Healthy'"),
        ({"model": "nobody"}, "'nobody'"),
        ({"permutations": -1}, "negative"),
        ({"permutations": 18}, "18 permutations can show no p of 0.05"),
        ({"correction": "fdr"}, "'fdr' is not known: choose from max, tfce"),
        ({"atlas": ("no-atlas.nii.gz", "no-names.csv")}, "no-atlas.nii.gz"),
        ({"groups": {"x": "Healthy"}}, "'x' is said to mean 'Healthy'"),
        ({"adjust": ("weight",)}, "no covariate 'weight'"),
    ],
)
def test_wrong_options(explained: Plan, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        again(explained, **changes)


def test_adjusting_needs_the_covariate_of_everyone(tmp_path: Path, options: Options) -> None:
    table = write_cohort(tmp_path, ["CN", "AD"])
    table.write_text(table.read_text().replace("\t74\t", "\tn/a\t"))
    with pytest.raises(InvalidTable, match="no age"):
        make_plan(table, tmp_path / "out", replace(options, adjust=("age",)))


def test_adjusting_for_what_tells_the_group_or_is_no_number_is_refused(tmp_path: Path, options: Options) -> None:
    table = write_cohort(tmp_path, ["CN", "CN", "CN", "AD", "AD", "AD"])
    lines = table.read_text().splitlines()
    columns = ["site", "A", "A", "B", "C", "C", "D"], ["weight", "70", "71,5", "80", "66", "90+", "77"]
    table.write_text("\n".join("\t".join(cells) for cells in zip(lines, *columns, strict=True)) + "\n")
    with pytest.raises(UserError, match="AD and CN cannot be compared: site tells which group"):
        make_plan(table, tmp_path / "out", replace(options, adjust=("site",)))
    with pytest.raises(InvalidTable, match="Line 3: the weight '71,5' is no number as the others are"):
        make_plan(table, tmp_path / "out", replace(options, adjust=("weight",)))


def test_the_key_tells_a_mask_from_a_segmentation_and_knows_the_voxels_of_a_pair(tmp_path: Path) -> None:
    image = nib.Nifti1Pair(np.ones((4, 4, 4), np.float32), np.eye(4))
    image.to_filename(tmp_path / "scan.hdr")
    path = tmp_path / "scan.hdr"
    settings = Settings(("lrp",), "AD")

    def key(**files: Path) -> str:
        return subject_key("scan", Subject("1", path, **files), settings, [])

    assert key(mask=path) != key(segmentation=path)
    before = input_hash(path)
    data = bytearray((tmp_path / "scan.img").read_bytes())
    data[3] ^= 64
    (tmp_path / "scan.img").write_bytes(data)
    assert input_hash(path) != before
