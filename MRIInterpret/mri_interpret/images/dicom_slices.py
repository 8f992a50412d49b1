"""The slices of a DICOM series: one for each single-frame file, one for each frame of an enhanced file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UserError
from .dicom_files import DicomImage
from .refusals import check_components, one_sentence

if TYPE_CHECKING:
    from pydicom import Dataset

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class DicomSlice:
    """What the header says of a slice; None where it says nothing."""

    image: DicomImage
    frame: int  # from 0
    position: Numbers | None  # ImagePositionPatient: centre of the first voxel, LPS mm
    orientation: Numbers | None  # ImageOrientationPatient: directions of a row and of a column, LPS
    spacing: Numbers | None  # PixelSpacing: distance of rows, distance of columns, mm
    slope: float
    intercept: float
    number: int | None  # InstanceNumber
    traits: dict[str, str]  # what may differ between slices at one position

    @property
    def called(self) -> str:
        """For messages."""
        several = int(self.image.header.get("NumberOfFrames") or 1) > 1
        return f"frame {self.frame + 1}" if several else self.image.path.name


def slices_of(image: DicomImage) -> list[DicomSlice]:
    """The slices in one file, in the file's order.

    Raises
    ------
    UserError
        If its voxels are no scalars, or it has several frames without a description of each.
    """
    header = image.header
    with one_sentence(str(image.path), "has a header that is not readable"):
        check_components(int(header.get("SamplesPerPixel") or 1), str(image.path))
        photometric = str(header.get("PhotometricInterpretation") or "MONOCHROME2")
        if not photometric.startswith("MONOCHROME"):
            raise UserError(f"{image.path} is a colour image ({photometric}): give the scalar T1-weighted series.")
        if "MOSAIC" in [str(word) for word in header.get("ImageType") or ()]:
            raise UserError(f"{image.path} is a mosaic of many slices in one image: export it as an enhanced series.")
        if "PerFrameFunctionalGroupsSequence" in header:
            return list(_frames(image))
        frames = int(header.get("NumberOfFrames") or 1)
        if frames > 1:
            raise UserError(f"{image.path} holds {frames} frames without positions: export it as single slices.")
        return [_slice(image, 0, [header])]


def _frames(image: DicomImage) -> Iterator[DicomSlice]:
    header = image.header
    frames, groups = int(header.get("NumberOfFrames") or 1), header.PerFrameFunctionalGroupsSequence
    if frames != len(groups):
        raise UserError(f"{image.path} holds {frames} frames, and its header describes {len(groups)}: export it again.")
    shared = list(header.get("SharedFunctionalGroupsSequence") or ())
    for number, group in enumerate(groups):
        yield _slice(image, number, [*_items(group), *(item for entry in shared for item in _items(entry)), header])


def _items(group: Dataset) -> Iterator[Dataset]:
    """The items of all sequences of a functional group: positions, orientations, spacings, each in its own."""
    for element in group:
        if element.VR == "SQ" and element.value:
            yield element.value[0]


def _slice(image: DicomImage, frame: int, places: Sequence[Dataset]) -> DicomSlice:
    """A slice from the data sets that may describe it, the most specific first."""
    slope, intercept = _numbers(places, "RescaleSlope", 1), _numbers(places, "RescaleIntercept", 1)
    number = image.header.get("InstanceNumber")
    names = {
        "echo times (ms)": ("EffectiveEchoTime", "EchoTime", "EchoNumbers"),
        "time points": ("TemporalPositionIndex", "TemporalPositionIdentifier", "TriggerTime"),
        "kinds of image": ("FrameType", "ImageType", "ComplexImageComponent"),
        "inversion times (ms)": ("InversionTime", "InversionTimes"),
        "b-values": ("DiffusionBValue",),
        "acquisitions": ("AcquisitionNumber", "FrameAcquisitionNumber"),
        "acquisition times": ("FrameAcquisitionDateTime", "AcquisitionTime"),
        "stacks": ("StackID",),
    }
    traits = {
        trait: "\\".join(map(str, value)) if isinstance(value, list) else str(value)
        for trait, tags in names.items()
        if (value := next((found for tag in tags if (found := _first(places, tag)) is not None), None)) is not None
    }
    return DicomSlice(
        image=image,
        frame=frame,
        position=_numbers(places, "ImagePositionPatient", 3),
        orientation=_numbers(places, "ImageOrientationPatient", 6),
        spacing=_numbers(places, "PixelSpacing", 2),
        slope=slope[0] if slope else 1.0,
        intercept=intercept[0] if intercept else 0.0,
        number=None if number is None else int(number),
        traits=traits,
    )


def _first(places: Sequence[Dataset], name: str) -> Any:
    for place in places:
        value = place.get(name)
        if value is not None and value != "" and not (hasattr(value, "__len__") and len(value) == 0):
            return list(value) if hasattr(value, "append") else value
    return None


def _numbers(places: Sequence[Dataset], name: str, count: int) -> Numbers | None:
    value = _first(places, name)
    if value is None:
        return None
    numbers = tuple(float(number) for number in (value if isinstance(value, list) else [value]))
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise ValueError(f"{name} is not {count} numbers but {value}")
    return numbers
