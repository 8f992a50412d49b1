"""Section "Explain": what to explain and how, the run, and its progress."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..attribution.registry import DEFAULT_METHODS
from ..doors import choices, status
from ..errors import UserError
from ..worker import messages
from . import environment
from .context import PanelContext
from .widgets import chosen, enable, fill_combo, quiet


class ExplainSection:
    """Wires the section's widgets with the parameter node, and starts and ends runs."""

    def __init__(self, context: PanelContext) -> None:
        self.context = context
        self.ui = context.ui
        self._presets = choices.presets(DEFAULT_METHODS, list(context.known_methods))
        self._status = status.StatusText()
        ui = self.ui
        for name, combo in (
            ("target", ui.targetComboBox),
            ("composite", ui.compositeComboBox),
            ("device", ui.deviceComboBox),
            ("trust", ui.trustComboBox),
            ("regions", ui.regionsComboBox),
        ):
            combo.connect("currentIndexChanged(int)", lambda _i, name=name, combo=combo: self.on_choice(name, combo))
        ui.presetComboBox.connect("currentIndexChanged(int)", self.on_preset)
        ui.layerLineEdit.connect("editingFinished()", self.on_layer)
        ui.goalLineEdit.connect("editingFinished()", self.on_goal)
        ui.methodsList.connect("itemChanged(QListWidgetItem*)", self.on_method)
        ui.explainButton.connect("clicked(bool)", self.on_explain)
        ui.cancelButton.connect("clicked(bool)", self.on_cancel)
        context.open_requested.connect(self.on_open_requested)
        context.dicom_requested.connect(self.on_dicom_requested)
        self._list_methods()

    def _list_methods(self) -> None:
        known = self.context.known_methods
        with quiet(self.ui.methodsList):
            for name in choices.order_of_methods(DEFAULT_METHODS, list(known)):
                info = known[name]
                item = qt.QListWidgetItem(info.title)
                item.setData(qt.Qt.UserRole, name)
                item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable | qt.Qt.ItemIsUserCheckable)
                item.setToolTip(f"{info.description} ({info.reference})")
                item.setCheckState(qt.Qt.Unchecked)
                self.ui.methodsList.addItem(item)

    def update(self) -> None:
        """Show what the parameter node holds, and whether Explain can be pressed."""
        parameters, ui, methods = self.context.parameters, self.ui, self.context.methods
        self._offer_targets()
        _offer(ui.presetComboBox, choices.PRESET_TITLES, choices.preset_of(methods, self._presets))
        fill_combo(ui.compositeComboBox, [(name, name) for name in choices.COMPOSITES], parameters.composite)
        _offer(ui.deviceComboBox, choices.DEVICE_TITLES, parameters.device)
        _offer(ui.trustComboBox, choices.TRUST_TITLES, parameters.trust)
        _offer(ui.regionsComboBox, choices.REGION_TITLES, parameters.regions)
        enable(
            ui.regionsComboBox,
            _("Regions are those of your own segmentation, chosen above.") if self.context.segmentation_node else "",
            _("The structures of this brain, found by segmentation; or an atlas that the registration lays over it."),
        )
        with quiet(ui.layerLineEdit, ui.goalLineEdit, ui.methodsList):
            ui.layerLineEdit.text = parameters.layer
            ui.goalLineEdit.text = parameters.goal
            for row in range(ui.methodsList.count):
                item = ui.methodsList.item(row)
                ticked = item.data(qt.Qt.UserRole) in methods
                item.setCheckState(qt.Qt.Checked if ticked else qt.Qt.Unchecked)
        running = self.context.logic.running
        blocked = status.explain_blocked(
            self.context.busy, bool(parameters.inputVolume), self.context.model.problem, self.context.missing_input
        )
        enable(ui.explainButton, _(blocked), _("Explain the scan with the chosen model and methods."))
        enable(
            ui.cancelButton, "" if running else _("Nothing is running."), _("End the run; the scene stays as it is.")
        )
        ui.progressBar.visible = running

    def _offer_targets(self) -> None:
        """Offer what can be explained; of a quantity, any other value to compare with can be typed."""
        output, combo, wanted = self.context.model.output, self.ui.targetComboBox, self.context.parameters.target
        titles = {target: choices.target_title(target, output) for target in choices.targets(output, wanted)}
        with quiet(combo):
            combo.editable = output is not None and output.is_quantity
        _offer(combo, titles, wanted)
        combo.toolTip = (
            _("What to explain: the number itself, or its difference from a value. Type value-65 and press Enter.")
            if combo.editable
            else _("What to explain: the predicted class, one class, or the difference of two.")
        )

    def forget(self) -> None:
        """The scene was closed: what the status line says is of the past."""
        self.ui.statusLabel.text = ""

    def on_choice(self, name: str, combo: Any) -> None:
        self.context.choose(name, chosen(combo))

    def on_preset(self, _index: int) -> None:
        members = self._presets.get(chosen(self.ui.presetComboBox))
        if members is not None:
            self.context.choose("methods", ",".join(members))

    def on_layer(self) -> None:
        self.context.choose("layer", self.ui.layerLineEdit.text)

    def on_goal(self) -> None:
        self.context.choose("goal", self.ui.goalLineEdit.text)

    def on_method(self, _item: Any) -> None:
        rows = (self.ui.methodsList.item(row) for row in range(self.ui.methodsList.count))
        ticked = [item.data(qt.Qt.UserRole) for item in rows if item.checkState() == qt.Qt.Checked]
        self.context.choose("methods", ",".join(ticked))
        if not ticked:  # nothing to explain with: back to the default
            self.context.changed.emit()

    def on_explain(self, _checked: bool = False) -> None:
        self._start(self._explain)

    def on_open_requested(self, folder: str) -> None:
        """Open a saved result: its progress is shown here and can be cancelled, as that of a new one."""
        self._start(
            lambda: self.context.logic.startOpenResult(
                folder, self.on_progress, self.on_finished, show3D=self.context.parameters.show3D
            )
        )

    def on_dicom_requested(self, result: Any, folder: str) -> None:
        """Write a result as DICOM: its progress is shown here and can be cancelled, too."""
        self._start(
            lambda: self.context.logic.startExportDicom(result, folder, self.on_progress, self.on_exported),
            "requirements-dicom.txt",
            button="Export DICOM",
        )

    def on_exported(self, files: Mapping[str, Path] | None, sentence: str) -> None:
        """Say where the DICOM files are, or why there are none."""
        if files:
            folder = next(iter(files.values())).parent
            sentence = _("Wrote {count} DICOM files to {folder}.").format(count=len(files), folder=folder)
        self.on_finished(None, sentence)

    def _start(self, job: Callable[[], None], *more: str, button: str = "Explain") -> None:
        """Install what is missing, of ``more`` requirements too, if the user agrees, and start the worker."""
        if self.context.busy:  # a folder can be dropped at any time; what the status line says is of what runs
            slicer.util.showStatusMessage(_("{why} Try again when it is done.").format(why=_(self.context.busy)), 5000)
            return
        starting = self._status.start()
        try:
            for name in (self.context.requirements.name, *more):
                environment.ensure(self.context.requirements.with_name(name), button)
            job()
        except UserError as error:
            self.on_finished(None, str(error))
        except Exception as error:
            logging.exception("MRIInterpret: the worker could not be started")
            self.on_finished(None, _("The work could not be started ({error}).").format(error=error))
        else:
            self.ui.progressBar.value = 0
            self.ui.statusLabel.text = starting
            self.context.changed.emit()

    def _explain(self) -> None:
        parameters, own = self.context.parameters, self.context.segmentation_node
        takes = {name: list(info.parameters) for name, info in self.context.known_methods.items()}
        self.context.logic.startExplain(
            parameters.inputVolume,
            self.on_progress,
            self.on_finished,
            replace=parameters.resultRun if parameters.replaceResult else "",
            show3D=parameters.show3D,
            maskNode=self.context.mask_node,
            segmentationNode=own,
            inputNodes=self.context.input_nodes,
            **choices.explain_options(parameters, self.context.methods, takes, own_segmentation=own is not None),
        )

    def on_progress(self, message: messages.Message) -> None:
        """Show the step, the time left, and the notices."""
        text = self._status.after(message)
        if text is not None:
            self.ui.progressBar.value = self._status.percent
            self.ui.statusLabel.text = text

    def on_finished(self, result: Any, sentence: str) -> None:
        """Show the result, or why there is none."""
        text = self._status.end(sentence)
        self.ui.statusLabel.text = text
        if result is not None:
            self.context.result_arrived.emit(result)
        self.context.changed.emit()
        slicer.util.showStatusMessage(text.splitlines()[0], 5000)

    def on_cancel(self, _checked: bool = False) -> None:
        self.context.logic.cancel()


def _offer(combo: Any, titles: Mapping[str, str], value: str) -> None:
    """Offer values by their titles, in the user's language."""
    fill_combo(combo, [(_(title), key) for key, title in titles.items()], value)
