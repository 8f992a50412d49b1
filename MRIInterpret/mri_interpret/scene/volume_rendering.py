"""Maps in 3D: volume rendering with a preset made for relevance, in a translucent brain surface."""

from __future__ import annotations

from typing import Any

import slicer
from vtkmodules.vtkCommonDataModel import vtkPiecewiseFunction
from vtkmodules.vtkRenderingCore import vtkColorTransferFunction

from ..planes.colour_scale import read_colour_table
from ..scene_content.display_range import DisplayRange
from .colours import SEQUENTIAL, SIGNED
from .nodes import NodeMaker

_FAINT, _DENSE = 0.03, 0.7  # opacity at the threshold and at the end of the colours, per 3 mm
METHOD = "vtkMRMLGPURayCastVolumeRenderingDisplayNode"


def transfer_functions(limits: DisplayRange, signed: bool, table: str = "") -> tuple[Any, Any]:
    """Scalar opacity and colours of a map: clear below the hidden magnitudes, as in the slices, then ever denser.

    ``table`` is a shipped colour table, if not the usual one.
    """
    opacity, colours = vtkPiecewiseFunction(), vtkColorTransferFunction()
    start = max(limits.hidden_below, limits.upper / 255)  # as in the slices
    steps = [(0.0, 0.0), (0.95 * start, 0.0), (start, _FAINT)]  # a steeper step would need a finer table than GPUs have
    if start < limits.upper:
        steps += [(0.5 * (start + limits.upper), 0.25), (limits.upper, _DENSE)]
    else:
        steps += [(1.05 * start, _DENSE)]
    for sign in (-1, 1) if signed else (1,):
        for value, amount in steps:
            opacity.AddPoint(sign * value, amount)
    rows = read_colour_table(table or (SIGNED if signed else SEQUENTIAL))
    for index in range(0, len(rows), 2):  # the tables have an odd number of colours: both ends are met
        share = index / (len(rows) - 1)
        red, green, blue, _ = rows[index][1]
        colours.AddRGBPoint(limits.lower + share * (limits.upper - limits.lower), red, green, blue)
    return opacity, colours


def add_volume_rendering(
    make: NodeMaker, node: Any, limits: DisplayRange, signed: bool, method: str = "", table: str = ""
) -> Any:
    """A volume-rendering display for a map's node, switched off.

    Returns
    -------
    vtkMRMLVolumeRenderingDisplayNode
        Its volume property node is named "MRIInterpret relevance" and is the preset made for relevance.
    """
    opacity, colours = transfer_functions(limits, signed, table)
    properties = make.create(
        "vtkMRMLVolumePropertyNode", f"{node.GetName()} relevance in 3D", "volume-property", method
    )
    properties.SetScalarOpacity(opacity)
    properties.SetColor(colours)
    properties.GetVolumeProperty().SetInterpolationTypeToLinear()
    properties.GetVolumeProperty().ShadeOff()
    properties.GetVolumeProperty().SetScalarOpacityUnitDistance(3.0)
    make.adopt(make.scene.AddNode(properties), "volume-property", method)
    display = make.create(METHOD, f"{node.GetName()} volume rendering", "volume-rendering", method)
    display.SetVisibility(False)  # before it enters the scene: a view would draw a frame of it
    display.SetFollowVolumeDisplayNode(0)
    make.adopt(make.scene.AddNode(display), "volume-rendering", method)
    display.SetAndObserveVolumePropertyNodeID(properties.GetID())
    node.AddAndObserveDisplayNodeID(display.GetID())
    return display


def set_rendering(display: Any, limits: DisplayRange, signed: bool, table: str) -> None:
    """Give a volume-rendering display the threshold and colours that the map has in the slices."""
    opacity, colours = transfer_functions(limits, signed, table)
    properties = display.GetVolumePropertyNode()
    with slicer.util.NodeModify(properties):
        properties.SetScalarOpacity(opacity)
        properties.SetColor(colours)


def add_surface(make: NodeMaker, mesh: Any, name: str) -> Any:
    """The brain as a translucent model node, in 3D only; hidden until it is shown with a map."""
    node = make.add("vtkMRMLModelNode", name, "surface")
    display = make.create("vtkMRMLModelDisplayNode", f"{name} display", "surface-display")
    display.SetVisibility(False)
    make.adopt(make.scene.AddNode(display), "surface-display")
    node.SetAndObserveDisplayNodeID(display.GetID())
    node.SetAndObservePolyData(mesh)
    display.SetColor(0.86, 0.86, 0.90)
    display.SetOpacity(0.15)
    display.SetAmbient(0.35)
    display.SetDiffuse(0.85)
    display.SetSpecular(0.1)
    display.SetBackfaceCulling(0)
    display.SetVisibility2D(False)
    return node
