"""Read a scan from disk: NIfTI and MGH through nibabel; NRRD and DICOM folders through SimpleITK."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UserError
from .checking import check_scan
from .volume import Affine, Volume

if TYPE_CHECKING:
    import SimpleITK

NIBABEL_SUFFIXES = (".nii", ".nii.gz", ".mgz", ".mgh", ".img", ".hdr")
ITK_SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


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
        return _read_nibabel(path)
    if name.endswith(ITK_SUFFIXES):
        return _read_itk(path)
    raise UserError(
        f"{path} is not in an image format that is read here: "
        "give .nii, .nii.gz, .mgz, .nrrd, .nhdr or the folder of a DICOM series."
    )


def _read_nibabel(path: Path) -> Volume:
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError

    try:
        image: Any = nib.load(path)
    except (ImageFileError, OSError, EOFError, ValueError, KeyError) as error:
        raise UserError(f"{path} is not a readable image ({_short(error)}): export it again.") from error
    if image.get_data_dtype().fields is not None:
        raise UserError(f"{path} is a colour (RGB) image: give the scalar T1-weighted volume it was made from.")
    if isinstance(image, nib.Nifti1Image) and _has_no_orientation(image):
        raise UserError(
            f"{path} carries no orientation (its qform and sform codes are both 0), so left and right are unknown: "
            "convert it again from DICOM, or set the sform."
        )
    array = _as_3d(image.shape, path)
    try:
        data = np.asarray(image.dataobj, dtype=np.float32).reshape(array)
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise UserError(f"{path} breaks off or is damaged ({_short(error)}): copy or export it again.") from error
    except Exception as error:  # zlib.error is no OSError
        if type(error).__module__ != "zlib":
            raise
        raise UserError(f"{path} is damaged inside its compression ({error}): copy or export it again.") from error
    return Volume(data, _checked_affine(image.affine, path), path.name)


def _has_no_orientation(image: Any) -> bool:
    header = image.header
    return int(header["qform_code"]) == 0 and int(header["sform_code"]) == 0


def _as_3d(shape: tuple[int, ...], path: Path) -> tuple[int, int, int]:
    """The shape without trailing axes of length one; a UserError if what is left is not 3D."""
    kept = list(shape)
    while len(kept) > 3 and kept[-1] == 1:
        kept.pop()
    if len(kept) > 3:
        raise UserError(
            f"{path} is {len(kept)}-dimensional ({' x '.join(map(str, kept))}): give one 3D volume, "
            "for instance the first or the mean of the series."
        )
    if len(kept) < 3:
        raise UserError(f"{path} is {len(kept)}-dimensional ({' x '.join(map(str, kept))}): a 3D volume is needed.")
    i, j, k = kept
    return i, j, k


def _checked_affine(affine: Any, path: Path) -> Affine:
    matrix = np.asarray(affine, dtype=np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise UserError(f"{path} has an orientation matrix with missing or infinite entries: export it again.")
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    if np.any(spacing == 0) or abs(np.linalg.det(matrix[:3, :3] / spacing)) < 1e-3:
        raise UserError(
            f"{path} has a singular orientation matrix (its axes do not span space): "
            "repair the header or export it again."
        )
    return matrix


def _read_itk(path: Path) -> Volume:
    import SimpleITK

    try:
        image = SimpleITK.ReadImage(str(path))
    except RuntimeError as error:
        raise UserError(f"{path} is not a readable image ({_short(error)}): export it again.") from error
    return _from_itk(image, path)


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
        raise UserError(f"The DICOM series in {path} cannot be read ({_short(error)}): export it again.") from error
    return _from_itk(image, path)


def _from_itk(image: SimpleITK.Image, path: Path) -> Volume:
    import SimpleITK

    if image.GetNumberOfComponentsPerPixel() != 1:
        raise UserError(f"{path} is a colour or vector image: give the scalar T1-weighted volume it was made from.")
    size = image.GetSize()
    shape = _as_3d(size, path)
    # SimpleITK's arrays run K, J, I; ours follow the affine's columns I, J, K.
    array = SimpleITK.GetArrayFromImage(image).astype(np.float32).T.reshape(shape)
    dimension = image.GetDimension()
    direction = np.array(image.GetDirection()).reshape(dimension, dimension)[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = direction * np.array(image.GetSpacing())[:3]
    affine[:3, 3] = image.GetOrigin()[:3]
    return Volume(np.ascontiguousarray(array), _checked_affine(_LPS_TO_RAS @ affine, path), path.name)


def _short(error: BaseException) -> str:
    """The first line of a library's message: the rest is for developers."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    # ITK puts its own file and line first and the reason last.
    return (lines[-1] if lines and "itk" in lines[0].lower() else (lines or [type(error).__name__])[0]).strip()[:160]
