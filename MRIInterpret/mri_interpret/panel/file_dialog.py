"""The folder of a saved result, dropped on Slicer's window, is opened as a result."""

from __future__ import annotations

from typing import Any

import slicer

from .file_reader import DESCRIPTION, FILE_TYPE, confidence, index_of


class MRIInterpretFileDialog:
    """Slicer finds this class by its name, and asks it about each drop.

    Slicer's *Add data* would list every file of the folder, each map as a volume of its own. A drop that this class
    takes is offered as *MRIInterpret result* beside what other modules make of a folder.

    Parameters
    ----------
    qSlicerFileDialog
        The qSlicerScriptedFileDialog that holds it.
    """

    def __init__(self, qSlicerFileDialog: Any) -> None:
        self.qSlicerFileDialog = qSlicerFileDialog
        qSlicerFileDialog.fileType = FILE_TYPE
        qSlicerFileDialog.description = DESCRIPTION
        qSlicerFileDialog.action = slicer.qSlicerFileDialog.Read

    def execDialog(self) -> bool:
        """All is done when the drop arrives."""
        return True

    def isMimeDataAccepted(self) -> None:
        """Say whether what is dragged is one folder, and that of a saved result."""
        self.qSlicerFileDialog.acceptMimeData(bool(self._folder()))

    def dropEvent(self) -> None:
        """Open the panel, and the result in it: with progress, and *Cancel*."""
        folder = self._folder()
        if folder:
            slicer.util.selectModule("MRIInterpret")
            slicer.util.getModuleWidget("MRIInterpret").panel.context.open_requested.emit(folder)

    def _folder(self) -> str:
        data = self.qSlicerFileDialog.mimeData()
        paths = [url.toLocalFile() for url in data.urls()] if data.hasFormat("text/uri-list") else []
        return paths[0] if len(paths) == 1 and confidence(index_of(paths[0])) > 0 else ""
