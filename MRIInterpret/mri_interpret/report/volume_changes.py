"""The section "What would have to change": what it says, and its pictures."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..anatomy.change_words import named_changes
from ..anatomy.structure_changes import StructureChange
from ..drawing.canvas import Picture
from ..drawing.counterfactual_film import ends_picture, film_picture
from ..drawing.montage import Backdrop
from ..explanation.explanation import Explanation
from ..explanation.volume_words import VolumeStatement, volume_statements
from ..images.volume import Volume
from ..thresholds import SMALLEST_REGION_ML
from .change_charts import change_chart, path_chart, top_changes


@dataclass(frozen=True)
class ChangeContent:
    """What the section says of one volume method.

    Attributes
    ----------
    statement
        Its sentences.
    rows
        Of the table: the structures that change or count most.
    of_volume
        Whether the rows are changes of volume, and not effects of one.
    has_ranges
        Whether further starts were made.
    """

    statement: VolumeStatement
    rows: list[StructureChange]
    of_volume: bool
    has_ranges: bool
    smallest: float = SMALLEST_REGION_ML

    @property
    def verdict(self) -> tuple[str, str]:
        """Whether the goal was reached, as a kind of verdict and a word; empty for a gradient."""
        found = self.statement.counterfactual
        if found is None:
            return "", ""
        return ("pass", "reached") if found.reached else ("fail", "not reached")


def change_contents(explanation: Explanation) -> list[ChangeContent]:
    """One for each volume method that was asked."""
    return [
        ChangeContent(
            one,
            [change for row in top_changes(one.changes) for change in row],
            one.counterfactual is not None,
            any(change.starts for change in one.changes),
        )
        for one in volume_statements(explanation)
    ]


@dataclass(frozen=True)
class ChangePictures:
    """What the section shows, by the methods' keys."""

    bars: dict[str, Picture] = field(default_factory=dict)
    ends: dict[str, Picture] = field(default_factory=dict)
    films: dict[str, Picture] = field(default_factory=dict)
    paths: dict[str, Picture] = field(default_factory=dict)


def change_pictures(explanation: Explanation, backdrop: Backdrop) -> ChangePictures:
    """Draw them; a counterfactual that changes nothing has no pictures of its deformation."""
    drawn, target = ChangePictures(), explanation.target.name
    for one in volume_statements(explanation):
        bars = change_chart(one.changes, target)
        found, change = one.counterfactual, explanation.maps[one.method]
        path = None if found is None else path_chart(found, target)
        if bars is not None:
            drawn.bars[one.method] = bars
        if path is not None:
            drawn.paths[one.method] = path
        if found is not None and found.displacement.largest_mm > 0:
            edges = _named(explanation, one)
            drawn.ends[one.method] = ends_picture(
                backdrop, found.scan, found.displacement, change.native, change.units, edges
            )
            drawn.films[one.method] = film_picture(backdrop, found.displacement, change.native)
    return drawn


def _named(explanation: Explanation, one: VolumeStatement) -> Volume:
    """1 in the structures that the sentence names, on the scan's grid."""
    rows, _ = named_changes(one.changes)
    labels = explanation.atlas_in_scan
    return labels.with_array(np.isin(labels.array, [change.label for row in rows for change in row]).astype(np.uint8))
