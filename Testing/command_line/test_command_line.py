"""Whatever is wrong, the user sees one sentence and exit code 2, and nothing is half-written."""

from __future__ import annotations

import ast
import json
import os
import re
import resource as limits
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mri_interpret
import nibabel as nib
import numpy as np
import pytest
from mri_interpret.command_line import app as cli
from mri_interpret.command_line import check as check_module
from mri_interpret.command_line import explain as explain_module
from mri_interpret.command_line.terminal import shown_progress
from mri_interpret.errors import Cancelled, UserError
from mri_interpret.explanation.explanation import Explanation

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in-process, in an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MRI_INTERPRET_CACHE", str(tmp_path / "cache"))

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            cli.main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A file that reads well and holds no brain."""
    noise = np.random.default_rng(0).random((48, 48, 48)).astype(np.float32)
    path = tmp_path / "Größe der Köpfe 1.nii.gz"
    nib.save(nib.Nifti1Image(noise, np.diag([4.0, 4, 4, 1])), path)
    return path


def _is_one_sentence(err: str, *words: str) -> None:
    lines = [line for line in err.splitlines() if line and not line.startswith("[")]
    assert len(lines) == 1, err
    assert lines[0].startswith("Error: ")
    assert "Traceback" not in err
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["explain"], ["--sample"]),
        (["explain", "x.nii.gz", "--sample"], ["--sample"]),
        (["explain", "x.nii.gz"], ["x.nii.gz", "does not exist"]),
        (["explain", "SCAN", "--methods", "lrp,magic"], ["'magic'", "grad_cam_pp"]),
        (["explain", "SCAN", "--methods", ","], ["No method"]),
        (["explain", "SCAN", "--dicom-out", "dicom"], ["is not DICOM"]),
        (["explain", "SCAN", "--model", "nobody"], ["no model 'nobody'"]),
        (["explain", "SCAN", "--trust", "blind"], ["'blind'", "fast"]),
        (["explain", "SCAN", "--device", "tpu"], ["'tpu'", "cpu"]),
        (["explain", "SCAN", "--space", "moon"], ["'moon'", "native"]),
        (["explain", "SCAN", "--regions", "moon"], ["'moon'", "brain, atlas", "option --regions"]),
        (["explain", "SCAN", "--regions", "atlas", "--segmentation", "aseg.mgz"], ["both given", "--segmentation"]),
        (["explain", "SCAN", "--segmentation", "aseg.mgz"], ["aseg.mgz", "does not exist"]),
        (["explain", "SCAN", "--segmentation", "SCAN"], ["whole numbers", "option --segmentation"]),
        (["cohort", "table.tsv", "--regions", "moon"], ["'moon'", "option --regions"]),
        (["cohort", "table.tsv", "--memory", "nan"], ["--memory nan cannot be"]),
        (["segment", "x.nii.gz"], ["x.nii.gz", "does not exist"]),
        (["segment", "SCAN", "--device", "tpu"], ["'tpu'", "cpu"]),
        (["explain", "SCAN", "--mask", "nomask.nii.gz"], ["nomask.nii.gz"]),
        (["explain", "SCAN", "--atlas", "a.nii.gz"], ["--atlas-labels"]),
        (["explain", "SCAN", "--atlas", "a.nii.gz", "--atlas-labels", "t.csv"], ["a.nii.gz"]),
        (["explain", "SCAN", "--mask", "none"], ["brain"]),
        (["explain", "SCAN", "--target", "Healthy"], ["'Healthy'", "AD-CN"]),
        (["models", "--card", "nobody"], ["nobody"]),
    ],
)
def test_wrong_arguments(run: Run, scan: Path, tmp_path: Path, arguments: list[str], words: list[str]) -> None:
    code, out, err = run(*[str(scan) if argument == "SCAN" else argument for argument in arguments])
    assert code == 2
    _is_one_sentence(err, *words)
    assert out == ""
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and "out" in path.parts]


@pytest.mark.parametrize("option", ["--brains", "--test-brains", "--samples", "--every"])
def test_training_on_nothing(run: Run, option: str) -> None:
    code, _, err = run("train", "-o", "model", option, "0")
    assert code == 2
    _is_one_sentence(err, option, "1 or more")


def test_an_unknown_option_is_explained(run: Run) -> None:
    code, _, err = run("explain", "--sampel")
    assert code == 2
    assert "--sampel" in err
    assert "Traceback" not in err


def test_errors_are_machine_readable_too(run: Run) -> None:
    code, out, _ = run("explain", "missing.nii.gz", "--json")
    assert code == 2
    assert "does not exist" in json.loads(out)["error"]


def test_an_output_folder_that_cannot_be_made(run: Run, scan: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = run("explain", scan, "-o", tmp_path / "file" / "below")
    assert code == 2
    _is_one_sentence(err, "Cannot write into the output folder", "-o")


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_a_full_disk_leaves_no_half_file(tmp_path: Path, small_explanation: Any) -> None:
    """A file size limit stands in for the full disk: writing fails in the middle of a file."""
    pid = os.fork()
    if pid == 0:  # in a child, because the limit cannot be taken back
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limits.setrlimit(limits.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            small_explanation.save(tmp_path / "out")
        except UserError as error:
            os._exit(7 if "Cannot write" in str(error) else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert not [path for path in (tmp_path / "out").rglob("*") if path.name.startswith(".partial")]
    for path in (tmp_path / "out").rglob("*.nii.gz"):
        np.asarray(nib.load(path).dataobj)


def test_cancelling_is_exit_code_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise Cancelled("now")

    monkeypatch.setattr(explain_module, "explain_command", stop)
    code, _, err = run("explain", "--sample")
    assert code == 130
    assert "nothing is half-written" in err


def test_lack_of_memory_is_a_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def burst(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(explain_module, "explain_command", burst)
    code, _, err = run("explain", "--sample")
    assert code == 2
    _is_one_sentence(err, "memory")


def test_help_and_version(run: Run) -> None:
    assert run("--version")[:2] == (0, "0.1.0\n")
    code, out, _ = run("--help")
    assert code == 0
    for command in ("explain", "models", "methods", "check"):
        assert command in out


def test_methods_and_models_are_listed(run: Run) -> None:
    _, out, _ = run("methods", "--json")
    listed = json.loads(out)
    assert {"lrp", "grad_cam", "grad_cam_pp", "guided_backprop"} <= {method["name"] for method in listed}
    assert all(method["reference"] and method["description"] for method in listed)
    _, out, _ = run("models", "--json")
    assert "atrophy_cnn" in {model["name"] for model in json.loads(out)}
    _, out, _ = run("models", "--card", "atrophy_cnn")
    assert "simulated atrophy" in out.splitlines()[0].lower()


def test_check_says_what_is_wrong_and_goes_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> str:
        raise UserError("It is broken: mend it.")

    def surprising() -> str:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(
        check_module, "CHECKS", {"First": broken, "Second": surprising, "Python": check_module.CHECKS["Python"]}
    )
    code, out, _ = run("check")
    assert code == 1
    assert "FAIL  First: It is broken: mend it." in out
    assert "FAIL  Second: RuntimeError: unforeseen" in out
    assert "ok    Python" in out


def test_this_environment_is_sound(run: Run) -> None:
    code, out, _ = run("check", "--json")
    findings = json.loads(out)["checks"]
    assert code == 0, [finding for finding in findings if not finding["sound"]]
    assert {finding["what"] for finding in findings} == set(check_module.CHECKS)


def test_a_log_gets_a_line_per_hundredth_of_numbered_steps(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress({}) as progress:
        for number in range(1001):
            progress(f"scan {number} of 1000", number / 1000)
    lines = capsys.readouterr().err.splitlines()
    assert 95 <= len(lines) <= 102
    assert lines[0].endswith("scan 0 of 1000")


def test_progress_names_each_step_once_and_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress({"A": 1.0, "B": 1.0}) as progress:
        for step in ("A", "B"):
            for fraction in (0.0, 0.5, 1.0):
                progress(step, fraction)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("] ")[1].split(" (")[0] for line in lines] == ["A", "B"]
    assert lines[1].startswith("[ 50%]")


def test_names_with_brackets_are_printed_as_they_are(
    small_explanation: Explanation, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rich takes [b] for a style and ends the process at [/b]."""
    explanation = replace(
        small_explanation,
        warnings=("The qform of a [b] & [/c].nii differs.",),
        target=replace(small_explanation.target, name="A[/x]-B[y]"),
    )
    explain_module._print_summary(explanation, Path("out [z] [/z]"), {})
    printed = capsys.readouterr().out
    for name in ("a [b] & [/c].nii", "A[/x]-B[y]", "out [z] [/z]"):
        assert name in printed


