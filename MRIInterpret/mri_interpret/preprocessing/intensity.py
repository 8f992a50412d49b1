"""Robust intensity normalisation inside the brain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..images.volume import Array


def normalise_intensity(array: Array, mask: Array, low: float = 0.5, high: float = 99.5) -> NDArray[np.float32]:
    """Scale so that the ``low`` and ``high`` percentiles inside the mask become 0 and 1; clip; 0 outside the mask.

    Percentiles instead of extremes, so that a few bright vessels or a noisy voxel do not set the scale. Zero outside
    means that input times gradient, and with it every conserving relevance rule, puts nothing outside the brain.

    Parameters
    ----------
    array
        Intensities, any unit, shape (I, J, K).
    mask
        Same shape; above 0.5 counts as brain.
    low, high
        Percentiles, 0 to 100.

    Returns
    -------
    float32, same shape, in [0, 1].

    Raises
    ------
    ValueError
        If the mask is empty or the intensities inside it are constant.
    """
    inside = np.asarray(mask) > 0.5
    if not inside.any():
        raise ValueError("the brain mask is empty")
    values = np.asarray(array, dtype=np.float32)
    bottom, top = np.percentile(values[inside], [low, high])
    if not top > bottom:
        raise ValueError("the intensities inside the brain mask are constant")
    scaled = np.clip((values - bottom) / (top - bottom), 0.0, 1.0)
    return np.where(inside, scaled, 0.0).astype(np.float32)
