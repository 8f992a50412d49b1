"""How alike two maps are: rank correlation, structural similarity, and agreement of region profiles."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats

from ..images.volume import Array

Floats = NDArray[np.floating]
_REACH = 3.5  # standard deviations of a window


def spearman(a: Array, b: Array, inside: Array, absolute: bool = False) -> float:
    """Spearman's rank correlation of two maps over the voxels inside, -1..1; NaN if one of them is constant there.

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
    if first.size < 2 or not (np.isfinite(first).all() and np.isfinite(second).all()):
        return math.nan
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(np.corrcoef(stats.rankdata(first), stats.rankdata(second))[0, 1])


def ssim(a: Array, b: Array, inside: Array, sigma: float = 1.5) -> float:
    """Mean structural similarity of two maps' absolute values inside the brain.

    Each map is scaled by its own 99.5th percentile there and clipped to 0..1, as for display, because raw maps have no
    common scale. Source: Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity",
    equation 13, in 3D with a Gaussian window.

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
    box = _box(np.asarray(inside) > 0, math.ceil(_REACH * sigma) + 1)
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


def _box(chosen: NDArray[np.bool_], margin: int) -> tuple[slice, ...]:
    """The smallest box around what is chosen, and a margin: nothing beyond it enters a window's mean."""
    found = ndimage.find_objects(chosen.astype(np.uint8))
    if not found:
        return (slice(None),) * chosen.ndim
    return tuple(slice(max(0, edge.start - margin), edge.stop + margin) for edge in found[0])


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


def intraclass_correlation(profiles: Floats) -> float:
    """ICC(2,1): two-way random effects, absolute agreement, single measurement.

    Source: Shrout & Fleiss 1979, "Intraclass correlations: uses in assessing rater reliability", case 2.

    Parameters
    ----------
    profiles
        Shape (repetitions, regions): the same regions measured several times.

    Returns
    -------
    float
        1 for identical repetitions; NaN for fewer than two repetitions or regions, or if all values are the same.
    """
    scores = np.asarray(profiles, dtype=np.float64).T  # targets (regions) as rows, raters (repetitions) as columns
    n, k = scores.shape
    if n < 2 or k < 2 or not np.isfinite(scores).all():
        return math.nan
    grand = scores.mean()
    rows = k * ((scores.mean(axis=1) - grand) ** 2).sum() / (n - 1)
    columns = n * ((scores.mean(axis=0) - grand) ** 2).sum() / (k - 1)
    residual = scores - scores.mean(axis=1, keepdims=True) - scores.mean(axis=0, keepdims=True) + grand
    error = (residual**2).sum() / ((n - 1) * (k - 1))
    bottom = rows + (k - 1) * error + k * (columns - error) / n
    return float((rows - error) / bottom) if bottom > 0 else math.nan
