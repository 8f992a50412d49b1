"""How a map is shown: over the slices, above which threshold, in which colours, and in 3D; all by one function."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import threshold, views
from .colours import WITH_SIGN, WITHOUT_SIGN, add_colour_table
from .magnitudes import Magnitudes
from .nodes import METHOD, ROLE, NodeMaker, nodes_of_run
from .rendering import paused
from .result_nodes import COUNTERFACTUAL, ResultNodes, hide_others
from .threshold import is_signed
from .volume_rendering import add_volume_rendering, set_rendering

SUMMARY, CONSENSUS, SPREAD = "summary", "consensus", "spread"

__all__ = ["Magnitudes", "is_signed", "node_of", "rendered", "show", "show_in_3d"]


def node_of(nodes: ResultNodes, key: str) -> Any:
    """The volume node of a method's map, of the summary score, the consensus or the spread."""
    return nodes.volumes.get(key, nodes.summary)


def has_threshold(nodes: ResultNodes, key: str) -> bool:
    """Whether a map's values can be hidden from a threshold on, and its colours chosen: not of labels."""
    return not node_of(nodes, key).IsA("vtkMRMLLabelMapVolumeNode")


def show(
    scene: Any,
    nodes: ResultNodes,
    key: str,
    *,
    value: float | None = None,
    opacity: float = 0.75,
    show_3d: bool = True,
    over_slices: bool = True,
) -> None:
    """Show a map of a result, and nothing of other results in 3D: slices, colour bar, threshold, 3D.

    Parameters
    ----------
    scene
        vtkMRMLScene.
    nodes
        The result.
    key
        A method, "summary", "consensus" or "spread".
    value
        The threshold, in the map's units; None to leave it as it is.
    opacity
        Of the map over the scan, 0 to 1.
    show_3d
        Whether the map is rendered in the 3D views, inside the brain's surface.
    over_slices
        Whether the slice views' layers are changed.
    """
    with paused():
        hide_others(scene, nodes.run)
        if value is not None and has_threshold(nodes, key):
            set_threshold(nodes, key, value)
        if over_slices:
            show_over_slices(scene, nodes, key, opacity)
        show_in_3d(nodes, key, show_3d)


def show_over_slices(scene: Any, nodes: ResultNodes, key: str, opacity: float) -> None:
    """Put a map over the scan in every slice view, or over the deformed scan where that is in its place."""
    views.show_over_scan(scene, behind(scene, nodes), node_of(nodes, key), opacity)


def behind(scene: Any, nodes: ResultNodes) -> Any:
    """What lies behind the maps: a counterfactual of the result if the slices show one, else the scan."""
    shown = views.layers(scene)
    deformed = [node for node in nodes_of_run(scene, nodes.run) if node.GetAttribute(ROLE) == COUNTERFACTUAL]
    return next((node for node in deformed if node.GetID() in shown), nodes.scan or scan_under(nodes))


def fit(scene: Any, nodes: ResultNodes, key: str) -> None:
    """All of the scan in the slices, at the map's largest magnitude; the camera looks at the head."""
    whole = behind(scene, nodes) or nodes.summary  # the scan may have been deleted
    with paused():
        views.fit_slices(scene, whole)
        views.jump_to(scene, views.peak(node_of(nodes, key)))
        views.aim_camera(scene, whole)


def is_over_slices(scene: Any, nodes: ResultNodes) -> bool:
    """Whether a slice view shows the result's scan or one of its maps."""
    own = [behind(scene, nodes), *nodes.volumes.values()]
    return bool(views.layers(scene) & {node.GetID() for node in own if node is not None})


def scan_under(nodes: ResultNodes) -> Any:
    """The scan of a result, which was in the scene before it."""
    return nodes.atlas.GetNodeReference(nodes.atlas.GetReferenceImageGeometryReferenceRole())


def set_threshold(nodes: ResultNodes, key: str, value: float) -> None:
    """Hide magnitudes below ``value``, in the map's units, in the slices and in 3D."""
    node = node_of(nodes, key)
    with paused():
        _give_own_colours(nodes, key, node)
        threshold.set_threshold(node, value)
        _follow_in_3d(nodes, key, node)


