"""Section "Cohort": one job over many participants. It says why it cannot be run where the cohort job is missing."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from slicer.i18n import tr as _

from .widgets import enable

if TYPE_CHECKING:
    from .panel import Panel


class CohortSection:
    """Shows the command that does the same outside Slicer."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel

    def update(self) -> None:
        ui = self.panel.ui
        available = importlib.util.find_spec("MRIInterpretLib.cohort") is not None
        reason = (
            _("Run the cohort from the command line: mri-interpret cohort.")
            if available
            else _("This version explains one scan at a time: the cohort job is not part of it.")
        )
        enable(ui.runCohortButton, reason, "")
        enable(ui.cancelCohortButton, _("Nothing is running."), "")
        ui.cohortLabel.text = reason
