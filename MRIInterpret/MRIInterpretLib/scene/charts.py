"""Plot charts: the class probabilities, and the regions with the largest share of the relevance."""

from __future__ import annotations

from typing import Any

import pandas as pd

from .nodes import NodeMaker
from .tables import add_table

_COLOUR = (0.12, 0.35, 0.60)


def add_bar_chart(
    make: NodeMaker, frame: pd.DataFrame, label: str, value: str, name: str, role: str
) -> tuple[Any, Any]:
    """A table node and a bar chart of one of its columns.

    Parameters
    ----------
    make
        Where the nodes are added.
    frame
        One row for each bar.
    label, value
        Columns: what each bar is called, and its height.
    name
        Title of the chart and of its table.
    role
        The nodes' role in the result; the chart's is this and "-chart".

    Returns
    -------
    tuple
        The table node and the plot chart node.
    """
    table = add_table(make, frame, name, role)
    series = make.add("vtkMRMLPlotSeriesNode", value, f"{role}-series")
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetPlotType(series.PlotTypeBar)
    series.SetYColumnName(value)
    series.SetLabelColumnName(label)
    series.SetColor(*_COLOUR)
    chart = make.add("vtkMRMLPlotChartNode", name, f"{role}-chart")
    chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetTitle(name)
    chart.SetXAxisTitle(", ".join(f"{index}: {text}" for index, text in enumerate(frame[label])))
    chart.SetYAxisTitle(value)
    chart.SetLegendVisibility(False)
    chart.SetAxisTitleFontSize(11)
    return table, chart


def probabilities_frame(probabilities: dict[str, float]) -> pd.DataFrame:
    """One row for each class."""
    return pd.DataFrame({"class": list(probabilities), "probability": list(probabilities.values())})


def top_regions_frame(regions: pd.DataFrame, method: str, count: int = 8) -> pd.DataFrame:
    """The ``count`` regions where one method's relevance is densest (gain), in the scan's space.

    Shares would rank regions by their size above all.
    """
    chosen = regions[(regions["method"] == method) & (regions["space"] == "native") & (regions["label"] > 0)]
    chosen = chosen.sort_values("gain", ascending=False).head(count)
    return pd.DataFrame({"region": chosen["region"].astype(str), "gain": chosen["gain"].astype(float)})
