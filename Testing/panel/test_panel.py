"""Every control of the panel, on the stand-in for Slicer's window."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bundles import write_small_bundle
from MRIInterpretLib.panel import environment, map_display, messages
from MRIInterpretLib.panel.choices import method_list
from MRIInterpretLib.scene import views


def pick(combo, value):
    """Choose an item by its value, as a user does by its text."""
    index = [combo.itemData(n) for n in range(combo.count)].index(value)
    combo.setCurrentIndex(index)


def items(list_widget):
    import qt

    rows = (list_widget.item(n) for n in range(list_widget.count))
    return {item.data(qt.Qt.UserRole): item for item in rows}


def composites(scene):
    return views.nodes_of(scene, "vtkMRMLSliceCompositeNode")


def offsets(scene):
    return [
        [node.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
        for node in views.nodes_of(scene, "vtkMRMLSliceNode")
    ]


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


def test_a_model_is_added_by_its_folder(widget, models, tmp_path):
    import qt

    qt.QFileDialog.answer = str(write_small_bundle(tmp_path / "mine"))
    widget.ui.addModelButton.click()
    assert (models / "mine" / "models" / "model.safetensors").is_file()
    assert widget._parameterNode.model == "mine"
    assert widget.ui.modelComboBox.currentText == "mine"
    assert not widget.ui.openCardButton.enabled
    assert "no card" in widget.ui.openCardButton.toolTip


@pytest.mark.parametrize(("name", "message"), [("empty", "metadata"), ("small", "already")])
def test_a_model_that_is_none_or_is_there_already_is_one_sentence(host, widget, models, tmp_path, name, message):
    import qt

    folder = tmp_path / name
    folder.mkdir()
    if name == "small":
        write_small_bundle(folder)
    qt.QFileDialog.answer = str(folder)
    before = sorted(p.name for p in models.iterdir())
    widget.ui.addModelButton.click()
    assert message in host.messages[-1]
    assert sorted(p.name for p in models.iterdir()) == before


def test_closing_the_file_dialog_adds_nothing(widget, models):
    widget.ui.addModelButton.click()
    assert [p.name for p in models.iterdir()] == ["small"]


def test_presets_tick_methods_and_ticking_makes_it_custom(widget):
    import qt

    ui = widget.ui
    for preset in ("fast", "all", "panel"):
        pick(ui.presetComboBox, preset)
        ticked = {name for name, item in items(ui.methodsList).items() if item.checkState() == qt.Qt.Checked}
        assert ticked == set(method_list(widget._parameterNode.methods))
        assert ui.presetComboBox.itemData(ui.presetComboBox.currentIndex) == preset
    items(ui.methodsList)["lrp"].setCheckState(qt.Qt.Unchecked)
    assert "lrp" not in method_list(widget._parameterNode.methods)
    assert ui.presetComboBox.itemData(ui.presetComboBox.currentIndex) == "custom"
    for item in items(ui.methodsList).values():
        item.setCheckState(qt.Qt.Unchecked)
    assert ui.presetComboBox.itemData(ui.presetComboBox.currentIndex) == "panel"  # nothing ticked: back to the panel


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


def test_without_a_result_nothing_of_it_can_be_pressed(widget):
    ui = widget.ui
    for control in (ui.jumpButton, ui.saveReportButton, ui.mapList, ui.opacitySlider, ui.show3DCheckBox):
        assert not control.enabled
    assert "press Explain" in ui.jumpButton.toolTip
    assert ui.predictionLabel.text == "No result yet."


def test_the_result_shows_prediction_probabilities_and_warnings(shown, small_explanation):
    ui = shown.ui
    assert "AD" in ui.predictionLabel.text
    assert small_explanation.model.banner in ui.predictionLabel.text
    layout = ui.probabilitiesWidget.layout()
    bars = [layout.itemAt(n).widget() for n in range(layout.count())]
    assert [bar.format.split(":")[0] for bar in bars] == ["CN", "MCI", "AD"]
    for bar, value in zip(bars, small_explanation.prediction.probabilities.values(), strict=True):
        assert bar.value == round(1000 * value)
    assert small_explanation.warnings[0] in ui.warningsLabel.text


def test_choosing_a_map_lays_it_over_the_slices(shown, host, small_explanation):
    nodes = shown.panel.result.result.nodes
    for row, name in enumerate(["summary", *small_explanation.maps]):
        shown.ui.mapList.setCurrentRow(row)
        wanted = map_display.node_of(nodes, name)
        assert {c.GetForegroundVolumeID() for c in composites(host.headless.scene)} == {wanted.GetID()}
        assert shown._parameterNode.shownMap == name
        assert map_display.rendered(nodes) == [name]


def test_opacity_is_that_of_the_overlay(shown, host):
    shown.ui.opacitySlider.value = 0.3
    assert shown._parameterNode.opacity == pytest.approx(0.3)
    assert {round(c.GetForegroundOpacity(), 3) for c in composites(host.headless.scene)} == {0.3}


@pytest.mark.parametrize("row", [0, 1, 3])
def test_the_threshold_hides_all_but_the_top_percent(shown, small_explanation, row):
    ui = shown.ui
    ui.mapList.setCurrentRow(row)
    ui.topSlider.value = 5.0
    key = shown.panel.result.key
    values = small_explanation.summary.array if key == "summary" else small_explanation.maps[key].native.array
    magnitudes = np.abs(values[values != 0])
    threshold = float(ui.thresholdLineEdit.text)
    assert (magnitudes >= threshold).mean() == pytest.approx(0.05, abs=0.003)
    assert shown_share(map_display.node_of(shown.panel.result.result.nodes, key), values) == pytest.approx(
        0.05, abs=0.012
    )


def shown_share(node, values):
    """Which share of the non-zero voxels the display shows, from its threshold and its colours' opacity."""
    display = node.GetDisplayNode()
    table = display.GetColorNode().GetLookupTable()
    size, low, high = table.GetNumberOfTableValues(), display.GetWindowLevelMin(), display.GetWindowLevelMax()
    alpha = np.array([table.GetTableValue(n)[3] for n in range(size)])
    index = np.clip((values - low) / (high - low) * size, 0, size - 1).astype(int)
    visible = alpha[index] > 0
    if display.GetApplyThreshold():
        visible &= (values >= display.GetLowerThreshold()) & (values <= display.GetUpperThreshold())
    return visible[values != 0].mean()


