"""Statistics of relevance per region: each voxel of the brain counts once, so that the rows add up to the whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..images.volume import Array, Volume
from .atlas import Atlas

if TYPE_CHECKING:  # Slicer's window reads explanations without pandas, whose import would hold it up
    import pandas as pd

BACKGROUND = "(brain, no region)"
OUTSIDE = "(outside the brain)"
BACKGROUND_LABEL, OUTSIDE_LABEL = 0, -1
COLUMNS = (
    "method", "space", "label", "region", "voxels", "volume_mm3", "sum", "mean", "positive_share", "negative_share",
    "peak", "peak_r", "peak_a", "peak_s", "share", "gain", "asymmetry",
)  # fmt: skip


class RegionStatistics:
    """The labels of a grid's voxels, sorted once and used for every map.

    Parameters
    ----------
    labels
        Atlas labels on the grid, shape (I, J, K); only those inside the brain count.
    mask
        Brain mask on the same grid.
    atlas
        Names of the labels.
    space
        "native" or "template": written into the tables.
    sum_factor
        What a sum over voxels is multiplied by, so that sums on different grids are in the same unit.
    """

    def __init__(self, labels: Volume, mask: Array, atlas: Atlas, space: str, sum_factor: float = 1.0) -> None:
        if labels.array.shape != mask.shape:
            raise ValueError(f"labels of shape {labels.array.shape}, mask of shape {mask.shape}")
        inside = np.asarray(mask) > 0
        region_labels = np.array([region.label for region in atlas.regions])
        flat = np.where(inside, labels.array, 0).astype(np.int32).ravel()
        # Label -1 comes first, then 0, then the regions: a group for each, empty ones included.
        flat[~inside.ravel()] = OUTSIDE_LABEL
        self._labels = np.concatenate([[OUTSIDE_LABEL, BACKGROUND_LABEL], np.sort(region_labels)])
        flat[~np.isin(flat, self._labels)] = BACKGROUND_LABEL
        self._order = np.argsort(flat, kind="stable")
        sorted_labels = flat[self._order]
        self._starts = np.searchsorted(sorted_labels, self._labels, side="left")
        self._ends = np.searchsorted(sorted_labels, self._labels, side="right")
        self._grid = labels.grid
        self._atlas = atlas
        self._space = space
        self._factor = sum_factor

    def table(self, maps: Mapping[str, Array]) -> pd.DataFrame:
        """Statistics of each map in each region.

        Parameters
        ----------
        maps
            Name to values, shape (I, J, K) of the grid; relevance in logit per model voxel, or any other score.

        Returns
        -------
        One row per map and region, and two more per map: the brain outside all regions (label 0), and what lies outside
        the brain (label -1). Totals and shares are those of the brain; the last row alone tells what lies outside.
        Columns:

        voxels
            Voxels of this grid that the statistics are of.
        volume_mm3
            Volume: as it was measured where the regions are a brain's own structures (``Atlas.measured_mm3``), the same
            number as in the table of volumes; that of the voxels otherwise. FreeSurfer's tables hold both likewise.
        sum
            Sum over the voxels times ``sum_factor``: over all rows of a map it is the map's total.
        mean
            Mean over the voxels (density).
        positive_share, negative_share
            Share of the brain's positive (negative) relevance that lies in the region, 0 to 1. In the row outside the
            brain: the share of the whole map's.
        peak, peak_r, peak_a, peak_s
            The value farthest from zero, and its place in RAS mm (of the scan, or of the template).
        share
            Share of the brain's absolute relevance, 0 to 1; adds up to 1 over the rows of the brain. In the row outside
            the brain: the share of the whole map's, which is what the other rows leave out.
        gain
            Mean absolute relevance over that of the whole brain: 1 is what a map without preference gives.
        asymmetry
            (left - right) / (left + right) of the mean absolute relevance; NaN for regions without counterpart.
        """
        frames = [self._rows(name, np.asarray(values)) for name, values in maps.items()]
        import pandas as pd

        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(COLUMNS))

    def _rows(self, name: str, values: Array) -> pd.DataFrame:
        if values.shape != self._grid.shape:
            raise ValueError(f"map {name} of shape {values.shape} on a grid of shape {self._grid.shape}")
        if not np.isfinite(values).all():
            raise ValueError(f"map {name} holds NaN or infinite values")
        ordered = values.ravel()[self._order].astype(np.float64)
        magnitude = np.abs(ordered)
        count = self._ends - self._starts
        total = self._sums(ordered)
        absolute = self._sums(magnitude)
        positive = self._sums(np.maximum(ordered, 0.0))
        negative = positive - total
        brain = slice(1, None)  # every group but the voxels outside the brain
        density = _ratio(absolute, count)
        brain_density = _ratio(absolute[brain].sum(), count[brain].sum())
        peak, place = self._peaks(ordered, magnitude)
        names = {region.label: region.name for region in self._atlas.regions}
        names.update({BACKGROUND_LABEL: BACKGROUND, OUTSIDE_LABEL: OUTSIDE})
        import pandas as pd

        frame = pd.DataFrame(
            {
                "method": name,
                "space": self._space,
                "label": self._labels,
                "region": [names[label] for label in self._labels],
                "voxels": count,
                "volume_mm3": [
                    self._atlas.measured_mm3.get(int(label), float(number) * self._grid.voxel_volume)
                    for label, number in zip(self._labels, count, strict=True)
                ],
                "sum": total * self._factor,
                "mean": _ratio(total, count),
                "positive_share": _shares(positive),
                "negative_share": _shares(negative),
                "peak": peak,
                "peak_r": place[:, 0],
                "peak_a": place[:, 1],
                "peak_s": place[:, 2],
                "share": _shares(absolute),
                "gain": _ratio(density, brain_density),
                "asymmetry": self._asymmetry(density),
            },
            columns=list(COLUMNS),
        )
        # Regions first, in the atlas's order; what lies in no region at the end.
        return pd.concat([frame.iloc[2:], frame.iloc[[1, 0]]], ignore_index=True)

    def _sums(self, ordered: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([ordered[a:b].sum() for a, b in zip(self._starts, self._ends, strict=True)])

    def _peaks(
        self, ordered: NDArray[np.float64], magnitude: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        peak = np.full(len(self._labels), np.nan)
        place = np.full((len(self._labels), 3), np.nan)
        for row, (a, b) in enumerate(zip(self._starts, self._ends, strict=True)):
            if b > a:
                at = a + int(magnitude[a:b].argmax())
                peak[row] = ordered[at]
                index = np.unravel_index(self._order[at], self._grid.shape)
                place[row] = self._grid.affine[:3, :3] @ np.array(index) + self._grid.affine[:3, 3]
        return peak, place

    def _asymmetry(self, density: NDArray[np.float64]) -> NDArray[np.float64]:
        row = {int(label): index for index, label in enumerate(self._labels)}
        result = np.full(len(self._labels), np.nan)
        for left, right in self._atlas.opposite().items():
            a, b = density[row[left]], density[row[right]]
            value = (a - b) / (a + b) if a + b > 0 else np.nan
            result[row[left]] = result[row[right]] = value
        return result


def _shares(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of the brain's total; of the whole map's for the first group, which is what lies outside the brain."""
    shares = _ratio(sums, sums[1:].sum())
    shares[0] = _ratio(sums[0], sums.sum())
    return shares


def _ratio(part: Array | float, whole: Array | float) -> NDArray[np.float64]:
    """``part / whole``, 0 where the whole is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64))
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole != 0)
