"""The checks of MRIInterpretTest: sample through logic, worker and panel, a model through the form; in Slicer or on a
stand-in."""

from __future__ import annotations

import os
import runpy
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import slicer

from ..resources import resource
from ..user_folders import MODELS_VARIABLE

METHODS, TARGET = ["lrp", "grad_cam_pp"], "AD-CN"  # as in the tutorial's script
LIMIT_SECONDS = 150.0
MOST_FRAMES = 40  # of the 3D view, while a result enters the scene; without pauses there are hundreds


def check_logic_and_worker(logic: Any) -> None:
    """The tutorial's script is run, and the worker gives the same result as its call in this process."""
    import numpy as np

    from ..scene.geometry import affine_of, volume_of

    scan = _small_sample(logic)
    before = volume_of(scan)
    script = slicer.util.getModuleWidget("MRIInterpret").resourcePath("Scripts/tutorial.py")
    done = runpy.run_path(script, {"scan": scan, "logic": logic})
    here, opened, folder = done["result"], done["again"], done["folder"]
    try:
        written = sorted(path.name for path in folder.iterdir())
        assert written == ["report.html", "result", "volumes.csv"], written
    finally:
        shutil.rmtree(folder)
    there = _in_worker(logic, scan)
    assert here.probabilities == there.probabilities
    assert abs(sum(here.probabilities.values()) - 1.0) < 1e-5
    for method in METHODS:
        one, two, three = (nodes.maps[method] for nodes in (here.nodes, there.nodes, opened.nodes))
        np.testing.assert_array_equal(volume_of(one).array, volume_of(two).array)
        np.testing.assert_allclose(volume_of(one).array, volume_of(three).array, atol=1e-6)
        np.testing.assert_allclose(affine_of(one), affine_of(scan), atol=1e-6)
        assert one.GetImageData().GetDimensions() == scan.GetImageData().GetDimensions()
        assert np.abs(volume_of(one).array).max() > 0.0
    assert here.run != there.run
    np.testing.assert_array_equal(volume_of(scan).array, before.array)
    assert here.nodes.atlas.GetSegmentation().GetNumberOfSegments() > 50


def check_cancel(logic: Any) -> None:
    """Cancelling leaves the scene as it was, and no process."""
    scan = _small_sample(logic)
    before = slicer.mrmlScene.GetNumberOfNodes()
    told: list[str] = []
    logic.startExplain(scan, lambda _message: None, lambda _result, sentence: told.append(sentence), methods=METHODS)
    assert logic.running
    logic.cancel()
    assert not logic.running
    assert told == ["Cancelled."]
    assert slicer.mrmlScene.GetNumberOfNodes() == before


def check_panel(logic: Any) -> None:
    """Explain is clicked in the panel, and the result is explored: maps, threshold, 3D, regions."""
    from ..scene import map_display

    scan = _small_sample(logic)
    widget = slicer.util.getModuleWidget("MRIInterpret")
    widget.enter()
    parameters, ui = widget._parameterNode, widget.ui
    parameters.inputVolume, parameters.methods = scan, ",".join(METHODS)
    parameters.trust, parameters.device = "off", "cpu"
    assert ui.explainButton.enabled, ui.explainButton.toolTip
    with _frames() as frames:
        ui.explainButton.click()
        assert widget.logic.running, ui.statusLabel.text
        _wait(lambda: not widget.logic.running)
    assert len(frames) < MOST_FRAMES, f"the 3D view drew {len(frames)} frames while the result entered the scene"
    assert ui.regionTable.rowCount > 50, ui.statusLabel.text
    nodes = widget.panel.result.result.nodes
    for row, name in enumerate(["summary", *METHODS]):
        ui.mapList.setCurrentRow(row)
        assert parameters.shownMap == name
        assert map_display.rendered(nodes) == ([name] if ui.show3DCheckBox.checked else [])
    _check_thresholds(widget, nodes)
    _check_entering(widget, nodes)
    ui.jumpButton.click()
    _check_light_box(ui, nodes)
    ui.regionTable.selectRow(0)
    assert nodes.atlas.GetDisplayNode().GetVisibility()
    _check_end(widget)


