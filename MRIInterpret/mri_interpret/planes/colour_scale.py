"""Colour scales of maps: which colour means which value, and which values are transparent."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..images.volume import Array
from ..resources import resource

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

Floats = NDArray[np.floating]

PERCENTILE = 99.5  # of |map| inside the brain, so that a few extreme voxels do not leave the rest of the map dark
SIGNED_TABLE, SEQUENTIAL_TABLE = "MRIInterpretSigned", "MRIInterpretSequential"
CHANGE_TABLE = "MRIInterpretSignedPurpleGreen"  # changes of volume: nobody should take growth for evidence
_OPAQUE = 0.85  # so that the anatomy stays visible under the strongest colour


@dataclass(frozen=True)
class ColourScale:
    """The colours of one map.

    Attributes
    ----------
    limit
        The value (in the map's units) of the last colour; signed maps begin at -limit.
    threshold
        Absolute values up to this are transparent.
    signed
        Diverging colours centred at 0, or sequential ones from 0.
    sentence
        How limit and threshold were chosen, for the caption.
    bottom
        The value of the first colour of an unsigned map.
    table
        The colour table; by ``signed`` if empty.
    """

    limit: float
    threshold: float
    signed: bool
    sentence: str
    bottom: float = 0.0
    table: str = ""

    @property
    def low(self) -> float:
        return -self.limit if self.signed else self.bottom

    def rgba(self, values: Floats) -> Floats:
        """Colours with transparency, shape (..., 4) in 0..1, of values of shape (...)."""
        values = np.nan_to_num(np.asarray(values, dtype=np.float32))
        colour_of = colour_map(self.table or (SIGNED_TABLE if self.signed else SEQUENTIAL_TABLE))
        colours = np.asarray(colour_of((values - self.low) / (self.limit - self.low)), dtype=np.float32)
        span = max(self.limit - self.threshold, 1e-12)
        # Colour fades in over the first quarter above the threshold: a hard edge would look like an anatomical border.
        ramp = (np.abs(values) - self.threshold) / (0.25 * span)
        visible = np.ones_like(values, dtype=bool) if self.signed else values > 0
        colours[..., 3] = np.where(visible, np.clip(ramp, 0, 1) * _OPAQUE, 0)
        return colours


def read_colour_table(name: str) -> list[tuple[str, tuple[float, float, float, float]]]:
    """Names and RGBA colours (0..1) of a table that ships in Resources/ColorTables, in the order of its indices."""
    rows = []
    for line in resource("ColorTables", f"{name}.ctbl").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            _, label, *values = line.split()
            red, green, blue, alpha = (int(v) / 255 for v in values)
            rows.append((label.replace("_", " "), (red, green, blue, alpha)))
    return rows


@cache
def colour_map(name: str) -> Colormap:
    """The colours that Slicer shows too: blue, dark, red for signed maps (lightness symmetric about 0), purple, dark,
    green for changes of volume; inferno without its black beginning for others."""
    from matplotlib.colors import ListedColormap

    return ListedColormap([colour[:3] for _, colour in read_colour_table(name)], name=name)


def is_change_of_volume(units: str) -> bool:
    """Whether a map holds changes of volume in per cent, by its units: they have colours of their own."""
    return units.startswith("%")


def relevance_scale(array: Array, mask: Array, signed: bool, units: str) -> ColourScale:
    """The scale of one raw map: a robust limit from the brain's voxels; values below 10 % of it are transparent.

    Parameters
    ----------
    array, mask
        The map and the brain, same shape.
    signed
        Whether negative values mean something.
    units
        The map's units, for the sentence.
    """
    inside = np.abs(_brain_values(array, mask))
    table = CHANGE_TABLE if signed and is_change_of_volume(units) else ""
    limit = float(np.percentile(inside, PERCENTILE)) if inside.size else 0.0
    if limit <= 0 and inside.size:
        limit = float(inside.max())  # a map of few voxels
    if limit <= 0:
        return ColourScale(1.0, 0.1, signed, "The map is zero everywhere inside the brain.", table=table)
    sign = "±" if signed else "0 to "
    sentence = (
        f"Colour limits {sign}{limit:.3g} {units}: the {PERCENTILE:g}th percentile of the map's absolute value "
        f"inside the brain. Below a tenth of that ({limit / 10:.2g}) the map is transparent."
    )
    return ColourScale(limit, limit / 10, signed, sentence, table=table)


def summary_scale(mask: Array, *arrays: Array) -> ColourScale:
    """The scale of summary scores (0..1): the top fifth of the brain is shown.

    Parameters
    ----------
    mask
        The brain.
    arrays
        One score, or several that share the scale; of the mask's shape.
    """
    inside = np.concatenate([_brain_values(array, mask) for array in arrays])
    threshold = float(np.percentile(inside, 80)) if inside.size else 0.5
    limit = max(float(inside.max()) if inside.size else 1.0, 1e-6)
    threshold = min(threshold, 0.95 * limit)
    of = "the highest score in this brain" if len(arrays) == 1 else "the highest score of all rows"
    sentence = (
        f"Colour limits {threshold:.2f} to {limit:.2f} ({of}). The four fifths of the brain with lower scores are "
        "transparent."
    )
    return ColourScale(limit, threshold, False, sentence, bottom=threshold)


def _brain_values(array: Array, mask: Array) -> Floats:
    values = np.asarray(array[mask > 0], dtype=np.float32)
    return values[np.isfinite(values)]
