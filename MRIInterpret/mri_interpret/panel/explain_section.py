"""Section "Explain": what to explain and how, the run, and its progress."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from ..doors import choices
from ..errors import UserError
from ..worker import messages
from . import environment
from .widgets import chosen, enable, fill_combo, quiet

if TYPE_CHECKING:
    from .panel import Panel


class ExplainSection:
    """Wires the section's widgets with the parameter node, and starts and ends runs."""

    def __init__(self, panel: Panel) -> None:
        from ..attribution.registry import DEFAULT_METHODS, available_methods

        self.panel = panel
        self.ui = panel.ui
        self._known = available_methods()
        self._default_methods = tuple(DEFAULT_METHODS)
        self._presets = choices.presets(DEFAULT_METHODS, list(self._known))
        self._notices: list[str] = []
        ui = self.ui
        ui.targetComboBox.connect("currentIndexChanged(int)", lambda _i: self._take("target", ui.targetComboBox))
        ui.compositeComboBox.connect(
            "currentIndexChanged(int)", lambda _i: self._take("composite", ui.compositeComboBox)
        )
        ui.deviceComboBox.connect("currentIndexChanged(int)", lambda _i: self._take("device", ui.deviceComboBox))
        ui.trustComboBox.connect("currentIndexChanged(int)", lambda _i: self._take("trust", ui.trustComboBox))
        ui.presetComboBox.connect("currentIndexChanged(int)", self.on_preset)
        ui.layerLineEdit.connect("editingFinished()", self.on_layer)
        ui.methodsList.connect("itemChanged(QListWidgetItem*)", self.on_method)
        ui.explainButton.connect("clicked(bool)", self.on_explain)
        ui.cancelButton.connect("clicked(bool)", self.on_cancel)
        self._list_methods()

    def _list_methods(self) -> None:
        others = [name for name in self._known if name not in self._default_methods]
        order = [*self._default_methods, *sorted(others, key=lambda name: name in choices.BASELINES)]
        with quiet(self.ui.methodsList):
            for name in order:
                info = self._known[name]
                item = qt.QListWidgetItem(info.title)
                item.setData(qt.Qt.UserRole, name)
                item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable | qt.Qt.ItemIsUserCheckable)
                item.setToolTip(f"{info.description} ({info.reference})")
                item.setCheckState(qt.Qt.Unchecked)
                self.ui.methodsList.addItem(item)

    @property
    def methods(self) -> list[str]:
        """The chosen methods; the default ones if none were ever chosen."""
        chosen_methods = choices.method_list(self.panel.parameters.methods)
        return [name for name in chosen_methods if name in self._known] or list(self._default_methods)

    def update(self) -> None:
        parameters, ui = self.panel.parameters, self.ui
        targets = [(self._target_title(target), target) for target in choices.targets(self.panel.model.classes)]
        fill_combo(ui.targetComboBox, targets, parameters.target)
        titles = {"default": _("Default"), "study": _("Study's six"), "fast": _("Fast"), "all": _("All")}
        titles[choices.CUSTOM] = _("Custom")
        preset = choices.preset_of(self.methods, self._presets)
        fill_combo(ui.presetComboBox, [(title, name) for name, title in titles.items()], preset)
        fill_combo(ui.compositeComboBox, [(name, name) for name in choices.COMPOSITES], parameters.composite)
        fill_combo(
            ui.deviceComboBox,
            [(_("Automatic"), "auto"), (_("CPU"), "cpu"), (_("GPU (CUDA)"), "cuda")],
            parameters.device,
        )
        fill_combo(
            ui.trustComboBox,
            [(_("Off"), "off"), (_("Fast"), "fast"), (_("Full"), "full")],
            parameters.trust,
        )
        with quiet(ui.layerLineEdit, ui.methodsList):
            ui.layerLineEdit.text = parameters.layer
            for row in range(ui.methodsList.count):
                item = ui.methodsList.item(row)
                ticked = item.data(qt.Qt.UserRole) in self.methods
                item.setCheckState(qt.Qt.Checked if ticked else qt.Qt.Unchecked)
        running = self.panel.logic.running
        enable(ui.explainButton, self._missing(), _("Explain the scan with the chosen model and methods."))
        enable(
            ui.cancelButton, "" if running else _("Nothing is running."), _("End the run; the scene stays as it is.")
        )
        ui.progressBar.visible = running

    def _target_title(self, target: str) -> str:
        return _("Predicted class") if target == "predicted" else target.replace("-", " - ")

    def _missing(self) -> str:
        if self.panel.logic.running:
            return _("An explanation is running.")
        if self.panel.logic.cohortRunning:
            return _("A cohort is running.")
        if not self.panel.parameters.inputVolume:
            return _("Choose a volume, or load the sample.")
        return self.panel.model.problem

    def _take(self, name: str, combo: Any) -> None:
        if self.panel.parameters:
            setattr(self.panel.parameters, name, chosen(combo))

    def on_preset(self, _index: int) -> None:
        members = self._presets.get(chosen(self.ui.presetComboBox))
        if members is not None and self.panel.parameters:
            self.panel.parameters.methods = ",".join(members)

    def on_layer(self) -> None:
        if self.panel.parameters:
            self.panel.parameters.layer = self.ui.layerLineEdit.text

    def on_method(self, _item: Any) -> None:
        rows = (self.ui.methodsList.item(row) for row in range(self.ui.methodsList.count))
        ticked = [item.data(qt.Qt.UserRole) for item in rows if item.checkState() == qt.Qt.Checked]
        if self.panel.parameters:
            self.panel.parameters.methods = ",".join(ticked)
            if not ticked:  # nothing to explain with: back to the default
                self.panel.update()

    def on_explain(self, _checked: bool = False) -> None:
        """Install what is missing, if the user agrees, and start the worker."""
        try:
            environment.ensure(self.panel.requirements)
            self._start()
        except UserError as error:
            self._over(None, str(error))
        except Exception as error:
            logging.exception("MRIInterpret: the explanation could not be started")
            self._over(None, _("The explanation could not be started ({error}).").format(error=error))

    def _start(self) -> None:
        parameters = self.panel.parameters
        takes = {name: list(info.parameters) for name, info in self._known.items()}
        wishes = choices.job_wishes(parameters, takes) | {"methods": self.methods}
        self._notices.clear()
        self.panel.logic.startExplain(
            parameters.inputVolume,
            self.on_progress,
            self.on_finished,
            replace=parameters.resultRun if parameters.replaceResult else "",
            maskNode=self.panel.scan.mask,
            **wishes,
        )
        self.ui.progressBar.value = 0
        self.ui.statusLabel.text = _("Starting")
        self.panel.update()

    def on_progress(self, message: messages.Message) -> None:
        """Show the step and the time left."""
        if isinstance(message, messages.Notice):
            self._notices.append(message.text)
        elif isinstance(message, messages.Progress):
            self.ui.progressBar.value = round(100 * message.overall)
            parts = [message.step, choices.time_left(message.seconds_left), *self._notices]
            self.ui.statusLabel.text = ", ".join(part for part in parts if part)

    def on_finished(self, result: Any, sentence: str) -> None:
        """Show the result, or why there is none."""
        self._over(result, sentence)

    def _over(self, result: Any, sentence: str) -> None:
        text = " ".join([_("Done."), *self._notices]) if result is not None else sentence
        self.ui.statusLabel.text = text
        if result is not None and self.panel.parameters:
            self.panel.parameters.resultRun = result.run
            self.panel.result.show()
        if self.panel.parameters:
            self.panel.update()
        slicer.util.showStatusMessage(text, 5000)

    def on_cancel(self, _checked: bool = False) -> None:
        self.panel.logic.cancel()
