"""Maps in 3D: volume rendering with a preset made for relevance, in a translucent brain surface."""

from __future__ import annotations

from typing import Any

import numpy as np
from vtkmodules.vtkCommonDataModel import vtkPiecewiseFunction
from vtkmodules.vtkCommonTransforms import vtkTransform
from vtkmodules.vtkFiltersCore import (
    vtkFlyingEdges3D,
    vtkPolyDataConnectivityFilter,
    vtkPolyDataNormals,
    vtkQuadricDecimation,
    vtkReverseSense,
    vtkWindowedSincPolyDataFilter,
)
from vtkmodules.vtkFiltersGeneral import vtkTransformPolyDataFilter
from vtkmodules.vtkImagingCore import vtkImageConstantPad
from vtkmodules.vtkImagingGeneral import vtkImageGaussianSmooth
from vtkmodules.vtkRenderingCore import vtkColorTransferFunction

from ..volume import Volume
from .colours import SEQUENTIAL, SIGNED, DisplayRange, read_table
from .geometry import image_data, matrix
from .nodes import NodeMaker

METHOD = "vtkMRMLGPURayCastVolumeRenderingDisplayNode"
_TRIANGLES = 80_000


def transfer_functions(limits: DisplayRange, signed: bool) -> tuple[Any, Any]:
    """Scalar opacity and colours for a map: clear below the hidden magnitudes, then denser, never quite opaque."""
    opacity, colours = vtkPiecewiseFunction(), vtkColorTransferFunction()
    start = limits.hidden_below + 0.15 * (limits.upper - limits.hidden_below)
    steps = ((0.0, 0.0), (start, 0.0), (0.5 * (start + limits.upper), 0.25), (limits.upper, 0.7))
    for sign in (-1, 1) if signed else (1,):
        for value, amount in steps:
            opacity.AddPoint(sign * value, amount)
    rows = read_table(SIGNED if signed else SEQUENTIAL)
    for index in range(0, len(rows), 2):  # the tables have an odd number of colours: both ends are met
        share = index / (len(rows) - 1)
        red, green, blue, _ = rows[index][1]
        colours.AddRGBPoint(limits.lower + share * (limits.upper - limits.lower), red, green, blue)
    return opacity, colours


def add_volume_rendering(make: NodeMaker, node: Any, limits: DisplayRange, signed: bool, method: str = "") -> Any:
    """A volume-rendering display for a map's node, switched off.

    Returns
    -------
    vtkMRMLVolumeRenderingDisplayNode
        Its volume property node is named "MRIInterpret relevance" and is the preset made for relevance.
    """
    opacity, colours = transfer_functions(limits, signed)
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


def surface(mask: Volume) -> Any:
    """The closed surface of a mask in RAS mm, smoothed and decimated, as vtkPolyData with outward normals."""
    pad = vtkImageConstantPad()
    pad.SetInputData(image_data(mask.array.astype(np.float32)))
    shape = mask.shape
    pad.SetOutputWholeExtent(-2, shape[0] + 1, -2, shape[1] + 1, -2, shape[2] + 1)
    smooth = vtkImageGaussianSmooth()
    smooth.SetInputConnection(pad.GetOutputPort())
    # 2.5 mm, but never less than most of a voxel, or coarse grids show their steps.
    smooth.SetStandardDeviations(*np.maximum(2.5 / mask.grid.spacing, 0.8))
    contour = vtkFlyingEdges3D()
    contour.SetInputConnection(smooth.GetOutputPort())
    contour.SetValue(0, 0.5)
    contour.ComputeNormalsOff()
    contour.ComputeGradientsOff()
    contour.ComputeScalarsOff()
    largest = vtkPolyDataConnectivityFilter()
    largest.SetInputConnection(contour.GetOutputPort())
    largest.SetExtractionModeToLargestRegion()
    to_world = vtkTransform()
    to_world.SetMatrix(matrix(mask.affine))
    placed = vtkTransformPolyDataFilter()
    placed.SetInputConnection(largest.GetOutputPort())
    placed.SetTransform(to_world)
    placed.Update()
    mesh = placed.GetOutput()
    if mesh.GetNumberOfPolys() > _TRIANGLES:
        fewer = vtkQuadricDecimation()
        fewer.SetInputData(mesh)
        fewer.SetTargetReduction(1 - _TRIANGLES / mesh.GetNumberOfPolys())
        fewer.Update()
        mesh = fewer.GetOutput()
    rounded = vtkWindowedSincPolyDataFilter()
    rounded.SetInputData(mesh)
    rounded.SetNumberOfIterations(20)
    rounded.SetPassBand(0.05)
    rounded.NonManifoldSmoothingOn()
    rounded.NormalizeCoordinatesOn()
    oriented: Any = rounded
    if np.linalg.det(mask.affine[:3, :3]) < 0:  # a mirrored grid turns triangles inside out
        oriented = vtkReverseSense()
        oriented.SetInputConnection(rounded.GetOutputPort())
    normals = vtkPolyDataNormals()
    normals.SetInputConnection(oriented.GetOutputPort())
    normals.SplittingOff()
    normals.ConsistencyOff()
    normals.Update()
    return normals.GetOutput()


def add_surface(make: NodeMaker, mask: Volume, name: str) -> Any:
    """The brain as a translucent model node, in 3D only."""
    node = make.add("vtkMRMLModelNode", name, "surface")
    node.SetAndObservePolyData(surface(mask))
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