def _check_thresholds(widget: Any, nodes: Any) -> None:
    """What is said is what is shown: share, value and colours of a signed map, in the slices and in 3D."""
    import numpy as np

    from ..scene import map_display
    from ..scene.geometry import volume_of

    ui = widget.ui
    ui.mapList.setCurrentRow(1)
    node = nodes.maps[METHODS[0]]
    assert np.count_nonzero(volume_of(node, copy=False).array) <= _brain_voxels(node), "shown outside the brain"
    for percent in (10.0, 2.0, 0.3):
        ui.topSlider.value = percent
        least = map_display.shown_from(nodes, METHODS[0])
        assert abs(float(ui.thresholdLineEdit.text) / least - 1) < 1e-3
        share = np.count_nonzero(np.abs(volume_of(node, copy=False).array) >= least) / _brain_voxels(node)
        assert abs(100 * share - percent) < 0.2, f"top {percent} % shows {100 * share:.2f} %"
        rendering = next(one for one in _renderings(node) if one.GetVisibility())
        assert rendering.GetVolumePropertyNode().GetScalarOpacity().GetValue(0.9 * least) == 0
        assert rendering.GetVolumePropertyNode().GetScalarOpacity().GetValue(1.01 * least) > 0
    ui.thresholdLineEdit.text = f"{0.5 * least:.3g}"
    widget.panel.result.on_threshold()  # as the Enter key does
    typed = float(ui.thresholdLineEdit.text)
    assert 0.49 < typed / least < 0.51
    assert ui.topSlider.value > percent
    ui.coloursComboBox.setCurrentIndex(1)
    assert float(ui.thresholdLineEdit.text) == typed
    assert abs(map_display.shown_from(nodes, METHODS[0]) / typed - 1) < 1e-4
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node)
    assert legend is not None
    assert legend.GetVisibility()


def _check_entering(widget: Any, nodes: Any) -> None:
    """What others did to a map while the panel was not open is what the panel says again, once it is."""
    from ..scene import map_display

    said = float(widget.ui.thresholdLineEdit.text)
    widget.exit()
    map_display.set_threshold(nodes, METHODS[0], 3 * said)
    widget.enter()
    assert float(widget.ui.thresholdLineEdit.text) == said
    assert abs(map_display.shown_from(nodes, METHODS[0]) / said - 1) < 1e-4


def _check_light_box(ui: Any, nodes: Any) -> None:
    """Four maps side by side by one click, and back by another; without a main window there are no layouts."""
    from ..scene import light_box
    from ..scene.views import COMPARED, nodes_of

    if not nodes_of(slicer.mrmlScene, "vtkMRMLLayoutNode"):
        return
    ui.compareButton.click()
    slicer.app.processEvents()
    assert light_box.is_open(slicer.mrmlScene)
    composites = {node.GetLayoutName(): node for node in nodes_of(slicer.mrmlScene, "vtkMRMLSliceCompositeNode")}
    shown = [composites[name].GetForegroundVolumeID() for name in COMPARED]
    assert shown == [node.GetID() for node in list(nodes.volumes.values())[: len(COMPARED)]]
    ui.compareButton.click()
    assert not light_box.is_open(slicer.mrmlScene)


def _brain_voxels(node: Any) -> int:
    from ..scene.nodes import BRAIN_VOXELS

    return int(node.GetAttribute(BRAIN_VOXELS))


def _renderings(node: Any) -> list[Any]:
    displays = [node.GetNthDisplayNode(n) for n in range(node.GetNumberOfDisplayNodes())]
    return [one for one in displays if one.IsA("vtkMRMLVolumeRenderingDisplayNode")]


