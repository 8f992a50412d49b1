"""The panel with a model that returns a quantity: what can be explained, and how the answer is shown."""

from __future__ import annotations

import pytest

from Testing.fixtures_explanation import write_age_bundle


@pytest.fixture
def models(models):
    """The small classifier, and the network that returns an age."""
    write_age_bundle(models / "age")
    return models


def texts(combo):
    return [combo.itemText(n) for n in range(combo.count)]


def test_the_target_is_the_number_or_its_difference_from_a_typed_value(widget):
    ui, parameters = widget.ui, widget._parameterNode
    assert not ui.targetComboBox.editable
    parameters.model = "age"
    widget.panel.context.changed.emit()
    assert ui.targetComboBox.editable
    assert texts(ui.targetComboBox) == ["brain age"]
    assert "value-65" in ui.targetComboBox.toolTip
    ui.targetComboBox.addItem("value-65")  # what Qt does with a typed text when Enter is pressed
    ui.targetComboBox.setCurrentIndex(1)
    assert parameters.target == "value-65"
    widget.panel.context.changed.emit()
    assert texts(ui.targetComboBox) == ["brain age", "brain age - 65 years"]
    assert ui.targetComboBox.currentText == "brain age - 65 years"
    parameters.model = "small"
    widget.panel.context.changed.emit()
    assert not ui.targetComboBox.editable
    assert ui.targetComboBox.currentText == "Predicted class"


def test_the_answer_stands_on_its_scale(widget, scan, age_explanation):
    import slicer
    from mri_interpret.doors import explain_job

    widget._parameterNode.inputVolume = scan
    result = explain_job.show(slicer.mrmlScene, age_explanation, scan)
    widget.logic._results[result.run] = result
    widget.panel.explain.on_finished(result, "")
    value = age_explanation.prediction.logits["brain age"]
    words = f"brain age {value:.1f} years (40 .. 90 years)"
    assert widget.ui.predictionLabel.text.startswith(f"The model says {words}. ")
    assert age_explanation.model.banner in widget.ui.predictionLabel.text
    layout = widget.ui.probabilitiesWidget.layout()
    assert layout.count() == 1
    assert layout.itemAt(0).widget().format == words
    assert layout.itemAt(0).widget().value == round(1000 * (value - 40) / 50)
