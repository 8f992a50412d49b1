"""The regions as a Segmentation (PS3.3, A.51): binary segments with their standard codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import __version__
from ..scene_content.terminology import terminology_of
from .content import DicomContent, ExportedRegion
from .objects import coded, describe, identity, new_uid, scheme_item, short
from .source import SourceSeries

if TYPE_CHECKING:
    from pydicom import Dataset


def exported_in(content: DicomContent) -> tuple[ExportedRegion, ...]:
    """The regions that have a voxel, in the order of their segments' numbers, from 1."""
    if content.labels is None:
        return ()
    present = set(np.unique(content.labels.array).tolist())
    return tuple(one for one in content.regions if one.label in present)


def segmentation(content: DicomContent, source: SourceSeries, number: int) -> Dataset | None:
    """All regions in one object; None if there is none.

    Parameters
    ----------
    content, source, number
        As of :func:`.maps.parametric_map`.
    """
    import highdicom

    regions = exported_in(content)
    if not regions or content.labels is None:
        return None
    labels = np.asarray(content.labels.array).astype(np.int64)
    numbers = np.zeros(int(labels.max()) + 1, np.uint16)
    for segment, one in enumerate(regions, start=1):
        numbers[one.label] = segment
    made = highdicom.seg.Segmentation(
        source_images=source.headers,
        pixel_array=source.planes(content.labels.with_array(numbers[labels])),
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(n, one, content) for n, one in enumerate(regions, start=1)],
        **identity(source, number),
        content_label="REGIONS",
        content_description="Regions of this brain",
        coding_schemes=[scheme_item()],
        **source.geometry(),
    )
    describe(made, "Regions", content, source)
    return made


def _description(number: int, one: ExportedRegion, content: DicomContent) -> Any:
    import highdicom
    from highdicom.color import CIELabColor
    from pydicom.sr.codedict import codes

    category, kind, side = codes_of(one)
    made = highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=short(one.reader_name),
        segmented_property_category=category,
        segmented_property_type=kind,
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=short(content.segmented_by or "MRIInterpret"),
            family=codes.DCM.ArtificialIntelligence,
            version=__version__,
        ),
        tracking_uid=new_uid(),
        tracking_id=short(one.name),
        display_color=CIELabColor.from_rgb(*(round(255 * part) for part in one.colour)),
    )
    if side is not None:
        made.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [side]
    return made


def codes_of(one: ExportedRegion) -> tuple[Any, Any, Any]:
    """Category, type and side of a region, as Slicer stores them with a segment; side None where there is none."""
    parts = [part.split("^") for part in terminology_of(one.name, one.label).split("~")]
    category, kind, side = (coded(part[1], part[2], part[0]) if part[1] else None for part in parts[1:4])
    return category, kind, side