def _check_end(widget: Any) -> None:
    """The report is drawn behind the run, then the worker's files are gone; the closed scene leaves no words behind."""
    result, folder = widget.panel.result.result, widget.logic._job.worker.folder
    _wait(lambda: not widget.logic.reports.drawing(result.run))
    assert not folder.exists()
    after_a_reload = type(widget.logic)().result(result.run)  # knows what is in the scene, and nothing else
    with TemporaryDirectory() as other:
        for name, one in (("report.html", result), ("again.html", after_a_reload)):
            page = one.save_report(os.path.join(other, name)).read_text(encoding="utf-8")
            assert "Research use only" in page
    slicer.mrmlScene.Clear(0)
    assert widget.ui.statusLabel.text == ""
    assert widget.logic.results() == []


def check_add_model(_logic: Any) -> None:
    """A bundle is added by the form of Add model..., whose window stays closed, and removed again."""
    from .add_model_form import AddModelForm

    widget = slicer.util.getModuleWidget("MRIInterpret")
    widget.enter()
    context = widget.panel.context
    with _other_models_folder():
        form = AddModelForm(context)
        for index in reversed(range(form.ui.addKindComboBox.count)):
            form.ui.addKindComboBox.setCurrentIndex(index)
            assert not form.ui.addButton.enabled
        form.ui.addPathLineEdit.currentPath = str(resource("Models", "atrophy_cnn"))
        form.ui.addNameLineEdit.text = "selftest"
        assert form.ui.addButton.enabled, form.ui.addButton.toolTip
        form.ui.addButton.click()
        assert widget.logic.addingModel, form.ui.addStatusLabel.text
        _wait(lambda: not widget.logic.addingModel)
        assert widget._parameterNode.model == "selftest", form.ui.addStatusLabel.text
        context.models.remove("selftest")
    context.models.refresh()
    context.choose("model", "")


CHECKS = (check_logic_and_worker, check_cancel, check_panel, check_add_model)


@contextmanager
def _frames() -> Iterator[list[int]]:
    """The frames that the first 3D view draws, where there is one."""
    drawn: list[int] = []
    views = slicer.app.layoutManager() if hasattr(slicer.app, "layoutManager") else None
    window = views.threeDWidget(0).threeDView().renderWindow() if views and views.threeDViewCount else None
    tag = window.AddObserver("EndEvent", lambda *_: drawn.append(1)) if window else None
    try:
        yield drawn
    finally:
        if window:
            window.RemoveObserver(tag)


@contextmanager
def _other_models_folder() -> Iterator[None]:
    """The user's own models are left alone."""
    before = os.environ.get(MODELS_VARIABLE)
    with TemporaryDirectory() as folder:
        os.environ[MODELS_VARIABLE] = folder
        try:
            yield
        finally:
            os.environ.pop(MODELS_VARIABLE)
            if before is not None:
                os.environ[MODELS_VARIABLE] = before


def _small_sample(logic: Any) -> Any:
    """The sample at 3 mm, so that the test is fast on any computer."""
    from ..images.volume import Grid, resample
    from ..scene.geometry import fill_volume_node, volume_of

    full = logic.loadSample()
    volume = volume_of(full)
    coarse = volume.affine.copy()
    coarse[:3, :3] *= 3
    shape = tuple(length // 3 for length in volume.shape)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Colin27 at 3 mm")
    fill_volume_node(node, resample(volume, Grid((shape[0], shape[1], shape[2]), coarse)))
    node.CreateDefaultDisplayNodes()
    return node


def _in_worker(logic: Any, scan: Any) -> Any:
    finished: list[Any] = []
    steps: list[str] = []
    logic.startExplain(
        scan,
        lambda message: steps.append(getattr(message, "step", "")),
        lambda result, sentence: finished.extend([result, sentence]),
        methods=METHODS,
        target=TARGET,
        device="cpu",
        trust="off",
    )
    _wait(lambda: bool(finished))
    result, sentence = finished
    assert result is not None, sentence
    assert "Explaining" in steps
    return result


def _wait(condition: Callable[[], bool]) -> None:
    """Let the window live until something is true."""
    end = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < end, "the worker took too long"
        slicer.app.processEvents()
        time.sleep(0.02)
