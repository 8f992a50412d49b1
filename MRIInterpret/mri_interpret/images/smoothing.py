"""Gaussian smoothing that takes in the brain only, and the one place where FWHM and sigma are converted."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .volume import Array

FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))  # 2.3548: full width at half maximum of a Gaussian of sigma 1
Floats = NDArray[np.floating]


def sigma_in_voxels(fwhm_mm: float, spacing: Sequence[float] | Array) -> NDArray[np.float64]:
    """Standard deviation in voxels along each axis of a Gaussian of ``fwhm_mm``.

    Parameters
    ----------
    fwhm_mm
        Full width at half maximum in mm.
    spacing
        Voxel size along i, j, k in mm.
    """
    return np.asarray(fwhm_mm / FWHM_PER_SIGMA / np.asarray(spacing, dtype=np.float64))


def smooth_inside(
    values: Array,
    inside: Array,
    sigma: float | Sequence[float] | Array,
    *,
    weight: Floats | None = None,
    truncate: float = 4.0,
    mode: str = "constant",
) -> tuple[Floats, Floats]:
    """Normalised convolution: the Gaussian mean over the voxels inside, at every voxel that such a voxel reaches.

    What lies outside neither enters nor dilutes. Source: Knutsson & Westin 1993, "Normalized and differential
    convolution", section 3.

    Parameters
    ----------
    values, inside
        Shape (I, J, K); ``inside`` > 0 selects voxels. The result has the dtype of ``values`` (float32 or float64).
    sigma
        Standard deviation in voxels, for all axes or for each.
    weight
        The smoothed mask, if an earlier call with the same mask and sigma returned it.
    truncate
        Reach of the Gaussian in standard deviations.
    mode
        Beyond the volume's border: "constant" (nothing is inside there), or "reflect" for a scan that is cut through
        the brain.

    Returns
    -------
    smooth, weight
        Shape (I, J, K). ``smooth`` is 0 where ``weight``, the smoothed mask, is below 0.001.
    """
    chosen = np.asarray(inside) > 0
    kind = np.float64 if np.asarray(values).dtype == np.float64 else np.float32
    sigmas = np.broadcast_to(np.asarray(sigma, dtype=np.float64), (chosen.ndim,)).tolist()

    def blur(array: Array) -> Floats:
        return np.asarray(ndimage.gaussian_filter(array.astype(kind), sigmas, truncate=truncate, mode=mode))

    total = blur(chosen) if weight is None else weight
    smooth = blur(np.where(chosen, values, 0))
    return np.divide(smooth, total, out=np.zeros_like(smooth), where=total > 1e-3), total


def box_around(chosen: NDArray[np.bool_], margin: int = 0) -> tuple[slice, ...]:
    """The smallest box around what is chosen, and a margin (voxels); the whole volume if nothing is chosen."""
    found = ndimage.find_objects(chosen.astype(np.uint8))
    if not found:
        return (slice(None),) * chosen.ndim
    return tuple(slice(max(0, edge.start - margin), edge.stop + margin) for edge in found[0])
