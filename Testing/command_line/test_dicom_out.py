"""`mri-interpret explain FOLDER --dicom-out OUT`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mri_interpret.command_line import app as cli
from mri_interpret.command_line import explain as explain_module
from mri_interpret.explanation import job
from mri_interpret.explanation.explanation import Explanation

from Testing.images.dicom_series import write_slices

pydicom = pytest.importorskip("pydicom")
pytest.importorskip("highdicom")


def test_the_result_of_a_series_is_written_into_its_study(
    small_explanation: Explanation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    series = write_slices(tmp_path / "t1", small_explanation.scan.array, small_explanation.scan.affine)
    asked: list[Any] = []

    def explain(scan: Any, **_options: Any) -> Explanation:
        asked.append(scan)
        return small_explanation

    monkeypatch.setattr(job, "explain", explain)
    monkeypatch.setattr(explain_module, "write_report", lambda _explanation, path, _progress: path)
    out = tmp_path / "dicom"
    arguments = ["explain", series, "-o", tmp_path / "out", "--no-scene", "--dicom-out", out, "--json"]
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert not stopped.value.code, captured.err
    assert asked == [series]
    files = {name: Path(path) for name, path in json.loads(captured.out)["files"].items()}
    written = {name.removeprefix("dicom/"): path for name, path in files.items() if name.startswith("dicom/")}
    assert {path.name for path in out.iterdir()} == {path.name for path in written.values()}
    assert {"map_lrp", "segmentation", "measurements"} < set(written)
    study = pydicom.dcmread(next(series.iterdir())).StudyInstanceUID
    assert {pydicom.dcmread(path).StudyInstanceUID for path in written.values()} == {study}


@pytest.mark.parametrize("inside", ["", "results"])
def test_the_series_own_folder_takes_no_results(
    small_explanation: Explanation, tmp_path: Path, capsys: pytest.CaptureFixture[str], inside: str
) -> None:
    series = write_slices(tmp_path / "t1", small_explanation.scan.array, small_explanation.scan.affine)
    before = sorted(series.iterdir())
    with pytest.raises(SystemExit) as stopped:
        cli.main(["explain", str(series), "-o", str(tmp_path / "out"), "--dicom-out", str(series / inside)])
    assert stopped.value.code == 2
    assert "is the scan's own folder, or lies in it" in " ".join(capsys.readouterr().err.split())
    assert sorted(series.iterdir()) == before
