"""How a result's map is shown: over the slices, from which magnitude on, in which colours, and in 3D."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..scene import views, volumes
from ..scene.colours import HIDDEN, SEQUENTIAL, SIGNED, DisplayRange, add_colour_table
from ..scene.nodes import METHOD, ROLE, RUN, NodeMaker, nodes_of_run
from ..scene.volume_rendering import add_volume_rendering

if TYPE_CHECKING:
    from ..scene.found import SceneNodes

SUMMARY = "summary"
# Perceptually uniform tables that come with Slicer, for maps without a sign.
OTHER_COLOURS = ("Viridis", "Plasma", "Magma", "Cividis")
_SAMPLE = 200_000


def node_of(nodes: SceneNodes, key: str) -> Any:
    """The volume node of a map, or of the summary."""
    return nodes.maps.get(key, nodes.summary)


def is_signed(node: Any) -> bool:
    """Whether a map's colours are centred at zero."""
    return float(node.GetDisplayNode().GetWindowLevelMin()) < 0


class Magnitudes:
    """The magnitudes in a map's brain, to translate between a share of voxels and a value in the map's units."""

    def __init__(self, node: Any) -> None:
        from vtkmodules.util.numpy_support import vtk_to_numpy

        values = vtk_to_numpy(node.GetImageData().GetPointData().GetScalars())
        values = values[:: max(1, values.size // (8 * _SAMPLE))]
        found = np.abs(values[values != 0])
        self._sorted = np.sort(found[:: max(1, found.size // _SAMPLE)]) if found.size else np.zeros(1)

    def value_of_top(self, percent: float) -> float:
        """The value from which on the top ``percent`` of the voxels lie."""
        return float(np.quantile(self._sorted, 1 - min(max(percent, 0.0), 100.0) / 100))

    def top_of_value(self, value: float) -> float:
        """The percentage of the voxels from ``value`` on."""
        return 100.0 * float(1 - np.searchsorted(self._sorted, value) / self._sorted.size)


def show_over_slices(scene: Any, nodes: SceneNodes, key: str, opacity: float) -> None:
    """Put a map over the scan in every slice view."""
    scan = nodes.scan or scan_under(nodes)
    views.show_over_scan(scene, scan, node_of(nodes, key), opacity)


def scan_under(nodes: SceneNodes) -> Any:
    """The scan of a result, which was in the scene before it."""
    return nodes.atlas.GetNodeReference(nodes.atlas.GetReferenceImageGeometryReferenceRole())


def set_threshold(nodes: SceneNodes, key: str, value: float) -> None:
    """Show magnitudes from ``value`` on, in the map's units, in the slices."""
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


def _own_table(nodes: SceneNodes, key: str) -> Any:
    """The diverging table of one map, whose transparent band can be set without changing other maps."""
    scene = nodes.summary.GetScene()
    for node in nodes_of_run(scene, nodes.run):
        if node.GetAttribute(ROLE) == "colours" and node.GetAttribute(METHOD) == key:
            return node
    make = NodeMaker(scene, nodes.run, nodes.summary.GetDescription() or "")
    table = add_colour_table(make, SIGNED, hidden=HIDDEN, title=f"{node_of(nodes, key).GetName()} colours")
    table.SetAttribute(METHOD, key)
    return table


def colour_choices(scene: Any, nodes: SceneNodes, key: str) -> list[tuple[str, Any]]:
    """Titles and colour nodes that suit a map; the first is the one it is made with."""
    node = node_of(nodes, key)
    signed = is_signed(node)
    wanted = f"Relevance ({'signed' if signed else 'sequential'})"
    own = [n for n in nodes_of_run(scene, nodes.run) if (n.GetName() or "").startswith(wanted)]
    if not own:
        own = [add_colour_table(NodeMaker(scene, nodes.run, ""), SIGNED if signed else SEQUENTIAL)]
    title = "Blue and red, dark at zero" if signed else "Inferno"
    others = [] if signed else [(name, scene.GetFirstNodeByName(name)) for name in OTHER_COLOURS]
    return [(title, own[0]), *((name, colour) for name, colour in others if colour is not None)]


def show_in_3d(nodes: SceneNodes, key: str, wanted: bool) -> None:
    """Render one map of the result in the 3D views, inside the brain's surface; or none."""
    scene = nodes.summary.GetScene()
    renderings = {n.GetAttribute(METHOD) or SUMMARY: n for n in nodes_of_run(scene, nodes.run) if is_rendering(n)}
    if wanted and key not in renderings:
        node = node_of(nodes, key)
        display = node.GetDisplayNode()
        upper = float(display.GetWindowLevelMax())
        lower = float(display.GetWindowLevelMin())
        limits = DisplayRange(lower, upper, max(lower, HIDDEN * upper))
        make = NodeMaker(scene, nodes.run, nodes.summary.GetDescription() or "")
        renderings[key] = add_volume_rendering(make, node, limits, is_signed(node), key)
    for name, rendering in renderings.items():
        rendering.SetVisibility(wanted and name == key)
    nodes.surface.GetDisplayNode().SetVisibility(wanted)


def is_rendering(node: Any) -> bool:
    """Whether this is one of our volume-rendering displays."""
    return node.GetAttribute(ROLE) == "volume-rendering" and bool(node.GetAttribute(RUN))


def rendered(nodes: SceneNodes) -> list[str]:
    """Which maps are rendered in 3D."""
    found = nodes_of_run(nodes.summary.GetScene(), nodes.run)
    return [n.GetAttribute(METHOD) or SUMMARY for n in found if is_rendering(n) and n.GetVisibility()]


def jump_to_hottest(scene: Any, nodes: SceneNodes, key: str) -> None:
    """Move the slices through the voxel with the largest magnitude."""
    views.jump_to(scene, views.peak(node_of(nodes, key)))


def jump_to_local(scene: Any, nodes: SceneNodes, point: tuple[float, float, float]) -> None:
    """Move the slices through a point in the scan's own RAS mm, wherever its parent transform puts it."""
    views.jump_to(scene, (views.to_world(nodes.summary) @ np.array([*point, 1.0]))[:3])
