"""How alike two maps are: correlation, overlap, structural similarity; and a map's profile over regions."""

from __future__ import annotations

import math

import numpy as np
import scipy  # scipy.stats is loaded on first use: its import takes long, and Slicer's panel imports this
from numpy.typing import NDArray
from scipy import ndimage

from ..images.volume import Array
from .likeness import LikenessTo, correlation

__all__ = ["LikenessTo", "correlation", "dice", "rank_correlations", "region_profile", "spearman", "ssim"]

Floats = NDArray[np.floating]


def spearman(a: Array, b: Array, inside: Array, absolute: bool = False) -> float:
    """Spearman's rank correlation of two maps over the voxels inside, -1 to 1; NaN as for :func:`correlation`.

    Parameters
    ----------
    a, b, inside
        Same shape (I, J, K); ``inside`` > 0 selects voxels.
    absolute
        Compare absolute values: where the maps are strong, whatever their signs.
    """
    return LikenessTo(a, inside).spearman(b, absolute)


def dice(a: Array, b: Array) -> float:
    """Dice coefficient of two sets of voxels (> 0), 0 to 1; NaN if both are empty."""
    first, second = np.asarray(a) > 0, np.asarray(b) > 0
    total = int(first.sum()) + int(second.sum())
    return 2.0 * int((first & second).sum()) / total if total else math.nan


def ssim(a: Array, b: Array, inside: Array, sigma: float = 1.5) -> float:
    """Mean structural similarity of two maps' absolute values inside the brain; see :meth:`LikenessTo.ssim`.

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
    return LikenessTo(a, inside, sigma=sigma).ssim(b)


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
