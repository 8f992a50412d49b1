"""Write a result of a DICOM scan as DICOM: Parametric Maps, a Segmentation, and a Structured Report of measurements."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..atomic import replacing
from ..errors import UserError
from ..images.dicom_files import quiet_pydicom
from ..images.refusals import short
from ..progress import ProgressCallback, silent
from .content import DicomContent, content_of
from .maps import parametric_map
from .measurements import measurement_report
from .segments import segmentation
from .source import SourceSeries, read_source

if TYPE_CHECKING:
    from pydicom import Dataset

    from ..explanation.explanation import Explanation

STEP = "Writing DICOM"
Series = str | Path | Sequence[str | Path]


def export_dicom(
    explanation: Explanation,
    folder: str | Path,
    series: Series | None = None,
    *,
    progress: ProgressCallback = silent,
) -> dict[str, Path]:
    """Write an explanation as DICOM objects of the study of its scan.

    Parameters
    ----------
    explanation
        Of a DICOM scan.
    folder
        Made if it is missing. Files of the same name are replaced.
    series
        The scan's series: its folder, an enhanced file, or its files. Where the scan was read from if left out.
    progress
        Told after each object; may raise :class:`~mri_interpret.errors.Cancelled`.

    Returns
    -------
    dict
        Path by name: "map_<method>" (also of "summary", "consensus" and "spread"), "segmentation", "measurements".

    Raises
    ------
    UserError
        If highdicom is missing, the scan was no DICOM, the series is another one, or the folder cannot be written.

    Notes
    -----
    Maps are Parametric Map Storage, float32, with raw values (PS3.3, A.75); regions are Segmentation Storage, binary
    (A.51), with SNOMED CT codes where there is one; measurements are a Comprehensive SR by template TID 1500 (PS3.16).
    Planes, frame of reference, patient and study are the series' own; nothing is resampled.
    """
    check_highdicom()
    source = series_of(explanation.provenance.scan_file) if series is None else read_source(_paths(series))
    return write_objects(content_of(explanation), source, Path(folder).expanduser(), progress)


def check_highdicom() -> None:
    """Refuse in one sentence if highdicom cannot be imported."""
    if importlib.util.find_spec("highdicom") is None:
        raise UserError("Writing DICOM needs the package highdicom: pip install 'mri-interpret[dicom]'.")


def series_of(scan_file: str | Path) -> SourceSeries:
    """The series that a scan was read from.

    Raises
    ------
    UserError
        If it came from no file, or from one that is no DICOM.
    """
    path = Path(scan_file) if scan_file else None
    if path is None or not path.exists():
        raise UserError(
            f"{scan_file or 'The scan, which came from no file,'} is not there: name the DICOM series of the scan to "
            "export the result as DICOM."
        )
    if not path.is_dir() and not _is_dicom(path):
        raise UserError(
            f"{path} is not DICOM, so there is no study that the result could be put into: explain the DICOM series "
            "to export DICOM."
        )
    return read_source(path)


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def _paths(series: Series) -> Path | list[Path]:
    return Path(series) if isinstance(series, (str, Path)) else [Path(one) for one in series]


def write_objects(
    content: DicomContent, source: SourceSeries, folder: Path, progress: ProgressCallback = silent
) -> dict[str, Path]:
    """Make and write every object; see :func:`export_dicom`. A file appears whole or not at all."""
    files: dict[str, Path] = {}
    total = len(content.maps) + 2
    progress(STEP, 0.0)

    def write(name: str, made: Dataset | None) -> None:
        if made is not None:
            files[name] = folder / f"{name}.dcm"
            with replacing(files[name]) as aside:
                made.save_as(aside, enforce_file_format=True)
        progress(STEP, min((len(files) + (made is None)) / total, 1.0))

    try:
        with quiet_pydicom(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for number, one in enumerate(content.maps, start=1):
                write(f"map_{one.key}", parametric_map(one, content, source, number))
            regions = segmentation(content, source, len(content.maps) + 1)
            write("segmentation", regions)
            write("measurements", measurement_report(content, source, regions, len(content.maps) + 2))
    except (ValueError, TypeError, AttributeError, KeyError, NotImplementedError) as error:
        raise UserError(
            f"The result cannot be put beside {source.where} as DICOM ({short(error)}): export the series again."
        ) from error
    return files
