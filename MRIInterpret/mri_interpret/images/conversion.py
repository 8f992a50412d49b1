"""Any image as a Volume: path, DICOM folder, nibabel, SimpleITK, array with its affine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from .refusals import check_scalar, checked_affine, no_orientation, one_sentence, single_volume
from .scan_check import check_scan
from .volume import Volume


def as_volume(image: Any, affine: Any = None, name: str = "") -> Volume:
    """Convert an image of any kind ("niimg-like") to a Volume, with the checks that a file gets.

    Parameters
    ----------
    image
        One of: a path or a DICOM folder (str or Path); a nibabel image; a 3D SimpleITK image; an array of shape
        (I, J, K) with ``affine``; a tuple (array, affine); a :class:`Volume`, which is returned as it is.
    affine
        4 x 4, voxel indices (i, j, k) to RAS mm; only with an array.
    name
        What messages call an image that has no file name.

    Returns
    -------
    Volume
        float32 (a Volume's array stays of its type), shape (I, J, K), affine to RAS mm.

    Raises
    ------
    UserError
        If it cannot be read, is not a single 3D scalar volume, or carries no orientation.

    Examples
    --------
    >>> import numpy as np
    >>> as_volume((np.zeros((4, 5, 6)), np.diag([2, 2, 2, 1]))).grid.spacing
    array([2., 2., 2.])
    """
    if isinstance(image, tuple) and len(image) == 2 and affine is None:
        image, affine = image
    if isinstance(image, (str, os.PathLike)):
        _no_affine_beside(affine, "A file")
        from .reading import read_volume

        return read_volume(Path(image))
    if isinstance(image, Volume):
        _no_affine_beside(affine, "A Volume")
        return image
    package = type(image).__module__.split(".")[0]
    if hasattr(image, "dataobj") and hasattr(image, "affine"):
        _no_affine_beside(affine, "A nibabel image")
        from .nifti import volume_from_nibabel

        file = image.get_filename() if hasattr(image, "get_filename") else None
        name = name or (Path(file).name if file else "")
        return volume_from_nibabel(image, name or "The nibabel image", name)
    if package == "SimpleITK" and hasattr(image, "GetDirection"):
        _no_affine_beside(affine, "A SimpleITK image")
        return _from_itk(image, name)
    return _from_array(image, affine, name)


def as_scan(image: Any, affine: Any = None, name: str = "") -> Volume:
    """As :func:`as_volume`, and check that it can be a T1-weighted scan of a head.

    Raises
    ------
    UserError
        See :func:`as_volume` and :func:`check_scan`.
    """
    volume = as_volume(image, affine, name)
    check_scan(volume)
    return volume


def _no_affine_beside(affine: Any, kind: str) -> None:
    if affine is not None:
        raise UserError(f"{kind} has an affine of its own: give an affine with an array only.")


def _from_itk(image: Any, name: str) -> Volume:
    from .itk import volume_from_itk

    where = name or "The SimpleITK image"
    dimension = image.GetDimension()
    unset = (
        np.array_equal(np.array(image.GetDirection()).reshape(dimension, dimension), np.eye(dimension))
        and not np.any(image.GetOrigin())
        and np.all(np.array(image.GetSpacing()) == 1)
    )
    # So SimpleITK.GetImageFromArray leaves an image whose geometry nobody set.
    if unset:
        raise no_orientation(where, "its direction, origin and spacing are all SimpleITK's defaults")
    return volume_from_itk(image, where, name)


def _from_array(image: Any, affine: Any, name: str) -> Volume:
    where = name or "The array"
    if hasattr(image, "detach"):  # a torch tensor, on whatever device
        image = image.detach().cpu()
    if not hasattr(image, "__array__"):
        raise UserError(
            f"An image of type {type(image).__name__} is not understood: give a path, a nibabel or SimpleITK image, "
            "or an array with its affine."
        )
    if affine is None:
        raise no_orientation(where, "an array comes without an affine")
    with one_sentence(where):
        array = np.asarray(image)
        check_scalar(array.dtype, where)
        data = np.asarray(array.reshape(single_volume(array.shape, where)), dtype=np.float32)
    if hasattr(affine, "detach"):
        affine = affine.detach().cpu()
    return Volume(data, checked_affine(affine, where), name)
