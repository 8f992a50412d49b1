"""Maps in 3D: volume rendering with a preset made for relevance, in a translucent brain surface."""

from __future__ import annotations

from typing import Any

from vtkmodules.vtkCommonDataModel import vtkPiecewiseFunction
from vtkmodules.vtkRenderingCore import vtkColorTransferFunction

from ..drawing.colour_scale import read_colour_table
from ..scene_content.display_range import DisplayRange
from .colours import SEQUENTIAL, SIGNED
from .nodes import NodeMaker

METHOD = "vtkMRMLGPURayCastVolumeRenderingDisplayNode"


def transfer_functions(limits: DisplayRange, signed: bool, table: str = "") -> tuple[Any, Any]:
    """Scalar opacity and colours for a map: clear below the hidden magnitudes, then denser, never quite opaque.

    ``table`` is a shipped colour table, if not the usual one.
    """
    opacity, colours = vtkPiecewiseFunction(), vtkColorTransferFunction()
    start = limits.hidden_below + 0.15 * (limits.upper - limits.hidden_below)
    steps = ((0.0, 0.0), (start, 0.0), (0.5 * (start + limits.upper), 0.25), (limits.upper, 0.7))
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
    properties = make.add("vtkMRMLVolumePropertyNode", f"{node.GetName()} relevance in 3D", "volume-property", method)
    properties.SetScalarOpacity(opacity)
    properties.SetColor(colours)
    properties.GetVolumeProperty().SetInterpolationTypeToLinear()
    properties.GetVolumeProperty().ShadeOff()
    properties.GetVolumeProperty().SetScalarOpacityUnitDistance(3.0)
    display = make.add(METHOD, f"{node.GetName()} volume rendering", "volume-rendering", method)
    display.SetAndObserveVolumePropertyNodeID(properties.GetID())
    display.SetFollowVolumeDisplayNode(0)
    display.SetVisibility(False)
    node.AddAndObserveDisplayNodeID(display.GetID())
    return display


def add_surface(make: NodeMaker, mesh: Any, name: str) -> Any:
    """The brain as a translucent model node, in 3D only."""
    node = make.add("vtkMRMLModelNode", name, "surface")
    node.SetAndObservePolyData(mesh)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetColor(0.86, 0.86, 0.90)
    display.SetOpacity(0.15)
    display.SetAmbient(0.35)
    display.SetDiffuse(0.85)
    display.SetSpecular(0.1)
    display.SetBackfaceCulling(0)
    display.SetVisibility2D(False)
    return node
