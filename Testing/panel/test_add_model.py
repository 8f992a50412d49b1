"""*Add model...* and *Remove model*, on the stand-in for Slicer's window, with the real worker."""

from __future__ import annotations

import sys

import pytest
import torch
from mri_interpret.errors import UserError
from mri_interpret.models.adding import partial_folder
from mri_interpret.panel import environment
from mri_interpret.worker.messages import Progress, encode
from torch import nn

from Testing.host.slicer_api import names
from Testing.host.standin.recording import recorded
from Testing.models.bundles import write_small_bundle
from Testing.panel.panel_nodes import pick


@pytest.fixture
def form(widget):
    """The form, opened."""
    widget.ui.addModelButton.click()
    return widget.panel.model.form


@pytest.fixture
def program(tmp_path):
    """A tiny network as a TorchScript file, for two classes."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv3d(1, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(2, 2))
    path = tmp_path / "net.ts"
    torch.jit.save(torch.jit.trace(network.eval(), torch.zeros(1, 1, 12, 14, 12)), str(path))
    return path


def fill(form, path, kind="program", classes="CN, AD"):
    ui = form.ui
    pick(ui.addKindComboBox, kind)
    ui.addPathLineEdit.currentPath = str(path)
    ui.addClassesLineEdit.text = classes
    pick(ui.addGridComboBox, "own")
    ui.addShapeLineEdit.text, ui.addSpacingLineEdit.text = "12, 14, 12", "16"
    ui.addOriginLineEdit.text = "-90, -126, -72"


def stuck(models):
    """A worker that has begun to write and never ends."""
    made = "import os, sys, time; os.makedirs(os.path.join({folder!r}, '.partial-' + os.path.basename(sys.argv[1])))"
    said = f"print({encode(Progress('Writing the model', 0.5, 0.4))!r}, flush=True); time.sleep(60)"
    return [sys.executable, "-c", f"{made.format(folder=str(models))}; {said}"]


def test_every_control_of_the_form_has_a_tooltip(form):
    for name, control in vars(form.ui).items():
        if name != "AddModel" and not name.endswith(("TitleLabel", "GroupBox")):
            assert control.toolTip, name


def test_the_form_is_made_when_it_is_opened_first_and_kept(widget, form):
    assert form.dialog.visible
    form.ui.addNameLineEdit.text = "mine"
    form.ui.addCloseButton.click()
    assert not form.dialog.visible
    widget.ui.addModelButton.click()
    assert widget.panel.model.form is form
    assert form.ui.addNameLineEdit.text == "mine"


def test_each_source_shows_its_own_questions(form):
    ui = form.ui
    shown = {}
    for index in range(ui.addKindComboBox.count):
        ui.addKindComboBox.setCurrentIndex(index)
        boxes = ("addCodeGroupBox", "addOutputsGroupBox", "addInputGroupBox", "addOptionsLineEdit")
        shown[ui.addKindComboBox.itemData(index)] = [name for name in boxes if getattr(ui, name).visible]
    assert shown["bundle"] == []
    assert shown["program"] == ["addOutputsGroupBox", "addInputGroupBox"]
    assert shown["weights"] == ["addCodeGroupBox", "addOutputsGroupBox", "addInputGroupBox"]
    assert shown["clinicadl"] == ["addOutputsGroupBox", "addOptionsLineEdit"]
    assert shown["keras"] == ["addOutputsGroupBox", "addInputGroupBox", "addOptionsLineEdit"]


def test_the_path_is_a_folders_or_a_files(form):
    import ctk

    ui = form.ui
    assert ui.addPathLineEdit.filters == ctk.ctkPathLineEdit.Dirs
    pick(ui.addKindComboBox, "weights")
    assert ui.addPathLineEdit.filters == ctk.ctkPathLineEdit.Files
    assert "safetensors" in ui.addPathLineEdit.nameFilters[0]


def test_what_lacks_is_said_and_add_waits_for_it(form, program):
    ui = form.ui
    assert not ui.addButton.enabled
    assert ui.addStatusLabel.text == ui.addButton.toolTip == "Choose the folder of the model."
    fill(form, program)
    assert ui.addButton.enabled
    assert ui.addStatusLabel.text == ""


def test_code_is_trusted_by_a_tick_of_its_own_for_one_class(form, program):
    ui = form.ui
    fill(form, program, kind="weights")
    assert "RUNS" in ui.addTrustLabel.text
    ui.addClassLineEdit.text = "package.Network"
    assert "trust" in ui.addButton.toolTip
    ui.addTrustCheckBox.checked = True
    assert ui.addButton.enabled
    ui.addClassLineEdit.text = "other.Network"
    assert not ui.addTrustCheckBox.checked
    assert not ui.addButton.enabled
    ui.addTrustCheckBox.checked = True
    pick(ui.addKindComboBox, "program")
    pick(ui.addKindComboBox, "weights")
    assert not ui.addTrustCheckBox.checked


def test_a_quantity_has_a_unit_and_a_range(form):
    ui = form.ui
    pick(ui.addKindComboBox, "program")
    assert not ui.addUnitLineEdit.visible
    pick(ui.addOutputComboBox, "regression")
    assert ui.addUnitLineEdit.visible
    assert ui.addRangeLineEdit.visible
    assert ui.addClassesTitleLabel.text == "Quantity:"


@pytest.mark.slow
def test_a_program_is_added_and_chosen(widget, form, program, models, wait):
    fill(form, program)
    form.ui.addNameLineEdit.text = "mine"
    form.ui.addButton.click()
    assert widget.logic.addingModel
    assert form.ui.addProgressBar.visible
    assert widget.panel.context.busy == "A model is being added."
    assert not form.ui.addButton.enabled
    wait(lambda: not widget.logic.addingModel, 240)
    assert form.ui.addStatusLabel.text.startswith("Added mine; it is chosen in the panel. Research use only")
    assert widget._parameterNode.model == "mine"
    assert widget.ui.modelComboBox.currentText == "mine"
    assert [widget.ui.targetComboBox.itemData(n) for n in (1, 2)] == ["CN", "AD"]
    assert sorted(path.name for path in models.iterdir()) == ["mine", "small"]


@pytest.mark.slow
def test_a_bundle_is_added_under_its_own_name(widget, form, models, tmp_path, wait):
    source = write_small_bundle(tmp_path / "anything", {"name": "theirs"})
    form.ui.addPathLineEdit.currentPath = str(source)
    form.ui.addButton.click()
    wait(lambda: not widget.logic.addingModel, 240)
    assert widget._parameterNode.model == "theirs"
    assert not widget.ui.openCardButton.enabled
    assert "no card" in widget.ui.openCardButton.toolTip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("classes", "name", "sentence"),
    [("CN, MCI, AD", "mine", "returns 2 values, and 3 outputs"), ("CN, AD", "small", "There is a model 'small'")],
)
def test_what_does_not_do_is_one_sentence_in_the_form(
    widget, form, program, models, wait, classes, name, sentence, host
):
    fill(form, program, classes=classes)
    form.ui.addNameLineEdit.text = name
    form.ui.addButton.click()
    wait(lambda: not widget.logic.addingModel, 240)
    assert sentence in form.ui.addStatusLabel.text
    assert "\n" not in form.ui.addStatusLabel.text
    assert host.messages == []
    assert form.ui.addButton.enabled
    assert [path.name for path in models.iterdir()] == ["small"]
    form.ui.addNameLineEdit.text = "other"
    assert form.ui.addStatusLabel.text == ""  # it was said of the form as it was


def test_a_wrong_number_is_said_at_once(widget, form, program):
    fill(form, program)
    form.ui.addShapeLineEdit.text = "12, 14"
    form.ui.addButton.click()
    assert "shape is '12, 14'" in form.ui.addStatusLabel.text
    assert not widget.logic.addingModel


def test_refusing_to_install_is_one_sentence(widget, form, program, monkeypatch):
    def refuse(_requirements, button):
        raise UserError(f"{button} needs Python packages that were not installed.")

    monkeypatch.setattr(environment, "ensure", refuse)
    fill(form, program)
    form.ui.addButton.click()
    assert form.ui.addStatusLabel.text == "Add needs Python packages that were not installed."


@pytest.mark.parametrize("how", ["button", "window", "module"])
def test_cancelled_in_the_middle_nothing_is_left(widget, form, program, models, wait, how):
    fill(form, program)
    widget.logic.startAddModel(form.content().request(), form.on_progress, form.on_finished, command=stuck(models))
    form.update()
    wait(lambda: "Writing the model" in form.ui.addStatusLabel.text)
    folder = widget.logic._addModelJob.worker.folder
    assert partial_folder(folder.name).is_dir()
    assert form.ui.addCancelButton.enabled
    {"button": form.ui.addCancelButton.click, "window": form.dialog.reject, "module": widget.cleanup}[how]()
    assert not widget.logic.addingModel
    assert not folder.exists()
    assert [path.name for path in models.iterdir()] == ["small"]
    if how != "module":
        assert form.ui.addStatusLabel.text == "Cancelled."


def test_while_a_model_is_added_nothing_else_starts(widget, form, program, models, scan):
    widget._parameterNode.inputVolume = scan
    fill(form, program)
    widget.logic.startAddModel(form.content().request(), print, lambda *_: None, command=stuck(models))
    widget.panel.update()
    assert widget.ui.explainButton.toolTip == "A model is being added."
    assert not widget.ui.removeModelButton.enabled
    with pytest.raises(RuntimeError):
        widget.logic.startExplain(scan, print, print)
    widget.logic.cancelAddModel()


def test_a_model_that_was_added_is_removed_after_a_question(host, widget, models):
    host.agrees = False
    widget.ui.removeModelButton.click()
    assert host.messages == ["Delete the model small from this computer?"]
    assert (models / "small").is_dir()
    host.agrees = True
    widget.ui.removeModelButton.click()
    assert list(models.iterdir()) == []
    assert widget.ui.modelComboBox.currentText == "atrophy_cnn"
    assert not widget.ui.removeModelButton.enabled
    assert widget.ui.removeModelButton.toolTip == "Only models that were added can be removed."


def test_what_the_form_asks_of_qt_is_there(widget, program, models):
    with recorded() as pairs:
        widget.ui.addModelButton.click()
        form = widget.panel.model.form
        for kind in ("weights", "qiu2022", "program"):
            pick(form.ui.addKindComboBox, kind)
        pick(form.ui.addOutputComboBox, "regression")
        fill(form, program)
        form.ui.addUnitLineEdit.text = "years"
        widget.logic.startAddModel(form.content().request(), print, form.on_finished, command=stuck(models))
        widget.panel.update()
        form.ui.addCancelButton.click()
        form.ui.addCloseButton.click()
    assert {cls for cls, _name in pairs} >= {"QDialog", "ctkPathLineEdit", "QGroupBox", "QCheckBox"}
    for cls, name in sorted(pairs):
        assert name in names(cls), f"{cls} has no {name}"


@pytest.mark.slow
def test_the_self_test_adds_a_model_and_leaves_the_users_own_alone(host, widget, models, monkeypatch):
    from mri_interpret.panel import selftest

    monkeypatch.setattr(selftest, "LIMIT_SECONDS", 600)
    host.module_widgets["MRIInterpret"] = widget
    selftest.check_add_model(widget.logic)
    assert [path.name for path in models.iterdir()] == ["small"]
    assert widget._parameterNode.model == ""
