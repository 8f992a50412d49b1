"""How alike several maps are to one: what is needed of that one (ranks, windows) is made once."""

from __future__ import annotations

import math
from functools import cached_property

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


class LikenessTo:
    """Compares other maps with one map over the voxels inside.

    Parameters
    ----------
    values, inside
        Same shape (I, J, K); ``inside`` > 0 selects voxels.
    sigma
        Standard deviation of the window of :meth:`ssim` in voxels.
    share
        Share of the voxels inside whose ranks are compared, drawn at random, always the same ones. (A lattice would
        see one phase of a network's strides only, and was wrong by 0.01.)
    """

    def __init__(self, values: Array, inside: Array, *, sigma: float = 1.5, share: float = 1.0) -> None:
        chosen = np.asarray(inside) > 0
        self._box = box_around(chosen, math.ceil(_REACH * sigma) + 1)
        self._values = np.asarray(values)[self._box]
        self._chosen = chosen[self._box]
        self._sigma = sigma
        self._ranked_voxels = self._chosen
        if share < 1:
            drawn = self._chosen & (np.random.default_rng(0).random(self._chosen.shape) < share)
            self._ranked_voxels = drawn if drawn.any() else self._chosen  # of a brain of a few voxels none may be drawn

    def spearman(self, other: Array, absolute: bool = False) -> float:
        """Spearman's rank correlation with another map, -1 to 1; NaN as for :func:`correlation`.

        Parameters
        ----------
        other
            (I, J, K).
        absolute
            Compare absolute values: where the maps are strong, whatever their signs.
        """
        first = self._size_ranks if absolute else self._ranks
        second = self._ranked(np.asarray(other)[self._box], absolute)
        return math.nan if first is None or second is None else correlation(first, second)

    def ssim(self, other: Array) -> float:
        """Mean structural similarity of the absolute values, at most 1; NaN if a map is zero inside.

        Each map is scaled by its own 99.5th percentile there and clipped to 0..1, as for display, because raw maps have
        no common scale. Source: Wang et al. 2004, "Image quality assessment: from error visibility to structural
        similarity", equation 13, in 3D with a Gaussian window. Own code: scikit-image has it as its only use here, and
        no mask.

        Parameters
        ----------
        other
            (I, J, K).
        """
        second = self._scaled(np.asarray(other)[self._box])
        if self._windows is None or second is None:
            return math.nan
        first, mean_a, variance_a = self._windows
        mean_b = self._blur(second)
        variance_b = np.maximum(self._blur(second * second) - mean_b**2, 0)
        covariance = self._blur(first * second) - mean_a * mean_b
        c1, c2 = 0.01**2, 0.03**2
        top = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
        bottom = (mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2)
        return float((top / bottom)[self._chosen].mean())

    @cached_property
    def _ranks(self) -> Floats | None:
        return self._ranked(self._values, False)

    @cached_property
    def _size_ranks(self) -> Floats | None:
        return self._ranked(self._values, True)

    @cached_property
    def _windows(self) -> tuple[Floats, Floats, Floats] | None:
        """The scaled map, and its mean and variance in each window."""
        first = self._scaled(self._values)
        if first is None:
            return None
        mean = self._blur(first)
        return first, mean, np.maximum(self._blur(first * first) - mean**2, 0)

    def _ranked(self, values: Array, absolute: bool) -> Floats | None:
        """Ranks of the voxels that are compared, ties shared; None if a value is not finite."""
        found = np.asarray(values)[self._ranked_voxels].astype(np.float64)
        if not np.isfinite(found).all():
            return None
        return np.asarray(scipy.stats.rankdata(np.abs(found) if absolute else found))

    def _scaled(self, values: Array) -> Floats | None:
        magnitude = np.abs(np.asarray(values, dtype=np.float64))
        within = magnitude[self._chosen]
        if not np.isfinite(within).all():
            return None
        top = float(np.percentile(within, 99.5)) if within.size else 0.0
        return np.where(self._chosen, np.clip(magnitude / top, 0, 1), 0.0) if top > 0 else None

    def _blur(self, values: Floats) -> Floats:
        return np.asarray(ndimage.gaussian_filter(values, self._sigma, truncate=_REACH))
