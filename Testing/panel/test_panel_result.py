"""Every control of the section "Result", on the stand-in for Slicer's window."""

from __future__ import annotations

import dataclasses
import html

import numpy as np
import pytest
from mri_interpret.checks.verdict import not_applicable, pass_or_fail
from mri_interpret.planes.colour_scale import read_colour_table
from mri_interpret.scene import map_display, views

from Testing.panel.panel_nodes import composites, items, offsets, pick


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
    assert ui.warningsTextEdit.plainText == "\n".join(small_explanation.warnings)
    assert not ui.warningsTextEdit.isHidden()


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


@pytest.mark.slow
@pytest.mark.parametrize("row", [0, 1, 3])
def test_the_threshold_hides_all_but_the_top_percent(shown, small_explanation, row):
    ui = shown.ui
    ui.mapList.setCurrentRow(row)
    ui.topSlider.value = 5.0
    key = shown.panel.result.key
    values = small_explanation.summary.array if key == "summary" else small_explanation.maps[key].native.array
    values = values[small_explanation.mask.array > 0]  # the top percent of the brain's voxels
    magnitudes = np.abs(values)
    threshold = float(ui.thresholdLineEdit.text)
    assert (magnitudes >= threshold).mean() == pytest.approx(0.05, abs=0.003)
    assert shown_share(map_display.node_of(shown.panel.result.result.nodes, key), values) == pytest.approx(
        0.05, abs=0.012
    )


def shown_share(node, values):
    """Which share of the voxels the display shows, from its threshold and its colours' opacity."""
    display = node.GetDisplayNode()
    table = display.GetColorNode().GetLookupTable()
    size, low, high = table.GetNumberOfTableValues(), display.GetWindowLevelMin(), display.GetWindowLevelMax()
    alpha = np.array([table.GetTableValue(n)[3] for n in range(size)])
    index = np.clip((values - low) / (high - low) * size, 0, size - 1).astype(int)
    visible = alpha[index] > 0
    if display.GetApplyThreshold():
        visible &= (values >= display.GetLowerThreshold()) & (values <= display.GetUpperThreshold())
    return visible.mean()


def test_a_threshold_can_be_typed_in_the_maps_units(shown, small_explanation):
    ui = shown.ui
    ui.thresholdLineEdit.text = "0.5"
    ui.thresholdLineEdit.editingFinished.emit()
    display = shown.panel.result.result.nodes.summary.GetDisplayNode()
    assert display.GetLowerThreshold() == pytest.approx(0.5)
    brain = small_explanation.summary.array[small_explanation.mask.array > 0]
    assert ui.topSlider.value == pytest.approx(100 * (brain >= 0.5).mean(), abs=0.5)
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


def test_only_one_result_is_seen_in_3d(shown, host, scan, small_explanation):
    import slicer
    from mri_interpret.doors import explain_job
    from mri_interpret.scene.atlas import highlight

    first = shown.panel.result.result.nodes
    highlight(first.atlas, 53)
    second = explain_job.show(slicer.mrmlScene, small_explanation, scan).nodes
    for mine, other in ((second, first), (first, second)):
        assert map_display.rendered(mine) == ["summary"]
        assert map_display.rendered(other) == []
        assert mine.surface.GetDisplayNode().GetVisibility()
        assert not other.surface.GetDisplayNode().GetVisibility()
        assert not other.atlas.GetDisplayNode().GetVisibility()
        shown.panel.update()
        pick(shown.ui.resultComboBox, first.run)
        shown.panel.result.show()


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


def regions_of(explanation):
    """The rows that the panel lists: the summary score's regions in the scan's space."""
    table = explanation.region_table
    return table[(table["method"] == "summary") & (table["space"] == "native") & (table["label"] > 0)]


