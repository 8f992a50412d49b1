"""NIfTI-1 and NIfTI-2, single files and pairs, and nibabel images in memory."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from .compression import check_compressed
from .refusals import check_scalar, checked_affine, no_orientation, one_sentence, short, single_volume
from .volume import Affine, Volume

# Two affines of one header count as equal up to this shift of any corner of the volume: a quaternion in single
# precision is off by up to 0.1 mm there.
_SAME_MM = 0.2
_HEADER_BYTES = {b"n+1": 352, b"n+2": 544}  # the least vox_offset of a single file
# NIFTI_UNITS_UNKNOWN is millimetres to every reader; METER, MM, MICRON
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_XFORM_NAMES = {1: "scanner", 2: "aligned", 3: "Talairach", 4: "MNI", 5: "template"}


def read_nifti(path: Path) -> Volume:
    """Read .nii, .nii.gz, or a pair of .hdr and .img.

    Raises
    ------
    UserError
        If it is damaged, holds no single scalar 3D volume, or carries no orientation (Analyze pairs never do).
    """
    image, repairs = load_header(path)
    volume = volume_from_nibabel(image, str(path), path.name)
    return replace(volume, notes=repairs + volume.notes)


def check_nifti_header(path: Path) -> None:
    """As :func:`read_nifti`, from the header alone."""
    check_nibabel_header(load_header(path)[0], str(path))


def load_header(path: Path) -> tuple[Any, tuple[str, ...]]:
    """The nibabel image of a file, voxels unread, and notes on what nibabel repaired in its header."""
    import nibabel as nib

    where = str(path)
    with one_sentence(where), _repairs() as repairs:
        image: Any = nib.load(path.absolute())  # else nibabel takes a name that begins with ~ for a home
        check_scalar(image.get_data_dtype(), where)
        if isinstance(image, nib.Nifti1Pair):
            _check_offset(image, path)
        single_volume(image.shape, where)
    return image, tuple(f"{path.name}: the header was not valid and was repaired ({repair})." for repair in repairs)


class _Collected(logging.Handler):
    """Keeps what nibabel logs about a header, but for voxels that begin at an odd place: old readers only mind."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "vox offset" not in record.getMessage():
            self.messages.append(record.getMessage())


@contextmanager
def _repairs() -> Iterator[list[str]]:
    """What nibabel says it repairs in headers that are read meanwhile; else it would say so on the terminal."""
    import nibabel as nib

    logger, collected = nib.imageglobals.logger, _Collected()
    handlers, propagate = logger.handlers, logger.propagate
    logger.handlers, logger.propagate = [collected], False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield collected.messages
    finally:
        logger.handlers, logger.propagate = handlers, propagate


def volume_from_nibabel(image: Any, where: str, name: str = "") -> Volume:
    """A nibabel image as a Volume; float32, axes as they are.

    Parameters
    ----------
    image
        Any nibabel image with voxels and an affine.
    where, name
        What messages call it, and what the Volume is called.

    Raises
    ------
    UserError
        If it is not a single scalar 3D volume, or carries no orientation.
    """
    shape, affine, notes = check_nibabel_header(image, where, name)
    _check_checksum(image, where)
    with one_sentence(where, "breaks off or is damaged"):
        data = np.asarray(image.dataobj, dtype=np.float32).reshape(shape)
    return Volume(data, affine, name, notes)


def check_nibabel_header(
    image: Any, where: str, name: str = ""
) -> tuple[tuple[int, int, int], Affine, tuple[str, ...]]:
    """Shape, affine to RAS mm, and notes of a nibabel image, its voxels unread.

    Raises
    ------
    UserError
        If it is not a single scalar 3D volume, or carries no orientation.
    """
    import nibabel as nib

    notes: tuple[str, ...] = ()
    scale = 1.0
    with one_sentence(where):
        check_scalar(image.get_data_dtype(), where)
        shape = single_volume(image.shape, where)
        if isinstance(image, nib.Nifti1Pair):
            if _codes(image.header) == (0, 0):
                raise no_orientation(where, "its qform and sform codes are both 0")
            scale = _mm_per_unit(image.header, where)
            notes = _affine_notes(image.header, shape, scale, name or where)
        elif isinstance(image, nib.AnalyzeImage):
            raise no_orientation(where, "the Analyze format has no place for one")
        if image.affine is None:
            raise no_orientation(where, "it has no affine")
        return shape, checked_affine(_millimetres(image.affine, scale), where), notes


