"""The surface of a mask as a mesh. It needs VTK but not Slicer, so that the worker process can make it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
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
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader, vtkXMLPolyDataWriter

from ..images.volume import Volume
from .vtk_images import image_data, matrix

_TRIANGLES = 80_000


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


def write_surface(mesh: Any, path: Path) -> None:
    """Save a mesh as .vtp."""
    writer = vtkXMLPolyDataWriter()
    writer.SetInputData(mesh)
    writer.SetFileName(str(path))
    if not writer.Write():
        raise OSError(f"cannot write {path}")


def read_surface(path: Path) -> Any:
    """The mesh that :func:`write_surface` saved; None if there is none."""
    if not path.is_file():
        return None
    reader = vtkXMLPolyDataReader()
    reader.SetFileName(str(path))
    reader.Update()
    return reader.GetOutput()
