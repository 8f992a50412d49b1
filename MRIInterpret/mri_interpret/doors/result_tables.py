"""What the lists and tables of a result say, read from its nodes: it works for reopened scenes, and without pandas."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..anatomy import freesurfer
from ..checks.verdict import MODEL
from ..explanation.answer_words import members_legend, points_words
from ..scene.nodes import ROLE, RUN, runs
from ..scene.result_nodes import (
    ANSWER,
    EDGE_TEXT,
    EXCLUDED,
    SENTENCES,
    VERDICT,
    VERDICT_TEXT,
    ResultNodes,
    incomplete_names,
)
from ..scene.tables import columns_of_node, rows_of_node
from ..scene_content.table_content import THIS_SCAN
from ..thresholds import SMALLEST_REGION_ML

SUMMARY = "summary"
NO_RESULT = "No result yet."
_NOT_CHECKED = "Not checked: trust checks were off."
_ABOUT = {
    "consensus": "Where at least half, two thirds, or all of the methods are at their most relevant.",
    "spread": "How much the methods' ranks differ, voxel by voxel: their standard deviation.",
}
_REGION_COLUMNS = (
    ("gain", "Gain"),
    ("share", "Share"),
    ("mean", "Mean"),
    ("peak", "Peak"),
    ("asymmetry", "Asymmetry"),
    ("volume_mm3", "Volume (mm3)"),
)
# Column of the node, heading, and what values are multiplied by.
_VOLUME_COLUMNS = (
    ("ml", "Volume (ml)", 1),
    ("share", "Of intracranial (%)", 100),
    ("asymmetry", "Left-right difference (%)", 100),
    ("dice", "Dice", 1),
    ("volume_error", "Volume error (%)", 100),
)
_TOO_SMALL = f"below {SMALLEST_REGION_ML:g} ml"


@dataclass(frozen=True)
class Table:
    """A table to show.

    ``keys`` say what the rows stand for; empty if rows cannot be chosen. ``notes``: tooltips of the first column.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[Any]]
    keys: Sequence[Any] = ()
    notes: Sequence[str] = ()

    def as_tsv(self) -> str:
        """The table as text for a spreadsheet: tabs between columns, in the order in which it was made."""
        lines = [self.heads, *self.rows]
        return "".join("\t".join(str(value).replace("\t", " ") for value in line) + "\n" for line in lines)


EMPTY_TABLE = Table((), ())


@dataclass(frozen=True)
class Bar:
    """A bar that is filled to ``share`` (0 to 1), with a text on it."""

    share: float
    text: str
    tooltip: str


