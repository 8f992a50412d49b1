"""Files through SimpleITK, and its images as volumes: LPS becomes RAS, and the array's axes are turned round."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .refusals import check_components, check_scalar, checked_affine, one_sentence, single_volume
from .volume import Affine, Volume

if TYPE_CHECKING:
    import SimpleITK

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def volume_from_itk(image: SimpleITK.Image, where: str, name: str = "", affine: Affine | None = None) -> Volume:
    """A SimpleITK image as a Volume; float32, axes in ITK's index order (I, J, K).

    Parameters
    ----------
    image
        3D, or with further axes of length one.
    where, name
        What messages call it, and what the Volume is called.
    affine
        4 x 4 to RAS mm, where the image's own geometry is not to be used.

    Raises
    ------
    UserError
        If it is not a single scalar 3D volume.
    """
    import SimpleITK

    with one_sentence(where):
        check_components(image.GetNumberOfComponentsPerPixel(), where)
        if "complex" in image.GetPixelIDTypeAsString():
            check_scalar(np.complex64, where)
        shape = single_volume(image.GetSize(), where)
        # SimpleITK's arrays run K, J, I; ours follow the affine's columns I, J, K.
        view = SimpleITK.GetArrayViewFromImage(image)
        array = np.ascontiguousarray(view.astype(np.float32).T.reshape(shape))
        return Volume(array, checked_affine(itk_affine(image) if affine is None else affine, where), name)


def read_itk_file(path: Path, reader_name: str) -> SimpleITK.Image:
    """A file through one of ITK's readers, for instance "NrrdImageIO"; its size is checked before voxels are read.

    Raises
    ------
    UserError
        If ITK cannot read it, or it is not a single scalar 3D volume.
    """
    import SimpleITK

    where = str(path)
    warned = SimpleITK.ProcessObject.GetGlobalWarningDisplay()
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        with one_sentence(where):
            reader = SimpleITK.ImageFileReader()
            reader.SetFileName(where)
            reader.SetImageIO(reader_name)
            reader.ReadImageInformation()
            check_components(reader.GetNumberOfComponents(), where)
            single_volume(reader.GetSize(), where)
            return reader.Execute()
    finally:
        SimpleITK.ProcessObject.SetGlobalWarningDisplay(warned)


def itk_affine(image: SimpleITK.Image) -> Affine:
    """4 x 4, voxel indices to RAS mm, from the image's direction, spacing and origin."""
    dimension = image.GetDimension()
    direction = np.array(image.GetDirection()).reshape(dimension, dimension)[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = direction * np.array(image.GetSpacing())[:3]
    affine[:3, 3] = image.GetOrigin()[:3]
    return LPS_TO_RAS @ affine
