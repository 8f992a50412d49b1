"""What of a map is seen: magnitudes from a threshold on, the same in the slices and in 3D."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from ..scene_content.display_range import DisplayRange
from .colours import LEVELS, SEQUENTIAL, SIGNED, TABLE, fill_colour_table, fill_signed_table
from .nodes import COLOUR_LIMIT

_SMALLEST = float(np.finfo(np.float32).tiny)


def is_signed(node: Any) -> bool:
    """Whether a map's colours are centred at zero."""
    return float(node.GetDisplayNode().GetWindowLevelMin()) < 0


def colour_limits(node: Any) -> DisplayRange:
    """What a map's colours are stretched over, and its threshold as it is shown now."""
    display = node.GetDisplayNode()
    lower, upper = (
        float(display.GetWindowLevelMin()),
        float(node.GetAttribute(COLOUR_LIMIT) or display.GetWindowLevelMax()),
    )
    return DisplayRange(-upper if lower < 0 else lower, upper, shown_from(node))


def shown_from(node: Any) -> float:
    """The threshold as the display nodes have it: the least magnitude that slices show, in the map's units."""
    display = node.GetDisplayNode()
    if not is_signed(node):
        return float(display.GetLowerThreshold()) if display.GetApplyThreshold() else 0.0
    table, end = display.GetColorNode().GetLookupTable(), float(display.GetWindowLevelMax())
    size = table.GetNumberOfTableValues()
    seen = [n for n in range(size // 2, size) if table.GetTableValue(n)[3] > 0]
    return end * (2 * seen[0] / (size - 1) - 1) if seen else float("inf")


def least_threshold(node: Any) -> float:
    """No smaller magnitude can be told from zero by the display; in the map's units."""
    return colour_limits(node).upper / (LEVELS - 1) if is_signed(node) else _SMALLEST


def set_threshold(node: Any, value: float) -> None:
    """Hide magnitudes below ``value``, in the map's units, in the slices.

    A display node's own threshold shows one interval, which suits unsigned maps. Of signed maps the middle is hidden by
    the colour table, whose levels have edges: the window's end is moved a little, so that one of them is the threshold,
    or to the map's extremes if the threshold lies beyond the end of the colours.
    """
    display = node.GetDisplayNode()
    value = max(value, least_threshold(node))
    if is_signed(node):
        _set_signed(node, display, value)
        return
    largest = float(node.GetImageData().GetPointData().GetScalars().GetRange(0)[1])
    with slicer.util.NodeModify(display):
        display.SetAutoThreshold(0)
        display.SetThreshold(value, max(largest, value))
        display.SetApplyThreshold(1)


def _set_signed(node: Any, display: Any, value: float) -> None:
    limit = colour_limits(node).upper
    if not node.GetAttribute(COLOUR_LIMIT):
        node.SetAttribute(COLOUR_LIMIT, repr(limit))
    extremes = node.GetImageData().GetPointData().GetScalars().GetRange(0)
    end, hidden = signed_window(limit, max(map(abs, extremes)), value)
    colours = display.GetColorNode()
    fill_signed_table(colours, colours.GetAttribute(TABLE) or SIGNED, end / limit, hidden)
    with slicer.util.NodeModify(display):
        display.SetApplyThreshold(0)
        display.SetAutoWindowLevel(0)
        display.SetWindowLevelMinMax(-end, end)


def signed_window(limit: float, largest: float, value: float) -> tuple[float, float]:
    """The end of a signed map's window, and the hidden share of it.

    Parameters
    ----------
    limit
        Where the colours end.
    largest
        The map's largest magnitude.
    value
        The threshold.

    Returns
    -------
    tuple of float
        The end, for which the threshold is an edge between two of Slicer's levels; and threshold / end.
    """
    wanted = limit if value < 0.98 * limit else max(largest, value)
    level = (LEVELS - 1) * (1 + value / wanted) / 2
    place = _place(round(level))
    if abs(value / place / wanted - 1) > 0.05:  # near zero, edges lie far apart: better too wide than too narrow
        place = _place(int(level))
    return value * (
        1 - 1e-6
    ) / place, place  # a value that equals the threshold is above the edge, however it is rounded


def _place(level: int) -> float:
    """Where a level above zero begins, in parts of the window's end."""
    return 2 * min(max(level, LEVELS // 2), LEVELS - 1) / (LEVELS - 1) - 1


def set_table(node: Any, name: str) -> None:
    """Show a map with the colours of another shipped table; the threshold stays."""
    colours = node.GetDisplayNode().GetColorNode()
    if not is_signed(node):
        fill_colour_table(colours, name)
        return
    threshold = shown_from(node)
    colours.SetAttribute(TABLE, name)
    _set_signed(node, node.GetDisplayNode(), threshold)


def table_of(node: Any) -> str:
    """Name of the shipped colour table that a map is shown with."""
    colours = node.GetDisplayNode().GetColorNode()
    name = colours.GetAttribute(TABLE) if colours is not None else None
    return str(name or (SIGNED if is_signed(node) else SEQUENTIAL))
