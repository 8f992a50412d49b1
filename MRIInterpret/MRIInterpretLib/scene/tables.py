"""pandas tables as MRML table nodes, with typed columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vtkmodules.vtkCommonCore import vtkDoubleArray, vtkIntArray, vtkStringArray

from .nodes import NodeMaker

if TYPE_CHECKING:
    import pandas as pd


def column(values: pd.Series, name: str) -> Any:
    """A column as a VTK array: text, whole numbers, or floating point."""
    import pandas as pd

    if pd.api.types.is_integer_dtype(values):
        array: Any = vtkIntArray()
        items: list[Any] = [int(v) for v in values]
    elif pd.api.types.is_numeric_dtype(values):
        array = vtkDoubleArray()
        items = [float(v) for v in values]
    else:
        array = vtkStringArray()
        items = [str(v) for v in values]
    array.SetName(name)
    for item in items:
        array.InsertNextValue(item)
    return array


def add_table(make: NodeMaker, frame: pd.DataFrame, name: str, role: str) -> Any:
    """A table node with the columns of ``frame``; its index is left out."""
    node = make.add("vtkMRMLTableNode", name, role)
    fill_table(node, frame)
    return node


def fill_table(node: Any, frame: pd.DataFrame) -> None:
    """Replace a table node's content."""
    node.RemoveAllColumns()
    for title in frame.columns:
        node.AddColumn(column(frame[title], str(title)))
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetLocked(True)


def table_frame(node: Any) -> pd.DataFrame:
    """A table node's content as a DataFrame."""
    import numpy as np
    import pandas as pd

    table = node.GetTable()
    columns: dict[str, Any] = {}
    for index in range(table.GetNumberOfColumns()):
        array = table.GetColumn(index)
        values = [array.GetValue(row) for row in range(array.GetNumberOfValues())]
        columns[array.GetName()] = values if isinstance(array, vtkStringArray) else np.array(values)
    return pd.DataFrame(columns)
