"""Read an image from disk: one reader for each format, chosen by the file's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..errors import UserError
from .checking import check_scan
from .itk import volume_from_itk
from .metaimage import check_metaimage_header, read_metaimage
from .mgh import check_mgh_header, read_mgh
from .nifti import check_nifti_header, read_nifti
from .nrrd import read_nrrd, read_nrrd_affine
from .paths import existing_path
from .refusals import short
from .volume import Volume

# Suffixes, what reads the file, what checks its header alone. Another format is added here.
_FORMATS: tuple[tuple[tuple[str, ...], Callable[[Path], Volume], Callable[[Path], object]], ...] = (
    ((".nii", ".nii.gz", ".img", ".hdr"), read_nifti, check_nifti_header),
    ((".mgz", ".mgh"), read_mgh, check_mgh_header),
    ((".nrrd", ".nhdr"), read_nrrd, read_nrrd_affine),
    ((".mha", ".mhd"), read_metaimage, check_metaimage_header),
)
SUFFIXES = tuple(suffix for suffixes, _, _ in _FORMATS for suffix in suffixes)


def read_scan(path: str | Path) -> Volume:
    """Read a T1-weighted scan and check that it can be one.

    Parameters
    ----------
    path
        A file whose name ends in one of :data:`SUFFIXES`, or a folder that holds one DICOM series.

    Returns
    -------
    Volume
        float32, axes in file order (I, J, K), affine to RAS mm. DICOM's and NRRD's LPS world becomes RAS.

    Raises
    ------
    UserError
        If the file is missing, unreadable, not a single 3D scalar image, has no orientation, or cannot be a brain MRI.
    """
    volume = read_volume(path)
    check_scan(volume)
    return volume


def read_volume(path: str | Path) -> Volume:
    """As :func:`read_scan`, without the checks on the intensities: for masks and atlases too."""
    path = existing_path(path)
    if path.is_dir():
        return _read_dicom_folder(path)
    read, _ = _format_of(path)
    return read(path)


def check_header(path: str | Path) -> None:
    """What the header alone tells: that it is a single scalar 3D volume with an orientation; voxels stay unread.

    Raises
    ------
    UserError
        As :func:`read_volume`. A DICOM folder is only looked into for being empty.
    """
    path = existing_path(path)
    if not path.is_dir():
        _, check = _format_of(path)
        check(path)
    elif not any(path.iterdir()):
        raise UserError(f"The folder {path} is empty: give a scan file or the folder of one DICOM series.")


def _format_of(path: Path) -> tuple[Callable[[Path], Volume], Callable[[Path], object]]:
    """How a file of this name is read, and how its header alone is checked."""
    name = path.name.lower()
    for suffixes, read, check in _FORMATS:
        if name.endswith(suffixes):
            return read, check
    raise UserError(
        f"{path} is not in an image format that is read here: give {', '.join(SUFFIXES)}, "
        "or the folder of a DICOM series."
    )


def _read_dicom_folder(path: Path) -> Volume:
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    reader = SimpleITK.ImageSeriesReader()
    series = {uid: reader.GetGDCMSeriesFileNames(str(path), uid) for uid in reader.GetGDCMSeriesIDs(str(path))}
    if not series:
        raise UserError(f"The folder {path} holds no DICOM series: give a scan file or the folder of one series.")
    if len(series) > 1:
        sizes = ", ".join(f"{len(files)} files from {Path(files[0]).name}" for files in series.values())
        raise UserError(
            f"The folder {path} holds {len(series)} DICOM series ({sizes}): "
            "put the T1-weighted one in a folder of its own."
        )
    (files,) = series.values()
    try:
        image = SimpleITK.ReadImage(files)
    except RuntimeError as error:
        raise UserError(f"The DICOM series in {path} cannot be read ({short(error)}): export it again.") from error
    return volume_from_itk(image, str(path), path.name)
