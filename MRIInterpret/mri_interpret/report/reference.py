"""How alike the maps are to maps from elsewhere: the rows of the report's table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..explanation.explanation import Explanation


@dataclass(frozen=True)
class ReferenceRow:
    """One map beside one reference map; correlations over voxels and over regions, each with what chance reaches."""

    title: str
    voxel: tuple[float, float, float]  # correlation, mirrored or shifted reference's highest, random maps' 95 %
    region: tuple[float, float, float]
    beyond_chance: bool  # over voxels: above every one of these


@dataclass(frozen=True)
class ReferenceContent:
    """One reference map and a row for each map."""

    name: str
    rows: list[ReferenceRow]


def reference_contents(explanation: Explanation) -> list[ReferenceContent]:
    """The comparisons by reference map, in the order in which they were given; empty without one."""
    table = explanation.reference_table
    if table is None or table.empty:
        return []
    titles = {name: one.title for name, one in explanation.maps.items()} | {"summary": "Summary score"}
    found = []
    for name, part in table.groupby("reference", sort=False):
        rows = []
        for method, own in part.groupby("method", sort=False):
            level = {row["level"]: row for row in own.to_dict("records")}
            voxel, region = (_numbers(level[key]) for key in ("voxel", "region"))
            # A mirrored reference of a symmetrical disease is as good as the reference: it is no null.
            bar = max(float(level["voxel"]["shifted"]), voxel[2])
            rows.append(ReferenceRow(titles.get(str(method), str(method)), voxel, region, voxel[0] > bar))
        found.append(ReferenceContent(str(name), rows))
    return found


def _numbers(row: dict[str, float]) -> tuple[float, float, float]:
    moved = [float(row[key]) for key in ("mirrored", "shifted")]
    known = [value for value in moved if math.isfinite(value)]
    return float(row["correlation"]), max(known, default=math.nan), float(row["random"])
