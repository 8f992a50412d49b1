"""The scan, the maps, the summary and the consensus as volume nodes, each with its display set."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import slicer

from ..images.volume import Volume
from ..scene_content.content import MapContent
from .geometry import fill_steps
from .nodes import BRAIN_VOXELS, NodeMaker

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


def add_map(make: NodeMaker, one: MapContent, colours: Any, mask: Volume | None = None) -> Steps:
    """A map in raw units as a scalar volume; values near zero are transparent. In steps.

    Parameters
    ----------
    make
        Where the node is added.
    one
        The map.
    colours
        The colour table node: diverging if the map is signed, else sequential.
    mask
        The brain on the map's grid: outside it, a map that shows the brain only is 0.
    """
    node = make.add("vtkMRMLScalarVolumeNode", one.title, one.role, one.method)
    # A default display node would compute a histogram for a window that is set here anyway; on large scans it is slow.
    display = make.adopt(make.scene.AddNewNodeByClass("vtkMRMLScalarVolumeDisplayNode"), f"{one.role}-display")
    display.SetAndObserveColorNodeID(colours.GetID())
    display.SetAutoWindowLevel(0)
    display.SetWindowLevelMinMax(one.limits.lower, one.limits.upper)
    display.SetInterpolate(1)
    node.SetAndObserveDisplayNodeID(display.GetID())
    inside = mask.array if one.brain_only and mask is not None else None
    yield from fill_steps(node, one.volume, inside)
    if inside is not None:
        node.SetAttribute(BRAIN_VOXELS, str(np.count_nonzero(inside > 0)))
    set_threshold(node, one.limits.hidden_below, one.signed)
    return node


def set_threshold(node: Any, threshold: float, signed: bool) -> None:
    """Hide magnitudes below ``threshold`` (in the map's units) in the slice views.

    A display node's threshold shows one interval, which suits unsigned maps. Signed maps are transparent in the middle:
    the colour table does that, see :func:`map_display.set_threshold`.
    """
    display = node.GetDisplayNode()
    display.SetAutoThreshold(0)
    if signed:
        display.SetApplyThreshold(0)
        return
    largest = float(node.GetImageData().GetPointData().GetScalars().GetRange(0)[1])
    display.SetThreshold(threshold, max(largest, threshold))
    display.SetApplyThreshold(1)


def add_consensus(make: NodeMaker, volume: Volume, name: str, colours: Any) -> Steps:
    """Labels 1, 2, 3: at least half, two thirds, all of the methods. In steps."""
    node = make.add("vtkMRMLLabelMapVolumeNode", name, "consensus")
    yield from fill_steps(node, volume)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAndObserveColorNodeID(colours.GetID())
    return node


def add_legend(make: NodeMaker, node: Any, title: str, method: str = "") -> Any:
    """A colour bar for a volume, shown wherever the volume is shown. ``title`` names the unit."""
    display = node.GetDisplayNode()
    legend = make.adopt(slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(display), "legend", method)
    legend.SetTitleText(title)
    labels = node.IsA("vtkMRMLLabelMapVolumeNode")
    if not labels:
        legend.SetNumberOfLabels(5)
        legend.SetLabelFormat("%8.2g")  # padded: the text is scaled so that the labels fill the width
    legend.SetOrientation(legend.Vertical)
    legend.SetSize(0.15, 0.36)
    legend.SetPosition(0.98 if not labels else 0.02, 0.76)  # the title grows upwards from there
    for text in (legend.GetTitleTextProperty(), legend.GetLabelTextProperty()):
        text.SetFontSize(12)
        text.SetFontFamilyToArial()
        text.SetShadow(1)
        text.SetBold(0)
        text.SetItalic(0)
    return legend