def test_an_output_folder_that_is_no_utf_8_is_refused_before_the_work(run: Run, scan: Path) -> None:
    code, _, err = run("explain", scan, "-o", "a\udcffb")
    assert code == 2
    _is_one_sentence(err, "output folder", "no UTF-8")
    assert [path.name for path in Path().iterdir()] == [scan.name]


@pytest.mark.slow
def test_a_saved_result_gets_its_report_and_scene_anew(run: Run, small_explanation: Any, tmp_path: Path) -> None:
    pytest.importorskip("slicer")
    folder = tmp_path / "Ergebnis <1>"
    small_explanation.save(folder)
    code, out, _ = run("report", folder)
    assert code == 0
    assert str(folder / "report.html") in out.replace("\n", "")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert small_explanation.verdicts[0].sentence.split(":")[0] in page
    assert 'id="trust"' in page
    code, _, _ = run("scene", folder, "-o", tmp_path / "other" / "my scene.mrb")
    assert code == 0
    with zipfile.ZipFile(tmp_path / "other" / "my scene.mrb") as archive:
        assert archive.testzip() is None
        assert [name for name in archive.namelist() if name.endswith(".mrml")]
    assert not (folder / "scene.mrb").exists()


@pytest.mark.parametrize("command", ["report", "scene"])
def test_what_is_no_saved_result_is_refused(run: Run, tmp_path: Path, command: str) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = run(command, tmp_path / "empty")
    assert code == 2
    _is_one_sentence(err, "no complete saved explanation")
    assert not list((tmp_path / "empty").iterdir())


def test_the_command_line_says_which_option_mends_an_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise UserError("No brain was found in x.nii.gz: give a mask.", option="mask")

    monkeypatch.setattr(explain_module, "explain_command", fail)
    _, _, err = run("explain", "--sample")
    _is_one_sentence(err, "give a mask (option --mask).")


def test_the_library_speaks_in_no_flags() -> None:
    """Each front end words how an option is given; errors of the library know none of them."""
    package = Path(mri_interpret.__file__).parent
    flags = re.compile(r"(?<![\w-])(-o|--[a-z][a-z-]+)\b")
    doors = ("command_line", "training", "simulation")  # the last two write commands into cards and logs
    found = []
    for path in package.rglob("*.py"):
        if path.relative_to(package).parts[0] in doors:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                texts = [
                    n.value for n in ast.walk(node.exc) if isinstance(n, ast.Constant) and isinstance(n.value, str)
                ]
                found += [f"{path.name}:{node.lineno} {text}" for text in texts if flags.search(text)]
    assert not [one for one in found if "pip install" not in one]
