"""DICOM: a folder with one series, or an enhanced multi-frame file, as a Volume in RAS."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .dicom_files import find_series, quiet_pydicom
from .dicom_geometry import SliceStack, stack_slices
from .dicom_slices import slices_of
from .refusals import checked_affine, one_sentence, single_volume
from .volume import Volume

if TYPE_CHECKING:
    from pydicom import Dataset

_PIXEL_MODULE = (
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel",
    "PhotometricInterpretation", "NumberOfFrames",
)  # fmt: skip


def read_dicom(path: Path) -> Volume:
    """Read the one DICOM series in a folder, or one enhanced multi-frame file.

    Axes are column, row, slice, slices in the order in which they lie; values are rescaled to what the header says
    they mean.

    Raises
    ------
    UserError
        If there is not exactly one series, a file breaks off, or the slices do not make one whole volume.
    """
    stack, where = read_stack(path)
    shape = _shape(stack, where)
    array = np.empty(shape, np.float32)
    frames: NDArray[Any] = np.empty(0)
    decoded: Path | None = None
    for k, each in enumerate(stack.slices):
        if each.image.path != decoded:
            frames, decoded = _frames(each.image.path), each.image.path
        if frames.shape[1:] != (shape[1], shape[0]) or each.frame >= len(frames):
            raise UserError(f"{each.image.path} does not hold the voxels that its header describes: export it again.")
        array[:, :, k] = frames[each.frame].T * each.slope + each.intercept
    return Volume(array, stack.affine, path.name, stack.notes)


def check_dicom_header(path: Path) -> None:
    """As :func:`read_dicom`, from the headers alone."""
    _shape(*read_stack(path))


def read_stack(path: Path | Sequence[Path]) -> tuple[SliceStack, str]:
    """The slices of the one series in a folder, a file or a list of files, and how messages call it; headers only.

    Raises
    ------
    UserError
        As of :func:`read_dicom`.
    """
    place = path if isinstance(path, Path) else Path(path[0]).parent if path else Path()
    with one_sentence(str(place)), quiet_pydicom():
        series = find_series(path)
        where = f"{place} ({series.name})"
        slices = [each for image in series.images for each in slices_of(image)]
        stack = stack_slices(slices, where, place.name)
        return SliceStack(stack.slices, checked_affine(stack.affine, where), stack.notes), where


def _shape(stack: SliceStack, where: str) -> tuple[int, int, int]:
    header = stack.slices[0].image.header
    return single_volume((int(header.Columns), int(header.Rows), len(stack.slices)), where)


def _frames(path: Path) -> NDArray[Any]:
    """The stored values of a file, shape (frames, rows, columns)."""
    import pydicom

    with one_sentence(str(path), "has voxels that cannot be read"), quiet_pydicom():
        dataset = pydicom.dcmread(path, force=True)
        syntax = dataset.file_meta.get("TransferSyntaxUID")
        if syntax is None:
            little, implicit = dataset.is_little_endian, dataset.is_implicit_VR
            syntax = (
                pydicom.uid.ExplicitVRBigEndian
                if not little
                else (pydicom.uid.ImplicitVRLittleEndian if implicit else pydicom.uid.ExplicitVRLittleEndian)
            )
            dataset.file_meta.TransferSyntaxUID = syntax
        if syntax.is_encapsulated and syntax != pydicom.uid.RLELossless:
            values = _decompressed(dataset)
        else:
            values = dataset.pixel_array
        return values.reshape(-1, *values.shape[-2:])


def _decompressed(dataset: Dataset) -> NDArray[Any]:
    """Decode JPEG and its relatives with SimpleITK, from a copy without rescaling, which is applied later."""
    import pydicom
    import SimpleITK

    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    several = int(dataset.get("NumberOfFrames") or 1) > 1
    # Multi-frame grayscale word, or single-frame, secondary capture: neither has a place for rescaling per frame.
    kind = "1.2.840.10008.5.1.4.1.1.7.3" if several else "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = pydicom.uid.UID(kind), pydicom.uid.generate_uid()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "image.dcm"
        bare = pydicom.FileDataset(
            file, {}, preamble=bytes(128), file_meta=meta, is_implicit_VR=False, is_little_endian=True
        )
        bare.SOPClassUID, bare.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        for name in _PIXEL_MODULE:
            if name in dataset:
                setattr(bare, name, dataset.get(name))
        bare.PixelData = dataset.PixelData
        bare["PixelData"].VR = "OB"
        bare.save_as(file)
        return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(file)))