@dataclass(frozen=True)
class PredictionText:
    """The prediction in a sentence with the research-only banner, bars of the answer, and the warnings."""

    sentence: str
    bars: tuple[Bar, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class MapEntry:
    """A map in the list.

    ``verdict`` is "pass", "fail", "fails one" (and is part of the summary score all the same), "not applicable", or ""
    if it was not checked.
    """

    key: str
    title: str
    verdict: str
    tooltip: str


def why_no_result(scene: Any) -> str:
    """One sentence for a scene without a result that can be shown."""
    incomplete = incomplete_names(scene)
    if not incomplete:
        return NO_RESULT
    return f"Too much of the result {incomplete[-1]} was deleted from the scene to show it: press Explain again."


def prediction_text(nodes: ResultNodes) -> PredictionText:
    """What the model said about the scan."""
    answer = nodes.note.GetAttribute(ANSWER) or ""
    deviations = nodes.members_sd or {}
    legend = f" (±: {members_legend(nodes.members)})" if deviations else ""
    if "quantity" in nodes.tables:
        bars = _scale(nodes.tables["quantity"], answer, legend)
    elif "probabilities" not in nodes.tables:  # the user may have deleted the table
        bars = ()
    else:
        odds = {str(row["class"]): float(row["probability"]) for row in rows_of_node(nodes.tables["probabilities"])}
        answer = answer or max(odds, key=lambda name: odds[name])  # scenes of earlier versions hold no words
        bars = tuple(
            Bar(value, _bar_text(name, value, deviations.get(name)), f"Probability of {name} by the model{legend}")
            for name, value in odds.items()
        )
    lines = nodes.note.GetText().splitlines()
    warnings = tuple(line[2:] for line in lines if line.startswith("- "))
    return PredictionText(f"The model says {answer}. {lines[0]}", bars, warnings)


def _bar_text(name: str, value: float, deviation: float | None) -> str:
    behind = "" if deviation is None else f" ± {points_words(deviation, 1)}"
    return f"{name}: {100 * value:.1f} %{behind}"


def _scale(table: Any, answer: str, legend: str) -> tuple[Bar, ...]:
    """The quantity on its scale; no bar where its range is not known."""
    names, values = columns_of_node(table).values()
    value = float(values[names.index(THIS_SCAN)])
    ends = [float(at) for name, at in zip(names, values, strict=True) if name != THIS_SCAN]
    if len(ends) < 2:
        return ()
    low, high = min(ends), max(ends)
    return (
        Bar(
            min(max((value - low) / (high - low), 0.0), 1.0),
            answer,
            f"Where the answer lies on the model's scale{legend}",
        ),
    )


def map_entries(nodes: ResultNodes) -> list[MapEntry]:
    """The summary, the map of every method, the methods' consensus and spread."""
    return [
        MapEntry(
            key,
            node.GetName(),
            _mark(node),
            "\n".join(filter(None, (_found(key, node), node.GetAttribute(EDGE_TEXT)))),
        )
        for key, node in nodes.volumes.items()
    ]


def _found(key: str, node: Any) -> str:
    return node.GetAttribute(VERDICT_TEXT) or _ABOUT.get(key, _NOT_CHECKED)


def _mark(node: Any) -> str:
    verdict = str(node.GetAttribute(VERDICT) or "")
    return "fails one" if verdict == "fail" and not node.GetAttribute(EXCLUDED) else verdict


def trust_table(nodes: ResultNodes, key: str) -> Table:
    """What each trust check found about one map, and about the model on this scan; empty if none was run."""
    if "trust" not in nodes.tables:
        return EMPTY_TABLE
    found = rows_of_node(nodes.tables["trust"])
    of_model = [row | {"check": f"the model: {row['check']}"} for row in found if row["method"] == MODEL]
    rows = [row for row in found if row["method"] == key]
    rows += of_model if rows else []
    rows.sort(key=lambda row: ("fail", "pass").index(row["verdict"]) if row["verdict"] in ("fail", "pass") else 2)
    return Table(
        ["Check", "Verdict", "Value", "Threshold", "What it means"],
        [
            [row["check"], row["verdict"], _known(row["value"]), _known(row["threshold"]), row["sentence"]]
            for row in rows
        ],
    )


def region_table(nodes: ResultNodes, key: str) -> Table:
    """The regions of one map, in the scan's space, the densest relevance first; those too small to be ranked last.

    Its keys are lists: the label, and the map's peak in the region in the scan's own RAS mm.
    """
    rows = [
        row
        for row in rows_of_node(nodes.tables["regions"])
        if row["method"] == key and row["space"] == "native" and int(row["label"]) > 0
    ]
    rows.sort(key=lambda row: (_too_small(row), -row["gain"]))
    return Table(
        ["Region", *(title for _name, title in _REGION_COLUMNS), "Remark"],
        [
            [
                reader_name(row["region"], int(row["label"])),
                *(_known(row[name]) for name, _title in _REGION_COLUMNS),
                _TOO_SMALL * _too_small(row),
            ]
            for row in rows
        ],
        [[int(row["label"]), row["peak_r"], row["peak_a"], row["peak_s"]] for row in rows],
        [str(row["region"]) for row in rows],
    )


def reader_name(name: str, label: int) -> str:
    """What readers call a structure of FreeSurfer's ("Left hippocampus"); other regions keep their names."""
    return freesurfer.reader_name(name) if freesurfer.is_known(label) and freesurfer.name_of(label) == name else name


def _too_small(row: dict[str, Any]) -> bool:
    return float(row["volume_mm3"]) < 1000 * SMALLEST_REGION_ML


def _known(value: float) -> float | str:
    """Nothing for what was not measured."""
    return float(value) if math.isfinite(float(value)) else ""


def volume_sentences(nodes: ResultNodes) -> tuple[str, ...]:
    """What the volume methods say; empty if none was asked."""
    text = nodes.note.GetAttribute(SENTENCES) or ""
    return tuple(text.splitlines())


def volume_table(nodes: ResultNodes) -> Table:
    """The structures of this brain with their volumes; its keys are labels. Empty if the brain was not segmented."""
    if "volumes" not in nodes.tables:
        return EMPTY_TABLE
    rows = rows_of_node(nodes.tables["volumes"])
    remarks = (("unsure", lambda row: not int(row["sure"])), (_TOO_SMALL, lambda row: bool(int(row["too_small"]))))
    return Table(
        ["Structure", *(title for _name, title, _factor in _VOLUME_COLUMNS), "Remark"],
        [
            [
                reader_name(row["structure"], int(row["label"])),
                *(_known(float(row[name]) * factor) for name, _title, factor in _VOLUME_COLUMNS),
                ", ".join(text for text, holds in remarks if holds(row)),
            ]
            for row in rows
        ],
        [int(row["label"]) for row in rows],
        [str(row["structure"]) for row in rows],
    )


def volumes_csv(nodes: ResultNodes) -> str:
    """The table of volumes as CSV: the columns of the file volumes.csv, empty where nothing was measured."""
    columns = columns_of_node(nodes.tables["volumes"])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for values in zip(*columns.values(), strict=True):
        writer.writerow(["" if isinstance(value, float) and math.isnan(value) else value for value in values])
    return text.getvalue()


def agreement_table(nodes: ResultNodes) -> Table:
    """How alike the maps of each pair of methods are; empty if the user has deleted the table."""
    if "agreement" not in nodes.tables:
        return EMPTY_TABLE
    titles = {name: node.GetName() for name, node in nodes.maps.items()}
    return Table(
        ["Method", "Method", "Rank correlation", "Overlap of top 5 %", "Correlation over regions"],
        [
            [
                titles.get(row["method_a"], row["method_a"]),
                titles.get(row["method_b"], row["method_b"]),
                *(float(row[name]) for name in ("spearman", "dice_top5", "region_correlation")),
            ]
            for row in rows_of_node(nodes.tables["agreement"])
        ],
    )


def newest_cohort(scene: Any) -> tuple[Table, str] | None:
    """The newest cohort's confusion matrix, true classes in rows, and a text on how well the model did.

    For a model that returns a quantity, its errors take the matrix's place.

    Returns
    -------
    tuple or None
        None if the scene holds no cohort whose truth is known.
    """
    tables = _tables_of_newest_cohort(scene)
    if "confusion" not in tables:
        return _errors(tables["performance"]) if "performance" in tables else None
    rows = rows_of_node(tables["confusion"])
    classes = list(dict.fromkeys(row["true"] for row in rows))
    counts = {(row["true"], row["predicted"]): int(row["count"]) for row in rows}
    confusion = Table(
        ["True class", *(f"called {name}" for name in classes)],
        [[true, *(counts[true, called] for called in classes)] for true in classes],
    )
    lines = [str(tables["confusion"].GetAttribute(RUN))]
    for row in rows_of_node(tables["performance"]) if "performance" in tables else []:
        if row["measure"] == "balanced accuracy":
            value, low, high, n = (float(row[name]) for name in ("value", "low", "high", "n"))
            interval = f"95 % interval {low:.2f} to {high:.2f}"
            lines.append(f"Balanced accuracy {value:.2f}, {interval}, {n:.0f} participants")
    return confusion, "\n".join(lines)


def _errors(performance: Any) -> tuple[Table, str]:
    """How well a quantity is predicted."""
    rows = [
        [str(row["measure"]), *(float(row[name]) for name in ("value", "low", "high")), int(float(row["n"]))]
        for row in rows_of_node(performance)
    ]
    heads = ["Measure", "Value", "95 % from", "to", "Participants"]
    return Table(heads, rows), str(performance.GetAttribute(RUN))


def _tables_of_newest_cohort(scene: Any) -> dict[str, Any]:
    """Table nodes by role."""
    count = scene.GetNumberOfNodesByClass("vtkMRMLTableNode")
    tables = [scene.GetNthNodeByClass(n, "vtkMRMLTableNode") for n in range(count)]
    cohorts = [node.GetAttribute(RUN) for node in tables if node.GetAttribute(ROLE) == "predictions"]
    newest = next((run for run in reversed(runs(scene)) if run in cohorts), None)
    return {node.GetAttribute(ROLE): node for node in tables if newest and node.GetAttribute(RUN) == newest}
