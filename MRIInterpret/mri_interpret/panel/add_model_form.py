"""The form *Add model...*: a window that asks what a model's files do not say, and adds the model.

What is asked of which source, and every sentence, is doors/model_form.py's; this file draws it.
"""

from __future__ import annotations

import logging
from typing import Any

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from ..doors import model_form, status
from ..doors.add_model_job import added_text
from ..doors.input_choices import GRID_TITLES, INTENSITY_TITLES, OWN_GRID, STEPS_FILE, InputChoices
from ..doors.model_form import ModelForm
from ..errors import UserError
from ..models.adding import Added
from ..worker import messages
from . import environment
from .context import PanelContext
from .widgets import chosen, enable, fill_combo, quiet

_WARNING_STYLE = "QLabel { background-color: #b00020; color: white; padding: 6px; }"


class AddModelForm:
    """The window, made when it is opened first.

    Attributes
    ----------
    ui
        Its widgets by name.
    dialog
        The window.
    """

    def __init__(self, context: PanelContext) -> None:
        self.context = context
        self._status = status.StatusText()
        self._outcome = ""
        form = slicer.util.loadUI(str(context.requirements.parent / "UI" / "AddModel.ui"))
        self.ui = slicer.util.childWidgetVariables(form)
        self.dialog = qt.QDialog(slicer.util.mainWindow())
        self.dialog.windowTitle = _("Add model")
        layout = qt.QVBoxLayout(self.dialog)
        layout.addWidget(form)
        self._fill()
        self._connect()
        self.update()

    def _fill(self) -> None:
        ui = self.ui
        for combo, titles in (
            (ui.addKindComboBox, model_form.KIND_TITLES),
            (ui.addOutputComboBox, model_form.OUTPUT_TITLES),
            (ui.addGridComboBox, GRID_TITLES),
            (ui.addIntensityComboBox, INTENSITY_TITLES),
        ):
            fill_combo(combo, [(_(title), key) for key, title in titles.items()], next(iter(titles)))
        ui.addTrustLabel.text = _(model_form.TRUST_WARNING)
        ui.addTrustLabel.styleSheet = _WARNING_STYLE
        for path in (ui.addStepsPathLineEdit, ui.addStatisticsPathLineEdit):
            path.filters = ctk.ctkPathLineEdit.Files
            path.nameFilters = list(model_form.FILES[STEPS_FILE])
        ui.addProgressBar.visible = False

    def _connect(self) -> None:
        ui = self.ui
        ui.addKindComboBox.connect("currentIndexChanged(int)", self.on_kind)
        ui.addOutputComboBox.connect("currentIndexChanged(int)", self.on_question)
        ui.addGridComboBox.connect("currentIndexChanged(int)", self.on_question)
        ui.addIntensityComboBox.connect("currentIndexChanged(int)", self.on_change)
        for edit in (
            ui.addNameLineEdit, ui.addOptionsLineEdit, ui.addArgumentsLineEdit, ui.addClassesLineEdit,
            ui.addUnitLineEdit, ui.addRangeLineEdit, ui.addShapeLineEdit,
            ui.addSpacingLineEdit, ui.addOriginLineEdit,
        ):  # fmt: skip
            edit.connect("textChanged(QString)", self.on_change)
        for path in (ui.addPathLineEdit, ui.addStepsPathLineEdit, ui.addStatisticsPathLineEdit):
            path.connect("currentPathChanged(QString)", self.on_change)
        for box in (ui.addTrustCheckBox, ui.addBrainCheckBox, ui.addBiasCheckBox):
            box.connect("toggled(bool)", self.on_change)
        ui.addClassLineEdit.connect("textChanged(QString)", self.on_class)
        ui.addButton.connect("clicked(bool)", self.on_add)
        ui.addCancelButton.connect("clicked(bool)", self.on_cancel)
        ui.addCloseButton.connect("clicked(bool)", self.on_close)
        self.dialog.connect("rejected()", self.on_rejected)  # the window's own cross, and Escape

    def open(self) -> None:
        """Show the window; returns at once."""
        self.update()
        self.dialog.open()

    def content(self) -> ModelForm:
        """What stands in the form."""
        ui = self.ui
        return ModelForm(
            kind=chosen(ui.addKindComboBox),
            path=ui.addPathLineEdit.currentPath,
            name=ui.addNameLineEdit.text,
            options=ui.addOptionsLineEdit.text,
            output=chosen(ui.addOutputComboBox),
            classes=ui.addClassesLineEdit.text,
            unit=ui.addUnitLineEdit.text,
            range=ui.addRangeLineEdit.text,
            input=InputChoices(
                grid=chosen(ui.addGridComboBox),
                shape=ui.addShapeLineEdit.text,
                spacing=ui.addSpacingLineEdit.text,
                origin=ui.addOriginLineEdit.text,
                brain_only=ui.addBrainCheckBox.checked,
                bias_correction=ui.addBiasCheckBox.checked,
                intensity=chosen(ui.addIntensityComboBox),
            ),
            steps_file=ui.addStepsPathLineEdit.currentPath,
            statistics=ui.addStatisticsPathLineEdit.currentPath,
            trusted_class=ui.addClassLineEdit.text,
            arguments=ui.addArgumentsLineEdit.text,
            trusted=ui.addTrustCheckBox.checked,
        )

    def update(self) -> None:
        """Show what the chosen source asks for, and what can be pressed."""
        ui, form = self.ui, self.content()
        ui.addHintLabel.text = _(form.hint)
        ui.addPathTitleLabel.text = _("File:") if form.takes_file else _("Folder:")
        ui.addPathLineEdit.filters = ctk.ctkPathLineEdit.Files if form.takes_file else ctk.ctkPathLineEdit.Dirs
        ui.addPathLineEdit.nameFilters = list(form.file_filters)
        ui.addOptionsLineEdit.visible = ui.addOptionsTitleLabel.visible = form.asks_options
        ui.addCodeGroupBox.visible = form.asks_code
        self._update_outputs(form)
        self._update_input(form)
        adding, blocked = self.context.logic.addingModel, self.context.busy or form.blocked()
        enable(ui.addButton, _(blocked), _("Add the model under its name to your models."))
        enable(ui.addCancelButton, "" if adding else _("Nothing is running."), _("End this; nothing is left behind."))
        ui.addProgressBar.visible = adding
        if not adding:
            ui.addStatusLabel.text = self._outcome or _(blocked)

    def _update_outputs(self, form: ModelForm) -> None:
        ui, quantity = self.ui, form.output == "regression"
        ui.addOutputsGroupBox.visible = form.asks_classes
        ui.addOutputComboBox.visible = ui.addOutputTitleLabel.visible = form.asks_output
        ui.addClassesTitleLabel.text = _("Quantity:") if form.asks_output and quantity else _("Classes:")
        ui.addClassesLineEdit.placeholderText = _("age") if form.asks_output and quantity else _("CN, MCI, AD")
        ui.addUnitLineEdit.visible = ui.addUnitTitleLabel.visible = form.asks_output and quantity
        ui.addRangeLineEdit.visible = ui.addRangeTitleLabel.visible = form.asks_output and quantity

    def _update_input(self, form: ModelForm) -> None:
        ui, own, file = self.ui, form.input.grid == OWN_GRID, form.input.grid == STEPS_FILE
        ui.addInputGroupBox.visible = form.asks_input
        ui.addShapeLineEdit.visible = ui.addShapeTitleLabel.visible = form.input.wants_shape
        ui.addShapeTitleLabel.text = _("Shape, if the steps set none:") if file else _("Shape:")
        ui.addSpacingLineEdit.visible = ui.addSpacingTitleLabel.visible = own
        ui.addOriginLineEdit.visible = ui.addOriginTitleLabel.visible = own
        ui.addStepsPathLineEdit.visible = ui.addStepsTitleLabel.visible = file
        ui.addIntensityComboBox.visible = ui.addIntensityTitleLabel.visible = not file
        ui.addBrainCheckBox.visible = not file
        ui.addBiasCheckBox.visible = not file

    def on_kind(self, _index: int) -> None:
        """Another kind of source: its options have their usual values, and nothing is trusted."""
        with quiet(self.ui.addOptionsLineEdit, self.ui.addTrustCheckBox):
            self.ui.addOptionsLineEdit.text = model_form.options_text(self.content())
            self.ui.addTrustCheckBox.checked = False
        self.on_question()

    def on_question(self, _index: int = 0) -> None:
        """Something else is asked: the window is as high as it must be."""
        self.on_change()
        self.dialog.adjustSize()

    def on_class(self, _text: str) -> None:
        """Another class: nobody said that it is trusted."""
        with quiet(self.ui.addTrustCheckBox):
            self.ui.addTrustCheckBox.checked = False
        self.on_change()

    def on_change(self, _value: Any = None) -> None:
        """What was said of the form as it was before is out of date."""
        self._outcome = ""
        self.update()

    def on_add(self, _checked: bool = False) -> None:
        starting = self._status.start()
        try:
            environment.ensure(self.context.requirements, _("Add"))
            self.context.logic.startAddModel(self.content().request(), self.on_progress, self.on_finished)
        except UserError as error:
            self.on_finished(None, str(error))
        except Exception as error:
            logging.exception("MRIInterpret: the worker could not be started")
            self.on_finished(None, _("The work could not be started ({error}).").format(error=error))
        else:
            self.ui.addProgressBar.value = 0
            self._changed()
            self.ui.addStatusLabel.text = starting

    def on_progress(self, message: messages.Message) -> None:
        text = self._status.after(message)
        if text is not None:
            self.ui.addProgressBar.value = self._status.percent
            self.ui.addStatusLabel.text = text

    def on_finished(self, added: Added | None, sentence: str) -> None:
        """The model is chosen in the panel, or one sentence says why it was not added."""
        self._outcome = added_text(added) if added is not None else sentence
        if added is not None:
            self.context.models.refresh()
            self.context.choose("model", added.name)
        self._changed()

    def _changed(self) -> None:
        self.update()
        self.context.changed.emit()

    def on_cancel(self, _checked: bool = False) -> None:
        self.context.logic.cancelAddModel()

    def on_close(self, _checked: bool = False) -> None:
        self.dialog.reject()

    def on_rejected(self) -> None:
        """The window was closed: what runs ends with it."""
        self.context.logic.cancelAddModel()
