"""The regions that stand out in a map, or one sentence that says why there are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..thresholds import SMALLEST_REGION_ML, STANDING_OUT_GAIN
from .region_statistics import OUTSIDE_LABEL

if TYPE_CHECKING:  # Slicer's window reads explanations without pandas, whose import would hold it up
    import pandas as pd

SUMMARY = "summary"


@dataclass(frozen=True)
class TopRegions:
    """What every door says about where a map's relevance is densest.

    Attributes
    ----------
    rows
        Rows of the region table, the highest gain first; empty if no region stands out.
    sentence
        The regions' names, or why there are none.
    """

    rows: pd.DataFrame
    sentence: str

    @property
    def names(self) -> list[str]:
        """The regions' names."""
        return [str(name) for name in self.rows["region"]]


def top_regions(table: pd.DataFrame, method: str = SUMMARY, count: int = 5, space: str | None = None) -> TopRegions:
    """The regions of one map whose mean relevance is highest, if they stand out from the brain's mean.

    A map without preference has a region of highest gain too, and so has noise: a region counts from a gain of
    :data:`~mri_interpret.thresholds.STANDING_OUT_GAIN` on, which noise does not reach. Shares instead of gains would
    rank regions by their size. Regions below :data:`~mri_interpret.thresholds.SMALLEST_REGION_ML` have no rank.

    Parameters
    ----------
    table
        From :class:`~.region_statistics.RegionStatistics`: columns method, space, label, region, gain, share, and
        volume_mm3 if it has that.
    method
        Whose map.
    count
        At most so many.
    space
        "native" or "template"; native if the table has it.
    """
    own = _of_map(table, method, space)
    rows = _ranked(own)
    standing_out = rows[rows["gain"] >= STANDING_OUT_GAIN].head(count)
    if len(standing_out):
        names = ", ".join(str(name) for name in standing_out["region"])
        return TopRegions(standing_out, f"Most relevant regions: {names}.")
    if own.empty or not (own["share"] > 0).any():
        sentence = "The map is zero everywhere in the brain: no region is relevant."
    elif rows.empty or not (rows["gain"] > 0).any():
        sentence = "No relevance lies in a region that is large enough to be ranked."
    else:
        best = rows.iloc[0]
        sentence = (
            f"No region stands out: relevance is densest in {best['region']}, {best['gain']:.1f} times the brain's "
            f"mean, and noise alone reaches nearly {STANDING_OUT_GAIN:g} times."
        )
    return TopRegions(standing_out, sentence)


def densest_regions(table: pd.DataFrame, method: str, count: int, space: str | None = None) -> list[str]:
    """Names of the regions whose mean relevance is highest, whether or not they stand out; arguments as above."""
    return [str(name) for name in _ranked(_of_map(table, method, space))["region"].head(count)]


def _of_map(table: pd.DataFrame, method: str, space: str | None) -> pd.DataFrame:
    own = table[(table["method"] == method) & (table["label"] != OUTSIDE_LABEL)]
    chosen = space or ("native" if (own["space"] == "native").any() else "template")
    return own[own["space"] == chosen]


def _ranked(own: pd.DataFrame) -> pd.DataFrame:
    return large_enough(own[own["label"] > 0]).sort_values("gain", ascending=False, kind="stable")


def large_enough(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of regions that are large enough to be ranked; all of them if the table has no volumes."""
    return rows[~too_small(rows)]


def too_small(rows: pd.DataFrame) -> pd.Series[bool]:
    """Which regions are too small for a statement about them to hold, by the table's ``volume_mm3``."""
    if "volume_mm3" not in rows:
        return rows["gain"] != rows["gain"]
    return rows["volume_mm3"] < 1000 * SMALLEST_REGION_ML


def share_outside_brain(table: pd.DataFrame, method: str, space: str) -> float:
    """The share of a map's absolute relevance that lies outside the brain, 0 to 1; the other rows do not count it."""
    rows = table[(table["method"] == method) & (table["space"] == space) & (table["label"] == OUTSIDE_LABEL)]
    return float(rows["share"].iloc[0]) if len(rows) else 0.0