def test_a_threshold_can_be_typed_in_the_maps_units(shown):
    ui = shown.ui
    ui.thresholdLineEdit.text = "0.5"
    ui.thresholdLineEdit.editingFinished.emit()
    display = shown.panel.result.result.nodes.summary.GetDisplayNode()
    assert display.GetLowerThreshold() == pytest.approx(0.5)
    assert 0 < ui.topSlider.value < 5
    ui.thresholdLineEdit.text = "much"
    ui.thresholdLineEdit.editingFinished.emit()
    assert float(ui.thresholdLineEdit.text) == pytest.approx(0.5, rel=0.05)


def test_one_signed_map_can_be_thresholded_without_changing_another(shown):
    nodes = shown.panel.result.result.nodes
    other = nodes.maps["guided_backprop"].GetDisplayNode().GetColorNode()
    shown.ui.mapList.setCurrentRow(1)
    shown.ui.topSlider.value = 1.0
    assert nodes.maps["lrp"].GetDisplayNode().GetColorNode() is not other
    assert nodes.maps["guided_backprop"].GetDisplayNode().GetColorNode() is other


def test_3d_can_be_switched_off_and_on(shown):
    nodes = shown.panel.result.result.nodes
    assert map_display.rendered(nodes) == ["summary"]
    shown.ui.show3DCheckBox.click()
    assert map_display.rendered(nodes) == []
    assert not nodes.surface.GetDisplayNode().GetVisibility()
    shown.ui.show3DCheckBox.click()
    assert map_display.rendered(nodes) == ["summary"]
    assert nodes.surface.GetDisplayNode().GetVisibility()


def test_jump_moves_the_slices_to_the_hottest_point(shown, host, small_explanation):
    views.jump_to(host.headless.scene, (0, 0, 0))
    shown.ui.mapList.setCurrentRow(2)
    shown.ui.jumpButton.click()
    values = np.abs(small_explanation.maps["guided_backprop"].native.array)
    expected = (small_explanation.scan.affine @ [*np.unravel_index(values.argmax(), values.shape), 1.0])[:3]
    for node in views.nodes_of(host.headless.scene, "vtkMRMLSliceNode"):
        matrix = node.GetSliceToRAS()
        normal = np.array([matrix.GetElement(row, 2) for row in range(3)])
        origin = np.array([matrix.GetElement(row, 3) for row in range(3)])
        assert abs(normal @ (expected - origin)) < 1e-3


def test_selecting_a_region_moves_the_slices_and_outlines_it(shown, host):
    import qt

    table = shown.ui.regionTable
    before = offsets(host.headless.scene)
    rows = {table.item(n, 0).text(): n for n in range(table.rowCount)}
    assert len(rows) == 8
    table.selectRow(rows["ctx-lh-precuneus"])
    atlas = shown.panel.result.result.nodes.atlas
    assert atlas.GetDisplayNode().GetVisibility()
    assert atlas.GetDisplayNode().GetSegmentVisibility("Region_1025")
    assert not atlas.GetDisplayNode().GetSegmentVisibility("Region_53")
    assert offsets(host.headless.scene) != before
    assert table.item(rows["ctx-lh-precuneus"], 0).data(qt.Qt.UserRole)[0] == 1025


