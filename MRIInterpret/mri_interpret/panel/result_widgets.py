"""Fills the lists and tables of the section "Result" with what doors/result_tables.py reads from the nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..doors import result_tables
from .widgets import fill_table, quiet

_LINE_LENGTH = 50  # letters that surely fit into a line of the box
_WARNING_LINES = 4  # that are seen at once; more are scrolled to
_ICON_PIXELS = 32  # enough for the list on a screen with scale 2
_VERDICT_ICONS = {
    "pass": "SP_DialogApplyButton",
    "fail": "SP_MessageBoxWarning",
    "fails one": "SP_MessageBoxInformation",
    "not applicable": "SP_MessageBoxQuestion",
}


def clear(ui: Any, why: str) -> None:
    """No result: empty lists and tables. ``why`` is one sentence."""
    ui.predictionLabel.text = _(why)
    _show_warnings(ui, ())
    with quiet(ui.mapList, ui.thresholdLineEdit, ui.coloursComboBox):
        ui.mapList.clear()
        ui.thresholdLineEdit.text = ""
        ui.coloursComboBox.clear()
    fill_table(ui.regionTable, result_tables.EMPTY_TABLE)
    fill_table(ui.agreementTable, result_tables.EMPTY_TABLE)
    fill_table(ui.volumeTable, result_tables.EMPTY_TABLE)
    fill_table(ui.trustTable, result_tables.EMPTY_TABLE)
    _show_bars(ui.probabilitiesWidget, ())


def show_result(ui: Any, nodes: Any) -> None:
    """The prediction, the list of maps, and the tables that are the same for every map."""
    prediction = result_tables.prediction_text(nodes)
    ui.predictionLabel.text = prediction.sentence
    _show_warnings(ui, prediction.warnings)
    _show_bars(ui.probabilitiesWidget, prediction.bars)
    _list_maps(ui.mapList, result_tables.map_entries(nodes))
    fill_table(ui.agreementTable, result_tables.agreement_table(nodes))
    fill_table(ui.volumeTable, result_tables.volume_table(nodes))


def show_map(ui: Any, nodes: Any, key: str) -> None:
    """The map ``key`` is the chosen one of the list; its tables."""
    with quiet(ui.mapList):
        for row in range(ui.mapList.count):
            if ui.mapList.item(row).data(qt.Qt.UserRole) == key:
                ui.mapList.setCurrentRow(row)
    fill_table(ui.regionTable, result_tables.region_table(nodes, key))
    fill_table(ui.trustTable, result_tables.trust_table(nodes, key))


def _show_warnings(ui: Any, sentences: tuple[str, ...]) -> None:
    """In a box that scrolls: Qt cuts off a word-wrapped label that needs more lines than it reckoned with."""
    box = ui.warningsTextEdit
    box.plainText = "\n".join(sentences)
    box.moveCursor(qt.QTextCursor.Start)  # else it may show its last lines
    line = box.fontMetrics().lineSpacing()
    lines = min(sum(1 + len(sentence) // _LINE_LENGTH for sentence in sentences), _WARNING_LINES)
    box.maximumHeight = box.minimumHeight = line * lines + line // 2 + 4
    box.visible = bool(sentences)


def _show_bars(widget: Any, bars: Sequence[result_tables.Bar]) -> None:
    layout = widget.layout()
    while layout.count() > len(bars):
        layout.takeAt(layout.count() - 1).widget().deleteLater()
    while layout.count() < len(bars):
        made = qt.QProgressBar()
        made.setRange(0, 1000)
        layout.addWidget(made)
    for index, bar in enumerate(bars):
        shown = layout.itemAt(index).widget()
        shown.value = round(1000 * bar.share)
        shown.format = bar.text
        shown.toolTip = bar.tooltip


def _list_maps(maps: Any, entries: list[result_tables.MapEntry]) -> None:
    ground = maps.palette.color(qt.QPalette.Base)
    icons = {verdict: _icon(verdict, ground) for verdict in {entry.verdict for entry in entries}}
    with quiet(maps):
        maps.clear()
        for entry in entries:
            item = qt.QListWidgetItem(entry.title)
            item.setData(qt.Qt.UserRole, entry.key)
            item.setToolTip(entry.tooltip)
            item.setIcon(icons[entry.verdict])
            maps.addItem(item)


def _icon(verdict: str, ground: Any) -> Any:
    """The sign of a verdict. In a chosen row it keeps its colours, on the list's ground: blue is not seen on blue."""
    made = qt.QIcon()
    name = _VERDICT_ICONS.get(verdict)
    if name is not None:  # not checked: no claim
        sign = slicer.app.style().standardIcon(getattr(qt.QStyle, name)).pixmap(_ICON_PIXELS, _ICON_PIXELS)
        chosen = qt.QPixmap(sign.size())
        chosen.fill(ground)
        painter = qt.QPainter()
        painter.begin(chosen)
        painter.drawPixmap(0, 0, sign)
        painter.end()
        made.addPixmap(sign, qt.QIcon.Normal)
        made.addPixmap(chosen, qt.QIcon.Selected)
    return made
