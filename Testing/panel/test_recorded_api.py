"""What the panel asks of Qt's objects while it is used, whatever its code calls them, is there in a real Slicer."""

from __future__ import annotations

import sys

import pytest

from Testing.host.slicer_api import names
from Testing.host.standin.recording import recorded
from Testing.panel.panel_nodes import items, pick

CLASSES = {"QComboBox", "QListWidget", "QListWidgetItem", "QTableWidget", "QTableWidgetItem", "QProgressBar", "QTimer"}


def use(widget, host, tmp_path):
    """Press and change what there is."""
    import qt

    ui = widget.ui
    for combo, value in ((ui.presetComboBox, "fast"), (ui.scanKindComboBox, "mni"), (ui.targetComboBox, "CN")):
        pick(combo, value)
    items(ui.methodsList)["lrp"].setCheckState(qt.Qt.Checked)
    ui.layerLineEdit.editingFinished.emit()
    for row in range(ui.mapList.count):
        ui.mapList.setCurrentRow(row)
        if ui.coloursComboBox.count:  # labels have none to choose from
            pick(ui.coloursComboBox, ui.coloursComboBox.itemData(1))
    ui.opacitySlider.value = 0.4
    ui.topSlider.value = 4.0
    ui.thresholdLineEdit.text = "0.2"
    ui.thresholdLineEdit.editingFinished.emit()
    ui.show3DCheckBox.click()
    ui.jumpButton.click()
    ui.regionTable.selectRow(1)
    ui.openCardButton.click()
    qt.QFileDialog.answer = str(tmp_path / "report.html")
    ui.saveReportButton.click()
    ui.participantsPathLineEdit.currentPath = str(tmp_path)
    ui.cohortOutputButton.choose(str(tmp_path / "out"))
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    widget.logic.startExplain(widget._parameterNode.inputVolume, print, print, command=command)
    widget.panel.update()
    host.qt_application.processEvents()
    ui.cancelButton.click()
    widget.exit()
    widget.enter()
    widget.cleanup()


@pytest.mark.slow
def test_every_attribute_that_the_panel_used_is_there(shown, host, tmp_path):
    with recorded() as pairs:
        use(shown, host, tmp_path)
    assert len(pairs) > 45
    assert {cls for cls, _name in pairs} >= CLASSES
    assert ("QListWidgetItem", "setIcon") in pairs
    for cls, name in sorted(pairs):
        assert name in names(cls), f"{cls} has no {name}"


def test_the_recorder_notes_the_modules_code_alone(shown):
    with recorded() as pairs:
        shown.ui.jumpButton.toolTip  # noqa: B018 - asked for here, not by the module
    assert not pairs
