"""What the 3D view draws while a result enters the scene, and where colour bars appear: as Slicer's own views do it."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from mri_interpret.doors import report_job
from mri_interpret.scene import map_display, views
from mri_interpret.scene.pictures import SliceView
from mri_interpret.worker.messages import Done, Progress, encode

from Testing.host.standin.views_3d import View3D
from Testing.panel.panel_nodes import add_volume
from Testing.panel.test_building import READY, write


@pytest.fixture
def explain(host, widget, small_explanation, tmp_path, wait, monkeypatch):
    """Explain with a worker that has its result ready."""
    source = write(small_explanation, tmp_path / "small")
    scan = add_volume(host.headless.scene, small_explanation.scan, "phantom")
    widget._parameterNode.inputVolume = scan
    start = report_job.start
    waiting = [sys.executable, "-c", "import time; time.sleep(60)"]
    monkeypatch.setattr(report_job, "start", lambda source: start(source, command=waiting))

    def run():
        progress, kind = encode(Progress("Explaining", 1.0, 0.9)), encode(Done("%s"))
        script, told = READY.format(source=str(source), kind=kind, progress=progress), []

        def finished(*outcome):
            widget.panel.explain.on_finished(*outcome)
            told.append(outcome)

        show = widget._parameterNode.show3D if widget._parameterNode else True
        widget.logic.startExplain(scan, print, finished, command=[sys.executable, "-c", script], show3D=show)
        wait(lambda: told)
        return told[0][0]

    return run


@pytest.fixture
def view(host):
    made = View3D(host.headless, (120, 120))
    yield made
    made.close()


def test_few_frames_are_drawn_while_a_result_enters_the_scene(host, widget, explain, view, wait):
    import slicer

    result = explain()
    wait(lambda: map_display.rendered(result.nodes) == ["summary"])
    for _ in range(5):
        host.qt_application.processEvents()
    assert slicer.app.paused == 0
    # Before, every second of a hundred regions drew one; what remains are those between steps, most of an empty view.
    assert len(view.frames) <= 12
    before = len(view.frames)
    slicer.mrmlScene.Clear(0)
    assert len(view.frames) <= before + 1  # not one for each node that goes
    assert slicer.app.paused == 0
    assert widget.ui.statusLabel.text == ""


def test_without_3d_nothing_is_ever_shown_there(host, widget, explain, view):
    widget._parameterNode.show3D = False
    result = explain()
    assert map_display.rendered(result.nodes) == []
    assert not result.nodes.surface.GetDisplayNode().GetVisibility()


def test_rendering_is_resumed_after_an_error(host):
    import slicer
    from mri_interpret.scene.rendering import paused, paused_steps

    def broken():
        assert slicer.app.paused == 1
        yield 1
        raise ValueError("broken")

    steps = paused_steps(broken())
    assert next(steps) == 1
    assert slicer.app.paused == 0
    with pytest.raises(ValueError, match="broken"):
        next(steps)
    with pytest.raises(ValueError, match="broken"), paused():
        raise ValueError("broken")
    assert slicer.app.paused == 0


def has_colour_bar(slice_view):
    """Whether the right edge of the picture has colours."""
    strip = slice_view.picture()[:, 284:296].astype(int)
    return int((strip.max(axis=2) - strip.min(axis=2) > 60).sum()) > 100


@pytest.mark.parametrize("entered", [True, False], ids=["the panel is open", "another module is open"])
def test_a_finished_run_has_its_colour_bar_whichever_module_is_open(host, widget, explain, entered):
    with SliceView(host.headless, "Red", (300, 300)) as slice_view:
        assert not has_colour_bar(slice_view)
        if not entered:
            widget.exit()
        result = explain()
        assert has_colour_bar(slice_view)
        views.show_over_scan(host.headless.scene, result.nodes.scan, None)
        assert not has_colour_bar(slice_view)
        map_display.show(host.headless.scene, result.nodes, "lrp")
        assert has_colour_bar(slice_view)
        if not entered:
            widget.enter()
            assert widget.ui.resultComboBox.currentText == result.run


def test_panel_and_nodes_agree_after_entering_and_opening(host, widget, explain):
    result = explain()
    nodes = result.nodes
    widget.ui.mapList.setCurrentRow(1)
    widget.ui.topSlider.value = 2.0
    said = float(widget.ui.thresholdLineEdit.text)
    assert map_display.shown_from(nodes, "lrp") == pytest.approx(said, rel=1e-3)
    widget.exit()
    map_display.set_threshold(nodes, "lrp", 3 * said)  # somebody else does
    widget.enter()
    assert float(widget.ui.thresholdLineEdit.text) == pytest.approx(said, rel=1e-3)
    assert map_display.shown_from(nodes, "lrp") == pytest.approx(said, rel=1e-3)


def test_entering_leaves_views_alone_that_show_something_else(host, widget, explain, small_explanation):
    scene = host.headless.scene
    explain()
    other = add_volume(scene, small_explanation.scan, "other")
    widget.exit()
    views.show_over_scan(scene, other, None)
    widget.enter()
    assert views.layers(scene) == {other.GetID()}


def test_a_typed_threshold_stays_when_colours_change_and_goes_with_another_map(host, widget, explain):
    result = explain()
    ui, nodes = widget.ui, result.nodes
    ui.mapList.setCurrentRow(1)
    ui.thresholdLineEdit.text = "0.00123"
    ui.thresholdLineEdit.editingFinished.emit()
    assert map_display.shown_from(nodes, "lrp") == pytest.approx(0.00123, rel=1e-4)
    share = ui.topSlider.value
    for index in range(ui.coloursComboBox.count):
        ui.coloursComboBox.setCurrentIndex(index)
        assert map_display.shown_from(nodes, "lrp") == pytest.approx(0.00123, rel=1e-4)
        assert ui.thresholdLineEdit.text == "0.00123"
    for wrong in ("much", "", "nan", "inf"):
        ui.thresholdLineEdit.text = wrong
        ui.thresholdLineEdit.editingFinished.emit()
        assert ui.thresholdLineEdit.text == "0.00123"
    assert map_display.shown_from(nodes, "lrp") == pytest.approx(0.00123, rel=1e-4)
    assert ui.topSlider.value == share
    ui.mapList.setCurrentRow(2)
    ui.mapList.setCurrentRow(1)
    assert np.isclose(ui.topSlider.value, share)
    assert widget._parameterNode.typedThreshold == 0


def test_consensus_and_spread_can_be_shown(host, widget, explain):
    nodes = explain().nodes
    keys = list(nodes.volumes)
    assert keys[-2:] == ["consensus", "spread"]
    widget.ui.mapList.setCurrentRow(keys.index("consensus"))
    assert nodes.consensus.GetID() in views.layers(host.headless.scene)
    assert not widget.ui.topSlider.enabled
    assert widget.ui.thresholdLineEdit.text == ""
    assert map_display.rendered(nodes) == []
    widget.ui.mapList.setCurrentRow(keys.index("spread"))
    assert nodes.spread.GetID() in views.layers(host.headless.scene)
    assert widget.ui.topSlider.enabled
    assert map_display.rendered(nodes) == ["spread"]