def test_selecting_a_region_moves_the_slices_and_outlines_it(shown, host, small_explanation):
    import qt

    table = shown.ui.regionTable
    before = offsets(host.headless.scene)
    rows = {table.item(n, 0).text(): n for n in range(table.rowCount)}
    assert len(rows) == len(regions_of(small_explanation)) > 80
    table.selectRow(rows["Left precuneus"])
    atlas = shown.panel.result.result.nodes.atlas
    assert atlas.GetDisplayNode().GetVisibility()
    assert atlas.GetDisplayNode().GetSegmentVisibility("Region_1025")
    assert not atlas.GetDisplayNode().GetSegmentVisibility("Region_53")
    assert offsets(host.headless.scene) != before
    assert table.item(rows["Left precuneus"], 0).data(qt.Qt.UserRole)[0] == 1025


def test_the_region_table_sorts_by_number(shown, small_explanation):
    import qt

    table = shown.ui.regionTable
    assert table.item(0, 0).text() == "Right hippocampus"  # the densest relevance comes first
    table.sortItems(2, qt.Qt.DescendingOrder)
    shares = [float(table.item(n, 2).text()) for n in range(table.rowCount)]
    assert shares == sorted(shares, reverse=True)
    regions = regions_of(small_explanation)
    assert table.item(0, 0).toolTip() == regions["region"].loc[regions["share"].idxmax()]


def test_the_agreement_table_names_the_methods(shown, small_explanation):
    table = shown.ui.agreementTable
    assert table.rowCount == len(small_explanation.agreement)
    named = {table.item(n, column).text() for n in range(table.rowCount) for column in (0, 1)}
    assert named == {one.title for one in small_explanation.maps.values()}


def test_colours_can_be_changed_in_the_slices_and_in_3d(shown):
    nodes, combo = shown.panel.result.result.nodes, shown.ui.coloursComboBox
    shown.ui.topSlider.value = 10.0  # where the window of LRP is as wide as its colours
    offered = {key: [title for title, _ in map_display.colour_choices(nodes, key)] for key in ("summary", "lrp")}
    assert offered["summary"] == ["Inferno", "Magma", "Plasma", "Viridis", "Cividis"]
    assert len(offered["lrp"]) == 3
    for row, key in enumerate(("summary", "lrp")):
        shown.ui.mapList.setCurrentRow(row)
        other = nodes.maps["grad_cam_pp"].GetDisplayNode().GetColorNodeID()
        for title, name in [*map_display.colour_choices(nodes, key)[1:], map_display.colour_choices(nodes, key)[0]]:
            pick(combo, name)
            assert combo.currentText == title
            display = map_display.node_of(nodes, key).GetDisplayNode()
            wanted = np.array([colour for _, colour in read_colour_table(name)])
            table = display.GetColorNode().GetLookupTable()
            shown_colours = np.array([table.GetTableValue(n) for n in range(table.GetNumberOfTableValues())])
            if key == "summary":
                np.testing.assert_allclose(shown_colours[:, :3], wanted[:, :3], atol=0.003)
            else:  # the window may be wider than the colours, which then end before it
                np.testing.assert_allclose(shown_colours[[0, -1], :3], wanted[[0, -1], :3], atol=0.003)
                np.testing.assert_allclose(shown_colours[127:129, :3], wanted[[127, 127], :3], atol=0.05)
            rendering = next(n for n in views.nodes_of(display.GetScene(), rendering_class()) if n.GetVisibility())
            brightest = [0.0] * 3
            rendering.GetVolumePropertyNode().GetColor().GetColor(display.GetWindowLevelMax(), brightest)
            np.testing.assert_allclose(brightest, wanted[-1, :3], atol=0.003)
        assert nodes.maps["grad_cam_pp"].GetDisplayNode().GetColorNodeID() == other


def rendering_class():
    return "vtkMRMLGPURayCastVolumeRenderingDisplayNode"


def test_a_chosen_colour_map_keeps_the_threshold_of_a_signed_map(shown, small_explanation):
    shown.ui.mapList.setCurrentRow(1)
    shown.ui.topSlider.value = 5.0
    pick(shown.ui.coloursComboBox, "MRIInterpretSignedPurpleGreen")
    node = shown.panel.result.result.nodes.maps["lrp"]
    values = small_explanation.maps["lrp"].native.array
    brain = small_explanation.mask.array > 0
    assert shown_share(node, values[brain]) == pytest.approx(0.05, abs=0.012)
    shown.ui.mapList.setCurrentRow(0)
    shown.ui.mapList.setCurrentRow(1)
    assert shown.ui.coloursComboBox.currentText == "Purple and green, dark at zero"


