"""Volumes to MRML volume nodes and back: voxels, and where in the world they lie, exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import get_vtk_array_type, numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from ..volume import Affine, Array, Volume

# MRML and its file formats hold these; other dtypes are widened to the next one that loses nothing.
_DTYPES = (np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64)


def matrix(affine: Affine) -> Any:
    """A 4 x 4 array as vtkMatrix4x4."""
    result = vtkMatrix4x4()
    result.DeepCopy(np.asarray(affine, dtype=float).ravel().tolist())
    return result


def affine_of(node: Any) -> Affine:
    """Voxel indices to RAS mm of a volume node, without its parent transform; 4 x 4."""
    ijk_to_ras = vtkMatrix4x4()
    node.GetIJKToRASMatrix(ijk_to_ras)
    return np.array([[ijk_to_ras.GetElement(row, column) for column in range(4)] for row in range(4)])


def image_data(array: Array) -> Any:
    """A 3D array, indexed (i, j, k), as vtkImageData of unit spacing at the origin (as MRML wants it)."""
    if array.dtype == bool:
        array = array.astype(np.uint8)
    dtype = next(d for d in _DTYPES if np.can_cast(array.dtype, d) or d is np.float64)
    # VTK's first index runs fastest: Fortran order. The copy belongs to VTK, the caller's array stays its own.
    flat = np.asarray(array, dtype=dtype).ravel(order="F")
    image = vtkImageData()
    image.SetDimensions(array.shape)
    image.GetPointData().SetScalars(numpy_to_vtk(flat, deep=True, array_type=get_vtk_array_type(flat.dtype)))
    return image


def fill_volume_node(node: Any, volume: Volume) -> None:
    """Give a volume node the voxels and the geometry of ``volume``."""
    node.SetIJKToRASMatrix(matrix(volume.affine))
    node.SetAndObserveImageData(image_data(volume.array))


def volume_of(node: Any) -> Volume:
    """The voxels (copied) and geometry of a scalar volume node, in the node's own coordinates.

    A parent transform is not applied: what is computed from this volume goes under the same parent.

    Raises
    ------
    ValueError
        If the node holds no image.
    """
    image = node.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None:
        raise ValueError(f"the volume node {node.GetName()} holds no image")
    count = image.GetNumberOfScalarComponents()
    if count > 1:
        raise ValueError(f"the volume node {node.GetName()} holds {count} values per voxel, not one")
    return Volume(voxels(image).copy(order="K"), affine_of(node), node.GetName())


def voxels(image: Any) -> NDArray[Any]:
    """The voxels of vtkImageData with one value each, indexed (i, j, k): a view, valid as long as the image."""
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions(), order="F")


def oriented_image(volume: Volume) -> Any:
    """A label volume as vtkOrientedImageData, which segmentations are made of."""
    import slicer

    oriented = slicer.vtkOrientedImageData()
    oriented.ShallowCopy(image_data(volume.array))
    oriented.SetGeometryFromImageToWorldMatrix(matrix(volume.affine))
    return oriented
