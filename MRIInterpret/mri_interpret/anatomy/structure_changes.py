"""Changes of volume by structure: what would have to grow or shrink, and what the answer gains where it grows."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..images.displacement_field import DisplacementField
from ..images.volume import Volume
from ..thresholds import SMALLEST_REGION_ML
from . import freesurfer
from .atlas import Atlas

if TYPE_CHECKING:  # Slicer's window reads explanations without pandas, whose import would hold it up
    import pandas as pd

CHANGE_COLUMNS = (
    "method", "label", "structure", "ml", "too_small", "change", "change_ml", "low", "high", "starts", "effect",
)  # fmt: skip
LARGE_ML = 20.0
_SIDED = re.compile(r"Left-|Right-|ctx-lh-|ctx-rh-")
_MIDLINE = {name for name in map(freesurfer.name_of, freesurfer.LABELS) if not _SIDED.match(name)}


@dataclass(frozen=True)
class StructureChange:
    """What a volume method says of one structure.

    Attributes
    ----------
    label, name
        As in the segmentation or atlas.
    ml
        Volume now.
    change
        Of its volume, 0.18 is +18 %; NaN for a method that asks for no change.
    low, high
        The least and the most that any start asks for, the one behind ``change`` included; NaN with a single one.
    starts
        How many starts those are of; 0 where none was made.
    effect
        By how much the explained value changes if it grows by 1 %; NaN for a method that does not say.
    """

    label: int
    name: str
    ml: float
    change: float = math.nan
    low: float = math.nan
    high: float = math.nan
    starts: int = 0
    effect: float = math.nan

    @property
    def too_small(self) -> bool:
        """Whether it is too small for a statement about it to hold, or not there at all."""
        return self.ml < SMALLEST_REGION_ML

    @property
    def change_ml(self) -> float:
        """The change in millilitres."""
        return self.change * self.ml

    @property
    def side(self) -> str:
        """ "left", "right", or "" for a structure of the midline, or whose name does not tell."""
        found = _SIDED.match(self.name)
        return "" if found is None else "left" if found.group(0) in ("Left-", "ctx-lh-") else "right"

    @property
    def words(self) -> str:
        """In words, without its side: "hippocampus"; a name that is not FreeSurfer's as it stands."""
        if not self.side and self.name not in _MIDLINE:
            return self.name
        words = freesurfer.reader_name(self.name).removeprefix("Left ").removeprefix("Right ")
        return words if words.startswith("CSF") else words[0].lower() + words[1:]


def volumes_of(regions: Atlas, known: Mapping[int, float]) -> dict[int, float]:
    """Each region's volume in ml: the one that is known by its label, else its voxels'."""
    counts = np.bincount(np.asarray(regions.volume.array).ravel(order="K").astype(np.intp, copy=False))
    voxel = regions.volume.grid.voxel_volume / 1000
    return {
        region.label: known.get(
            region.label, float(counts[region.label]) * voxel if region.label < len(counts) else 0.0
        )
        for region in regions.regions
    }


def region_means(regions: Atlas, values: Volume) -> dict[int, float]:
    """The mean of a map in each region; NaN where a region has no voxel. Both are on one grid."""
    return _by_region(regions, values, mean=True)


def region_sums(regions: Atlas, values: Volume) -> dict[int, float]:
    """The sum of a map over each region's voxels."""
    return _by_region(regions, values, mean=False)


def _by_region(regions: Atlas, values: Volume, mean: bool) -> dict[int, float]:
    if values.shape != regions.volume.shape:
        raise ValueError(f"a map of shape {values.shape} for regions of shape {regions.volume.shape}")
    flat = np.asarray(regions.volume.array).ravel().astype(np.intp, copy=False)
    size = 1 + max((region.label for region in regions.regions), default=0)
    sums = np.bincount(flat, weights=np.asarray(values.array, dtype=np.float64).ravel(), minlength=size)
    counts = np.bincount(flat, minlength=size)
    with np.errstate(invalid="ignore"):
        found: NDArray[np.float64] = np.asarray(sums / counts if mean else sums, dtype=np.float64)
    return {region.label: float(found[region.label]) for region in regions.regions}


