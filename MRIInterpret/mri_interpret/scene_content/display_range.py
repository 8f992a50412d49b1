"""Which values of a map its colours are stretched over, and which are not shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..images.volume import Array

HIDDEN = 0.15  # magnitudes within this share of the range around zero are transparent


@dataclass(frozen=True)
class DisplayRange:
    """What a map's colours are stretched over, in the map's units."""

    lower: float
    upper: float
    hidden_below: float  # magnitudes below this are transparent


def display_range(values: Array, signed: bool, quantile: float = 0.999) -> DisplayRange:
    """Colour limits that a few extreme voxels cannot spoil: centred at zero if signed, else from zero.

    Parameters
    ----------
    values
        A map of the brain, any shape; zeros (outside the brain) do not count.
    signed
        Whether both signs carry meaning.
    quantile
        Share of the non-zero magnitudes that the colours cover.
    """
    magnitudes = np.abs(values[np.isfinite(values) & (values != 0)]).astype(float)
    upper = float(np.quantile(magnitudes, quantile)) if magnitudes.size else 1.0
    return DisplayRange(-upper if signed else 0.0, upper, HIDDEN * upper)


def summary_range(values: Array) -> DisplayRange:
    """The summary's colours cover the brain's top fifth, and the rest is transparent.

    Parameters
    ----------
    values
        The summary, any shape; zeros (outside the brain) do not count.
    """
    inside = values[values > 0]
    upper = float(inside.max()) if inside.size else 1.0
    lower = min(float(np.quantile(inside, 0.8)) if inside.size else 0.5, 0.95 * upper)
    return DisplayRange(lower, upper, lower)
