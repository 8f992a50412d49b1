"""Tables as MRML table nodes, with typed columns; and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vtkmodules.vtkCommonCore import vtkDoubleArray, vtkIntArray, vtkStringArray

from ..scene_content.content import TableContent
from .nodes import NodeMaker

if TYPE_CHECKING:
    import pandas as pd


def column(values: Sequence[Any], name: str) -> Any:
    """A column as a VTK array: text, whole numbers, or floating point."""
    if all(type(value) is int for value in values):
        array: Any = vtkIntArray()
    elif all(type(value) in (int, float) for value in values):
        array = vtkDoubleArray()
    else:
        array = vtkStringArray()
        values = [str(value) for value in values]
    array.SetName(name)
    for value in values:
        array.InsertNextValue(value)
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


def columns_of_node(node: Any) -> dict[str, list[Any]]:
    """A table node's columns by name."""
    table = node.GetTable()
    arrays = [table.GetColumn(index) for index in range(table.GetNumberOfColumns())]
    return {array.GetName(): [array.GetValue(row) for row in range(array.GetNumberOfValues())] for array in arrays}


def rows_of_node(node: Any) -> list[dict[str, Any]]:
    """A table node's rows, each by column name."""
    columns = columns_of_node(node)
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def table_frame(node: Any) -> pd.DataFrame:
    """A table node's content as a DataFrame."""
    import pandas as pd

    return pd.DataFrame(columns_of_node(node))
