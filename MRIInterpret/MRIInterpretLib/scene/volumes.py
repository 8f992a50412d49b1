"""The scan, the maps, the summary and the consensus as volume nodes, each with its display set."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from ..volume import Volume
from .colours import DisplayRange, display_range, summary_range
from .geometry import fill_volume_node
from .nodes import NodeMaker


def add_scan(make: NodeMaker, scan: Volume, mask: Volume, name: str) -> Any:
    """The scan in grey, its window set for the brain: bright fat and vessels would darken it."""
    node = make.add("vtkMRMLScalarVolumeNode", name, "scan")
    fill_volume_node(node, scan)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
    inside = scan.array[mask.array > 0]
    if inside.size and inside.max() > inside.min():
        low, high = np.quantile(inside, (0.001, 0.995))
        display.SetAutoWindowLevel(0)
        display.SetWindowLevelMinMax(float(low), float(low + 1.3 * (high - low)))
    return node


def add_map(
    make: NodeMaker, volume: Volume, name: str, role: str, colours: Any, signed: bool, method: str = ""
) -> tuple[Any, DisplayRange]:
    """A map in raw units as a scalar volume; values near zero are transparent.

    Parameters
    ----------
    make
        Where the node is added.
    volume
        The map on the scan's grid.
    name
        The node's name.
    role
        "map" or "summary".
    colours
        The colour table node: diverging if ``signed``, else sequential.
    signed
        Whether the colours are centred at zero.
    method
        The registry's name of the method.

    Returns
    -------
    tuple
        The node, and what its colours are stretched over.
    """
    node = make.add("vtkMRMLScalarVolumeNode", name, role, method)
    limits = summary_range(volume.array) if role == "summary" else display_range(volume.array, signed)
    # A default display node would compute a histogram for a window that is not wanted; on large scans that takes long.
    display = make.scene.AddNewNodeByClass("vtkMRMLScalarVolumeDisplayNode")
    display.SetAndObserveColorNodeID(colours.GetID())
    display.SetAutoWindowLevel(0)
    display.SetWindowLevelMinMax(limits.lower, limits.upper)
    display.SetInterpolate(1)
    node.SetAndObserveDisplayNodeID(display.GetID())
    fill_volume_node(node, volume)
    set_threshold(node, limits.hidden_below, signed)
    return node, limits


def set_threshold(node: Any, threshold: float, signed: bool) -> None:
    """Hide magnitudes below ``threshold`` (in the map's units) in the slice views.

    A display node's threshold keeps one interval, which serves maps without a sign. For maps with a sign the
    transparent band lies in the middle: it belongs to the colour table, see :func:`colours.add_colour_table`.
    """
    display = node.GetDisplayNode()
    display.SetAutoThreshold(0)
    if signed:
        display.SetApplyThreshold(0)
        return
    largest = float(node.GetImageData().GetScalarRange()[1])
    display.SetThreshold(threshold, max(largest, threshold))
    display.SetApplyThreshold(1)


def add_consensus(make: NodeMaker, volume: Volume, name: str, colours: Any) -> Any:
    """Labels 1, 2, 3: at least half, two thirds, all of the methods."""
    node = make.add("vtkMRMLLabelMapVolumeNode", name, "consensus")
    fill_volume_node(node, volume.with_array(volume.array.astype(np.uint8)))
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
