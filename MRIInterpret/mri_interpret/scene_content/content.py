"""What goes into a scene, as plain arrays, numbers and texts: all that takes time is computed before a node is made.

The worker process computes it and passes it on in files, so that Slicer's window only has to copy. It needs neither
Slicer nor VTK; where it is read, it does not need pandas either, whose import alone would hold up the window.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..explanation.answer_words import answer_words
from ..explanation.explanation import Explanation, Region
from ..images.volume import Array, Volume
from .counterfactual_content import CounterfactualContent, counterfactuals_in, sentences_in
from .display_range import DisplayRange, display_range, summary_range, top_value
from .edge import edge_of, edge_sentence
from .note import WORTH_SAYING, note_text
from .table_content import ChartContent, TableContent, tables_and_charts

SUMMARY, SPREAD = "summary", "spread"
_LEGEND_LETTERS = 24  # of a line of a colour bar's title
STEP = "Building the scene"  # the name under which progress is reported


@dataclass(frozen=True)
class MapContent:
    """A map and how it is shown. ``verdict`` is "pass", "fail", "not applicable", or "" if nothing was checked."""

    key: str  # the registry's name of the method, or "summary"; in a cohort "method/map"
    role: str  # "map" or "summary"
    title: str
    legend: str
    signed: bool
    volume: Volume
    limits: DisplayRange
    peak: tuple[int, int, int]  # voxel with the largest magnitude
    brain_only: bool = False  # outside the brain, the scene's map is 0; the files keep the raw values
    method: str = ""
    verdict: str = ""
    verdict_text: str = ""
    units: str = ""  # in per cent for changes of volume, which have colours of their own
    in_summary: bool = True  # whether the summary score is made of it, too
    edge_text: str = ""  # one sentence if much of what is shown at first lies at the brain's edge


@dataclass(frozen=True)
class SceneContent:
    """A result. What an explanation has and a cohort has not is None or empty."""

    run: str
    banner: str
    note: str
    scan: Volume
    scan_name: str
    window: tuple[float, float] | None  # grey values from black to white
    maps: tuple[MapContent, ...]
    tables: tuple[TableContent, ...]
    charts: tuple[ChartContent, ...]
    consensus: Volume | None = None
    mask: Volume | None = None
    surface: Any = None  # vtkPolyData of the brain's surface in the scan's RAS mm, if it is made already
    answer: str = ""  # in words: "AD", "brain age 71.3 years (40 .. 90 years)"
    atlas: Volume | None = None  # labels
    atlas_name: str = ""
    regions: tuple[Region, ...] = ()  # those that occur in the atlas
    sentences: tuple[str, ...] = ()  # what volume methods say
    counterfactuals: tuple[CounterfactualContent, ...] = ()
    members_sd: dict[str, float] | None = None  # of the answer over the model's networks, as in Prediction
    members: int = 1

    def brain_surface(self) -> Any:
        """vtkPolyData of the brain's surface, made from the mask if it is not there; None without either."""
        if self.surface is None and self.mask is not None:
            from .surface import surface

            return surface(self.mask)
        return self.surface

    def map(self, key: str) -> MapContent:
        """The map of that key."""
        return next(one for one in self.maps if one.key == key)


def content_of(explanation: Explanation) -> SceneContent:
    """What a scene shows of an explanation. Its maps are the explanation's own arrays."""
    maps = [
        map_content(
            explanation.summary, SUMMARY, SUMMARY, "Summary score", "Summary score\n(0 to 1)\nresearch use only",
            signed=False, mask=explanation.mask, verdict=_verdict(explanation, SUMMARY),
        )
    ]  # fmt: skip
    maps += [
        map_content(
            one.native, method, "map", one.title, _legend(one.title, one.units),
            signed=one.signed, mask=explanation.mask, method=method, verdict=_verdict(explanation, method),
            units=one.units,
            in_summary=method not in explanation.summary_details.excluded,
        )
        for method, one in explanation.maps.items()
    ]  # fmt: skip
    edge = edge_of(explanation.mask.array)
    maps = [_with_edge(one, explanation.mask.array, edge) for one in maps]
    maps.append(
        map_content(
            explanation.spread, SPREAD, SPREAD, "Spread of the methods",
            "Spread\n(of ranks, 0 to 0.5)\nresearch use only", signed=False, mask=explanation.mask,
        )
    )  # fmt: skip
    labels = explanation.atlas_in_scan
    narrow = np.int16 if labels.array.max() <= np.iinfo(np.int16).max else np.int32
    counts = np.bincount(np.asarray(labels.array).ravel(order="K").astype(np.intp, copy=False))
    tables, charts = tables_and_charts(explanation)
    return SceneContent(
        run=run_name(explanation),
        banner=explanation.model.banner,
        note=note_text(explanation),
        answer=_answer(explanation),
        scan=explanation.scan,
        scan_name=_scan_name(explanation),
        window=brain_window(explanation.scan, explanation.mask),
        maps=tuple(maps),
        tables=tables,
        charts=charts,
        consensus=_fortran(explanation.consensus, np.uint8),
        mask=explanation.mask,
        atlas=_fortran(labels, narrow),
        atlas_name=explanation.atlas_name,
        regions=tuple(r for r in explanation.regions if r.label < len(counts) and counts[r.label]),
        sentences=sentences_in(explanation),
        counterfactuals=counterfactuals_in(explanation),
        members_sd=explanation.prediction.members_sd,
        members=explanation.prediction.members,
    )


