"""What a result's tables say, read from its table nodes: it works after reopening a scene, and without pandas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from ..scene.found import VERDICT, VERDICT_TEXT
from ..scene.nodes import ROLE, RUN, runs
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
    _warn(ui, [])
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
    _warn(ui, [line[2:] for line in lines if line.startswith("- ")])
    _bars(ui.probabilitiesWidget, odds)


def _warn(ui: Any, sentences: list[str]) -> None:
    """A box that scrolls: a label beside other widgets is cut off where it needs more lines than Qt had reckoned."""
    ui.warningsTextEdit.plainText = "\n".join(sentences)
    ui.warningsTextEdit.visible = bool(sentences)


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
            item.setToolTip(node.GetAttribute(VERDICT_TEXT) or _("Not checked: trust checks were off."))
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


def show_confusion(ui: Any, scene: Any) -> None:
    """The newest cohort's confusion matrix, true classes in rows, and how well the model did."""
    found = _of_newest_cohort(scene)
    ui.confusionTable.setVisible("confusion" in found)
    ui.cohortResultLabel.setVisible(bool(found))
    ui.cohortResultLabel.text = found["confusion"].GetAttribute(RUN) if "confusion" in found else ""
    if "confusion" not in found:
        return
    rows = rows_of(found["confusion"])
    classes = list(dict.fromkeys(row["true"] for row in rows))
    counts = {(row["true"], row["predicted"]): int(row["count"]) for row in rows}
    heads = [_("True class"), *(_("called {name}").format(name=name) for name in classes)]
    fill_table(ui.confusionTable, heads, [[true, *(counts[true, other] for other in classes)] for true in classes])
    lines = [ui.cohortResultLabel.text]
    for row in rows_of(found["performance"]) if "performance" in found else []:
        if row["measure"] == "balanced accuracy":
            lines.append(
                _("Balanced accuracy {value:.2f}, 95 % interval {low:.2f} to {high:.2f}, {n:.0f} participants").format(
                    value=float(row["value"]), low=float(row["low"]), high=float(row["high"]), n=float(row["n"])
                )
            )
    ui.cohortResultLabel.text = "\n".join(lines)


def _of_newest_cohort(scene: Any) -> dict[str, Any]:
    """The tables of the newest cohort in the scene, by role."""
    tables = [
        scene.GetNthNodeByClass(n, "vtkMRMLTableNode") for n in range(scene.GetNumberOfNodesByClass("vtkMRMLTableNode"))
    ]
    cohorts = [node.GetAttribute(RUN) for node in tables if node.GetAttribute(ROLE) == "predictions"]
    newest = next((run for run in reversed(runs(scene)) if run in cohorts), None)
    return {node.GetAttribute(ROLE): node for node in tables if newest and node.GetAttribute(RUN) == newest}
