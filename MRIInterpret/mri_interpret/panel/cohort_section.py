"""Section "Cohort": one job over many participants, its progress, the confusion matrix and the group maps."""

from __future__ import annotations

import logging
from typing import Any

import slicer
from slicer.i18n import tr as _

from ..doors import choices, cohort_job, result_tables, status
from ..errors import UserError
from ..worker import messages
from . import environment
from .context import PanelContext
from .table_copies import offer_copies
from .widgets import enable, fill_table, quiet

_REQUIREMENTS = ("requirements.txt", "requirements-cohort.txt")


class CohortSection:
    """Wires the section's widgets with the parameter node, and starts and ends cohorts."""

    def __init__(self, context: PanelContext) -> None:
        self.context = context
        self.ui = context.ui
        self._status = status.StatusText()
        self._output_text = self.ui.cohortOutputButton.text
        ui = self.ui
        ui.participantsPathLineEdit.connect("currentPathChanged(QString)", self.on_participants)
        offer_copies(ui.confusionTable)
        ui.cohortOutputButton.connect("directorySelected(QString)", self.on_output)
        ui.runCohortButton.connect("clicked(bool)", self.on_run)
        ui.showCohortButton.connect("clicked(bool)", self.on_show)
        ui.cancelCohortButton.connect("clicked(bool)", self.on_cancel)

    def update(self) -> None:
        """Show what the parameter node holds, what can be pressed, and the newest cohort's results."""
        parameters, ui = self.context.parameters, self.ui
        if ui.participantsPathLineEdit.currentPath != parameters.cohortTable:
            ui.participantsPathLineEdit.currentPath = parameters.cohortTable
        with quiet(ui.cohortOutputButton):  # it signals every change, also those that no user made
            if parameters.cohortOutput:
                ui.cohortOutputButton.directory = parameters.cohortOutput
            ui.cohortOutputButton.text = parameters.cohortOutput or self._output_text
        busy, running = self.context.busy, self.context.logic.cohortRunning
        ready = cohort_job.has_group_results(parameters.cohortOutput)
        resume = cohort_job.has_begun(parameters.cohortOutput) and not ready
        ui.runCohortButton.text = _("Resume") if resume else _("Run")
        enable(
            ui.runCohortButton,
            _(status.cohort_blocked(busy, parameters.cohortTable, parameters.cohortOutput, self.context.model.problem)),
            _("Explain the participants that are not complete yet, then make the group results anew.")
            if resume
            else _("Explain every participant with the model, methods and target chosen above, then compare groups."),
        )
        enable(
            ui.cancelCohortButton,
            "" if running else _("Nothing is running."),
            _("End the run. Participants that are complete are kept: Resume goes on with the others."),
        )
        enable(
            ui.showCohortButton,
            _(busy) or ("" if ready else _("The output folder holds no group results yet.")),
            _("Load the group maps and tables of the output folder."),
        )
        ui.cohortProgressBar.visible = running
        self._show_results()

    def forget(self) -> None:
        """The scene was closed; a cohort that is running goes on."""
        if not self.context.logic.cohortRunning:
            self.ui.cohortLabel.text = ""

    def _show_results(self) -> None:
        newest = result_tables.newest_cohort(slicer.mrmlScene)
        self.ui.confusionTable.setVisible(newest is not None)
        self.ui.cohortResultLabel.setVisible(newest is not None)
        if newest is not None:
            confusion, self.ui.cohortResultLabel.text = newest
            fill_table(self.ui.confusionTable, confusion)

    def on_participants(self, path: str) -> None:
        if self.context.parameters and self.context.parameters.cohortTable != path:
            self.context.parameters.cohortTable = path

    def on_output(self, folder: str) -> None:
        self.context.choose("cohortOutput", folder)

    def on_run(self, _checked: bool = False) -> None:
        """Install what is missing, if the user agrees, and start the worker."""
        parameters = self.context.parameters
        try:
            options = choices.cohort_options(parameters, self.context.methods)
        except UserError as error:
            self.on_finished(None, str(error))
        else:
            self._start(parameters.cohortTable, options)

    def on_show(self, _checked: bool = False) -> None:
        """Load the group results that an earlier run left in the output folder."""
        self._start("", {})

    def _start(self, participants: str, options: dict[str, Any]) -> None:
        starting = self._status.start()
        output = self.context.parameters.cohortOutput
        try:
            for name in _REQUIREMENTS:
                environment.ensure(self.context.requirements.with_name(name))
            self.context.logic.startCohort(
                participants,
                output,
                self.on_progress,
                self.on_finished,
                show3D=self.context.parameters.show3D,
                **options,
            )
        except UserError as error:
            self.on_finished(None, str(error))
        except Exception as error:
            logging.exception("MRIInterpret: the cohort could not be started")
            self.on_finished(None, _("The cohort could not be started ({error}).").format(error=error))
        else:
            self.ui.cohortProgressBar.value = 0
            self.ui.cohortLabel.text = starting
            self.context.changed.emit()

    def on_progress(self, message: messages.Message) -> None:
        """Show the step, the time left, and the notices."""
        text = self._status.after(message)
        if text is not None:
            self.ui.cohortProgressBar.value = self._status.percent
            self.ui.cohortLabel.text = text

    def on_finished(self, _nodes: Any, sentence: str) -> None:
        """Show the group results, or why there are none."""
        text = self._status.end(sentence)
        self.ui.cohortLabel.text = text
        self.context.changed.emit()
        slicer.util.showStatusMessage(text.splitlines()[0], 5000)

    def on_cancel(self, _checked: bool = False) -> None:
        self.context.logic.cancelCohort()