def shown_from(nodes: ResultNodes, key: str) -> float:
    """The threshold that is in force, in the map's units: what the display nodes say."""
    return threshold.shown_from(node_of(nodes, key))


def _follow_in_3d(nodes: ResultNodes, key: str, node: Any) -> None:
    rendering = _renderings(nodes).get(key)
    if rendering is not None:
        set_rendering(rendering, threshold.colour_limits(node), is_signed(node), threshold.table_of(node))


def _give_own_colours(nodes: ResultNodes, key: str, node: Any) -> None:
    """Colours that no other map has: scenes of earlier versions have one table for several maps."""
    colours = node.GetDisplayNode().GetColorNode()
    if colours is not None and colours.GetAttribute(METHOD) == key:
        return
    make = NodeMaker(node.GetScene(), nodes.run, nodes.summary.GetDescription() or "")
    own = add_colour_table(make, threshold.table_of(node), f"{node.GetName()} colours", key)
    node.GetDisplayNode().SetAndObserveColorNodeID(own.GetID())


def colour_choices(nodes: ResultNodes, key: str) -> list[tuple[str, str]]:
    """Titles and names of the colour tables that suit a map; the first is the default. None for labels."""
    if not has_threshold(nodes, key):
        return []
    offered = WITH_SIGN if is_signed(node_of(nodes, key)) else WITHOUT_SIGN
    return [(title, name) for name, title in offered.items()]


def colours_of(nodes: ResultNodes, key: str) -> str:
    """Name of the colour table that a map is shown with."""
    return threshold.table_of(node_of(nodes, key)) if has_threshold(nodes, key) else ""


def set_colours(nodes: ResultNodes, key: str, name: str) -> None:
    """Show a map with another of the shipped colour tables, in the slices and in 3D; the threshold stays."""
    node = node_of(nodes, key)
    with paused():
        _give_own_colours(nodes, key, node)
        threshold.set_table(node, name)
        _follow_in_3d(nodes, key, node)


def _renderings(nodes: ResultNodes) -> dict[str, Any]:
    own = nodes_of_run(nodes.summary.GetScene(), nodes.run)
    return {n.GetAttribute(METHOD) or SUMMARY: n for n in own if n.GetAttribute(ROLE) == "volume-rendering"}


def show_in_3d(nodes: ResultNodes, key: str, wanted: bool) -> None:
    """Render one map of the result in the 3D views, inside the brain's surface and without others, or hide all."""
    scene = nodes.summary.GetScene()
    renderings = _renderings(nodes)
    with paused():
        if wanted:
            hide_others(scene, nodes.run)
        if wanted and key not in renderings and has_threshold(nodes, key):
            node = node_of(nodes, key)
            make = NodeMaker(scene, nodes.run, nodes.summary.GetDescription() or "")
            limits, table = threshold.colour_limits(node), threshold.table_of(node)
            renderings[key] = add_volume_rendering(make, node, limits, is_signed(node), key, table)
        for name, rendering in renderings.items():
            rendering.SetVisibility(wanted and name == key)
        if nodes.surface is not None:
            nodes.surface.GetDisplayNode().SetVisibility(wanted)


def rendered(nodes: ResultNodes) -> list[str]:
    """Which maps are rendered in 3D."""
    return [key for key, node in _renderings(nodes).items() if node.GetVisibility()]


def jump_to_hottest(scene: Any, nodes: ResultNodes, key: str) -> None:
    """Move the slices through the voxel with the largest magnitude."""
    with paused():
        views.jump_to(scene, views.peak(node_of(nodes, key)))


def jump_to_local(scene: Any, nodes: ResultNodes, point: tuple[float, float, float]) -> None:
    """Move the slices through a point in the scan's own RAS mm, wherever its parent transform puts it."""
    with paused():
        views.jump_to(scene, (views.to_world(nodes.summary) @ np.array([*point, 1.0]))[:3])