def deformed_changes(regions: Atlas, displacement: DisplacementField) -> dict[int, float]:
    """By how much each structure's labels fill more room once they are deformed; 0.18 is +18 %.

    Each structure's 0/1 image is deformed as the scan is, and its sums are compared. Structures of more than
    ``LARGE_ML`` are left out: for those the mean of a map of Jacobians is as good, and takes no time.

    Parameters
    ----------
    regions
        Labels on the scan's grid.
    displacement
        In the scan's world.
    """
    labels, affine = np.asarray(regions.volume.array), regions.volume.affine
    boxes = ndimage.find_objects(labels.astype(np.int32, copy=False))
    voxel_ml = regions.volume.grid.voxel_volume / 1000
    reach = np.ceil(displacement.largest_mm / regions.volume.grid.spacing).astype(int) + 1
    found: dict[int, float] = {}
    for region in regions.regions:
        box = boxes[region.label - 1] if region.label <= len(boxes) else None
        if box is None:
            continue
        wide = tuple(
            slice(max(part.start - int(r), 0), min(part.stop + int(r), n))
            for part, r, n in zip(box, reach, labels.shape, strict=True)
        )
        own = (labels[wide] == region.label).astype(np.float32)
        before = float(own.sum(dtype=np.float64))
        if before * voxel_ml > LARGE_ML:
            continue
        placed = affine.copy()
        placed[:3, 3] += affine[:3, :3] @ [part.start for part in wide]
        after = float(displacement.warp(Volume(own, placed)).array.sum(dtype=np.float64))
        found[region.label] = after / before - 1
    return found


def asked_changes(
    regions: Atlas,
    ml: Mapping[int, float],
    change: Volume,
    starts: Sequence[Volume] = (),
    deformed: Mapping[int, float] | None = None,
) -> tuple[StructureChange, ...]:
    """What a counterfactual asks of each structure: by how much its volume changes.

    The map is the Jacobian's determinant less one, in per cent, at the places of the scan; its mean over a structure is
    that structure's change of volume. In structures of few voxels of the network that mean is up to a tenth of its
    value too small, because differences between neighbours flatten a peak; there, what :func:`deformed_changes`
    measures counts.

    Parameters
    ----------
    regions
        Labels on the scan's grid, with their names.
    ml
        Volume now, by label.
    change
        In per cent, on the scan's grid.
    starts
        The same of further starts; their range is the interval.
    deformed
        The change by label where it was measured; starts then differ from it as their maps' means do.
    """
    main = region_means(regions, change)
    every = [main, *(region_means(regions, one) for one in starts)]
    found = []
    for region in regions.regions:
        label = region.label
        measured = (deformed or {}).get(label, main[label] / 100)
        values = [measured + (one[label] - main[label]) / 100 for one in every]
        low, high = (min(values), max(values)) if starts else (math.nan, math.nan)
        number = len(every) if starts else 0
        found.append(StructureChange(label, region.name, ml[label], measured, low, high, number))
    return tuple(found)


def effects(regions: Atlas, ml: Mapping[int, float], gradient: Volume, factor: float) -> tuple[StructureChange, ...]:
    """By how much the explained value changes for each structure that grows by 1 %.

    Parameters
    ----------
    regions, ml
        As for :func:`asked_changes`.
    gradient
        Change of the explained value per 1 % of one voxel of the *model's* grid, on the scan's grid.
    factor
        How many voxels of the model's grid one of the scan's is, so that a sum is one over the model's.
    """
    sums = region_sums(regions, gradient)
    return tuple(
        StructureChange(region.label, region.name, ml[region.label], effect=factor * sums[region.label])
        for region in regions.regions
    )


def change_table(changes: Mapping[str, Sequence[StructureChange]]) -> pd.DataFrame:
    """One row per method and structure.

    Returns
    -------
    pandas.DataFrame
        Columns: ``method``, ``label``, ``structure``, ``ml``, ``too_small``; ``change`` of the volume (0.18 is +18 %),
        ``change_ml``, ``low`` and ``high`` over ``starts``, and ``effect`` per 1 %, as :class:`StructureChange`
        explains them; NaN where a method does not say.
    """
    import pandas as pd

    rows = [
        {"method": method, "structure": one.name}
        | {name: getattr(one, name) for name in CHANGE_COLUMNS if name not in ("method", "structure")}
        for method, found in changes.items()
        for one in found
    ]
    return pd.DataFrame(rows, columns=list(CHANGE_COLUMNS))


def changes_of(table: pd.DataFrame, method: str) -> tuple[StructureChange, ...]:
    """The changes of one method in a table that :func:`change_table` made."""
    rows: list[dict[str, Any]] = table[table["method"] == method].to_dict("records")  # type: ignore[assignment]
    return tuple(
        StructureChange(
            label=int(row["label"]),
            name=str(row["structure"]),
            starts=int(row["starts"]),
            **{name: float(row[name]) for name in ("ml", "change", "low", "high", "effect")},
        )
        for row in rows
    )
