"""How a map is shown: over the slices, above which threshold, in which colours, and in 3D."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..scene_content.display_range import HIDDEN, DisplayRange
from . import hierarchy, views, volumes
from .colours import (
    SEQUENTIAL,
    SIGNED,
    TABLE,
    WITH_SIGN,
    WITHOUT_SIGN,
    add_colour_table,
    fill_colour_table,
)
from .nodes import BRAIN_VOXELS, METHOD, ROLE, NodeMaker, nodes_of_run
from .result_nodes import ResultNodes
from .volume_rendering import add_volume_rendering, transfer_functions

SUMMARY = "summary"
_SAMPLE = 200_000


def node_of(nodes: ResultNodes, key: str) -> Any:
    """The volume node of a map, or of the summary."""
    return nodes.maps.get(key, nodes.summary)


def is_signed(node: Any) -> bool:
    """Whether a map's colours are centred at zero."""
    return float(node.GetDisplayNode().GetWindowLevelMin()) < 0


class Magnitudes:
    """The magnitudes in a map's brain: from a share of its voxels to a threshold, and back."""

    def __init__(self, node: Any) -> None:
        from vtkmodules.util.numpy_support import vtk_to_numpy

        values = vtk_to_numpy(node.GetImageData().GetPointData().GetScalars())
        nonzero = int(np.count_nonzero(values))
        # A map may be zero in much of the brain (class activation maps are); outside the brain it always is.
        brain = int(node.GetAttribute(BRAIN_VOXELS) or nonzero)
        values = values[:: max(1, values.size // (8 * _SAMPLE))]
        magnitudes = np.abs(values[values != 0])
        step = max(1, magnitudes.size // _SAMPLE)
        self._sorted = np.sort(magnitudes[::step]) if magnitudes.size else np.zeros(1)
        self._share = min(1.0, nonzero / brain) if nonzero and brain else 1.0  # of the brain that is not zero

    def value_of_top(self, percent: float) -> float:
        """The threshold that the top ``percent`` of the brain's voxels reach; 0 if fewer of them are not 0."""
        share = min(max(percent, 0.0), 100.0) / 100 / self._share
        return float(np.quantile(self._sorted, 1 - share)) if share <= 1 else 0.0

    def top_of_value(self, value: float) -> float:
        """The percentage of the brain's voxels that reach ``value``."""
        if value <= 0:
            return 100.0
        return 100.0 * self._share * float(1 - np.searchsorted(self._sorted, value) / self._sorted.size)


def show_over_slices(scene: Any, nodes: ResultNodes, key: str, opacity: float) -> None:
    """Put a map over the scan in every slice view."""
    scan = nodes.scan or scan_under(nodes)
    views.show_over_scan(scene, scan, node_of(nodes, key), opacity)


def scan_under(nodes: ResultNodes) -> Any:
    """The scan of a result, which was in the scene before it."""
    return nodes.atlas.GetNodeReference(nodes.atlas.GetReferenceImageGeometryReferenceRole())


def set_threshold(nodes: ResultNodes, key: str, value: float) -> None:
    """Hide magnitudes below ``value``, in the map's units, in the slices."""
    node = node_of(nodes, key)
    if not is_signed(node):
        volumes.set_threshold(node, value, signed=False)
        return
    upper = float(node.GetDisplayNode().GetWindowLevelMax())
    colours = _own_table(nodes, key)
    table, size = colours.GetLookupTable(), colours.GetNumberOfColors()
    for index in range(size):
        *rgb, _ = table.GetTableValue(index)
        table.SetTableValue(index, *rgb, float(abs(2 * index / (size - 1) - 1) >= min(value / upper, 1.0)))
    colours.Modified()
    node.GetDisplayNode().SetAndObserveColorNodeID(colours.GetID())


def _own_table(nodes: ResultNodes, key: str) -> Any:
    """A map's own diverging table, whose transparent band can be set without changing other maps."""
    for node in _colour_nodes(nodes):
        if node.GetAttribute(METHOD) == key:
            return node
    title = f"{node_of(nodes, key).GetName()} colours"
    table = _add_table(nodes, colours_of(nodes, key), title)
    table.SetAttribute(METHOD, key)
    return table


def _colour_nodes(nodes: ResultNodes) -> list[Any]:
    return [n for n in nodes_of_run(nodes.summary.GetScene(), nodes.run) if n.GetAttribute(ROLE) == "colours"]


def _add_table(nodes: ResultNodes, name: str, title: str = "") -> Any:
    scene = nodes.summary.GetScene()
    node = add_colour_table(NodeMaker(scene, nodes.run, nodes.summary.GetDescription() or ""), name, title)
    hierarchy.add_later(scene, nodes.run, node, "colours")
    return node


def colour_choices(nodes: ResultNodes, key: str) -> list[tuple[str, str]]:
    """Titles and names of the colour tables that suit a map; the first is the default."""
    offered = WITH_SIGN if is_signed(node_of(nodes, key)) else WITHOUT_SIGN
    return [(title, name) for name, title in offered.items()]


def colours_of(nodes: ResultNodes, key: str) -> str:
    """Name of the colour table that a map is shown with."""
    node = node_of(nodes, key)
    colours = node.GetDisplayNode().GetColorNode()
    name = colours.GetAttribute(TABLE) if colours is not None else None
    return str(name or (SIGNED if is_signed(node) else SEQUENTIAL))


def set_colours(nodes: ResultNodes, key: str, name: str) -> None:
    """Show a map with another of the shipped colour tables, in the slices and in 3D."""
    node = node_of(nodes, key)
    signed = is_signed(node)
    if signed:
        table = _own_table(nodes, key)
        fill_colour_table(table, name)
    else:
        known = [n for n in _colour_nodes(nodes) if n.GetAttribute(TABLE) == name and not n.GetAttribute(METHOD)]
        table = known[0] if known else _add_table(nodes, name)
    node.GetDisplayNode().SetAndObserveColorNodeID(table.GetID())
    rendering = _renderings(nodes).get(key)
    if rendering is not None:
        rendering.GetVolumePropertyNode().SetColor(transfer_functions(_limits(node), signed, name)[1])


def _limits(node: Any) -> DisplayRange:
    display = node.GetDisplayNode()
    lower, upper = float(display.GetWindowLevelMin()), float(display.GetWindowLevelMax())
    return DisplayRange(lower, upper, max(lower, HIDDEN * upper))


def _renderings(nodes: ResultNodes) -> dict[str, Any]:
    own = nodes_of_run(nodes.summary.GetScene(), nodes.run)
    return {n.GetAttribute(METHOD) or SUMMARY: n for n in own if n.GetAttribute(ROLE) == "volume-rendering"}


def show_in_3d(nodes: ResultNodes, key: str, wanted: bool) -> None:
    """Render one map of the result in the 3D views, inside the brain's surface, or hide all."""
    scene = nodes.summary.GetScene()
    renderings = _renderings(nodes)
    if wanted and key not in renderings:
        node = node_of(nodes, key)
        make = NodeMaker(scene, nodes.run, nodes.summary.GetDescription() or "")
        table = colours_of(nodes, key)
        renderings[key] = add_volume_rendering(make, node, _limits(node), is_signed(node), key, table)
    for name, rendering in renderings.items():
        rendering.SetVisibility(wanted and name == key)
    nodes.surface.GetDisplayNode().SetVisibility(wanted)


def rendered(nodes: ResultNodes) -> list[str]:
    """Which maps are rendered in 3D."""
    return [key for key, node in _renderings(nodes).items() if node.GetVisibility()]


def jump_to_hottest(scene: Any, nodes: ResultNodes, key: str) -> None:
    """Move the slices through the voxel with the largest magnitude."""
    views.jump_to(scene, views.peak(node_of(nodes, key)))


def jump_to_local(scene: Any, nodes: ResultNodes, point: tuple[float, float, float]) -> None:
    """Move the slices through a point in the scan's own RAS mm, wherever its parent transform puts it."""
    views.jump_to(scene, (views.to_world(nodes.summary) @ np.array([*point, 1.0]))[:3])
