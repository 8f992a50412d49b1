"""What there is to click through of an explanation: every map, the summary, the consensus, the spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..planes.colour_scale import ColourScale, relevance_scale, summary_scale
from ..planes.slices import as_float, brain_box, hottest
from ..planes.viewer import Planes
from ..planes.viewer_map import ViewerMap

if TYPE_CHECKING:
    from .explanation import Explanation

CONSENSUS = ("no agreement", "half of the methods", "two thirds of the methods", "all methods")


def planes_of(explanation: Explanation) -> Planes:
    """The summary first, then the methods in their order; the cursor begins in the summary's strongest area."""
    mask, to_template = explanation.mask, explanation.registration.to_template
    excluded = explanation.summary_details.excluded
    maps = [
        ViewerMap(
            "summary", "Summary score", "(0 to 1)", False, explanation.summary_template,
            summary_scale(mask.array, explanation.summary.array), explanation.summary, to_template,
        )
    ]  # fmt: skip
    for name, one in explanation.maps.items():
        scale = relevance_scale(one.native.array, mask.array, one.signed, one.units)
        note = "not in the summary" if name in excluded else ""
        maps.append(
            ViewerMap(name, one.title, one.units, one.signed, one.template, scale, one.native, to_template, note=note)
        )
    if len(explanation.maps) > 1:
        spread = relevance_scale(explanation.spread.array, mask.array, False, "")
        maps += [
            ViewerMap(
                "consensus", "Consensus", "", False, explanation.consensus_template, ColourScale(3.0, 0.5, False, ""),
                explanation.consensus, to_template, order=0, names=CONSENSUS,
            ),
            ViewerMap(
                "spread", "Spread", "SD of the methods' ranks", False, explanation.spread_template, spread,
                explanation.spread, to_template,
            ),
        ]  # fmt: skip
    return Planes(
        explanation.scan,
        mask,
        explanation.atlas_in_scan,
        {region.label: region.name for region in explanation.regions},
        maps,
        hottest(as_float(explanation.summary), mask, brain_box(mask)),
    )
