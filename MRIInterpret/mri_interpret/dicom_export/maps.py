"""A map as a Parametric Map (PS3.3, A.75): float32 voxels on the planes of the scan, as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..scene_content.content import SUMMARY
from ..scene_content.display_range import display_range, summary_range
from .content import DicomContent, ExportedMap
from .objects import coded, describe, identity, short
from .source import SourceSeries

if TYPE_CHECKING:
    from pydicom import Dataset


def parametric_map(one: ExportedMap, content: DicomContent, source: SourceSeries, number: int) -> Dataset:
    """One map; its unit, which has no code, stands in the explanation of its values.

    Parameters
    ----------
    one
        The map.
    content
        The result that it is of.
    source
        The series that was explained.
    number
        Of the object, from 1.
    """
    import highdicom
    from pydicom import uid

    values = source.planes(one.volume)
    signed = bool(values.min() < 0)
    limits = summary_range(values) if one.key == SUMMARY else display_range(values, signed)
    made = highdicom.pm.ParametricMap(
        source_images=source.headers,
        pixel_array=values,
        **identity(source, number),
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[
            highdicom.pm.RealWorldValueMapping(
                lut_label=short(one.key, 16),
                lut_explanation=short(f"{one.title} ({one.units})" if one.units else one.title),
                unit=coded("1", "no units", "UCUM"),
                value_range=(float(np.min(values)), float(np.max(values))),
                slope=1.0,
                intercept=0.0,
            )
        ],
        window_center=(limits.upper + limits.lower) / 2,
        window_width=max(limits.upper - limits.lower, float(np.finfo(np.float32).tiny)),
        transfer_syntax_uid=uid.ExplicitVRLittleEndian,
        content_description=short(f"{one.title}, explained: {content.explained}"),
        content_label="RELEVANCE",
        **source.geometry(),
    )
    describe(made, one.title, content, source)
    return made
