"""Which values of a map its colours are stretched over, and which are not shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..images.volume import Array

HIDDEN = 0.15  # magnitudes within this share of the range around zero are transparent
_LABEL_LENGTH = 12  # of a colour bar's numbers, with the blanks before them
# Of the brain's voxels, where nothing else was chosen: no map of the bundled classifier then holds more of the cortex's
# edge than the brain itself does, see Testing/benchmarks/cortical_rim.md.
SHOWN_TOP_PERCENT = 3.0


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


def top_value(values: Array, percent: float = SHOWN_TOP_PERCENT) -> float:
    """The magnitude that the top ``percent`` of the voxels reach; 0 if fewer of them are not 0.

    Parameters
    ----------
    values
        A map's values in the brain, any shape.
    percent
        Share of the voxels, 0 to 100.
    """
    return float(np.quantile(np.abs(values), 1 - percent / 100)) if values.size else 0.0


def label_format(limits: DisplayRange) -> str:
    """The printf format of a colour bar's numbers: plain, with the same count of decimals each, three digits in all.

    Numbers below 0.0001 would be zeros mostly: they are written with an exponent. All are padded to one length, because
    Slicer scales a colour bar's text until its numbers fill their place: short ones would make a huge title.
    """
    largest = max(abs(limits.lower), abs(limits.upper))
    if not 1e-4 <= largest < 1e6:
        return f"%{_LABEL_LENGTH}.1e"
    decimals = max(0, 2 - int(np.floor(np.log10(largest))))
    return f"%{_LABEL_LENGTH}.{decimals}f"