def _check_offset(image: Any, path: Path) -> None:
    least = _HEADER_BYTES.get(bytes(image.header["magic"].item())[:3], 0)
    # nibabel sets the header's own vox_offset to 0 once it has read it.
    offset = image.dataobj.offset
    if offset < least:
        raise UserError(
            f"{path} says that its voxels begin at byte {offset} (vox_offset), which is inside its header of "
            f"{least} bytes: export it again."
        )


def _check_checksum(image: Any, where: str) -> None:
    """Raise a UserError if an image's compressed file is damaged behind what nibabel reads of it."""
    file = image.file_map["image"].filename if hasattr(image, "file_map") else None
    if file is None or not str(file).lower().endswith((".gz", ".mgz")):
        return
    if not hasattr(image.dataobj, "offset"):  # voxels that were set in memory
        return
    expected = image.dataobj.offset + int(np.prod(image.shape)) * image.get_data_dtype().itemsize
    with one_sentence(where), Path(file).open("rb") as stream:
        check_compressed(stream, where, expected)


def _codes(header: Any) -> tuple[int, int]:
    return int(header["qform_code"]), int(header["sform_code"])


def _mm_per_unit(header: Any, where: str) -> float:
    code = int(header["xyzt_units"]) & 7
    if code not in _MM_PER_UNIT:
        raise UserError(f"{where} gives lengths in a unit that NIfTI does not know (code {code}): export it again.")
    return _MM_PER_UNIT[code]


def _millimetres(affine: Any, scale: float) -> Affine:
    return np.diag([scale, scale, scale, 1.0]) @ np.asarray(affine, np.float64)


def _affine_notes(header: Any, shape: tuple[int, int, int], scale: float, name: str) -> tuple[str, ...]:
    """What a reader should know about a header whose qform and sform do not place the voxels alike."""
    qform_code, sform_code = _codes(header)
    if qform_code == 0 or sform_code == 0:
        return ()
    used = f"the sform ({_XFORM_NAMES.get(sform_code, sform_code)} space) is used"
    try:
        qform, sform = (_millimetres(affine, scale) for affine in (header.get_qform(), header.get_sform()))
    except Exception as error:  # nibabel's HeaderDataError is a bare Exception
        return (f"{name}: the qform in the header is invalid ({short(error)}); {used}.",)
    differences = _differences(qform, sform, shape)
    if not differences:
        return ()
    return (
        f"{name}: qform and sform disagree ({differences}); {used}: check left and right, and that the template "
        "outline fits.",
    )


def _differences(qform: Affine, sform: Affine, shape: tuple[int, int, int]) -> str:
    """In words, how two affines differ; "" if no corner of the volume moves by more than a rounding."""
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in shape])).reshape(3, -1)
    corners = np.vstack([corners, np.ones(corners.shape[1])])
    shift = float(np.linalg.norm(((qform - sform) @ corners)[:3], axis=0).max())
    if not shift > _SAME_MM:  # the sform is checked on its own, whatever it is
        return "" if np.isfinite(shift) or not np.isfinite(qform).all() else "one is not finite"
    found = []
    if np.linalg.det(qform[:3, :3]) * np.linalg.det(sform[:3, :3]) < 0:
        found.append("opposite handedness")
    scales = [np.linalg.norm(affine[:3, :3], axis=0) for affine in (qform, sform)]
    if not np.allclose(scales[0], scales[1], rtol=1e-3):
        sizes = [" x ".join(f"{size:.3g}" for size in scale) for scale in scales]
        found.append(f"voxels of {sizes[0]} mm against {sizes[1]} mm")
    found.append(f"up to {shift:.1f} mm apart")
    return ", ".join(found)
