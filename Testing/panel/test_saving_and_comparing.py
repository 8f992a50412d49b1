"""*Compare methods* and *Export DICOM...* are pressed in the panel."""

from __future__ import annotations

import types

import numpy as np
import pydicom
import pytest
from mri_interpret.scene import light_box, map_display
from mri_interpret.scene.map_display import Magnitudes
from mri_interpret.scene.views import COMPARED, nodes_of

from Testing.dicom_export.reading import on_grid
from Testing.images.dicom_series import write_slices

highdicom = pytest.importorskip("highdicom")


def foregrounds(scene):
    found = {node.GetLayoutName(): node for node in nodes_of(scene, "vtkMRMLSliceCompositeNode")}
    return [found[name].GetForegroundVolumeID() for name in COMPARED]


def test_compare_methods_shows_the_four_maps_around_the_chosen_one(host, shown):
    ui, scene = shown.ui, host.headless.scene
    nodes = shown.panel.result.result.nodes
    ids = {key: node.GetID() for key, node in nodes.volumes.items()}
    every = list(ids)
    assert ui.compareButton.enabled
    ui.compareButton.click()
    host.qt_application.processEvents()
    assert light_box.is_open(scene)
    assert foregrounds(scene) == [ids[key] for key in every[:4]]
    ui.opacitySlider.value = 0.4
    found = {node.GetLayoutName(): node for node in nodes_of(scene, "vtkMRMLSliceCompositeNode")}
    assert found[COMPARED[1]].GetForegroundOpacity() == pytest.approx(0.4)
    ui.topSlider.value = 3.0
    for key in every[:4]:
        node = map_display.node_of(nodes, key)
        assert map_display.shown_from(nodes, key) == pytest.approx(Magnitudes(node).value_of_top(3.0), rel=1e-4)
    ui.mapList.setCurrentRow(len(every) - 1)
    assert foregrounds(scene)[: len(every) - 4] == [ids[key] for key in every[4:]]
    ui.compareButton.click()
    assert not light_box.is_open(scene)
    assert not ui.compareButton.checked


def test_the_button_follows_slicers_own_layout_menu_and_a_closed_scene(host, shown):
    ui, scene = shown.ui, host.headless.scene
    ui.compareButton.click()
    host.qt_application.processEvents()
    (layout,) = nodes_of(scene, "vtkMRMLLayoutNode")
    layout.SetViewArrangement(layout.SlicerLayoutFourUpView)
    shown.panel.update()
    assert not ui.compareButton.checked
    scene.Clear(0)
    shown.panel.forget()
    shown.panel.update()
    assert not ui.compareButton.enabled
    assert "press Explain" in ui.compareButton.toolTip


def test_closing_the_scene_while_maps_are_compared_brings_the_former_layout_back(host, shown):
    ui, scene = shown.ui, host.headless.scene
    (layout,) = nodes_of(scene, "vtkMRMLLayoutNode")
    before = layout.GetViewArrangement()
    ui.compareButton.click()
    scene.Clear(0)
    (layout,) = nodes_of(scene, "vtkMRMLLayoutNode")
    assert layout.GetViewArrangement() == before
    assert not ui.compareButton.checked
    light_box.open_layout(scene)  # by Slicer's own menu, with nothing to compare
    shown.panel.update()
    assert ui.compareButton.enabled
    ui.compareButton.click()
    assert not light_box.is_open(scene)


def test_a_result_of_a_dicom_scan_is_exported_from_the_panel(
    host, shown, scan, small_explanation, tmp_path, wait, monkeypatch
):
    import qt
    import slicer

    ui = shown.ui
    assert not ui.exportDicomButton.enabled
    assert "did not come from DICOM" in ui.exportDicomButton.toolTip
    folder = write_slices(tmp_path / "t1", small_explanation.scan.array, small_explanation.scan.affine)
    files = {pydicom.dcmread(file).SOPInstanceUID: str(file) for file in folder.iterdir()}
    database = types.SimpleNamespace(fileForInstance=lambda uid: files.get(uid, ""))
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    scan.SetAttribute("DICOM.instanceUIDs", " ".join(files))
    shown.panel.update()
    assert ui.exportDicomButton.enabled, ui.exportDicomButton.toolTip
    qt.QFileDialog.answer = str(tmp_path / "out")
    ui.exportDicomButton.click()
    assert not ui.explainButton.enabled
    wait(lambda: not shown.logic.running, 200)
    assert "8 DICOM files" in ui.statusLabel.text, ui.statusLabel.text
    made = pydicom.dcmread(tmp_path / "out" / "map_lrp.dcm")
    assert made.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0].LUTExplanation.startswith("LRP (")
    volume = highdicom.imread(tmp_path / "out" / "map_lrp.dcm").get_volume()
    found = on_grid(volume, small_explanation.scan.affine, small_explanation.scan.shape)
    inside = small_explanation.mask.array > 0
    expected = np.where(inside, small_explanation.maps["lrp"].native.array, 0)
    np.testing.assert_array_equal(found, expected)  # the scene shows nothing outside the brain
    segments = pydicom.dcmread(tmp_path / "out" / "segmentation.dcm").SegmentSequence
    present = np.unique(small_explanation.atlas_in_scan.array)
    assert len(segments) == np.count_nonzero(present)
    report = pydicom.dcmread(tmp_path / "out" / "measurements.dcm")
    assert report.StudyInstanceUID == made.StudyInstanceUID


def test_why_a_result_cannot_be_exported_is_said(host, shown, scan, tmp_path, wait, monkeypatch):
    import slicer

    told = []
    database = types.SimpleNamespace(fileForInstance=lambda uid: "")  # the series was deleted from the database
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    scan.SetAttribute("DICOM.instanceUIDs", "1.2 1.3")
    result = shown.panel.result.result
    shown.panel.explain.on_dicom_requested(result, str(tmp_path))
    assert "did not come from DICOM" in shown.ui.statusLabel.text
    other = write_slices(tmp_path / "other", np.zeros((4, 5, 6), np.int16), np.diag([-1.0, -1, 1, 1]))
    shown.logic.startExportDicom(result, tmp_path / "out", print, lambda *outcome: told.append(outcome), series=other)
    wait(lambda: told, 200)
    assert told[0][0] is None
    assert "does not lie on the voxels of" in told[0][1]
    assert not (tmp_path / "out").exists()