def test_each_verdict_has_an_icon_of_its_own_and_what_was_not_checked_has_none(widget, host, scan, small_explanation):
    import slicer
    from mri_interpret.doors import explain_job

    verdicts = (
        pass_or_fail("lrp", "randomisation", 0.1, 0.5, True, "It depends on the weights."),
        not_applicable("lrp", "conservation", "It does not conserve."),
        pass_or_fail("guided_backprop", "randomisation", 0.9, 0.5, False, "It hardly depends on the weights."),
        pass_or_fail("guided_backprop", "faithfulness", 0.9, 0.5, True, "It finds what matters."),
        not_applicable("grad_cam_pp", "conservation", "It does not conserve."),
    )
    checked = dataclasses.replace(small_explanation, verdicts=verdicts)
    explain_job.show(slicer.mrmlScene, checked, scan)
    widget._parameterNode.inputVolume = scan
    widget.panel.update()
    entries = items(widget.ui.mapList)
    pictures = {
        name: item.icon().pixmap(16, 16).toImage() for name, item in entries.items() if not item.icon().isNull()
    }
    assert set(pictures) == {"lrp", "guided_backprop", "grad_cam_pp"}
    # That one check failed does not take a map out of the summary score: the tooltip names the check.
    excluded = "guided_backprop" in small_explanation.summary_details.excluded
    tooltip = entries["guided_backprop"].toolTip()
    assert tooltip.startswith("Failed: randomisation.")
    assert ("Not part of the summary score" if excluded else "Part of the summary score all the same") in tooltip
    assert pictures["lrp"] != pictures["guided_backprop"] != pictures["grad_cam_pp"] != pictures["lrp"]
    assert entries["summary"].toolTip().startswith("Not checked")
    assert "It hardly depends" in entries["guided_backprop"].toolTip()


@pytest.mark.slow
def test_the_report_is_saved_with_its_trust_section(shown, host, small_explanation, tmp_path, wait, beats):
    import qt

    qt.QFileDialog.answer = str(tmp_path / "my report.html")
    with beats() as gaps:
        shown.ui.saveReportButton.click()
        assert not shown.ui.saveReportButton.enabled
        wait(lambda: shown.ui.saveReportButton.enabled, 120)
    assert max(gaps) < 0.1, f"the window stood still for {max(gaps):.3f} s"
    text = html.unescape((tmp_path / "my report.html").read_text(encoding="utf-8"))
    assert "Research use only" in text
    assert "Right-Hippocampus" in text
    assert 'id="trust"' in text
    assert small_explanation.verdicts
    for verdict in small_explanation.verdicts:
        assert verdict.verdict == "not applicable" or verdict.sentence in text
    assert "Saved" in host.messages[-1]


def test_a_result_of_a_reopened_scene_is_shown_but_its_report_cannot_be_saved(shown, small_explanation):
    shown.logic.forgetResults()
    shown.exit()
    shown.enter()
    assert shown.panel.result.result.explanation is None
    assert shown.ui.regionTable.rowCount == len(regions_of(small_explanation))
    assert not shown.ui.saveReportButton.enabled
    assert "run Explain again" in shown.ui.saveReportButton.toolTip


def test_selections_survive_saving_and_reopening_the_scene(shown, host, tmp_path):
    import slicer
    from mri_interpret.scene.mrb import pack

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


def test_the_panel_fits_the_width_that_a_small_screen_leaves_it(shown):
    """Of 1366 pixels: with a long name of a result, whatever the combo boxes hold."""
    ui = shown.ui
    ui.resultComboBox.addItem("MRIInterpret: a scan with a very long name indeed, T1-weighted, AD-CN", "long")
    ui.targetComboBox.addItem("a class with a very long name minus another class with a very long name", "long")
    assert shown.parent.minimumSizeHint().width() <= 420
