"""Maps and what goes with them on the scan's own grid, and the table of regions on both grids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..anatomy.atlas import Atlas
from ..anatomy.region_statistics import RegionStatistics
from ..images.resampling_together import resample_together
from ..images.volume import Array, Grid, Volume
from ..preprocessing.model_grid import relevance_per_native_voxel, to_scan_grid
from ..preprocessing.pipeline import PreprocessedScan
from ..preprocessing.template import load_template
from ..progress import ProgressCallback
from ..summary import Summary
from .facts import MethodMap
from .scan_attribution import reader_details

if TYPE_CHECKING:
    from ..attribution import Attributions

STEP = "Back to the scan"


def maps_on_scan(
    prepared: PreprocessedScan,
    attributions: Attributions,
    template_maps: Mapping[str, Array],
    grid: Grid,
    progress: ProgressCallback,
) -> dict[str, MethodMap]:
    """Every method's map on both grids; ``grid`` is the model's."""
    templates = {key: Volume(template_maps[key], grid.affine, found.title) for key, found in attributions.items()}

    def report(share: float) -> None:
        progress(STEP, share * len(attributions) / (len(attributions) + 4))

    report(0.0)
    native = resample_together(list(templates.values()), prepared.scan.grid, prepared.to_template, report=report)
    return {
        method: MethodMap(
            name=method,
            title=found.title,
            native=on_scan,
            template=templates[method],
            signed=found.signed,
            units=found.units,
            seconds=found.seconds,
            details=reader_details(found),
        )
        for (method, found), on_scan in zip(attributions.items(), native, strict=True)
    }


def others_on_scan(
    prepared: PreprocessedScan, summary: Summary, atlas: Atlas, progress: ProgressCallback
) -> dict[str, Volume]:
    """Summary score, consensus, spread, atlas and template on the scan's grid, by these names."""
    grid, affine = prepared.scan.grid, prepared.to_template
    brain, _ = load_template(1)
    score, spread = resample_together([summary.score, summary.spread], grid, affine)
    found = {
        "summary": score,
        "consensus": to_scan_grid(summary.consensus, grid, affine, order=0),
        "spread": spread,
        "atlas": to_scan_grid(atlas.volume, grid, affine, order=0),
        "template": to_scan_grid(brain, grid, affine),
    }
    # The score is a statement about the brain: interpolation must not carry it over the brain's edge.
    inside = np.asarray(prepared.mask.volume.array) > 0
    for key in ("summary", "consensus", "spread"):
        array = found[key].array
        found[key] = found[key].with_array(np.where(inside, array, 0).astype(array.dtype))
    progress(STEP, 1.0)
    return {key: Volume(value.array, value.affine, key) for key, value in found.items()}


def region_table(
    prepared: PreprocessedScan,
    grid: Grid,
    atlas: Atlas,
    labels: Volume,
    maps: Mapping[str, MethodMap],
    summary: Summary,
    summary_on_scan: Volume,
    on_brain: Atlas,
) -> pd.DataFrame:
    """One row per map, region and space.

    ``grid`` and ``labels`` (the atlas on it) are the model's; ``on_brain`` has the regions on the scan's grid, which
    are this brain's own structures or the same atlas.
    """
    factor = relevance_per_native_voxel(prepared.scan.grid, grid, prepared.to_template)
    template = RegionStatistics(labels, prepared.model_mask.array, atlas, "template")
    native = RegionStatistics(on_brain.volume, prepared.mask.volume.array, on_brain, "native", factor)
    in_template = {name: entry.template.array for name, entry in maps.items()} | {"summary": summary.score.array}
    in_native = {name: entry.native.array for name, entry in maps.items()} | {"summary": summary_on_scan.array}
    return pd.concat([native.table(in_native), template.table(in_template)], ignore_index=True)
