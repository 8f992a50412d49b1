"""Read an image from disk: one reader for each format, chosen by the file's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..errors import UserError
from .dicom import check_dicom_header, read_dicom
from .dicom_files import DICOM_SUFFIXES
from .metaimage import check_metaimage_header, read_metaimage
from .mgh import check_mgh_header, read_mgh
from .nifti import check_nifti_header, read_nifti
from .nrrd import read_nrrd, read_nrrd_affine
from .paths import existing_path
from .scan_check import check_scan
from .volume import Volume

# Suffixes, what reads the file, what checks its header alone. Another format is added here.
_FORMATS: tuple[tuple[tuple[str, ...], Callable[[Path], Volume], Callable[[Path], object]], ...] = (
    ((".nii", ".nii.gz", ".img", ".hdr"), read_nifti, check_nifti_header),
    ((".mgz", ".mgh"), read_mgh, check_mgh_header),
    ((".nrrd", ".nhdr"), read_nrrd, read_nrrd_affine),
    ((".mha", ".mhd"), read_metaimage, check_metaimage_header),
    (DICOM_SUFFIXES, read_dicom, check_dicom_header),
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
        return read_dicom(path)
    read, _ = _format_of(path)
    return read(path)


def check_header(path: str | Path) -> None:
    """Check, without reading voxels, that a file holds a single scalar 3D volume with an orientation.

    Raises
    ------
    UserError
        As :func:`read_volume`.
    """
    path = existing_path(path)
    if path.is_dir():
        check_dicom_header(path)
    else:
        _, check = _format_of(path)
        check(path)


def _format_of(path: Path) -> tuple[Callable[[Path], Volume], Callable[[Path], object]]:
    """The reader and the header check for a file of this name."""
    name = path.name.lower()
    for suffixes, read, check in _FORMATS:
        if name.endswith(suffixes):
            return read, check
    raise UserError(
        f"{path} is not in an image format that is read here: give {', '.join(SUFFIXES)}, "
        "or the folder of a DICOM series."
    )
