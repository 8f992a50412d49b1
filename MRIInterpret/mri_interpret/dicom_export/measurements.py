"""What was measured, as a Structured Report: TID 1500, a group for the answer and one for each region (PS3.16)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .content import DicomContent, ExportedRegion
from .objects import MAKER, coded, describe, identity, new_uid, scheme_item, short
from .segments import codes_of, exported_in
from .source import SourceSeries

if TYPE_CHECKING:
    from pydicom import Dataset

_NO_UNIT = ("1", "no units", "UCUM")
_PERCENT = ("%", "percent", "UCUM")


def measurement_report(content: DicomContent, source: SourceSeries, regions: Dataset | None, number: int) -> Dataset:
    """The answer, and of each region its volume and how much relevance it holds.

    Parameters
    ----------
    content, source, number
        As of :func:`.maps.parametric_map`.
    regions
        The Segmentation whose segments are measured.
    """
    import highdicom
    from highdicom import sr
    from pydicom.sr.codedict import codes
    from pydicom.uid import ExplicitVRLittleEndian

    observer = sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=new_uid(), name=MAKER, model_name=short(content.model)
        ),
    )
    groups: list[Any] = [_answer(content)]
    if regions is not None:
        series = sr.SourceSeriesForSegmentation(str(source.header.SeriesInstanceUID))
        groups += [_region(one, regions, n, series) for n, one in enumerate(exported_in(content), start=1)]
    report = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer),
        procedure_reported=coded("24590-2", "MR Brain", "LN"),
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    made = highdicom.sr.ComprehensiveSR(
        evidence=[*source.headers, *([regions] if regions is not None else [])],
        content=report,
        **identity(source, number),
        is_complete=True,
        is_final=False,
        is_verified=False,
        coding_schemes=[scheme_item()],
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    describe(made, "Measurements", content, source)
    return made


def _answer(content: DicomContent) -> Any:
    """What the model said: probabilities or a quantity; that it is research; how many warnings there are."""
    from highdicom import sr

    scale = coded(*_NO_UNIT)
    measured = [
        sr.Measurement(coded(f"P-{n}", f"Probability of {name}"), value, scale)
        for n, (name, value) in enumerate(content.probabilities.items(), start=1)
    ]
    if content.quantity is not None:
        name, value, unit = content.quantity
        scale = coded(unit, unit) if unit not in ("", "1") else scale
        measured.append(sr.Measurement(coded("QUANTITY", name), value, scale))
    measured += [
        sr.Measurement(coded(f"SD-{n}", f"SD over {content.members} networks of {name}"), value, scale)
        for n, (name, value) in enumerate((content.members_sd or {}).items(), start=1)
    ]
    count = len(content.warnings)
    said = [
        ("ANSWER", "Answer of the model", content.answer or "none"),
        ("EXPLAINED", "Explained", content.explained),
        ("USE", "Intended use", "Research use only, not for diagnosis"),
        ("WARNINGS", "Warnings", f"{count}, in the image comments of the maps" if count else "none"),
    ]
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(new_uid(), "Answer of the model"),
        measurements=measured,
        qualitative_evaluations=[
            sr.QualitativeEvaluation(coded(key, title), coded(f"{key}-1"[:16], value)) for key, title, value in said
        ],
    )


def _region(one: ExportedRegion, regions: Dataset, number: int, series: Any) -> Any:
    """The group of one region: which segment it is, what it is, and what was measured in it."""
    from highdicom import sr
    from pydicom.sr.codedict import codes

    category, kind, side = codes_of(one)
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            regions.SegmentSequence[number - 1].TrackingUID, regions.SegmentSequence[number - 1].TrackingID
        ),
        # from_segmentation would list every slice of each segment instead, which takes half a minute for a whole brain.
        referenced_segment=sr.ReferencedSegment(
            regions.SOPClassUID, regions.SOPInstanceUID, number, source_series=series
        ),
        finding_category=category,
        finding_type=kind,
        finding_sites=[sr.FindingSite(kind, side)],
        measurements=_measured(
            [
                (codes.SCT.Volume, one.volume_ml, ("mL", "milliliter", "UCUM")),
                (coded("GAIN", "Relevance density over that of the brain"), one.gain, _NO_UNIT),
                (coded("SHARE", "Share of the brain's relevance"), 100 * one.share, _PERCENT),
            ]
        ),
    )


def _measured(found: Sequence[tuple[Any, float, tuple[str, str, str]]]) -> list[Any]:
    """Measurements of what is known."""
    from highdicom import sr

    return [sr.Measurement(name, value, coded(*unit)) for name, value, unit in found if math.isfinite(value)]
