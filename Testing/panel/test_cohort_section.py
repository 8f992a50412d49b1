"""The section "Cohort" on the stand-in for Slicer's window, with real worker processes behind it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psutil
import pytest
from mri_interpret.cohort.folders import PARTIAL
from mri_interpret.doors import choices
from mri_interpret.errors import UserError
from mri_interpret.scene.nodes import runs
from mri_interpret.scene.views import nodes_of
from mri_interpret.worker.messages import Notice, Progress

from Testing.cohort.cohort_scans import write_cohort
from Testing.cohort.written_cohort import write_finished_cohort
from Testing.fixtures_explanation import MODEL_GRID
from Testing.panel.panel_nodes import composites
from Testing.panel.test_building import ids
from Testing.worker.test_process import is_alive

FINISHED = {"methods": ["lrp", "grad_cam"], "mask": "none", "space": "mni", "native": False, "permutations": 60}
QUICK = {
    "methods": ["grad_cam"], "mask": "none", "space": "mni", "trust": "off", "native": False, "pages": False,
    "cache": False,
}  # fmt: skip


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A cohort of 11 participants that are complete, without group results."""
    from Testing.models.bundles import write_small_bundle

    folder = tmp_path_factory.mktemp("cohort")
    return write_finished_cohort(folder, write_small_bundle(folder / "bundle", {"mri_interpret.grid": MODEL_GRID}))


@pytest.fixture
def chosen(widget, finished, monkeypatch):
    """The finished cohort's table and output folder, chosen in the panel."""
    options = {**FINISHED, "model": str(finished.options.model), "device": "cpu"}
    monkeypatch.setattr(choices, "cohort_options", lambda _parameters, _methods: options)
    widget.ui.participantsPathLineEdit.currentPath = str(finished.cohort.table)
    widget.ui.cohortOutputButton.choose(str(finished.output))
    return widget


def test_what_is_missing_is_said(widget, tmp_path):
    ui = widget.ui
    assert not ui.runCohortButton.enabled
    assert "Choose a participants table" in ui.runCohortButton.toolTip
    ui.participantsPathLineEdit.currentPath = str(tmp_path / "participants.tsv")
    assert "Choose an output folder" in ui.runCohortButton.toolTip
    assert ui.cohortOutputButton.text == "Choose a folder..."
    ui.cohortOutputButton.choose(str(tmp_path))
    assert ui.runCohortButton.enabled
    assert ui.runCohortButton.text == "Run"
    assert ui.cohortOutputButton.text == str(tmp_path)
    assert not ui.showCohortButton.enabled
    assert "holds no group results" in ui.showCohortButton.toolTip
    assert not ui.cancelCohortButton.enabled
    ui.runCohortButton.click()
    assert "does not exist" in ui.cohortLabel.text
    assert not widget.logic.cohortRunning


def test_the_choices_are_kept_in_the_scene(widget, tmp_path):
    widget.ui.participantsPathLineEdit.currentPath = "somewhere.tsv"
    widget.ui.cohortOutputButton.choose(str(tmp_path))
    widget.exit()
    widget.ui.participantsPathLineEdit.currentPath = "elsewhere.tsv"
    widget.enter()
    assert widget.ui.participantsPathLineEdit.currentPath == "somewhere.tsv"
    assert widget._parameterNode.cohortOutput == str(tmp_path)


def test_the_panels_choices_become_the_cohorts(widget):
    parameters = widget._parameterNode
    parameters.scanKind, parameters.target, parameters.device = "mni", "predicted", "cpu"
    parameters.regions = "atlas"
    options = choices.cohort_options(parameters, ["lrp"])
    assert options == {
        "model": "small", "methods": ["lrp"], "target": "", "device": "cpu", "mask": "auto", "space": "mni",
        "regions": "atlas", "trust": "fast", "goal": "boundary",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [("composite", "epsilon"), ("layer", "block4")])
def test_settings_that_a_cohort_cannot_take_are_refused_and_not_dropped(name, value, widget):
    setattr(widget._parameterNode, name, value)
    widget.ui.runCohortButton.enabled = True
    widget.ui.runCohortButton.click()
    assert "default composite and layer" in widget.ui.cohortLabel.text
    assert not widget.logic.cohortRunning


