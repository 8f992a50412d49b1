"""Arrays as VTK images and back, and affines as VTK matrices. It needs VTK but not Slicer."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import create_vtk_array, get_vtk_array_type, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkDataArray, vtkInformation, vtkInformationVector
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from ..images.volume import Affine, Array

# MRML and its file formats hold these; other dtypes are widened to the next one that loses nothing.
_DTYPES = (np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64)
_PIECE = 2_000_000  # voxels copied in one step: some milliseconds


def matrix(affine: Affine) -> Any:
    """A 4 x 4 array as vtkMatrix4x4."""
    result = vtkMatrix4x4()
    result.DeepCopy(np.asarray(affine, dtype=float).ravel().tolist())
    return result


def image_data(array: Array) -> Any:
    """A 3D array, indexed (i, j, k), as vtkImageData of unit spacing at the origin (as MRML wants it)."""
    return finished(image_steps(array))


def image_steps(array: Array, inside: Array | None = None) -> Generator[None, None, Any]:
    """The same in steps of some milliseconds each: a generator that returns the image.

    Parameters
    ----------
    array
        Shape (I, J, K). VTK's first index runs fastest: an array in Fortran order is copied once, others twice.
    inside
        Same shape: where it is not positive, the image is 0.
    """
    dtype = next(d for d in _DTYPES if np.can_cast(array.dtype, d) or d is np.float64)
    flat = array.ravel(order="F")
    # The copy belongs to VTK: the caller's array, which may lie in a file, stays its own.
    scalars = create_vtk_array(get_vtk_array_type(dtype))
    scalars.SetNumberOfTuples(flat.size)
    target = vtk_to_numpy(scalars)
    kept = inside.ravel(order="F") if inside is not None else None
    extremes = []
    for start in range(0, flat.size, _PIECE):
        piece = slice(start, start + _PIECE)
        target[piece] = flat[piece]
        if kept is not None:
            np.copyto(target[piece], 0, where=kept[piece] <= 0)
        extremes += [target[piece].min(), target[piece].max()]
        yield
    _remember_range(scalars, extremes)
    image = vtkImageData()
    image.SetDimensions(array.shape)
    image.GetPointData().SetScalars(scalars)
    return image


def _remember_range(scalars: Any, extremes: list[Any]) -> None:
    """Put the range where VTK keeps those that it has computed; it forgets it when the array is modified.

    Else it would look for it as soon as it shows the image, which takes long on a large scan.
    """
    if not extremes or not np.isfinite(extremes).all():
        return
    known = vtkInformation()
    known.Set(vtkDataArray.COMPONENT_RANGE(), [float(min(extremes)), float(max(extremes))], 2)
    components = vtkInformationVector()
    components.Append(known)
    scalars.GetInformation().Set(vtkDataArray.PER_COMPONENT(), components)


def finished(steps: Generator[Any, None, Any], told: Callable[[Any], None] = lambda yielded: None) -> Any:
    """Run a generator to its end, and what it returns; it is closed if ``told`` raises."""
    try:
        while True:
            try:
                told(next(steps))
            except StopIteration as end:
                return end.value
    finally:
        steps.close()


def voxels(image: Any) -> NDArray[Any]:
    """The voxels of vtkImageData with one value each, indexed (i, j, k): a view, valid as long as the image."""
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions(), order="F")
