"""How complex a map is: the entropy of its values' histogram."""

from __future__ import annotations

import math

import numpy as np
import scipy  # scipy.stats is loaded on first use: its import takes long, and Slicer's panel imports this

from ..images.volume import Array

BINS = 100


def histogram_entropy(values: Array, inside: Array, bins: int = BINS) -> float:
    """Entropy in nats of the histogram of a map's values in the brain, with equal bins from the least to the largest.

    Low for a map with few strong voxels, most of whose values share a bin. The values outside are left out: they are
    nearly all zero, so that the entropy would be one of the brain's size. Source: Hedstroem et al. 2024, "Sanity checks
    revisited: an exploration to repair the model parameter randomisation test" (discrete entropy, 100 bins).

    Parameters
    ----------
    values, inside
        (I, J, K); ``inside`` > 0 selects voxels.
    bins
        How many bins.

    Returns
    -------
    float
        0 (all in one bin, and for a constant map) to log(bins); NaN for values that are not finite.
    """
    chosen = np.asarray(values, dtype=np.float64)[np.asarray(inside) > 0]
    if not chosen.size or not np.isfinite(chosen).all():
        return math.nan
    if np.ptp(chosen) == 0:
        return 0.0
    # Of size 1, so that the values of a very faint map differ from one another too.
    counts, _ = np.histogram(chosen / np.abs(chosen).max(), bins=bins)
    return float(scipy.stats.entropy(counts))
