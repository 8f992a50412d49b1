"""Read a scan from disk: NIfTI and MGH through nibabel; NRRD and DICOM folders through SimpleITK."""

from __future__ import annotations

from pathlib import Path

from ..errors import UserError
from .checking import check_scan
from .itk import volume_from_itk
from .mgh import read_mgh
from .nifti import read_nifti
from .refusals import short
from .volume import Volume

NIBABEL_SUFFIXES = (".nii", ".nii.gz", ".mgz", ".mgh", ".img", ".hdr")
ITK_SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")


def read_scan(path: str | Path) -> Volume:
    """Read a T1-weighted scan and check that it can be one.

    Parameters
    ----------
    path
        .nii, .nii.gz, .mgz, .nrrd, .nhdr, .mha, or a folder that holds one DICOM series.

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
    path = Path(path).expanduser()
    if not path.exists():
        raise UserError(f"{path} does not exist: check the path of the scan.")
    if path.is_dir():
        return _read_dicom_folder(path)
    name = path.name.lower()
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty (0 bytes): copy or export the image again.")
    if name.endswith(NIBABEL_SUFFIXES):
        return read_mgh(path) if name.endswith((".mgz", ".mgh")) else read_nifti(path)
    if name.endswith(ITK_SUFFIXES):
        return _read_itk(path)
    raise UserError(
        f"{path} is not in an image format that is read here: "
        "give .nii, .nii.gz, .mgz, .nrrd, .nhdr or the folder of a DICOM series."
    )


def _read_itk(path: Path) -> Volume:
    import SimpleITK

    try:
        image = SimpleITK.ReadImage(str(path))
    except RuntimeError as error:
        raise UserError(f"{path} is not a readable image ({short(error)}): export it again.") from error
    return volume_from_itk(image, str(path), path.name)


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
