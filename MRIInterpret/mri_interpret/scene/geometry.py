"""Volumes to MRML volume nodes and back: voxels, and where in the world they lie, exactly."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from ..images.volume import Affine, Array, Volume
from ..scene_content.vtk_images import finished, image_steps, matrix, voxels


def affine_of(node: Any) -> Affine:
    """Voxel indices to RAS mm of a volume node, without its parent transform; 4 x 4."""
    ijk_to_ras = vtkMatrix4x4()
    node.GetIJKToRASMatrix(ijk_to_ras)
    return np.array([[ijk_to_ras.GetElement(row, column) for column in range(4)] for row in range(4)])


def fill_volume_node(node: Any, volume: Volume) -> None:
    """Give a volume node the voxels and the geometry of ``volume``."""
    finished(fill_steps(node, volume))


def fill_steps(node: Any, volume: Volume, inside: Array | None = None) -> Generator[None, None, None]:
    """The same in steps, see :func:`image_steps`."""
    node.SetIJKToRASMatrix(matrix(volume.affine))
    image = yield from image_steps(volume.array, inside)
    node.SetAndObserveImageData(image)


def volume_of(node: Any, copy: bool = True) -> Volume:
    """The voxels and geometry of a scalar volume node, in the node's own coordinates.

    A parent transform is not applied: what is computed from this volume goes under the same parent. Without ``copy``
    the voxels are a view of the node's.

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
    array = voxels(image)
    return Volume(array.copy(order="K") if copy else array, affine_of(node), node.GetName())


def oriented_image(volume: Volume) -> Any:
    """A label volume as vtkOrientedImageData, which segmentations are made of."""
    return finished(oriented_image_steps(volume))


def oriented_image_steps(volume: Volume) -> Generator[None, None, Any]:
    """The same in steps, see :func:`image_steps`."""
    import slicer

    image = yield from image_steps(volume.array)
    oriented = slicer.vtkOrientedImageData()
    oriented.ShallowCopy(image)
    oriented.SetGeometryFromImageToWorldMatrix(matrix(volume.affine))
    return oriented
