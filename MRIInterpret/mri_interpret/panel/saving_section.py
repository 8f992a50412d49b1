"""What of the shown result is written to files: the report, the table of volumes, and DICOM."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import qt
import slicer
from slicer.i18n import tr as _

from ..doors import dicom_job
from ..doors.reports import NO_REPORT
from .context import PanelContext
from .widgets import enable

if TYPE_CHECKING:
    from ..doors.result import MRIInterpretResult

NO_RESULT_YET = "There is no result yet: press Explain, or open a saved result."


class SavingSection:
    """Wires the buttons that save with the result that is shown.

    Parameters
    ----------
    context
        Widgets and parameters.
    shown
        The result that is shown, or None.
    """

    def __init__(self, context: PanelContext, shown: Callable[[], MRIInterpretResult | None]) -> None:
        self.context = context
        self.ui = context.ui
        self._shown = shown
        self._saving = ""  # why the report cannot be saved now
        ui = self.ui
        ui.saveReportButton.connect("clicked(bool)", self.on_save_report)
        ui.exportVolumesButton.connect("clicked(bool)", self.on_export_volumes)
        ui.exportDicomButton.connect("clicked(bool)", self.on_export_dicom)

    def update(self) -> None:
        """What can be pressed, and why not."""
        result = self._shown()
        missing = "" if result else _(NO_RESULT_YET)
        unsaved = missing or ("" if result and result.complete else _(NO_REPORT)) or self._saving
        enable(self.ui.saveReportButton, unsaved, _("Save everything as one HTML page."))
        unmeasured = missing or (
            "" if result and "volumes" in result.nodes.tables else _("This brain was not segmented: run Explain again.")
        )
        enable(self.ui.exportVolumesButton, unmeasured, _("Save the volumes as a table (CSV)."))
        no_series = "" if result and dicom_job.has_series(result) else _(dicom_job.NO_SERIES)
        enable(
            self.ui.exportDicomButton,
            missing or no_series or _(self.context.busy),
            _("Write maps, regions and measurements as DICOM objects of the scan's study."),
        )

    def on_export_volumes(self, _checked: bool = False) -> None:
        path = qt.QFileDialog.getSaveFileName(
            slicer.util.mainWindow(), _("Export volumes"), "volumes.csv", "CSV (*.csv)"
        )
        if path:
            with slicer.util.tryWithErrorDisplay(_("The volumes could not be saved."), waitCursor=True):
                self.context.logic.exportVolumes(self._shown(), path)
                slicer.util.showStatusMessage(_("Saved {path}").format(path=path), 5000)

    def on_export_dicom(self, _checked: bool = False) -> None:
        """Ask where to; a worker process writes, and its progress is shown as that of a run."""
        folder = qt.QFileDialog.getExistingDirectory(
            slicer.util.mainWindow(), _("Folder for the DICOM files"), str(Path.home())
        )
        if folder:
            self.context.dicom_requested.emit(self._shown(), folder)

    def on_save_report(self, _checked: bool = False) -> None:
        """Ask where to; a worker process draws what is not drawn yet, and the window lives on."""
        path = qt.QFileDialog.getSaveFileName(
            slicer.util.mainWindow(), _("Save report"), "report.html", "HTML (*.html)"
        )
        if path:
            self._saving = _("The report is being drawn, and saved then.")
            self.context.logic.saveReport(self._shown(), path, self.on_report_saved)
            self.context.changed.emit()

    def on_report_saved(self, path: Path | None, sentence: str) -> None:
        """Say where it is, or why it is not."""
        self._saving = ""
        text = sentence if path is None else _("Saved {path}").format(path=path)
        self.ui.statusLabel.text = text
        slicer.util.showStatusMessage(text, 5000)
        self.context.changed.emit()
