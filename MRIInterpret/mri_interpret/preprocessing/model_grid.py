"""From the scan's grid to the model's, and maps back onto the scan's: the same affine both ways."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..images.smoothing import FWHM_PER_SIGMA, smooth_inside
from ..images.volume import Affine, Grid, Volume, resample
from .intensity import normalise_intensity


def to_model_grid(
    scan: Volume, mask: Volume, to_template: Affine, grid: Grid, low: float = 0.5, high: float = 99.5
) -> tuple[Volume, Volume]:
    """What the network sees: the brain on the model's grid, normalised inside the mask.

    Parameters
    ----------
    scan, mask
        On the scan's grid, shape (I, J, K).
    to_template
        4 x 4, RAS mm of the scan to RAS mm of the template.
    grid
        The model's grid in template space.
    low, high
        Percentiles for the intensity normalisation.

    Returns
    -------
    image, mask
        float32 in [0, 1], 0 outside the mask; and the mask, uint8. Both on ``grid``.
    """
    inside = (np.asarray(mask.array) > 0).astype(np.float32)
    # A finer scan is smoothed to the model's voxel size first, else the coarse grid would pick up single voxels' noise.
    # Smoothing image times mask and mask alike, and dividing, keeps skull out of the brain's edge and zeros too.
    sigma = _antialias_sigma(scan, to_template, grid)
    smooth, weight = smooth_inside(scan.array.astype(np.float32), inside, sigma, mode="reflect")
    back = np.linalg.inv(to_template)
    on_grid = resample(scan.with_array(smooth), grid, back)
    mask_on_grid = resample(mask.with_array(weight), grid, back).array > 0.5
    image = normalise_intensity(on_grid.array, mask_on_grid, low, high)
    return (
        Volume(image, grid.affine, f"{scan.name} on the model's grid"),
        Volume(mask_on_grid.astype(np.uint8), grid.affine, f"{scan.name} brain on the model's grid"),
    )


def _antialias_sigma(scan: Volume, to_template: Affine, grid: Grid) -> NDArray[np.float64]:
    """Standard deviations in scan voxels; 0 along axes on which the scan is as coarse as the grid."""
    spacing = np.linalg.norm((to_template @ scan.affine)[:3, :3], axis=0)
    ratio = float(grid.spacing.mean()) / spacing
    return np.sqrt(np.maximum(ratio**2 - 1.0, 0.0)) / FWHM_PER_SIGMA


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