def _with_edge(one: MapContent, brain: Array, edge: NDArray[np.bool_]) -> MapContent:
    return replace(one, edge_text=edge_sentence(one.volume.array, one.limits.hidden_below, brain, edge))


def _legend(title: str, units: str) -> str:
    """A colour bar's title in lines so short that it stays beside the head in a small view."""
    return "\n".join([title, *textwrap.wrap(f"({units})", _LEGEND_LETTERS), "research use only"])


def run_name(explanation: Explanation) -> str:
    """The result's name in a scene, where no other has it."""
    return f"MRIInterpret: {_scan_name(explanation)}, {explanation.target.name}"


def _scan_name(explanation: Explanation) -> str:
    return (explanation.scan.name or "scan").removesuffix(".gz").removesuffix(".nii")


def map_content(
    volume: Volume, key: str, role: str, title: str, legend: str, *, signed: bool, mask: Volume | None = None,
    method: str = "", verdict: tuple[str, str] = ("", ""), units: str = "",
    in_summary: bool = True,
) -> MapContent:  # fmt: skip
    """A map with its colour limits, extremes and peak.

    Parameters
    ----------
    volume
        The map.
    key, role, title, legend, method, verdict, units, in_summary
        See :class:`MapContent`.
    signed
        Whether both signs carry meaning.
    mask
        The brain on the map's grid: the scene shows the map there only, and limits and peak come from there. Inside,
        values are the raw ones. The whole volume if left out.
    """
    values = volume.array if mask is None else np.where(np.asarray(mask.array) > 0, volume.array, 0)
    limits = summary_range(values) if role == SUMMARY else display_range(values, signed)
    inside = values if mask is None else values[np.asarray(mask.array) > 0]
    limits = replace(limits, hidden_below=top_value(inside[inside != 0] if mask is None else inside))
    low, high = int(values.argmin()), int(values.argmax())
    least, most = float(values.flat[low]), float(values.flat[high])
    i, j, k = (int(n) for n in np.unravel_index(high if most >= -least else low, values.shape))
    return MapContent(
        key, role, title, legend, signed, volume, limits, (i, j, k), mask is not None, method, *verdict,
        units, in_summary,
    )  # fmt: skip


def _fortran(volume: Volume, kind: type) -> Volume:
    return volume.with_array(np.asfortranarray(volume.array, dtype=kind))


def brain_window(scan: Volume, mask: Volume) -> tuple[float, float] | None:
    """Grey values from black to white that suit the brain: bright fat and vessels would darken it."""
    brain = np.asarray(scan.array)[np.asarray(mask.array) > 0]
    if not brain.size or brain.max() <= brain.min():
        return None
    low, high = np.quantile(brain, (0.001, 0.995))
    return float(low), float(low + 1.3 * (high - low))


def _verdict(explanation: Explanation, method: str) -> tuple[str, str]:
    """A map fails if one check fails, and passes if one passes and none fails; and the sentences behind it."""
    own = [verdict for verdict in explanation.verdicts if verdict.method == method]
    outcomes = [verdict.verdict for verdict in own]
    ranked = next((wanted for wanted in ("fail", "pass", "not applicable") if wanted in outcomes), "")
    failed = [v.check for v in own if v.verdict == "fail"]
    lines = [f"Failed: {', '.join(failed)}."] if failed else []
    if failed and method != SUMMARY:
        reason = explanation.summary_details.excluded.get(method)
        lines.append(
            f"Not part of the summary score: {reason}" if reason else "Part of the summary score all the same."
        )
    from ..checks.recovery import badge

    lines += [f"The model {words}." for words in map(badge, explanation.verdicts) if words and method == SUMMARY]
    lines += [f"{v.check}: {v.verdict}. {v.sentence}" for v in own]
    one = explanation.maps.get(method)
    if one is not None and not own and one.outside_brain >= WORTH_SAYING:
        lines = [
            "Not checked: trust checks were off.",
            f"{one.outside_brain:.0%} of the relevance lies outside the brain, which is neither shown nor counted.",
        ]
    return ranked, "\n".join(lines)


def _answer(explanation: Explanation) -> str:
    words = answer_words(explanation.prediction, explanation.model.output)
    return words.sentence if explanation.model.output.is_quantity else words.headline


def unique_name(wanted: str, taken: Sequence[str]) -> str:
    """``wanted``, or with a number behind it if that is taken."""
    name, count = wanted, 1
    while name in taken:
        count += 1
        name = f"{wanted} ({count})"
    return name
