"""Can this volume be a T1-weighted scan of a head? If not, one sentence says why and what to do."""

from __future__ import annotations

import numpy as np

from ..errors import UserError
from .volume import Volume

MIN_EXTENT_MM = 80.0  # an adult brain is about 140 x 170 x 130 mm; less than this cannot hold its medial temporal lobes
MIN_VOXELS = 16
MAX_SPACING_MM = 8.0


def check_scan(scan: Volume) -> None:
    """Check shape, extent and intensities.

    Parameters
    ----------
    scan
        Any numeric dtype, shape (I, J, K), affine to RAS mm.

    Raises
    ------
    UserError
        For a volume that is flat, too small, too coarse, not finite, constant, or looks like CT.
    """
    name = scan.name or "The volume"
    shape = " x ".join(map(str, scan.shape))
    if min(scan.shape) == 1:
        raise UserError(f"{name} is a single slice or line ({shape} voxels): a 3D volume of the whole brain is needed.")
    spacing = scan.grid.spacing
    extent = spacing * np.array(scan.shape)
    if min(scan.shape) < MIN_VOXELS or extent.min() < MIN_EXTENT_MM:
        millimetres = " x ".join(f"{value:.0f}" for value in extent)
        raise UserError(
            f"{name} is too small to hold a brain ({shape} voxels, {millimetres} mm): a whole-brain scan is needed."
        )
    if spacing.max() > MAX_SPACING_MM:
        raise UserError(
            f"{name} has voxels of {spacing.max():.1f} mm: the medial temporal lobes cannot be told apart in it; "
            f"give a scan with voxels of at most {MAX_SPACING_MM:.0f} mm."
        )
    bad = int(scan.array.size - np.count_nonzero(np.isfinite(scan.array)))
    if bad:
        raise UserError(f"{name} has {bad} voxels that are NaN or infinite: replace them by 0 outside the head.")
    low, high = float(scan.array.min()), float(scan.array.max())
    if low == high:
        what = "all zero" if low == 0 else f"constant ({low:g} everywhere)"
        raise UserError(f"{name} is {what}: there is no image in it; export it again.")
    if _looks_like_ct(scan):
        raise UserError(
            f"{name} looks like a CT in Hounsfield units (air near -1000, from {low:g} to {high:g}): "
            "the models here read T1-weighted MRI only."
        )


def _looks_like_ct(scan: Volume) -> bool:
    """Air at about -1000 HU fills much of a head CT, and bone reaches far above 500; no MRI has such a scale."""
    values = scan.array[::2, ::2, ::2]
    air = np.count_nonzero((values < -700) & (values > -3100)) / values.size
    soft = np.count_nonzero((values > -200) & (values < 200)) / values.size
    return bool(air > 0.1 and soft > 0.05 and values.max() > 400)