@pytest.mark.slow
def test_a_cohort_runs_to_its_confusion_matrix_and_group_maps(host, chosen, wait, beats):
    """All participants are complete here, so it is the group results that are made, in the worker."""
    ui, scene = chosen.ui, host.headless.scene
    assert ui.runCohortButton.text == "Run"
    steps = []
    with beats() as gaps:
        ui.runCohortButton.click()
        assert chosen.logic.cohortRunning
        assert ui.cancelCohortButton.enabled
        assert not ui.explainButton.enabled
        assert "cohort is running" in ui.explainButton.toolTip
        wait(lambda: steps.append(ui.cohortLabel.text) or not chosen.logic.cohortRunning, 240)
    assert ui.cohortLabel.text.startswith("Done."), ui.cohortLabel.text
    assert "11 complete before" in ui.cohortLabel.text
    assert any(step.startswith("Group maps") for step in steps)
    assert max(gaps) < 0.1, f"the window stood still for {max(gaps):.3f} s"
    table = ui.confusionTable
    cells = [[table.item(row, column).text() for column in range(4)] for row in range(3)]
    assert cells == [["CN", "4", "0", "1"], ["MCI", "0", "1", "0"], ["AD", "1", "0", "4"]]
    assert "Balanced accuracy 0.87" in ui.cohortResultLabel.text
    (run,) = runs(scene)
    assert run.startswith("MRIInterpret cohort")
    shown = scene.GetNodeByID(composites(scene)[0].GetForegroundVolumeID())
    assert shown.GetName() == "Summary score, AD minus CN, difference of means"
    rendered = [node for node in nodes_of(scene, "vtkMRMLVolumeRenderingDisplayNode") if node.GetVisibility()]
    assert [node.GetVolumeNodeID() for node in rendered] == [shown.GetID()]
    (brain,) = [node for node in nodes_of(scene, "vtkMRMLModelNode") if node.GetName() == "Brain surface"]
    assert brain.GetDisplayNode().GetVisibility()
    assert brain.GetPolyData().GetNumberOfPolys() > 1000
    assert chosen.logic.results() == []  # it is no explanation
    assert not list(Path(chosen.logic._cohortJob.worker.folder.parent).glob(chosen.logic._cohortJob.worker.folder.name))
    # The same results once more, from the folder.
    assert ui.runCohortButton.text == "Run"  # nothing is left to resume
    assert ui.showCohortButton.enabled
    before = len(ids(scene))
    ui.showCohortButton.click()
    wait(lambda: not chosen.logic.cohortRunning, 240)
    assert len(runs(scene)) == 2
    assert len(ids(scene)) > before


@pytest.mark.slow
def test_a_table_with_mistakes_is_said_in_the_panel(widget, tmp_path, wait):
    table = tmp_path / "participants.tsv"
    table.write_text("participant_id\tgroup\tpath\nS1\tAD\tmissing.nii.gz\n")
    widget.ui.participantsPathLineEdit.currentPath = str(table)
    widget.ui.cohortOutputButton.choose(str(tmp_path / "out"))
    widget.ui.runCohortButton.click()
    wait(lambda: not widget.logic.cohortRunning, 120)
    assert "missing.nii.gz" in widget.ui.cohortLabel.text
    assert "Traceback" not in widget.ui.cohortLabel.text
    assert widget.ui.runCohortButton.enabled


@pytest.mark.slow
@pytest.mark.thorough  # that a killed run is resumed, and that cancelling ends all processes, is tested apart
def test_a_cancelled_run_is_resumed_where_it_stood(widget, tmp_path, wait):
    """The worker process starts dask, and dask a worker process of its own.

    Cancelled in the midst of real work, both end within a second, and what is complete stays.
    """
    table, output = write_cohort(tmp_path, ["AD", "CN"], segmented=True), tmp_path / "out"
    options = {**QUICK, "model": "small", "device": "cpu", "workers": 1, "permutations": 0}
    told, finished = [], []
    widget.logic.startCohort(str(table), str(output), told.append, lambda *outcome: finished.append(outcome), **options)
    worker = psutil.Process(widget.logic._cohortJob.worker._process.pid)
    wait(lambda: any("1 of 2 subjects done" in message.step for message in told if isinstance(message, Progress)), 400)
    family = [worker, *worker.children(recursive=True)]
    assert len(family) > 2
    began = time.perf_counter()
    widget.logic.cancelCohort()
    assert time.perf_counter() - began < 1
    assert finished == [(None, "Cancelled.")]
    wait(lambda: not any(map(is_alive, [process.pid for process in family])), 10)
    done = sorted(path.name for path in output.glob("sub-*") if path.is_dir())
    assert "sub-01" in done

    told.clear()
    widget.logic.startCohort(str(table), str(output), told.append, lambda *outcome: finished.append(outcome), **options)
    wait(lambda: len(finished) == 2, 400)
    nodes, sentence = finished[1]
    assert sentence == ""
    assert ("grad_cam", "true-AD_mean") in nodes.maps
    notices = " ".join(message.text for message in told if isinstance(message, Notice))
    assert f"{len(done)} complete before" in notices
    left = 2 - len(done)
    assert f"{left} participants explained" in notices
    assert any(f"{left} of {left} subjects done" in message.step for message in told if isinstance(message, Progress))
    assert max(message.overall for message in told if isinstance(message, Progress)) <= 1.0
    assert not list(output.glob(f"{PARTIAL}*"))  # what the killed worker had begun is swept up


