"""The DICOM files of a folder by series, headers only; other files are passed over, truncated images refused."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from .paths import existing_path
from .refusals import one_sentence

if TYPE_CHECKING:
    from pydicom import Dataset

DICOM_SUFFIXES = (".dcm", ".ima")
_VOXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)  # FloatPixelData, DoubleFloatPixelData, PixelData
_DEFER = 4096  # bytes: longer values, above all the voxels, are left in the file
_LISTED = 6  # series or files that a message lists


@dataclass(frozen=True)
class DicomImage:
    """One file that holds an image."""

    path: Path
    header: Dataset  # long values are not in memory


@dataclass(frozen=True)
class DicomSeries:
    """The images of one series."""

    name: str  # for messages, for instance "series 3 'T1 MPRAGE'"
    images: tuple[DicomImage, ...]


def find_series(path: Path | Sequence[Path]) -> DicomSeries:
    """The one series of a folder (its subfolders are not looked into), of a file, or of a list of files.

    Raises
    ------
    UserError
        If there is no series, more than one, or a file that is cut short.
    """
    if not isinstance(path, Path):
        files, called, hint = [existing_path(file) for file in path], f"The list of {len(path)} files", ""
    elif path.is_dir():
        entries = sorted(entry for entry in path.iterdir() if entry.name[0] != ".")
        # A slice that was not fetched must not be passed over as if it were no file.
        files = [existing_path(entry) if entry.is_symlink() else entry for entry in entries if not entry.is_dir()]
        called, hint = f"The folder {path}", _hint(path)
    else:
        files, called, hint = [path], str(path), ""
    images = [image for file in files if (image := _read_header(file)) is not None]
    if not images:
        raise UserError(f"{called} holds no DICOM series{hint}: give a scan file or the folder of one series.")
    by_series: dict[str, list[DicomImage]] = {}
    for image in images:
        by_series.setdefault(str(image.header.get("SeriesInstanceUID", "")), []).append(image)
    series = [DicomSeries(_name(group[0].header), tuple(group)) for group in by_series.values()]
    if len(series) > 1:
        listed = [f"{each.name}, {_count(each.images)}" for each in series[:_LISTED]]
        more = f" and {len(series) - _LISTED} more" if len(series) > _LISTED else ""
        raise UserError(
            f"{called} holds {len(series)} DICOM series ({'; '.join(listed)}{more}): "
            "put the T1-weighted one in a folder of its own."
        )
    return series[0]


def _count(images: Sequence[DicomImage]) -> str:
    return "1 file" if len(images) == 1 else f"{len(images)} files"


def _hint(path: Path) -> str:
    """The subfolders that hold DICOM files, for a folder that holds none itself."""
    inner = [folder for folder in sorted(path.iterdir()) if folder.is_dir() and any(map(_is_dicom, folder.iterdir()))]
    if not inner:
        return ""
    more = f" and {len(inner) - _LISTED} more" if len(inner) > _LISTED else ""
    return f" (there are DICOM files in {', '.join(folder.name for folder in inner[:_LISTED])}{more})"


def _name(header: Dataset) -> str:
    number, description = header.get("SeriesNumber"), str(header.get("SeriesDescription") or "").strip()
    name = "the series" if number is None else f"series {number}"
    return f"{name} '{description}'" if description else name


def _is_dicom(file: Path) -> bool:
    """Whether a file begins as DICOM does: with its preamble or, as old files do, with group 8."""
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        start = stream.read(132)
    return start[128:] == b"DICM" or (start[:2] == b"\x08\x00" and len(start) == 132)


def _read_header(file: Path) -> DicomImage | None:
    """The header of a file, or None if it is not a DICOM image.

    Raises
    ------
    UserError
        If its name or its header says that it is one, and it is truncated.
    """
    import pydicom

    with one_sentence(str(file)):
        if not _is_dicom(file):
            if file.suffix.lower() in DICOM_SUFFIXES:
                raise UserError(f"{file} is not a DICOM file, although its name says so: export the series again.")
            return None
        header = pydicom.dcmread(file, defer_size=_DEFER, force=True)
        if header.file_meta.get("TransferSyntaxUID") == pydicom.uid.DeflatedExplicitVRLittleEndian:
            header = pydicom.dcmread(file, force=True)  # places in the file tell nothing
        kind = header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID")
        if kind is not None and "Image Storage" not in pydicom.uid.UID(kind).name and "Rows" not in header:
            return None  # a report, a presentation state, a DICOMDIR
        if kind is None or not _has_all_voxels(header, file):
            raise UserError(f"{file} is cut short: its voxels are not all there; export the series again.")
        if not header.get("SeriesInstanceUID"):
            raise UserError(f"{file} names no series (SeriesInstanceUID): export the series again.")
    return DicomImage(file, header)


def _has_all_voxels(header: Dataset, file: Path) -> bool:
    """Whether the file is long enough for its voxels, by the length of their element."""
    # values() leaves in the file what was left there.
    element: Any = next((element for element in header.values() if element.tag in _VOXELS), None)
    if element is None:
        return False
    if element.length == 0xFFFFFFFF:
        return bool(element.value is None or element.value)  # compressed: pydicom has found its end
    if element.value is None:
        return 0 < element.length <= file.stat().st_size - element.value_tell
    return 0 < element.length <= len(element.value)


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Silence pydicom's warnings and log lines on odd values: what matters is refused in a sentence."""
    logger = logging.getLogger("pydicom")
    before = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before


def listed(values: Sequence[Any], limit: int = _LISTED) -> str:
    """Distinct values in their order, shortened."""
    distinct = list(Counter(str(value) for value in values))
    return ", ".join(distinct[:limit]) + (", ..." if len(distinct) > limit else "")
