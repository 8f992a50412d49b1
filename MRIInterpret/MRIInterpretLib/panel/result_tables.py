"""What a result's tables say, read from its table nodes: it works after reopening a scene, and without pandas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from ..scene.found import VERDICT, VERDICT_TEXT
from .widgets import fill_table, quiet

_REGION_COLUMNS = (
    ("gain", "Gain"),
    ("share", "Share"),
    ("mean", "Mean"),
    ("peak", "Peak"),
    ("asymmetry", "Asymmetry"),
    ("volume_mm3", "Volume (mm3)"),
)


def rows_of(node: Any) -> list[dict[str, Any]]:
    """A table node's rows, by column name."""
    table = node.GetTable()
    columns = {table.GetColumnName(n): table.GetColumn(n) for n in range(table.GetNumberOfColumns())}
    return [{name: column.GetValue(row) for name, column in columns.items()} for row in range(table.GetNumberOfRows())]


def clear(ui: Any) -> None:
    """No result: empty lists and tables."""
    ui.predictionLabel.text = _("No result yet.")
    ui.warningsLabel.text = ""
    with quiet(ui.mapList, ui.thresholdLineEdit, ui.coloursComboBox):
        ui.mapList.clear()
        ui.thresholdLineEdit.text = ""
        ui.coloursComboBox.clear()
    fill_table(ui.regionTable, [], [])
    fill_table(ui.agreementTable, [], [])
    _bars(ui.probabilitiesWidget, [])


def show_prediction(ui: Any, nodes: Any) -> None:
    """Class probabilities as bars, and the sentences of the note."""
    odds = [(row["class"], float(row["probability"])) for row in rows_of(nodes.tables["probabilities"])]
    predicted = max(odds, key=lambda pair: pair[1])[0]
    lines = nodes.note.GetText().splitlines()
    ui.predictionLabel.text = _("The model says {predicted}. {banner}").format(predicted=predicted, banner=lines[0])
    ui.warningsLabel.text = "\n".join(line[2:] for line in lines if line.startswith("- "))
    _bars(ui.probabilitiesWidget, odds)


def _bars(widget: Any, odds: list[tuple[str, float]]) -> None:
    layout = widget.layout()
    while layout.count() > len(odds):
        layout.takeAt(layout.count() - 1).widget().deleteLater()
    while layout.count() < len(odds):
        bar = qt.QProgressBar()
        bar.setRange(0, 1000)
        layout.addWidget(bar)
    for index, (name, value) in enumerate(odds):
        bar = layout.itemAt(index).widget()
        bar.value = round(1000 * value)
        bar.format = f"{name}: {100 * value:.1f} %"
        bar.toolTip = _("Probability of {name} by the model").format(name=name)


def show_maps(maps: Any, nodes: Any, key: str, icon: Callable[[str], Any]) -> None:
    """The summary and every method, with the icon of its verdict."""
    entries = [("summary", nodes.summary), *nodes.maps.items()]
    with quiet(maps):
        maps.clear()
        for row, (name, node) in enumerate(entries):
            item = qt.QListWidgetItem(node.GetName())
            item.setData(qt.Qt.UserRole, name)
            item.setToolTip(node.GetAttribute(VERDICT_TEXT) or _("Not checked."))
            item.setIcon(icon(node.GetAttribute(VERDICT) or ""))
            maps.addItem(item)
            if name == key:
                maps.setCurrentRow(row)


def show_regions(table: Any, nodes: Any, key: str) -> None:
    """The regions of one map, in the scan's space, the densest relevance first."""
    rows = [
        row
        for row in rows_of(nodes.tables["regions"])
        if row["method"] == key and row["space"] == "native" and int(row["label"]) > 0
    ]
    rows.sort(key=lambda row: -row["gain"])
    heads = [_("Region"), *(title for _name, title in _REGION_COLUMNS)]
    body = [[row["region"], *(float(row[name]) for name, _title in _REGION_COLUMNS)] for row in rows]
    keys = [[int(row["label"]), row["peak_r"], row["peak_a"], row["peak_s"]] for row in rows]
    fill_table(table, heads, body, keys)


def show_agreement(table: Any, nodes: Any) -> None:
    """Each pair of methods."""
    titles = {name: node.GetName() for name, node in nodes.maps.items()}
    heads = [_("Method"), _("Method"), _("Rank correlation"), _("Overlap of top 5 %"), _("Correlation over regions")]
    body = [
        [
            titles.get(row["method_a"], row["method_a"]),
            titles.get(row["method_b"], row["method_b"]),
            *(float(row[name]) for name in ("spearman", "dice_top5", "region_correlation")),
        ]
        for row in rows_of(nodes.tables["agreement"])
    ]
    fill_table(table, heads, body)
