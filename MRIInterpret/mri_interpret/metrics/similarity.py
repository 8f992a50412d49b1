"""How alike two maps are: correlation, overlap, structural similarity; and a map's profile over regions."""

from __future__ import annotations

import math

import numpy as np
import scipy  # scipy.stats is loaded on first use: its import takes long, and Slicer's panel imports this
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from ..images.smoothing import box_around
from ..images.volume import Array

Floats = NDArray[np.floating]
_REACH = 3.5  # standard deviations of a window


def correlation(a: ArrayLike, b: ArrayLike) -> float:
    """Pearson's correlation of two lists of numbers, -1 to 1.

    NaN for fewer than two pairs, values that are not finite, or a list whose values are all the same.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.size < 2 or not (np.isfinite(first).all() and np.isfinite(second).all()):
        return math.nan
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(np.corrcoef(first, second)[0, 1])


def spearman(a: Array, b: Array, inside: Array, absolute: bool = False) -> float:
    """Spearman's rank correlation of two maps over the voxels inside, -1 to 1; NaN as for :func:`correlation`.

    Parameters
    ----------
    a, b, inside
        Same shape (I, J, K); ``inside`` > 0 selects voxels.
    absolute
        Compare absolute values: where the maps are strong, whatever their signs.
    """
    chosen = np.asarray(inside) > 0
    first, second = np.asarray(a, dtype=np.float64)[chosen], np.asarray(b, dtype=np.float64)[chosen]
    if absolute:
        first, second = np.abs(first), np.abs(second)
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return math.nan
    return correlation(scipy.stats.rankdata(first), scipy.stats.rankdata(second))


def dice(a: Array, b: Array) -> float:
    """Dice coefficient of two sets of voxels (> 0), 0 to 1; NaN if both are empty."""
    first, second = np.asarray(a) > 0, np.asarray(b) > 0
    total = int(first.sum()) + int(second.sum())
    return 2.0 * int((first & second).sum()) / total if total else math.nan


def ssim(a: Array, b: Array, inside: Array, sigma: float = 1.5) -> float:
    """Mean structural similarity of two maps' absolute values inside the brain.

    Each map is scaled by its own 99.5th percentile there and clipped to 0..1, as for display, because raw maps have no
    common scale. Source: Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity",
    equation 13, in 3D with a Gaussian window. Own code: scikit-image has it as its only use here, and no mask.

    Parameters
    ----------
    a, b, inside
        Same shape (I, J, K).
    sigma
        Standard deviation of the window in voxels.

    Returns
    -------
    float
        At most 1; NaN if a map is zero inside.
    """
    box = box_around(np.asarray(inside) > 0, math.ceil(_REACH * sigma) + 1)
    chosen = np.asarray(inside)[box] > 0
    first, second = _scaled(np.asarray(a)[box], chosen), _scaled(np.asarray(b)[box], chosen)
    if first is None or second is None:
        return math.nan

    def blur(values: Floats) -> Floats:
        return np.asarray(ndimage.gaussian_filter(values, sigma, truncate=_REACH))

    mean_a, mean_b = blur(first), blur(second)
    variance_a = np.maximum(blur(first * first) - mean_a**2, 0)
    variance_b = np.maximum(blur(second * second) - mean_b**2, 0)
    covariance = blur(first * second) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    bottom = (mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2)
    return float((top / bottom)[chosen].mean())


def _scaled(values: Array, chosen: NDArray[np.bool_]) -> Floats | None:
    magnitude = np.abs(np.asarray(values, dtype=np.float64))
    if not np.isfinite(magnitude[chosen]).all():
        return None
    top = float(np.percentile(magnitude[chosen], 99.5)) if chosen.any() else 0.0
    return np.where(chosen, np.clip(magnitude / top, 0, 1), 0.0) if top > 0 else None


def region_profile(values: Array, labels: Array, inside: Array) -> Floats:
    """Mean absolute value in each region (labels > 0, in ascending order) over the mean in the whole brain."""
    chosen = np.asarray(inside) > 0
    magnitude = np.abs(np.asarray(values, dtype=np.float64))
    present = np.unique(np.asarray(labels)[chosen & (np.asarray(labels) > 0)])
    inner = np.where(chosen, labels, 0)
    means = np.asarray(ndimage.mean(magnitude, inner, present), dtype=np.float64).reshape(-1)
    whole = float(magnitude[chosen].mean()) if chosen.any() else 0.0
    return means / whole if whole > 0 else np.zeros(len(present))


def rank_correlations(
    data: NDArray[np.float64], other: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Spearman's correlation of each column with one variable, and its two-sided p (Student's t), from SciPy.

    Parameters
    ----------
    data, other
        Shapes (n, k) and (n,).

    Returns
    -------
    r, p
        (k,) each; NaN for columns whose values are all the same.
    """
    if np.ptp(other) == 0:
        return np.full(data.shape[1], math.nan), np.full(data.shape[1], math.nan)
    r, p = np.full(data.shape[1], math.nan), np.full(data.shape[1], math.nan)
    varying = np.ptp(data, axis=0) > 0
    if varying.any():
        found = scipy.stats.spearmanr(np.column_stack([other, data[:, varying]]))
        # Of two variables SciPy returns one number, of more the whole matrix.
        several = varying.sum() > 1
        r[varying] = found.statistic[0, 1:] if several else found.statistic
        p[varying] = found.pvalue[0, 1:] if several else found.pvalue
    return r, p
