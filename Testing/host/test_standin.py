"""The stand-in answers as a real Slicer did, whose answers to the same small questions are in slicer_api.json."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

from Testing.host.slicer_api import API
from Testing.host.standin import install


def _combo():
    import qt

    combo = qt.QComboBox()
    combo.addItem("x", {"a": 1})
    return combo


def _button():
    import qt

    button = qt.QPushButton()
    button.text = "a"
    return button


def _text_after_setting():
    button = _button()
    button.text = "z"
    return button.text


def _hits():
    """A button's signal, connected with and without its argument."""
    hits = []
    button = _button()
    button.connect("clicked(bool)", hits.append)
    button.connect("clicked()", lambda: hits.append("n"))
    button.click()
    return hits


def _item_state():
    import qt

    item = qt.QListWidgetItem("q")
    item.setCheckState(qt.Qt.Checked)
    assert item.checkState() == qt.Qt.Checked == item.checkState()
    return item.checkState()


def _check_box(read):
    import qt

    return read(qt.QCheckBox())


def _slider():
    import ctk

    slider = ctk.ctkSliderWidget()
    slider.value = 3.5
    return slider.value


def _node_combo(with_node=False):
    import slicer

    combo = slicer.qMRMLNodeComboBox()
    combo.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    combo.setMRMLScene(slicer.mrmlScene)
    if with_node:
        combo.setCurrentNode(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode"))
    return combo


def _list_item():
    import qt

    return qt.QListWidgetItem("q").text()


PROBES = {
    "QCheckBox.checked": lambda: _check_box(lambda box: box.checked),
    "QCheckBox.isChecked()": lambda: _check_box(lambda box: box.isChecked()),
    "QComboBox.count": lambda: _combo().count,
    "QComboBox.currentText": lambda: _combo().currentText,
    "QComboBox.itemData(dict)": lambda: _combo().itemData(0),
    "QListWidgetItem.text()": _list_item,
    "QPushButton.enabled": lambda: _button().enabled,
    "QPushButton.isEnabled()": lambda: _button().isEnabled(),
    "QPushButton.setText callable": lambda: callable(_button().setText),
    "QPushButton.text is attribute": lambda: _button().text,
    "assigning text": _text_after_setting,
    "connect+click hits": _hits,
    "item check": _item_state,
    "ctkSliderWidget.value": _slider,
    "nodeTypes": lambda: _node_combo().nodeTypes,
    "qMRMLNodeComboBox.currentNode()": lambda: _node_combo().currentNode(),
    "currentNodeID": lambda: _node_combo(with_node=True).currentNodeID,
}
# What the module does not use, so that the stand-in has nothing for it.
UNUSED = {
    "QByteArray.data()", "QCheckBox.checkState", "QProcess.exitCode", "QProcess.readAllStandardOutput type",
    "QProcess.state", "QSettings.value missing", "after check", "ctkCheckableComboBox.checkedIndexes()",
    "signal-attribute connect", "slicer.util.settingsValue",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("probe", PROBES)
def test_it_answers_as_a_real_slicer_did(probe):
    install().new_scene()
    assert repr(PROBES[probe]()) == API["behaviour"][probe]


def test_every_answer_of_the_real_slicer_is_compared_or_left_out_on_purpose():
    assert set(PROBES) | UNUSED == set(API["behaviour"])
    assert not set(PROBES) & UNUSED


def test_what_it_offers_in_slicers_python_modules_is_there_in_a_real_slicer():
    install()
    import slicer.packaging
    import slicer.parameterNodeWrapper

    for module in (slicer.packaging, slicer.parameterNodeWrapper):
        offered = {name for name in vars(module) if not name.startswith("_")}
        assert offered <= set(API[module.__name__])


@pytest.mark.parametrize("kind", ["ctk", "mrml"])
def test_its_widgets_offer_nothing_that_the_real_ones_lack(kind):
    """Tests, which drive the widgets as a user does, may use more; the module sees what is named here."""
    from PySide6 import QtWidgets

    from Testing.host.slicer_api import names
    from Testing.host.standin import ctk_widgets, mrml_widgets

    for name, cls in (ctk_widgets if kind == "ctk" else mrml_widgets).CLASSES.items():
        own = {key for key in vars(cls) if not key.startswith("_")} - {"staticMetaObject"}
        events = {key for key in own if key.endswith("Event") and hasattr(QtWidgets.QWidget, key)}
        assert own - events - TOOLS.get(name, set()) <= names(name), name


# For tests alone: what a user does in a dialog, what keeps a scene from being held, whether the module is entered
# (Slicer's module widget has that, whose part qMRMLWidget takes here).
TOOLS = {
    "ctkDirectoryButton": {"choose"},
    "qMRMLNodeComboBox": {"alive", "release"},
    "qMRMLWidget": {"isEntered"},
}
