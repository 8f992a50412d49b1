"""What every exported object says of itself: who made it, of which study it is, and what to know about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import __version__
from .content import DicomContent
from .source import SourceSeries

if TYPE_CHECKING:
    from pydicom import Dataset

MAKER = "MRIInterpret"
SCHEME, SCHEME_NAME = "99MRIINTERPRET", "MRIInterpret regions and measurements"


def new_uid() -> str:
    """A new identifier, derived from a UUID (PS3.5, B.2)."""
    from pydicom.uid import generate_uid

    return str(generate_uid(prefix=None))


def identity(source: SourceSeries, number: int) -> dict[str, Any]:
    """Arguments of every highdicom object: a series of its own, numbered after the source's.

    Parameters
    ----------
    source
        The series that was explained.
    number
        Of the object, from 1.
    """
    return {
        "series_instance_uid": new_uid(),
        "series_number": 100 * max(int(source.header.get("SeriesNumber") or 0), 0) + number,
        "sop_instance_uid": new_uid(),
        "instance_number": 1,
        "manufacturer": MAKER,
        "manufacturer_model_name": "mri-interpret",
        "software_versions": __version__,
        "device_serial_number": __version__,
    }


def describe(made: Dataset, title: str, content: DicomContent, source: SourceSeries) -> None:
    """Patient and study as the source has them; a title that lists show; banner and warnings as image comments."""
    source.keep_patient(made)
    made.SeriesDescription = short(f"{title} (MRIInterpret, research use only)")
    made.BodyPartExamined = "BRAIN"
    if "Rows" in made:
        made.ImageComments = short(content.remarks, 10_240)


def coded(value: str, meaning: str, scheme: str = SCHEME) -> Any:
    """A concept with a code: SNOMED's, UCUM's, or one of this project."""
    from highdicom.sr import CodedConcept

    return CodedConcept(short(value, 16), scheme, short(meaning))


def scheme_item() -> Any:
    """What says which scheme the private codes are of (PS3.3, C.12.1.4.1)."""
    from highdicom.coding_schemes import CodingSchemeIdentificationItem

    return CodingSchemeIdentificationItem(SCHEME, name=SCHEME_NAME, version=__version__)


def short(text: str, length: int = 64) -> str:
    """A text within what DICOM allows."""
    text = text.replace("\\", "/")
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
