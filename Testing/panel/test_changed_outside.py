"""What the user does to a result outside of the panel: nodes deleted in the data tree, scenes added, other 3D shown."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from mri_interpret.doors import explain_job
from mri_interpret.images.volume import Volume
from mri_interpret.scene import light_box, map_display
from mri_interpret.scene.mrb import pack
from mri_interpret.scene.nodes import nodes_of_run
from mri_interpret.scene.views import nodes_of

from Testing.panel.panel_nodes import add_volume, composites, offsets, pick


@pytest.fixture
def faults(monkeypatch):
    """What Qt would print of an error in a slot: nobody sees it, and the click does nothing."""
    import sys

    found = []
    monkeypatch.setattr(sys, "excepthook", lambda *what: found.append(what))
    return found


def titles(ui):
    return [ui.mapList.item(row).text() for row in range(ui.mapList.count)]


def test_what_was_deleted_is_not_offered_and_the_rest_can_be_shown(shown, host, faults):
    ui, scene = shown.ui, host.headless.scene
    nodes = shown.panel.result.result.nodes
    gone = nodes.maps["lrp"], nodes.consensus, nodes.surface, nodes.tables["agreement"], nodes.tables["probabilities"]
    missing = {node.GetName() for node in gone[:2]}
    left = [title for title in titles(ui) if title not in missing]
    ui.mapList.setCurrentRow(1)
    for node in gone:
        scene.RemoveNode(node)
    shown.exit()
    shown.enter()
    assert titles(ui) == left
    for row in range(len(left)):
        ui.mapList.setCurrentRow(row)
        key = shown.panel.result.key
        ids = {node.GetForegroundVolumeID() for node in composites(scene)}
        assert ids == {shown.panel.result.result.nodes.volumes[key].GetID()}
    ui.jumpButton.click()
    ui.show3DCheckBox.click()
    ui.show3DCheckBox.click()
    ui.compareButton.click()
    ui.compareButton.click()
    assert ui.agreementTable.rowCount == 0
    assert "The model says AD" in ui.predictionLabel.text
    assert faults == []


def test_a_result_that_cannot_be_shown_any_more_says_why(shown, host):
    ui, nodes = shown.ui, shown.panel.result.result.nodes
    host.headless.scene.RemoveNode(nodes.atlas)
    shown.exit()
    shown.enter()
    assert ui.predictionLabel.text == (
        f"Too much of the result {nodes.run} was deleted from the scene to show it: press Explain again."
    )
    assert not ui.jumpButton.enabled
    for node in nodes_of_run(host.headless.scene, nodes.run):
        host.headless.scene.RemoveNode(node)
    shown.panel.update()
    assert ui.predictionLabel.text == "No result yet."


def test_no_map_takes_the_place_of_a_deleted_scan(shown, host, scan, faults):
    ui, scene = shown.ui, host.headless.scene
    scene.RemoveNode(scan)
    shown.exit()
    shown.enter()
    assert shown._parameterNode.inputVolume is None
    assert not ui.explainButton.enabled
    ui.mapList.setCurrentRow(1)
    ui.compareButton.click()
    host.qt_application.processEvents()
    assert light_box.is_open(scene)
    own = [node for node in nodes_of(scene, "vtkMRMLSliceNode") if node.GetLayoutName().startswith("MRIInterpretMap")]
    assert len(own) == 4
    assert faults == []


def test_the_users_own_volume_is_chosen_first(widget, host, small_explanation):
    explain_job.show(host.headless.scene, small_explanation)  # with its scan, as from a saved result
    scene = host.headless.scene
    scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    own = add_volume(scene, small_explanation.scan, "mine")
    assert widget.logic.firstScan() is own
    scene.RemoveNode(own)
    assert widget.logic.firstScan().GetAttribute("MRIInterpret.Role") == "scan"


def test_a_scene_with_a_result_of_the_same_name_is_added_and_shown(shown, host, small_explanation, tmp_path):
    ui, scene = shown.ui, host.headless.scene
    first = shown.panel.result.result.run
    pack(scene, tmp_path / "scene.mrb")
    ui.mapList.setCurrentRow(1)
    host.headless.read(tmp_path / "scene.mrb")
    second = f"{first} (2)"
    assert [ui.resultComboBox.itemText(n) for n in range(ui.resultComboBox.count)] == [first, second]
    assert shown._parameterNode.resultRun == second
    mine, added = (shown.logic.result(run).nodes for run in (first, second))
    assert set(mine.volumes) == set(added.volumes)
    assert not {node.GetID() for node in mine.volumes.values()} & {node.GetID() for node in added.volumes.values()}
    assert map_display.rendered(mine) == []
    assert map_display.rendered(added) == ["summary"]


def test_another_results_scan_is_looked_for_where_it_lies(shown, host, small_explanation):
    """Two scans far apart: choosing a result would else show black slices."""
    scene, away = host.headless.scene, np.array([400.0, -300.0, 250.0])

    def moved(volume: Volume) -> Volume:
        affine = volume.affine.copy()
        affine[:3, 3] += away
        return Volume(volume.array, affine, volume.name)

    maps = {name: dataclasses.replace(one, native=moved(one.native)) for name, one in small_explanation.maps.items()}
    places = ("scan", "mask", "summary", "consensus", "spread", "atlas_in_scan")
    other = dataclasses.replace(
        small_explanation, maps=maps, **{name: moved(getattr(small_explanation, name)) for name in places}
    )
    first = shown.panel.result.result.run
    second = explain_job.show(scene, other, add_volume(scene, other.scan, "far away")).run
    shown.panel.update()
    peaks = []
    for run in (second, first, second):
        pick(shown.ui.resultComboBox, run)
        result = shown.panel.result.result
        assert result.run == run
        peaks.append(map_display.views.peak(result.nodes.summary))
        for place, node in zip(offsets(scene), nodes_of(scene, "vtkMRMLSliceNode"), strict=True):
            axis = {"Axial": 2, "Sagittal": 0, "Coronal": 1}[node.GetOrientation()]
            assert place[axis] == pytest.approx(peaks[-1][axis], abs=1e-3)
    np.testing.assert_allclose(peaks[0] - peaks[1], away, atol=1e-3)
    shown.ui.mapList.setCurrentRow(1)
    before = offsets(scene)
    shown.ui.mapList.setCurrentRow(0)
    assert offsets(scene) == before  # maps of one result are compared where the user looks


def test_ticking_3d_shows_one_result_alone(shown, host, scan, small_explanation):
    first = shown.panel.result.result.nodes
    shown.ui.show3DCheckBox.click()
    second = explain_job.show(host.headless.scene, small_explanation, scan).nodes
    assert map_display.rendered(second) == ["summary"]
    shown._parameterNode.resultRun = first.run
    shown.ui.show3DCheckBox.click()
    assert map_display.rendered(first) == ["summary"]
    assert map_display.rendered(second) == []
    assert not second.surface.GetDisplayNode().GetVisibility()
