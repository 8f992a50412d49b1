"""A matrix of values as coloured cells with the values written in: confusion, agreement, frequencies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from .canvas import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DARK = 0.62  # cells beyond it are so dark that white text reads better


def draw_value_matrix(
    axes: Axes,
    matrix: NDArray[np.float64],
    texts: Sequence[Sequence[str]],
    *,
    low: float = 0.0,
    aspect: Literal["auto", "equal"] = "auto",
    font_size: float = 8.0,
) -> None:
    """Draw it.

    Parameters
    ----------
    axes
        Where; ticks are the caller's.
    matrix
        Values up to 1, shape (rows, columns); NaN for cells without a value.
    texts
        What is written in each cell, "" for nothing; a second line is smaller.
    low
        The lowest value: 0, or -1 for measures with a sign, whose negative values get another hue.
    aspect
        "equal" for square cells, "auto" to fill the axes.
    font_size
        Of the texts in points.
    """
    # Both kinds of measure share the colours of 0..1.
    colours = "RdBu" if low < 0 else "Blues"
    axes.imshow(np.ma.masked_invalid(matrix), cmap=colours, vmin=low, vmax=1.0, aspect=aspect)
    for row, line in enumerate(texts):
        for column, text in enumerate(line):
            if not text:
                continue
            ink = "white" if abs(matrix[row, column]) > _DARK else INK
            first, _, second = text.partition("\n")
            up = -0.1 if second else 0.0
            axes.text(column, row + up, first, ha="center", va="center", color=ink, fontsize=font_size)
            if second:
                axes.text(column, row + 0.25, second, ha="center", va="center", color=ink, fontsize=0.62 * font_size)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
