"""The whole run on real worker processes: killed workers, a killed run, Ctrl-C, and the same results after all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import psutil
import pytest
from mri_interpret.attribution import available_methods
from mri_interpret.cohort import explain_subject, subject_result
from mri_interpret.cohort.cluster import ClusterOptions
from mri_interpret.cohort.planning import Options, Plan, make_plan
from mri_interpret.cohort.run import run_cohort
from mri_interpret.cohort.subjects import Outcome, SubjectJob
from mri_interpret.command_line import app as cli
from mri_interpret.errors import Cancelled, UserError

from Testing.cohort.cohort_scans import write_cohort


def fingerprint(plan: Plan) -> dict[str, Any]:
    """Predictions and voxels of every complete subject, and those of a group map."""
    found = {}
    for result in plan.subject_results():
        voxels = np.asarray(nib.load(result.file("template/grad_cam")).dataobj)
        found[result.subject.name] = (result.record["prediction"], hashlib.sha256(voxels.tobytes()).hexdigest())
    mean = np.asarray(nib.load(plan.output / "group" / "maps" / "grad_cam" / "true-AD_mean.nii.gz").dataobj)
    return found | {"group": hashlib.sha256(mean.tobytes()).hexdigest()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, four: Path, options: Options) -> Plan:
    """The four subjects on a local cluster of two worker processes."""
    plan = make_plan(four, tmp_path_factory.mktemp("undisturbed"), options)
    steps: list[tuple[str, float]] = []
    counts: list[int] = []
    result = run_cohort(plan, lambda *step: steps.append(step), lambda subjects: counts.append(len(subjects.done)))
    assert (result.done, result.skipped, result.failures) == (4, 0, ())
    assert counts == [1, 2, 3, 4]
    assert steps[0] == ("Explaining the subjects", 0.0)
    assert {name for name, fraction in steps if fraction == 1.0} == {
        "Explaining the subjects", "Group tables", "Group maps", "Drawing the cohort's report",
    }  # fmt: skip
    return plan


def worker_processes() -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [child for child in children if any("spawn_main" in part for part in child.cmdline())]


@pytest.mark.slow
def test_a_killed_worker_changes_nothing(undisturbed: Plan, four: Path, tmp_path: Path, options: Options) -> None:
    plan = make_plan(four, tmp_path / "out", options)
    killed: list[psutil.Process] = []

    def kill_one(counts: Any) -> None:
        if not killed:  # one subject is done, so both workers are in the middle of others
            killed.append(worker_processes()[0])
            killed[0].kill()

    result = run_cohort(plan, on_subject=kill_one)
    assert killed
    assert not killed[0].is_running()
    assert (result.done, result.failures) == (4, ())
    assert fingerprint(plan) == fingerprint(undisturbed)
    assert not list(plan.output.glob(".partial-*"))


@pytest.mark.slow
def test_a_rerun_computes_nothing(undisturbed: Plan, four: Path) -> None:
    plan = make_plan(four, undisturbed.output, undisturbed.options)
    assert plan.jobs == ()
    before = fingerprint(undisturbed)
    result = run_cohort(plan)
    assert (result.done, result.skipped) == (0, 4)
    assert fingerprint(plan) == before


@pytest.mark.slow
def test_what_a_result_depends_on_makes_it_new(
    undisturbed: Plan, four: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model's metadata (calibration, methods left out) and a method's defaults are part of a subject's key."""
    model = shutil.copytree(undisturbed.options.model, tmp_path / "model")
    options = replace(undisturbed.options, model=str(model))
    assert make_plan(four, undisturbed.output, options).jobs == ()
    known = available_methods()
    changed = replace(known["grad_cam"], parameters={**known["grad_cam"].parameters, "layer": "another default"})
    with monkeypatch.context() as patch:
        patch.setattr(subject_result, "available_methods", lambda: {**known, "grad_cam": changed})
        assert len(make_plan(four, undisturbed.output, options).jobs) == 4
    metadata = model / "configs" / "metadata.json"
    record = json.loads(metadata.read_text())
    record["mri_interpret"]["temperature"] += 1.0
    metadata.write_text(json.dumps(record))
    assert len(make_plan(four, undisturbed.output, options).jobs) == 4


@pytest.mark.slow
def test_an_existing_scheduler(undisturbed: Plan, four: Path, tmp_path: Path, options: Options) -> None:
    from distributed import LocalCluster

    table = tmp_path / "one.tsv"
    table.write_text(
        "".join(four.read_text().splitlines(keepends=True)[:2])
        .replace("sub-01/", f"{four.parent}/sub-01/")
        .replace("structures", f"{four.parent}/structures")
    )
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster:
        where = ClusterOptions(scheduler=cluster.scheduler_address, device="cpu")
        plan = make_plan(table, tmp_path / "out", replace(options, cluster=where))
        assert plan.capacity is None
        result = run_cohort(plan)
    assert result.done == 1
    (result,) = plan.subject_results()
    same = undisturbed.subject_results()[0]
    assert result.record["prediction"] == same.record["prediction"]


