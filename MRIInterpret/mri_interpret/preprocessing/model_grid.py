"""Maps from the network's grid back onto the scan's, by the affine that led there."""

from __future__ import annotations

import numpy as np

from ..images.volume import Affine, Grid, Volume, resample


def to_scan_grid(on_model_grid: Volume, scan: Grid, to_template: Affine, *, order: int = 1) -> Volume:
    """A map or label volume from the model's grid (or any grid in template space) onto the scan's grid.

    Values are interpolated, not rescaled: relevance keeps its unit, logit per *model* voxel, on every grid.

    Parameters
    ----------
    on_model_grid
        In template space.
    scan
        The grid to return to.
    to_template
        4 x 4, RAS mm of the scan to RAS mm of the template.
    order
        1 (trilinear) for maps, 0 for labels.
    """
    return resample(on_model_grid, scan, to_template, order=order)


def relevance_per_native_voxel(scan: Grid, model: Grid, to_template: Affine) -> float:
    """How many model voxels one scan voxel is: the factor by which a sum over scan voxels is in logit units again."""
    return scan.voxel_volume * float(abs(np.linalg.det(to_template[:3, :3]))) / model.voxel_volume
