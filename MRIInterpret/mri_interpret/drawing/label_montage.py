"""A segmentation over the scan: each structure outlined and lightly filled in its own colour."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..images.volume import Volume
from ..planes.slices import CONVENTION, Box, Floats, Plane, cut
from .canvas import Picture
from .montage import Backdrop, strips

_FILLED, _OUTLINED = 0.22, 0.95  # opacity inside a structure, and at its edge
_COLUMNS = 5

Colour = tuple[float, float, float]


def label_montage(
    backdrop: Backdrop,
    labels: Volume,
    colours: Mapping[int, Colour],
    alt: str,
    caption: str,
    *,
    only_outlined: Collection[int] = (),
    through: Floats | None = None,
) -> Picture:
    """Labels over the scan in three planes.

    Parameters
    ----------
    backdrop
        The scan.
    labels
        On the scan's grid.
    colours
        Red, green, blue (0 to 1) by label; labels without a colour are not drawn.
    alt, caption
        What it shows.
    only_outlined
        Labels that are not filled: large ones, under which the scan could no longer be judged.
    through
        A point (RAS mm) that slices pass through.

    Returns
    -------
    Picture
        WebP.
    """
    table = np.zeros((max(colours, default=0) + 1, 4))
    for label, colour in colours.items():
        table[label] = (*colour, _OUTLINED)
    filling = np.full(len(table), _FILLED)
    filling[[label for label in only_outlined if label < len(table)]] = 0
    # Lines half as wide as the scan's pixels keep thin cortex readable.
    fine = replace(backdrop.box, spacing=backdrop.box.spacing / 2)

    def overlay(plane: Plane, position: float) -> NDArray[np.float64]:
        return outlined(_cut(labels, plane, position, fine, len(table)), table, filling)

    data = strips(backdrop, [through], overlay, (), bar=None, columns=_COLUMNS)
    return Picture(data, "image/webp", alt, f"{caption} {CONVENTION}")


def outlined(
    labels: NDArray[np.int64], table: NDArray[np.float64], filling: NDArray[np.float64]
) -> NDArray[np.float64]:
    """RGBA of a slice of labels, shape (rows, columns, 4): opaque at a structure's edge, else at its filling's opacity.

    A structure that is not filled has a line only where nothing adjoins it: next to another, that one's line is enough.

    Parameters
    ----------
    labels
        Shape (rows, columns), indices of ``table``.
    table
        RGBA by label.
    filling
        Opacity inside a structure by label.
    """
    edge = np.zeros(labels.shape, dtype=bool)
    for axis in (0, 1):
        at_first, at_second = [slice(None)] * 2, [slice(None)] * 2
        at_first[axis], at_second[axis] = slice(None, -1), slice(1, None)
        first, second = labels[tuple(at_first)], labels[tuple(at_second)]
        step = first != second
        edge[tuple(at_first)] |= step & ((filling[first] > 0) | (second == 0))
        edge[tuple(at_second)] |= step & ((filling[second] > 0) | (first == 0))
    rgba = table[labels]
    rgba[..., 3] = np.where(edge, rgba[..., 3], np.where(rgba[..., 3] > 0, filling[labels], 0))
    return np.asarray(rgba)


def _cut(labels: Volume, plane: Plane, position: float, box: Box, count: int) -> NDArray[np.int64]:
    values = cut(labels, plane, position, box, order=0).astype(np.int64)
    return np.where(values < count, values, 0)
