"""Helpers for Qt widgets that several sections need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import qt
from slicer.i18n import tr as _

from ..doors.result_tables import Table

_WIDEST = 180  # pixels of a column, until the user draws it wider


@contextmanager
def quiet(*widgets: Any) -> Iterator[None]:
    """Change widgets while their signals are blocked."""
    before = [widget.blockSignals(True) for widget in widgets]
    try:
        yield
    finally:
        for widget, blocked in zip(widgets, before, strict=True):
            widget.blockSignals(blocked)


def fill_combo(combo: Any, choices: Sequence[tuple[str, str]], chosen: str) -> None:
    """Offer ``(text, value)`` pairs; the current one is that whose value is ``chosen``, else the first."""
    with quiet(combo):
        if [(combo.itemText(n), combo.itemData(n)) for n in range(combo.count)] != list(choices):
            combo.clear()
            for text, value in choices:
                combo.addItem(text, value)
        values = [value for _, value in choices]
        combo.setCurrentIndex(values.index(chosen) if chosen in values else (0 if values else -1))


def chosen(combo: Any) -> str:
    """The value of the current item, or its text if it was typed; empty if there is none."""
    if combo.currentIndex < 0:
        return ""
    value = combo.itemData(combo.currentIndex)
    return str(value if value is not None else combo.itemText(combo.currentIndex))


def enable(widget: Any, reason: str, tooltip: str) -> None:
    """Enable a widget unless there is a ``reason`` against it, which then is its tooltip."""
    widget.enabled = not reason
    widget.toolTip = reason or tooltip


def number(value: float) -> float:
    """Rounded to what a table shows."""
    return float(f"{value:.3g}")


def fill_table(table: Any, content: Table) -> None:
    """A sortable, read-only table. Numbers sort as numbers. The keys are kept with the first column's items."""
    heads, rows, keys = content.heads, content.rows, content.keys
    with quiet(table):
        table.setSortingEnabled(False)
        table.setRowCount(0)
        table.setColumnCount(len(heads))
        table.setHorizontalHeaderLabels([_(head) for head in heads])
        table.setRowCount(len(rows))
        shown, key = qt.Qt.DisplayRole, qt.Qt.UserRole  # looked up once: a table has a thousand cells
        for i, row in enumerate(rows):
            for j, value in enumerate(row):
                item = qt.QTableWidgetItem()
                item.setData(shown, number(value) if isinstance(value, float) else value)
                if j == 0 and i < len(keys):
                    item.setData(key, keys[i])
                # Cells may be too narrow for their text; names have another name in other programs.
                item.setToolTip(content.notes[i] if j == 0 and i < len(content.notes) else str(value))
                table.setItem(i, j, item)
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        table.setSelectionMode(qt.QAbstractItemView.SingleSelection)
        table.verticalHeader().setVisible(False)
        table.verticalHeader().setDefaultSectionSize(22)
        table.setSortingEnabled(True)
        table.setTextElideMode(qt.Qt.ElideRight)
        table.resizeColumnsToContents()
        for column in range(len(heads)):
            table.setColumnWidth(column, min(table.columnWidth(column), _WIDEST))
        header = table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.Interactive)
        header.setStretchLastSection(True)
