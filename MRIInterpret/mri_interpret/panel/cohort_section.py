"""Section "Cohort": one job over many participants, its progress, the confusion matrix and the group maps."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from ..doors import choices
from ..errors import UserError
from ..worker import messages
from . import cohort_logic, environment
from .result_tables import show_confusion
from .widgets import enable, quiet

if TYPE_CHECKING:
    from .panel import Panel

_NOTICES = 5  # the last ones are shown


class CohortSection:
    """Wires the section's widgets with the parameter node, and starts and ends cohorts."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self.ui = panel.ui
        self._notices: list[str] = []
        self._output_text = self.ui.cohortOutputButton.text
        ui = self.ui
        ui.participantsPathLineEdit.connect("currentPathChanged(QString)", self.on_participants)
        ui.cohortOutputButton.connect("directorySelected(QString)", self.on_output)
        ui.runCohortButton.connect("clicked(bool)", self.on_run)
        ui.showCohortButton.connect("clicked(bool)", self.on_show)
        ui.cancelCohortButton.connect("clicked(bool)", self.on_cancel)

    def update(self) -> None:
        parameters, ui = self.panel.parameters, self.ui
        if ui.participantsPathLineEdit.currentPath != parameters.cohortTable:
            ui.participantsPathLineEdit.currentPath = parameters.cohortTable
        with quiet(ui.cohortOutputButton):  # it tells of every change, also of those that no user made
            if parameters.cohortOutput:
                ui.cohortOutputButton.directory = parameters.cohortOutput
            ui.cohortOutputButton.text = parameters.cohortOutput or self._output_text
        running = self.panel.logic.cohortRunning
        again = cohort_logic.has_begun(parameters.cohortOutput)
        ui.runCohortButton.text = _("Resume") if again else _("Run")
        enable(
            ui.runCohortButton,
            self._missing(),
            _("Explain the participants that are not complete yet, then make the group results anew.")
            if again
            else _("Explain every participant with the model, methods and target chosen above, then compare groups."),
        )
        enable(
            ui.cancelCohortButton,
            "" if running else _("Nothing is running."),
            _("End the run. Participants that are complete are kept: Resume goes on with the others."),
        )
        ready = cohort_logic.has_results(parameters.cohortOutput)
        enable(
            ui.showCohortButton,
            self._busy() or ("" if ready else _("The output folder holds no group results yet.")),
            _("Load the group maps and tables of the output folder."),
        )
        ui.cohortProgressBar.visible = running
        show_confusion(ui, slicer.mrmlScene)

    def _busy(self) -> str:
        if self.panel.logic.cohortRunning:
            return _("A cohort is running.")
        return _("An explanation is running.") if self.panel.logic.running else ""

    def _missing(self) -> str:
        parameters = self.panel.parameters
        if self._busy():
            return self._busy()
        if not parameters.cohortTable:
            return _("Choose a participants table.")
        if not parameters.cohortOutput:
            return _("Choose an output folder.")
        return self.panel.model.problem

    def on_participants(self, path: str) -> None:
        if self.panel.parameters and self.panel.parameters.cohortTable != path:
            self.panel.parameters.cohortTable = path

    def on_output(self, folder: str) -> None:
        if self.panel.parameters:
            self.panel.parameters.cohortOutput = folder

    def on_run(self, _checked: bool = False) -> None:
        """Install what is missing, if the user agrees, and start the worker."""
        parameters = self.panel.parameters
        self._begin(parameters.cohortTable, choices.cohort_wishes(parameters, self.panel.explain.methods))

    def on_show(self, _checked: bool = False) -> None:
        """Load what an earlier run left in the output folder."""
        self._begin("", {})

    def _begin(self, participants: str, wishes: dict[str, Any]) -> None:
        self._notices.clear()
        output = self.panel.parameters.cohortOutput
        try:
            for name in ("requirements.txt", "requirements-cohort.txt"):
                environment.ensure(Path(self.panel.requirements).with_name(name))
            self.panel.logic.startCohort(participants, output, self.on_progress, self.on_finished, **wishes)
        except UserError as error:
            self._over(str(error))
        except Exception as error:
            logging.exception("MRIInterpret: the cohort could not be started")
            self._over(_("The cohort could not be started ({error}).").format(error=error))
        else:
            self.ui.cohortProgressBar.value = 0
            self.ui.cohortLabel.text = _("Starting")
            self.panel.update()

    def on_progress(self, message: messages.Message) -> None:
        """Show the step, the time left, and what was told on the way."""
        if isinstance(message, messages.Notice):
            self._notices.append(message.text)
        elif isinstance(message, messages.Progress):
            self.ui.cohortProgressBar.value = round(100 * message.overall)
            parts = (message.step, choices.time_left(message.seconds_left))
            self.ui.cohortLabel.text = "\n".join([", ".join(filter(None, parts)), *self._notices[-_NOTICES:]])

    def on_finished(self, nodes: Any, sentence: str) -> None:
        """Show the group results, or why there are none."""
        self._over("\n".join([_("Done."), *self._notices[-_NOTICES:]]) if nodes is not None else sentence)

    def _over(self, text: str) -> None:
        self.ui.cohortLabel.text = text
        if self.panel.parameters:
            self.panel.update()
        slicer.util.showStatusMessage(text.splitlines()[0], 5000)

    def on_cancel(self, _checked: bool = False) -> None:
        self.panel.logic.cancelCohort()
