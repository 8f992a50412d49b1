"""Bar charts as MRML plot nodes, for instance of the class probabilities."""

from __future__ import annotations

from typing import Any

from ..scene_content.content import ChartContent
from .nodes import NodeMaker
from .tables import add_table

_COLOUR = (0.12, 0.35, 0.60)


def add_bar_chart(make: NodeMaker, content: ChartContent) -> tuple[Any, Any]:
    """A table node and a bar chart of one of its columns.

    Returns
    -------
    tuple
        The table node, and the plot chart node, whose role is the table's and "-chart".
    """
    role, title = content.table.role, content.table.title
    table = add_table(make, content.table)
    series = make.add("vtkMRMLPlotSeriesNode", content.value, f"{role}-series")
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetPlotType(series.PlotTypeBar)
    series.SetYColumnName(content.value)
    series.SetLabelColumnName(content.label)
    series.SetColor(*_COLOUR)
    chart = make.add("vtkMRMLPlotChartNode", title, f"{role}-chart")
    chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetTitle(title)
    names = content.table.columns[content.label]
    chart.SetXAxisTitle(", ".join(f"{index}: {text}" for index, text in enumerate(names)))
    chart.SetYAxisTitle(content.value)
    chart.SetLegendVisibility(False)
    chart.SetAxisTitleFontSize(11)
    return table, chart
