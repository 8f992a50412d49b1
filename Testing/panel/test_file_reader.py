"""A saved result is opened by Slicer's *Add data*, or dropped on its window; Reload reads the whole package anew."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from mri_interpret.panel import file_reader


@pytest.fixture
def reader(host):
    """The reader as Slicer makes it, and what it told the user."""
    import MRIInterpret

    told = []
    messages = SimpleNamespace(AddMessage=lambda event, text: told.append(text))
    parent = SimpleNamespace(userMessages=lambda: messages, loadedNodes=None)
    return MRIInterpret.MRIInterpretFileReader(parent), parent, told


@pytest.fixture(scope="module")
def saved(small_explanation, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "result"
    small_explanation.save(folder)
    return folder


def test_a_saved_result_is_recognised_and_opened(host, reader, saved):
    made, parent, told = reader
    index = str(saved / "explanation.json")
    assert made.description() == "MRIInterpret result"
    assert made.extensions() == ["MRIInterpret result (*explanation.json)"]
    assert made.canLoadFileConfidence(index) > 0.9
    assert made.load({"fileName": index})
    assert told == []
    names = [host.headless.scene.GetNodeByID(node).GetName() for node in parent.loadedNodes]
    assert {"Summary score", "LRP", "Consensus"} <= set(names)


@pytest.mark.parametrize("text", ['{"format": "something else"}', "\x00\xff", "", None])
def test_other_files_are_left_to_other_readers(tmp_path, text):
    path = tmp_path / "explanation.json"
    if text is not None:
        path.write_text(text, encoding="latin-1")
    assert file_reader.confidence(str(path)) == 0
    assert file_reader.confidence(str(tmp_path / "scan.nii.gz")) == 0


def test_an_incomplete_result_is_one_sentence(reader, small_explanation, tmp_path):
    made, _parent, told = reader
    small_explanation.save(tmp_path / "result")
    (tmp_path / "result" / "maps" / "summary.nii.gz").unlink()
    assert not made.load({"fileName": str(tmp_path / "result" / "explanation.json")})
    (sentence,) = told
    assert "summary" in sentence
    assert "\n" not in sentence


@pytest.fixture
def drop(host, widget, monkeypatch):
    """What Slicer asks and does when paths are dragged over its window and dropped: is it taken, and open it."""
    import slicer
    from PySide6 import QtCore

    import MRIInterpret

    held = SimpleNamespace(accepted=None)
    held.acceptMimeData = lambda accept: setattr(held, "accepted", accept)
    monkeypatch.setattr(slicer, "qSlicerFileDialog", SimpleNamespace(Read=1), raising=False)
    monkeypatch.setattr(slicer.util, "selectModule", lambda name: host.messages.append(name), raising=False)
    monkeypatch.setitem(host.module_widgets, "MRIInterpret", widget)
    dialog = MRIInterpret.MRIInterpretFileDialog(held)

    def dropped(*paths):
        data = QtCore.QMimeData()
        data.setUrls([QtCore.QUrl.fromLocalFile(str(path)) for path in paths])
        held.mimeData = lambda: data
        dialog.isMimeDataAccepted()
        dialog.dropEvent()
        return held.accepted

    return dropped, held


def test_a_dropped_results_folder_is_opened_as_a_result(host, widget, drop, saved, monkeypatch):
    dropped, held = drop
    opened = []
    monkeypatch.setattr(widget.logic, "startOpenResult", lambda folder, *_, **__: opened.append(folder))
    assert (held.description, held.fileType, held.action) == ("MRIInterpret result", "MRIInterpretResult", 1)
    assert dropped(saved)
    assert opened == [str(saved)]
    assert "MRIInterpret" in host.messages  # the panel, which shows how far it is, was opened


def test_a_folder_that_is_dropped_while_something_runs_does_not_disturb_it(host, widget, drop, saved):
    dropped, _held = drop
    told = []
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    widget.logic.startOpenResult(".", print, lambda *outcome: told.append(outcome), command=command)
    widget.ui.statusLabel.text = "Preparing the scan"
    running = widget.logic._job
    assert dropped(saved)
    assert widget.logic._job is running
    assert widget.logic.running
    assert widget.ui.statusLabel.text == "Preparing the scan"
    assert host.messages[-1] == "An explanation is being made or opened. Try again when it is done."
    widget.logic.cancel()


def test_what_else_is_dropped_is_left_to_slicer(widget, drop, saved, tmp_path, monkeypatch):
    dropped, _held = drop
    monkeypatch.setattr(widget.logic, "startOpenResult", lambda *_, **__: pytest.fail("opened"))
    for paths in ([tmp_path], [saved / "scan"], [saved, saved], [saved / "explanation.json"], []):
        assert dropped(*paths) is False


def test_reload_forgets_the_packages_modules(monkeypatch):
    from mri_interpret.panel.reloading import forget_modules

    before = {name: module for name, module in sys.modules.items() if name.startswith("mri_interpret")}
    assert "mri_interpret.panel.reloading" in before
    try:
        assert set(forget_modules()) == set(before)
        assert not [name for name in sys.modules if name.partition(".")[0] == "mri_interpret"]
        assert "numpy" in sys.modules
    finally:
        sys.modules.update(before)


def test_reload_ends_what_runs_and_then_reloads(widget, monkeypatch):
    import slicer.ScriptedLoadableModule
    from mri_interpret.panel import reloading

    done = []
    monkeypatch.setattr(reloading, "forget_modules", lambda: done.append("forgotten"))
    base = slicer.ScriptedLoadableModule.ScriptedLoadableModuleWidget
    monkeypatch.setattr(base, "onReload", lambda self: done.append("reloaded"), raising=False)
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    widget.logic.startOpenResult(".", print, lambda *outcome: done.append(outcome), command=command)
    widget.onReload()
    assert done == [(None, "Cancelled."), "forgotten", "reloaded"]
    assert not widget.logic.running