def test_the_region_table_sorts_by_number(shown):
    import qt

    table = shown.ui.regionTable
    assert table.item(0, 0).text() == "Right-Hippocampus"  # the densest relevance comes first
    table.sortItems(2, qt.Qt.DescendingOrder)
    shares = [float(table.item(n, 2).text()) for n in range(table.rowCount)]
    assert shares == sorted(shares, reverse=True)
    assert table.item(0, 0).text() == "Right-Hippocampus"


def test_the_agreement_table_names_the_methods(shown, small_explanation):
    table = shown.ui.agreementTable
    assert table.rowCount == len(small_explanation.agreement)
    assert {table.item(n, 0).text() for n in range(3)} == {"LRP", "Guided backpropagation"}


def test_colours_of_unsigned_maps_can_be_changed(shown):
    combo = shown.ui.coloursComboBox
    assert combo.count >= 1
    assert combo.currentText == "Inferno"
    shown.ui.mapList.setCurrentRow(1)
    assert shown.ui.coloursComboBox.currentText == "Blue and red, dark at zero"


def test_the_report_is_saved(shown, host, tmp_path):
    import qt

    qt.QFileDialog.answer = str(tmp_path / "my report.html")
    shown.ui.saveReportButton.click()
    text = (tmp_path / "my report.html").read_text(encoding="utf-8")
    assert "Research use only" in text
    assert "Right-Hippocampus" in text
    assert "Saved" in host.messages[-1]


def test_a_result_of_a_reopened_scene_is_shown_but_its_report_cannot_be_saved(shown):
    shown.logic.forgetResults()
    shown.exit()
    shown.enter()
    assert shown.panel.result.result.explanation is None
    assert shown.ui.regionTable.rowCount == 8
    assert not shown.ui.saveReportButton.enabled
    assert "run Explain again" in shown.ui.saveReportButton.toolTip


def test_selections_survive_saving_and_reopening_the_scene(shown, host, tmp_path):
    import slicer
    from MRIInterpretLib.scene.mrb import pack

    import MRIInterpret

    shown.ui.mapList.setCurrentRow(1)
    shown.ui.opacitySlider.value = 0.4
    pick(shown.ui.targetComboBox, "MCI")
    run = shown._parameterNode.resultRun
    pack(slicer.mrmlScene, tmp_path / "saved.mrb")
    host.new_scene()
    host.headless.read(tmp_path / "saved.mrb")
    again = MRIInterpret.MRIInterpretWidget()
    again.setup()
    parameters = again._parameterNode
    assert (parameters.resultRun, parameters.shownMap, parameters.target) == (run, "lrp", "MCI")
    assert parameters.opacity == pytest.approx(0.4)
    assert parameters.inputVolume.GetName() == "phantom"
    assert again.ui.mapList.currentRow == 1
    assert again.ui.resultComboBox.currentText == run
    again.cleanup()


def test_progress_shows_the_step_and_the_time_left(widget):
    section = widget.panel.explain
    section.on_progress(messages.Progress("Finding the brain", 0.5, 0.42, 33.0))
    assert widget.ui.progressBar.value == 42
    assert widget.ui.statusLabel.text == "Finding the brain, about 33 s left"
    section.on_progress(messages.Notice("On the CPU."))
    section.on_progress(messages.Progress("Explaining", 0.5, 0.5))
    assert widget.ui.statusLabel.text == "Explaining, On the CPU."


def test_refusing_to_install_leaves_everything_usable(widget, scan, monkeypatch):
    from MRIInterpretLib.errors import UserError

    def refuse(_requirements):
        raise UserError("Explain needs Python packages that were not installed.")

    monkeypatch.setattr(environment, "ensure", refuse)
    widget._parameterNode.inputVolume = scan
    widget.ui.explainButton.click()
    assert "not installed" in widget.ui.statusLabel.text
    assert not widget.logic.running
    assert widget.ui.explainButton.enabled


def test_closing_the_scene_empties_the_panel_and_a_new_scan_can_be_chosen(shown, host):
    import slicer

    slicer.mrmlScene.Clear(0)
    assert shown.ui.predictionLabel.text == "No result yet."
    assert shown._parameterNode.inputVolume is None
    assert shown.ui.regionTable.rowCount == 0
    assert not shown.ui.explainButton.enabled


def test_the_cohort_section_says_why_it_is_not_to_be_pressed(widget):
    assert not widget.ui.runCohortButton.enabled
    assert widget.ui.runCohortButton.toolTip == widget.ui.cohortLabel.text != ""


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
        assert widget.panel.scan.mask is node
        widget.exit()
        widget.enter()
        assert widget.ui.maskSelector.currentNode() is node
