"""The group "What would have to change", on the stand-in for Slicer's window."""

from __future__ import annotations

import pytest
from mri_interpret.scene.counterfactual import counterfactuals_of

from Testing.fixtures_volumes import COUNTERFACTUAL, make_volume_explanation
from Testing.panel.panel_nodes import composites


@pytest.fixture
def changed(widget, scan):
    """The widget with a result of volume methods."""
    import slicer
    from mri_interpret.doors import explain_job

    widget._parameterNode.inputVolume = scan
    result = explain_job.show(slicer.mrmlScene, make_volume_explanation(), scan)
    widget.panel.context.result_arrived.emit(result)
    return widget


def test_the_sentences_are_shown_and_the_boxes_change_the_views(changed, host):
    ui = changed.ui
    assert not ui.changesGroupBox.isHidden()
    assert "left hippocampus +15 %" in ui.changesTextEdit.plainText
    nodes = changed.panel.result.result.nodes
    volume, transform = counterfactuals_of(nodes)[COUNTERFACTUAL]

    def behind():
        return {one.GetBackgroundVolumeID() for one in composites(host.headless.scene)}

    scan = changed._parameterNode.inputVolume
    assert behind() == {scan.GetID()}
    ui.showCounterfactualCheckBox.click()
    assert behind() == {volume.GetID()}
    ui.showDeformationCheckBox.click()
    assert transform.GetDisplayNode().GetVisibility2D()
    changed.panel.update()
    assert ui.showCounterfactualCheckBox.checked
    assert ui.showDeformationCheckBox.checked
    ui.showCounterfactualCheckBox.click()
    assert behind() == {scan.GetID()}


def test_the_deformed_scan_stays_while_the_maps_before_it_are_changed(changed, host):
    ui, scene = changed.ui, host.headless.scene
    volume, _ = counterfactuals_of(changed.panel.result.result.nodes)[COUNTERFACTUAL]
    scan = changed._parameterNode.inputVolume

    def said_and_shown():
        behind = {one.GetBackgroundVolumeID() for one in composites(scene)}
        return ui.showCounterfactualCheckBox.checked, behind

    ui.showCounterfactualCheckBox.click()
    ui.opacitySlider.value = 0.35
    assert said_and_shown() == (True, {volume.GetID()})
    ui.mapList.setCurrentRow(1)
    assert said_and_shown() == (True, {volume.GetID()})
    changed.exit()
    changed.enter()
    assert said_and_shown() == (True, {volume.GetID()})
    ui.showCounterfactualCheckBox.click()
    ui.opacitySlider.value = 0.5
    assert said_and_shown() == (False, {scan.GetID()})


def test_without_volume_methods_the_group_is_not_shown(widget, shown):
    assert shown.ui.changesGroupBox.isHidden()
    assert not shown.ui.showCounterfactualCheckBox.enabled
    assert "tick Volume counterfactual" in shown.ui.showCounterfactualCheckBox.toolTip


def test_the_goal_reaches_the_job(widget):
    from mri_interpret.doors import choices

    assert widget.ui.goalLineEdit.text == "boundary"
    widget.ui.goalLineEdit.text = "AD 30 %"
    widget.ui.goalLineEdit.editingFinished.emit()
    assert choices.explain_options(widget._parameterNode, ["lrp"], {})["goal"] == "AD 30 %"
