"""The scan, the maps, the summary and the consensus as volume nodes, each with its display set."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import slicer

from ..images.volume import Volume
from ..planes.colour_scale import CHANGE_TABLE, is_change_of_volume
from ..scene_content.content import MapContent
from .colours import SEQUENTIAL, SIGNED, add_colour_table
from .geometry import fill_steps
from .nodes import BRAIN_VOXELS, COLOUR_LIMIT, UNITS, NodeMaker
from .threshold import set_threshold

Steps = Generator[None, None, Any]


def add_scan(make: NodeMaker, scan: Volume, name: str, window: tuple[float, float] | None) -> Steps:
    """The scan in grey, ``window`` from black to white; in steps."""
    node = make.add("vtkMRMLScalarVolumeNode", name, "scan")
    yield from fill_steps(node, scan)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
    if window is not None:
        display.SetAutoWindowLevel(0)
        display.SetWindowLevelMinMax(*window)
    return node


def add_map(make: NodeMaker, one: MapContent, mask: Volume | None = None) -> Steps:
    """A map in raw units as a scalar volume with colours of its own; what is below its threshold is clear. In steps.

    Parameters
    ----------
    make
        Where the node is added.
    one
        The map.
    mask
        The brain on the map's grid: outside it, a map that shows the brain only is 0.
    """
    node = make.create("vtkMRMLScalarVolumeNode", one.title, one.role, one.method)
    inside = mask.array if one.brain_only and mask is not None else None
    yield from fill_steps(node, one.volume, inside)
    if inside is not None:
        node.SetAttribute(BRAIN_VOXELS, str(np.count_nonzero(inside > 0)))
    node.SetAttribute(COLOUR_LIMIT, repr(one.limits.upper))
    if one.units:
        node.SetAttribute(UNITS, one.units)
    table = SIGNED if one.signed else SEQUENTIAL
    if one.signed and is_change_of_volume(one.units):
        table = CHANGE_TABLE
    colours = add_colour_table(make, table, f"{one.title} colours", one.key)
    # A default display node would compute a histogram for a window that is set here anyway; on large scans it is slow.
    display = make.create("vtkMRMLScalarVolumeDisplayNode", f"{one.title} display", f"{one.role}-display", one.method)
    display.SetAutoWindowLevel(0)
    display.SetWindowLevelMinMax(one.limits.lower, one.limits.upper)
    display.SetInterpolate(1)
    make.adopt(make.scene.AddNode(display), f"{one.role}-display", one.method)
    display.SetAndObserveColorNodeID(colours.GetID())
    make.adopt(make.scene.AddNode(node), one.role, one.method)
    node.SetAndObserveDisplayNodeID(display.GetID())
    set_threshold(node, one.limits.hidden_below)
    return node


def add_consensus(make: NodeMaker, volume: Volume, name: str, colours: Any) -> Steps:
    """Labels 1, 2, 3: at least half, two thirds, all of the methods. In steps."""
    node = make.add("vtkMRMLLabelMapVolumeNode", name, "consensus")
    yield from fill_steps(node, volume)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAndObserveColorNodeID(colours.GetID())
    return node


def add_legend(make: NodeMaker, node: Any, title: str, method: str = "", labels: str = "") -> Any:
    """A colour bar for a volume, shown wherever the volume is shown.

    Parameters
    ----------
    make
        Where the node is added.
    node
        The volume.
    title
        Short lines: what is shown, and its unit.
    method
        The map's method.
    labels
        The printf format of the numbers; left out for labels, which have names.
    """
    display = node.GetDisplayNode()
    legend = make.adopt(slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(display), "legend", method)
    with slicer.util.NodeModify(legend):
        legend.SetTitleText(title)
        if labels:
            legend.SetNumberOfLabels(5)
            legend.SetLabelFormat(labels)
        legend.SetOrientation(legend.Vertical)
        legend.SetSize(0.15 if labels else 0.4, 0.3)  # names need more room than numbers
        legend.SetPosition(0.99 if labels else 0.01, 0.84)  # the title grows upwards from there, beside the head
        for text in (legend.GetTitleTextProperty(), legend.GetLabelTextProperty()):
            text.SetFontSize(12)
            text.SetFontFamilyToArial()
            text.SetShadow(1)
            text.SetBold(0)
            text.SetItalic(0)
    return legend
