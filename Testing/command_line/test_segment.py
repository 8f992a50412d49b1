"""`mri-interpret segment` writes labels and volumes, says what they must not be used for, and passes warnings on."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from mri_interpret.command_line import app as cli
from mri_interpret.command_line import segment as module
from mri_interpret.images.writing import save_nifti
from mri_interpret.resources import resource

from Testing.sample_scan import sample_at_2_mm

SAMPLE = resource("SampleData", "colin27_T1.nii.gz")


def call(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


@pytest.fixture
def found(small_explanation: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the network would find, with a warning."""
    anatomy = replace(small_explanation.anatomy, warnings=("The segmentation is unsure of the left amygdala.",))
    monkeypatch.setattr(module, "_segment", lambda *_arguments: anatomy)
    return anatomy


def test_labels_and_volumes_are_written_and_told(
    found: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("segment", SAMPLE, "-o", tmp_path / "out") == 0
    image = nib.load(tmp_path / "out" / "anatomy.nii.gz")
    np.testing.assert_array_equal(np.asarray(image.dataobj), found.labels.array)  # type: ignore[attr-defined]
    np.testing.assert_allclose(image.affine, found.labels.affine, atol=1e-4)  # type: ignore[attr-defined]
    with (tmp_path / "out" / "volumes.csv").open(newline="") as file:
        ml = {row["structure"]: float(row["ml"]) for row in csv.DictReader(file)}
    assert ml["Left-Hippocampus"] == pytest.approx(found.structure("Left-Hippocampus").ml)
    out = capsys.readouterr().out
    assert "Intracranial volume" in out
    assert "Warning: The segmentation is unsure of the left amygdala." in out
    assert "Research use only." in out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["anatomy.nii.gz", "volumes.csv"]


def test_the_machine_readable_result_is_all_that_is_printed(
    found: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("segment", SAMPLE, "-o", tmp_path, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["ml"]["Left-Hippocampus"] == pytest.approx(found.structure("Left-Hippocampus").ml)
    assert record["banner"].startswith("Research use only.")
    assert record["warnings"] == list(found.warnings)
    assert Path(record["files"]["volumes"]).is_file()


@pytest.mark.slow
def test_the_sample_is_segmented(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scan = save_nifti(sample_at_2_mm(), tmp_path / "scan.nii.gz")
    assert call("segment", scan, "-o", tmp_path / "out", "--json") == 0
    ml = json.loads(capsys.readouterr().out)["ml"]
    for side in ("Left", "Right"):
        assert 2.5 < ml[f"{side}-Hippocampus"] < 6.5
        assert 4 < ml[f"{side}-Thalamus"] < 12  # Colin27 is a tenth larger along each axis than most brains
        assert 3 < ml[f"{side}-Lateral-Ventricle"] < 20


def test_no_input_and_no_saved_result_is_written_over(
    found: Any, small_explanation: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = tmp_path / "in" / "anatomy.nii.gz"
    scan.parent.mkdir()
    scan.write_bytes(SAMPLE.read_bytes())
    assert call("segment", scan, "-o", scan.parent) == 2
    assert "would take the place of" in " ".join(capsys.readouterr().err.split())
    assert scan.read_bytes() == SAMPLE.read_bytes()
    small_explanation.save(tmp_path / "result")
    assert call("segment", SAMPLE, "-o", tmp_path / "result") == 2
    assert "holds a saved result" in " ".join(capsys.readouterr().err.split())


def test_a_tilde_in_the_output_is_the_home_folder(found: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert call("segment", SAMPLE, "--output=~/x") == 0
    assert (tmp_path / "x" / "anatomy.nii.gz").is_file()