def test_threads_cancel_and_a_full_disk(
    four: Path, tmp_path: Path, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads of this process, so that its parts can be replaced."""

    def work(job: SubjectJob) -> Outcome:
        if job.subject.id == "03":
            return Outcome(job.subject.name, 0.1, "No space left on device", disk_full=True)
        time.sleep(0.1)
        return Outcome(job.subject.name, 0.1)

    monkeypatch.setattr(explain_subject, "explain_subject", work)
    where = ClusterOptions(workers=1, threads=True, device="cpu", memory=2**30)
    plan = make_plan(four, tmp_path / "out", replace(options, cluster=where))
    with pytest.raises(UserError, match=r"full: [012] subjects are complete"):
        run_cohort(plan)

    def cancel(step: str, fraction: float) -> None:
        if fraction > 0:
            raise Cancelled(step)

    with pytest.raises(Cancelled):
        run_cohort(plan, cancel)
    assert explain_subject.STOP.is_set()
    with pytest.raises(Cancelled):
        explain_subject._checked("Explaining", 0.5)


def test_a_cohort_of_which_none_succeeds_is_an_error(
    four: Path, tmp_path: Path, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        explain_subject, "explain_subject", lambda job: Outcome(job.subject.name, 0.1, "It has no brain.")
    )
    where = ClusterOptions(workers=2, threads=True, device="cpu", memory=2**30)
    with pytest.raises(UserError, match=r"No subject could be explained\. sub-0"):
        run_cohort(make_plan(four, tmp_path / "out", replace(options, cluster=where)))
    assert len(pd.read_csv(tmp_path / "out" / "failures.tsv", sep="\t")) == 4


# ---- the command in a process of its own


@pytest.fixture
def command(tmp_path: Path, coarse_bundle: Path) -> list[str]:
    """Four subjects, one of which has no image in its file."""
    table = write_cohort(tmp_path, ["CN", "AD", "CN", "AD"], segmented=True)
    path = tmp_path / "sub-02" / "anat" / "sub-02_T1w.nii.gz"
    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.zeros(image.shape, np.float32), image.affine), path)
    options = ["--model", str(coarse_bundle), "--methods", "grad_cam", "--mask", "none", "--space", "mni"]
    options += ["--no-native", "--no-pages", "--no-cache", "--trust", "off", "--permutations", "0"]
    options += ["--device", "cpu", "--workers", "1", "--memory", "1"]
    module = [sys.executable, "-m", "mri_interpret"]
    return [*module, "cohort", str(table), "-o", str(tmp_path / "out"), "--no-scene", *options]


def start(command: list[str]) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_take_interrupts,
    )


def _take_interrupts() -> None:
    """As in a terminal, also where the tests themselves were started in the background with Ctrl-C ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for(path: Path, running: subprocess.Popen[str]) -> None:
    """Until a file is there; a run that ends before fails the test."""
    limit = time.monotonic() + 250
    while not path.exists():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < limit
        time.sleep(0.05)


def complete(output: Path) -> set[str]:
    """Subjects whose folder is there; each must be whole."""
    found = set()
    for folder in output.glob("sub-*"):
        record = json.loads((folder / f"{folder.name}_result.json").read_text())
        for entry in record["files"].values():
            path = folder / entry["path"]
            assert path.stat().st_size == entry["bytes"]
            if path.name.endswith(".nii.gz"):
                np.asarray(nib.load(path).dataobj)
        found.add(folder.name)
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)  # waits are long because machines may be busy; it takes about a minute on an idle one
def test_kill_minus_9_and_ctrl_c_lose_only_the_subject_under_way(command: list[str], tmp_path: Path) -> None:
    output = tmp_path / "out"
    run = start(command)
    wait_for(output / "sub-01" / "sub-01_result.json", run)
    family = psutil.Process(run.pid).children(recursive=True)
    run.kill()
    run.wait(60)
    psutil.wait_procs(family, timeout=60)
    assert not [child for child in family if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    first = complete(output)
    assert "sub-01" in first
    assert len(first) < 3

    run = start(command)  # goes on with the third, or the fourth if that was complete
    following = min({"sub-03", "sub-04"} - first)
    wait_for(output / following / f"{following}_result.json", run)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to the workers too
    _, err = run.communicate(timeout=250)
    assert run.returncode == 130, err
    assert "Traceback" not in err
    assert "nothing is half-written" in err
    second = complete(output)
    assert second >= first | {following}

    run = start([*command, "--json"])
    out, err = run.communicate(timeout=400)
    assert run.returncode == 1, err  # one subject failed
    result = json.loads(out)
    assert result["skipped"] == len(second)
    assert result["done"] == 3 - len(second)
    assert list(result["failed"]) == ["sub-02"]
    assert "all zero" in result["failed"]["sub-02"]
    assert complete(output) == {"sub-01", "sub-03", "sub-04"}
    assert not list(output.glob(".partial-*"))
    failures = pd.read_csv(output / "failures.tsv", sep="\t")
    assert failures["subject"].tolist() == ["sub-02"]
    assert len(pd.read_csv(output / "group" / "predictions.csv")) == 3
    assert json.loads((output / "dataset_description.json").read_text())["DatasetType"] == "derivative"


@pytest.mark.slow
def test_dry_run_prints_the_plan_and_writes_nothing(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:  # in this process: nothing is killed
        cli.main([*command[3:], "--dry-run", "--workers", "64"])
    out, err = capsys.readouterr()
    assert not ended.value.code, err
    assert "4 subjects (2 CN, 0 MCI, 2 AD)" in out
    assert "To be run: 4 on" in out
    assert "No subject is MCI." in out
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_all_problems_are_printed_before_anything_runs(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "participants.tsv"
    table.write_text(table.read_text().replace("sub-03/anat", "nowhere").replace("sub-04\tAD", "sub-04\tSMC"))
    with pytest.raises(SystemExit) as ended:
        cli.main(command[3:])
    err = capsys.readouterr().err
    assert ended.value.code == 2
    assert "Line 4 (sub-03)" in err
    assert "Line 5 (sub-04)" in err
    assert "2 problems" in err.splitlines()[-1]
    assert not (tmp_path / "out").exists()
