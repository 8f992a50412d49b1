"""Every control of the panel, on the stand-in for Slicer's window."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mri_interpret.doors.choices import method_list
from mri_interpret.panel import environment
from mri_interpret.worker import messages

from Testing.panel.panel_nodes import composites, items, pick


def test_every_control_has_a_tooltip(widget):
    for name, control in vars(widget.ui).items():
        if control.__class__.__name__ in (
            "QPushButton",
            "QComboBox",
            "QLineEdit",
            "QListWidget",
            "QTableWidget",
            "QCheckBox",
        ):
            assert control.toolTip, name


def test_explain_says_what_is_missing(widget, scan):
    assert not widget.ui.explainButton.enabled
    assert "Choose a volume" in widget.ui.explainButton.toolTip
    widget._parameterNode.inputVolume = scan
    assert widget.ui.explainButton.enabled
    assert "Explain the scan" in widget.ui.explainButton.toolTip


def test_the_first_volume_is_chosen_when_the_module_is_opened(host, scan):
    import MRIInterpret

    made = MRIInterpret.MRIInterpretWidget()
    made.setup()
    assert made.ui.inputSelector.currentNode() is scan
    made.cleanup()


def test_load_sample_loads_it_once_and_chooses_it(host, widget):
    widget.ui.loadSampleButton.click()
    first = widget._parameterNode.inputVolume
    assert first.GetName() == "Colin27 T1"
    assert first.GetImageData().GetDimensions() == (181, 217, 181)
    widget.ui.loadSampleButton.click()
    assert widget._parameterNode.inputVolume is first
    assert host.messages == []
    assert {c.GetBackgroundVolumeID() for c in composites(host.headless.scene)} == {first.GetID()}


def test_the_kind_of_scan_can_be_overruled(widget):
    for kind in ("head", "brain", "mni", "auto"):
        pick(widget.ui.scanKindComboBox, kind)
        assert widget._parameterNode.scanKind == kind


def test_the_model_tells_what_it_is(widget):
    assert "random weights" in widget.ui.modelDescriptionLabel.text
    assert "Research use only" in widget.ui.bannerLabel.text
    targets = [widget.ui.targetComboBox.itemData(n) for n in range(widget.ui.targetComboBox.count)]
    assert targets == ["predicted", "CN", "MCI", "AD", "AD-CN", "MCI-CN", "AD-MCI"]


def test_the_card_is_opened(widget, models):
    import qt

    assert widget.ui.openCardButton.enabled
    widget.ui.openCardButton.click()
    assert qt.QDesktopServices.opened == [str(models / "small" / "docs" / "README.md")]


def test_presets_tick_methods_and_ticking_makes_it_custom(widget):
    import qt

    ui = widget.ui
    for preset in ("fast", "all", "study", "default"):
        pick(ui.presetComboBox, preset)
        ticked = {name for name, item in items(ui.methodsList).items() if item.checkState() == qt.Qt.Checked}
        assert ticked == set(method_list(widget._parameterNode.methods))
        assert ui.presetComboBox.itemData(ui.presetComboBox.currentIndex) == preset
    items(ui.methodsList)["lrp"].setCheckState(qt.Qt.Unchecked)
    assert "lrp" not in method_list(widget._parameterNode.methods)
    assert ui.presetComboBox.itemData(ui.presetComboBox.currentIndex) == "custom"
    for item in items(ui.methodsList).values():
        item.setCheckState(qt.Qt.Unchecked)
    assert ui.presetComboBox.itemData(ui.presetComboBox.currentIndex) == "default"  # nothing ticked: back to it


@pytest.mark.slow
@pytest.mark.parametrize(
    ("control", "parameter", "value"),
    [
        ("targetComboBox", "target", "AD-CN"),
        ("compositeComboBox", "composite", "epsilon-gamma-box"),
        ("deviceComboBox", "device", "cpu"),
        ("trustComboBox", "trust", "full"),
    ],
)
def test_choices_are_kept_in_the_parameter_node(widget, control, parameter, value):
    pick(getattr(widget.ui, control), value)
    assert getattr(widget._parameterNode, parameter) == value
    widget.exit()
    widget.enter()
    combo = getattr(widget.ui, control)
    assert combo.itemData(combo.currentIndex) == value


def test_the_layer_and_the_checkboxes_are_kept(widget):
    widget.ui.layerLineEdit.text = "blocks.2"
    widget.ui.layerLineEdit.editingFinished.emit()
    widget.ui.replaceCheckBox.checked = True
    assert widget._parameterNode.layer == "blocks.2"
    assert widget._parameterNode.replaceResult is True


def test_progress_shows_the_step_and_the_time_left(widget):
    section = widget.panel.explain
    section.on_progress(messages.Progress("Finding the brain", 0.5, 0.42, 33.0))
    assert widget.ui.progressBar.value == 42
    assert widget.ui.statusLabel.text == "Finding the brain, about 33 s left"
    section.on_progress(messages.Notice("On the CPU."))
    section.on_progress(messages.Progress("Explaining", 0.5, 0.5))
    assert widget.ui.statusLabel.text == "Explaining\nOn the CPU."


def test_refusing_to_install_leaves_everything_usable(widget, scan, monkeypatch):
    from mri_interpret.errors import UserError

    def refuse(_requirements, _button="Explain"):
        raise UserError("Explain needs Python packages that were not installed.")

    monkeypatch.setattr(environment, "ensure", refuse)
    widget._parameterNode.inputVolume = scan
    widget.ui.explainButton.click()
    assert "not installed" in widget.ui.statusLabel.text
    assert not widget.logic.running
    assert widget.ui.explainButton.enabled


def test_closing_the_scene_empties_the_panel_and_a_new_scan_can_be_chosen(shown, host):
    import slicer

    assert shown.ui.statusLabel.text == "Done."
    slicer.mrmlScene.Clear(0)
    assert shown.ui.statusLabel.text == ""
    assert shown.ui.predictionLabel.text == "No result yet."
    assert shown._parameterNode.inputVolume is None
    assert shown.ui.regionTable.rowCount == 0
    assert not shown.ui.explainButton.enabled


def test_cleaning_up_drops_every_observer(host, widget):
    scene = host.headless.scene
    parameters = widget._parameterNode
    widget.cleanup()
    assert widget.Observations == [] or not list(widget.Observations)
    parameters.target = "CN"  # must not touch the widget any more
    assert widget.ui.targetComboBox.currentText == "Predicted class"
    assert scene is not None


def test_sample_data_is_registered_with_a_checksum(host):
    import hashlib

    import SampleData

    import MRIInterpret

    MRIInterpret.registerSampleData()
    source = SampleData.SampleDataLogic and SampleData.sources[-1]
    path = Path(source["uris"].removeprefix("file://"))
    assert source["checksums"] == "SHA256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    assert Path(source["thumbnailFileName"]).is_file()
    json.dumps(source)


def test_a_brain_mask_of_either_kind_can_be_chosen_and_is_kept(widget, host):
    scene = host.headless.scene
    nodes = [scene.AddNewNodeByClass(f"vtkMRML{kind}Node", kind) for kind in ("Segmentation", "LabelMapVolume")]
    for node in [*nodes, None]:
        widget.ui.maskSelector.setCurrentNode(node)
        assert widget.panel.context.mask_node is node
        widget.exit()
        widget.enter()
        assert widget.ui.maskSelector.currentNode() is node
