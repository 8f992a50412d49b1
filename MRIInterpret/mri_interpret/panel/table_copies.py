"""Every table of the panel can be copied into a spreadsheet, or saved, as it is sorted: context menu, or Ctrl+C."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..atomic import write_text
from ..doors.result_tables import Table


def offer_copies(table: Any) -> None:
    """Give a QTableWidget the entries *Copy table* and *Export table...*."""
    table.contextMenuPolicy = qt.Qt.ActionsContextMenu
    copy = qt.QAction(_("Copy table"), table)
    copy.setShortcut(qt.QKeySequence("Ctrl+C"))
    copy.setShortcutContext(qt.Qt.WidgetShortcut)
    copy.connect("triggered(bool)", lambda _checked: qt.QApplication.clipboard().setText(content(table).as_tsv()))
    export = qt.QAction(_("Export table..."), table)
    export.connect("triggered(bool)", lambda _checked: _export(table))
    table.addAction(copy)
    table.addAction(export)


def content(table: Any) -> Table:
    """What a QTableWidget shows, row by row."""
    heads = [table.horizontalHeaderItem(column).text() for column in range(table.columnCount)]
    rows = [[table.item(row, column).text() for column in range(table.columnCount)] for row in range(table.rowCount)]
    return Table(heads, rows)


def _export(table: Any) -> None:
    path = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), _("Export table"), "table.tsv", "TSV (*.tsv)")
    if path:
        with slicer.util.tryWithErrorDisplay(_("The table could not be saved."), waitCursor=True):
            write_text(path, content(table).as_tsv())
            slicer.util.showStatusMessage(_("Saved {path}").format(path=path), 5000)