def test_cancel_ends_the_worker_with_all_that_it_started(widget, tmp_path, wait):
    script = (
        "import subprocess, sys, time; from pathlib import Path; "
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
        "Path(sys.argv[1], 'pid').write_text(f'{p.pid};'); time.sleep(60)"
    )
    outcome = []
    widget.logic.startCohort(
        str(tmp_path), str(tmp_path / "out"), print, lambda *told: outcome.append(told),
        command=[sys.executable, "-c", script],
    )  # fmt: skip
    widget.panel.update()
    worker = widget.logic._cohortJob.worker
    note = worker.folder / "pid"
    wait(lambda: note.is_file() and note.read_text().endswith(";"))
    pids = [worker._process.pid, int(note.read_text()[:-1])]
    assert all(map(is_alive, pids))
    widget.ui.cancelCohortButton.click()
    assert outcome == [(None, "Cancelled.")]
    assert not widget.logic.cohortRunning
    wait(lambda: not any(map(is_alive, pids)), 10)
    assert not worker.folder.exists()


def test_no_process_of_a_cohort_outlives_slicer(tmp_path):
    """Slicer is killed; its worker ends with the workers that it started."""
    import subprocess

    grandchild = "import time; time.sleep(60)"
    guard = (
        "import subprocess, sys, threading, time; from pathlib import Path; "
        "from mri_interpret.worker.child import _end_with_parent; "
        f"p = subprocess.Popen([sys.executable, '-c', {grandchild!r}]); "
        "Path(sys.argv[1], 'pid').write_text(str(p.pid)); "
        "threading.Thread(target=_end_with_parent, args=((Path(sys.argv[1]),),), daemon=True).start(); time.sleep(60)"
    )
    slicer = subprocess.Popen(
        [
            sys.executable, "-c",
            "import sys, time\n"
            "from mri_interpret.worker.process import WorkerProcess\n"
            f"p = WorkerProcess(lambda f: None, [sys.executable, '-c', {guard!r}])\n"
            "while not (p.folder / 'pid').is_file() or not (p.folder / 'pid').read_text(): time.sleep(0.05)\n"
            "print(p._process.pid, (p.folder / 'pid').read_text(), flush=True)\n"
            "time.sleep(60)\n",
        ],
        stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "MRIInterpret")},
    )  # fmt: skip
    pids = [int(pid) for pid in slicer.stdout.readline().split()]
    assert len(pids) == 2
    slicer.kill()
    slicer.wait(timeout=30)
    end = time.monotonic() + 10
    while any(map(is_alive, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(is_alive, pids))


def test_starting_two_jobs_at_once_is_a_mistake(widget, tmp_path):
    logic = widget.logic
    logic.startCohort(
        str(tmp_path),
        str(tmp_path / "out"),
        print,
        print,
        command=[sys.executable, "-c", "import time; time.sleep(60)"],
    )
    with pytest.raises(RuntimeError, match="is running"):
        logic.startCohort(str(tmp_path), str(tmp_path / "out"), print, print)
    logic.cancelCohort()
    with pytest.raises(UserError, match="No output folder"):
        logic.startCohort(str(tmp_path), "", print, print)


def test_what_a_cohort_needs_besides_is_asked_for_when_it_is_started(widget, tmp_path, monkeypatch):
    asked = []

    def refuse(requirements):
        asked.append(Path(requirements))
        if "cohort" in asked[-1].name:
            raise UserError("Explain needs Python packages that were not installed.")

    monkeypatch.setattr("mri_interpret.panel.environment.ensure", refuse)
    widget.ui.participantsPathLineEdit.currentPath = str(tmp_path)
    widget.ui.cohortOutputButton.choose(str(tmp_path / "out"))
    assert asked == []
    widget.ui.runCohortButton.click()
    assert [path.name for path in asked] == ["requirements.txt", "requirements-cohort.txt"]
    assert all(path.is_file() for path in asked)
    assert "not installed" in widget.ui.cohortLabel.text
    assert not widget.logic.cohortRunning
