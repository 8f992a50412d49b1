"""The report is drawn behind a finished run; only its page is kept, in the scene, and saved from there at once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from mri_interpret.doors import report_job
from mri_interpret.scene.mrb import pack
from mri_interpret.scene.nodes import ROLE, nodes_of_run
from mri_interpret.worker.messages import Done, Progress, encode

from Testing.panel.panel_nodes import add_volume
from Testing.panel.test_building import READY, write

PAGE = "<!DOCTYPE html><title>Report</title><p>a &amp; b \u00b5 'c' \"d\"</p>" + "<p>" + "x" * 200_000 + "</p>"


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """A worker that has a page at once, if ``drawn`` says so; else it waits for ever."""
    (tmp_path / "page.html").write_text(PAGE, encoding="utf-8")
    script = (
        "import shutil, sys, time\n"
        "shutil.copy({page!r}, sys.argv[1] + '/report.html')\n"
        "print({done!r} % sys.argv[1], flush=True)\n"
        "time.sleep(60)\n"
    )
    state = {"ready": True, "sources": []}
    start = report_job.start

    def fake(source, *, command=None):
        state["sources"].append(source)
        code = (
            script.format(page=str(tmp_path / "page.html"), done=encode(Done("%s")))
            if state["ready"]
            else "import time; time.sleep(60)"
        )
        return start(source if isinstance(source, Path) else Path("nowhere"), command=[sys.executable, "-c", code])

    monkeypatch.setattr(report_job, "start", fake)
    return state


@pytest.fixture
def run(host, widget, small_explanation, tmp_path, wait):
    """Explain with a worker that has its result ready; the result and the worker's folder."""
    source = write(small_explanation, tmp_path / "small")
    scan = add_volume(host.headless.scene, small_explanation.scan, "phantom")

    def explain(**options):
        kind = encode(Done("%s"))
        script = READY.format(source=str(source), kind=kind, progress=encode(Progress("Explaining", 1.0, 0.9)))
        told = []
        widget.logic.startExplain(
            scan, print, lambda *outcome: told.append(outcome), command=[sys.executable, "-c", script], **options
        )
        wait(lambda: told)
        return told[0][0], widget.logic._job.worker.folder

    return explain


def test_the_page_is_kept_and_the_workers_files_go(host, widget, drawn, run, wait, tmp_path):
    result, folder = run()
    assert folder.is_dir()
    assert result.explanation is not None
    wait(lambda: not widget.logic.reports.drawing(result.run))
    assert drawn["sources"] == [folder / "result"]
    assert not folder.exists()
    assert result.explanation is None
    assert result.page == PAGE
    told = []
    widget.logic.saveReport(result, tmp_path / "report.html", lambda *outcome: told.append(outcome))
    assert told == [(tmp_path / "report.html", "")]
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == PAGE


def test_after_reloading_the_module_or_reopening_the_scene_the_report_can_still_be_saved(
    host, widget, drawn, run, wait, tmp_path
):
    import slicer

    import MRIInterpret

    result, _folder = run()
    wait(lambda: not widget.logic.reports.drawing(result.run))
    name, result = result.run, None
    widget.cleanup()
    again = MRIInterpret.MRIInterpretLogic()
    assert again.result(name).save_report(tmp_path / "one.html").read_text(encoding="utf-8") == PAGE
    pack(slicer.mrmlScene, tmp_path / "scene.mrb")
    del again
    host.new_scene()
    host.headless.read(tmp_path / "scene.mrb")
    opened = MRIInterpret.MRIInterpretLogic().result(name)
    assert opened.complete
    assert opened.save_report(tmp_path / "two.html").read_text(encoding="utf-8") == PAGE


def test_reloading_the_module_while_the_report_is_drawn_loses_nothing(
    host, widget, drawn, run, wait, tmp_path, monkeypatch
):
    import slicer.ScriptedLoadableModule
    from mri_interpret.panel import reloading

    import MRIInterpret

    monkeypatch.setattr(reloading, "forget_modules", lambda: None)
    base = slicer.ScriptedLoadableModule.ScriptedLoadableModuleWidget
    monkeypatch.setattr(base, "onReload", lambda self: None, raising=False)
    result, folder = run()
    name, told = result.run, []
    widget.logic.saveReport(result, tmp_path / "waited for.html", lambda *outcome: told.append(outcome))
    assert widget.logic.reports.drawing(name)
    result = None
    widget.onReload()
    assert folder.exists()
    again = MRIInterpret.MRIInterpretLogic()
    wait(lambda: again.result(name).complete and not folder.exists())
    assert again.result(name).page == PAGE
    assert (tmp_path / "waited for.html").read_text(encoding="utf-8") == PAGE
    assert told == []  # the widgets that would say so are gone


def test_who_saves_while_it_is_drawn_waits(host, widget, drawn, run, wait, tmp_path):
    drawn["ready"] = False
    result, folder = run()
    told = []
    widget.logic.saveReport(result, tmp_path / "report.html", lambda *outcome: told.append(outcome))
    assert widget.logic.reports.drawing(result.run)
    assert told == []
    host.headless.scene.Clear(0)  # closing the scene ends it, and no file stays
    widget.onSceneEndClose(None, None)
    assert told == [(None, "Cancelled.")]
    del result
    import gc

    gc.collect()
    assert not folder.exists()


def test_a_replaced_result_leaves_its_name_and_nothing_else(host, widget, drawn, run, wait):
    scene = host.headless.scene
    first, one = run()
    name = first.run
    wait(lambda: not widget.logic.reports.drawing(name))
    names = [node.GetName() for node in nodes_of_run(scene, name) if node.GetAttribute(ROLE) == "map"]
    second, two = run()
    assert second.run == f"{name} (2)"
    drawn["ready"] = False
    third, three = run(replace=name)
    assert third.run == name
    assert widget.logic.results() == [second.run, name] or widget.logic.results() == [name, second.run]
    assert widget.logic.result(name).nodes.run == name
    import slicer

    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    assert tree.GetItemName(third.nodes.folder) == name
    for run_name in (name, second.run):
        assert [n.GetName() for n in nodes_of_run(scene, run_name) if n.GetAttribute(ROLE) == "map"] == names
    assert not one.exists()
    widget.logic.forgetResults()
    del first, second, third
    import gc

    gc.collect()
    assert not two.exists()
    assert not three.exists()
