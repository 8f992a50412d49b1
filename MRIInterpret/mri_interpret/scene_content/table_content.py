"""A scene's tables and bar charts, as columns of plain numbers and texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..explanation.answer_words import answer_words
from .counterfactual_content import bars_in

if TYPE_CHECKING:
    import pandas as pd

    from ..explanation.explanation import Explanation

_TOP_REGIONS = 8  # bars of the chart
THIS_SCAN = "this scan"  # the bar of the answer among those of a quantity's scale


@dataclass(frozen=True)
class TableContent:
    """A table by columns: whole numbers, floating point numbers, or texts."""

    role: str
    title: str
    columns: dict[str, list[Any]]


@dataclass(frozen=True)
class ChartContent:
    """A bar for each row of a table that is made for it: ``label`` and ``value`` are its columns."""

    table: TableContent
    label: str
    value: str


def columns_of(frame: pd.DataFrame) -> dict[str, list[Any]]:
    """A table's columns as lists of int, float or str."""
    import pandas as pd

    columns: dict[str, list[Any]] = {}
    for name in frame.columns:
        values = frame[name]
        if pd.api.types.is_integer_dtype(values):
            columns[str(name)] = [int(v) for v in values]
        elif pd.api.types.is_numeric_dtype(values):
            columns[str(name)] = [float(v) for v in values]
        else:
            columns[str(name)] = [str(v) for v in values]
    return columns


def tables_and_charts(explanation: Explanation) -> tuple[tuple[TableContent, ...], tuple[ChartContent, ...]]:
    """All tables of an explanation, and the bar charts of its answer, its regions and what would have to change."""
    regions: pd.DataFrame = explanation.region_table
    tables = [
        TableContent("regions", "Regions", columns_of(regions)),
        TableContent("agreement", "Agreement of the methods", columns_of(explanation.agreement)),
    ]
    if explanation.anatomy is not None:
        from ..anatomy.volumes import volume_table

        volumes = volume_table(explanation.anatomy).astype({"sure": int, "too_small": int})
        tables.append(TableContent("volumes", "Volumes of this brain", columns_of(volumes)))
    if explanation.verdicts:
        from ..checks.verdict import as_table

        tables.append(TableContent("trust", "Trust checks", columns_of(as_table(explanation.verdicts))))
    if explanation.volume_changes is not None:
        changes = explanation.volume_changes.astype({"too_small": int})
        tables.append(TableContent("volume_changes", "Changes of volume", columns_of(changes)))
    from ..anatomy.top_regions import SUMMARY, top_regions

    methods = list(dict.fromkeys(regions["method"]))
    top = top_regions(regions, SUMMARY if SUMMARY in methods else str(methods[0]), _TOP_REGIONS)
    gains = dict(zip(top.names, top.rows["gain"].astype(float), strict=True))
    charts = [
        answer_chart(explanation),
        chart("top-regions", "Regions where relevance is densest" if gains else top.sentence, "region", "gain", gains),
    ]
    changed = bars_in(explanation)
    if changed is not None:
        title, value, bars = changed
        charts.append(chart("changed-volumes", title, "structure", value, bars))
    return tuple(tables), tuple(charts)


def answer_chart(explanation: Explanation) -> ChartContent:
    """Bars of probabilities; or the quantity between the ends of its range and its named values."""
    output = explanation.model.output
    if not output.is_quantity:
        odds, deviations = explanation.prediction.probabilities, explanation.prediction.members_sd
        what = "Label" if output.has_labels else "Class"
        if not deviations:
            return chart("probabilities", f"{what} probabilities (research use only)", "class", "probability", odds)
        words = answer_words(explanation.prediction, output)  # a chart's bars have no error bars: its title says it
        title = f"{what} probabilities: {words.details} ({words.legend}; research use only)"
        made = chart("probabilities", title, "class", "probability", odds)
        made.table.columns["sd"] = [float(deviations[name]) for name in odds]
        return made
    (name,) = output.classes
    names = dict(output.anchors)
    marks = sorted({*names, *(output.value_range or ())})
    bars = {THIS_SCAN: explanation.prediction.logits[name]} | {
        f"{at:g} {names.get(at, '')}".rstrip(): at for at in marks
    }
    unit = f" in {output.shown_unit}" if output.shown_unit else ""
    return chart("quantity", f"{name}{unit} (research use only)", "value of", name, bars)


def chart(role: str, title: str, label: str, value: str, bars: Mapping[str, float]) -> ChartContent:
    """A bar chart of named values."""
    columns: dict[str, list[Any]] = {label: [str(name) for name in bars], value: list(map(float, bars.values()))}
    return ChartContent(TableContent(role, title, columns), label, value)
