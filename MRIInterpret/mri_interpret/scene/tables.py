"""Tables as MRML table nodes with typed columns, bar charts of them, and tables read back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkDoubleArray, vtkIntArray, vtkStringArray

from .nodes import NodeMaker

if TYPE_CHECKING:
    import pandas as pd

    from ..scene_content.table_content import ChartContent, TableContent


_BAR_COLOUR = (0.12, 0.35, 0.60)


def column(values: Sequence[Any], name: str) -> Any:
    """A column as a VTK array: text, whole numbers, or floating point."""
    kinds = {type(value) for value in values}
    if kinds and kinds <= {int, float}:  # at once: a table of a thousand rows would take a hundredth of a second
        array: Any = vtkIntArray() if kinds == {int} else vtkDoubleArray()
        array.SetNumberOfValues(len(values))
        vtk_to_numpy(array)[:] = values
    else:
        array = vtkStringArray() if kinds else vtkIntArray()
        for value in values:
            array.InsertNextValue(str(value))
    array.SetName(name)
    return array


def add_table(make: NodeMaker, table: TableContent) -> Any:
    """A table node."""
    node = make.add("vtkMRMLTableNode", table.title, table.role)
    node.RemoveAllColumns()
    for title, values in table.columns.items():
        node.AddColumn(column(values, title))
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetLocked(True)
    return node


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
    series.SetColor(*_BAR_COLOUR)
    chart = make.add("vtkMRMLPlotChartNode", title, f"{role}-chart")
    chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetTitle(title)
    names = content.table.columns[content.label]
    chart.SetXAxisTitle(", ".join(f"{index}: {text}" for index, text in enumerate(names)))
    chart.SetYAxisTitle(content.value)
    chart.SetLegendVisibility(False)
    chart.SetAxisTitleFontSize(11)
    return table, chart


def columns_of_node(node: Any) -> dict[str, list[Any]]:
    """A table node's columns by name."""
    table = node.GetTable()
    return {array.GetName(): _values(array) for array in map(table.GetColumn, range(table.GetNumberOfColumns()))}


def _values(array: Any) -> list[Any]:
    if isinstance(array, vtkDoubleArray | vtkIntArray):
        return vtk_to_numpy(array).tolist() if array.GetNumberOfValues() else []
    return [array.GetValue(row) for row in range(array.GetNumberOfValues())]


def rows_of_node(node: Any) -> list[dict[str, Any]]:
    """A table node's rows, each by column name."""
    columns = columns_of_node(node)
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def table_frame(node: Any) -> pd.DataFrame:
    """A table node's content as a DataFrame."""
    import pandas as pd

    return pd.DataFrame(columns_of_node(node))
