"""Scans as they come in Slicer: time points of a sequence, under transforms, oblique, with their own display window."""

from __future__ import annotations

import numpy as np
import pytest
from mri_interpret.doors import explain_job
from mri_interpret.images.array_files import read_array_file
from mri_interpret.images.volume import Volume
from mri_interpret.scene import light_box, map_display, views
from mri_interpret.scene.geometry import affine_of, volume_of
from mri_interpret.scene.scan_input import scan_of
from mri_interpret.worker.explain_request import ExplainRequest
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from Testing.fixtures_explanation import oblique_affine
from Testing.panel.panel_nodes import add_volume, offsets

SHAPE = (160, 160, 90)  # more voxels than are written in one step
WAITING = ["python", "-c", "import time; time.sleep(60)"]


@pytest.fixture
def sequence(host):
    """A sequence of two volumes of constants 1 and 2, its browser with a proxy node, and a function that plays on."""
    import slicer

    scene = host.headless.scene
    logic = slicer.vtkSlicerSequencesLogic()
    logic.SetMRMLScene(scene)
    node = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "perfusion")
    for index in (0, 1):
        frame = add_volume(
            scene, Volume(np.full(SHAPE, index + 1, np.int16), oblique_affine(SHAPE, (1, 1, 2))), "frame"
        )
        node.SetDataNodeAtValue(frame, str(index))
        scene.RemoveNode(frame)
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
    browser.SetAndObserveMasterSequenceNodeID(node.GetID())
    browser.SetSelectedItemNumber(0)
    logic.UpdateProxyNodesFromSequences(browser)

    def play() -> None:
        browser.SetSelectedItemNumber(1)
        logic.UpdateProxyNodesFromSequences(browser)

    yield browser.GetProxyNode(node), play
    logic.SetMRMLScene(None)


def test_a_time_point_is_explained_as_it_was_when_explain_was_pressed(sequence, monkeypatch):
    """Also if the sequence plays on while its voxels are written for the worker."""
    import mri_interpret.worker.process as process

    proxy, play = sequence
    assert np.unique(scan_of(proxy).array).tolist() == [1]
    monkeypatch.setattr(process, "_PREPARE_SECONDS", 0.0)  # nothing is written before the first poll
    worker = explain_job.start(proxy, command=WAITING, methods=["lrp"])
    try:
        play()
        assert np.unique(volume_of(proxy).array).tolist() == [2]
        monkeypatch.setattr(process, "_PREPARE_SECONDS", 10.0)
        worker.poll()
        request = ExplainRequest.read(worker.folder / "job.json")
        sent = read_array_file(request.scan, worker.folder)
        assert np.unique(sent.array).tolist() == [1]
        np.testing.assert_allclose(sent.affine, oblique_affine(SHAPE, (1, 1, 2)), atol=1e-9)
    finally:
        worker.cancel()


def turned(scene):
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "turned")
    matrix = vtkMatrix4x4()
    for row, values in enumerate([[0, -1, 0, 20], [1, 0, 0, -5], [0, 0, 1, 9]]):
        for column, value in enumerate(values):
            matrix.SetElement(row, column, value)
    node.SetMatrixTransformToParent(matrix)
    return node


def test_a_result_under_a_linear_transform_is_shown_where_its_scan_is(host, shown, scan):
    """The scan of the result is moved afterwards, with all that belongs to it, and turned back."""
    scene, logic = host.headless.scene, shown.logic
    result = shown.panel.result.result
    logic.jumpToHottest(result, "lrp")
    here = views.peak(result.nodes.maps["lrp"])
    transform = turned(scene)
    for node in (scan, *result.nodes.volumes.values(), result.nodes.atlas, result.nodes.surface):
        node.SetAndObserveTransformNodeID(transform.GetID())
    logic.jumpToHottest(result, "lrp")
    expected = np.array([-here[1] + 20, here[0] - 5, here[2] + 9])
    np.testing.assert_allclose(views.peak(result.nodes.maps["lrp"]), expected, atol=1e-6)
    for point in offsets(scene):
        assert np.isclose(point, expected, atol=1e-6).any()  # each slice cuts through it along its own axis
    light_box.open_layout(scene)
    light_box.show(scene, result.nodes, list(result.nodes.volumes)[:4], 0.7)
    light_box.fit(scene, result.nodes)
    low, high = views.world_bounds(scan)
    own = [node for node in views.nodes_of(scene, "vtkMRMLSliceNode") if node.GetLayoutName() in views.COMPARED]
    assert len(own) == 4
    for node in own:
        width, height, _ = node.GetDimensions()
        centre = node.GetXYToRAS().MultiplyPoint((width / 2, height / 2, 0, 1))
        np.testing.assert_allclose(centre[:2], ((low + high) / 2)[:2], atol=1)


def test_the_scans_own_display_window_is_neither_used_nor_changed(host, widget, small_explanation):
    import slicer

    scan = add_volume(host.headless.scene, small_explanation.scan, "windowed")
    display = scan.GetDisplayNode()
    display.SetAutoWindowLevel(0)
    display.SetWindowLevelMinMax(200, 300)
    display.SetThreshold(250, 400)
    display.SetApplyThreshold(1)
    np.testing.assert_array_equal(scan_of(scan).array, small_explanation.scan.array)
    result = explain_job.show(slicer.mrmlScene, small_explanation, scan)
    map_display.show(slicer.mrmlScene, result.nodes, "lrp", value=1e-4)
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (200, 300)
    assert (display.GetLowerThreshold(), display.GetApplyThreshold()) == (250, 1)
    np.testing.assert_allclose(affine_of(result.nodes.maps["lrp"]), small_explanation.scan.affine, atol=1e-9)
