"""How much of what a map shows at first lies along the brain's edge.

Slicer's slices show a voxel of a map in full or not at all, so that a rim along the cortex cannot fade there; where
there is one, it is said (Testing/benchmarks/cortical_rim.md measures it).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..images.volume import Array

TELLING = 2.0  # times the edge's share of the brain; a convention: maps without preference have 1


def edge_of(brain: Array) -> NDArray[np.bool_]:
    """The brain's voxels that have a voxel outside the brain among their 26 neighbours.

    Parameters
    ----------
    brain
        Brain mask, axes (I, J, K): above 0 in the brain. What lies outside the volume counts as outside the brain.

    Returns
    -------
    ndarray of bool
        Of the same shape.
    """
    whole = np.asarray(brain) > 0
    # Eroded by a cube; a minimum filter does it axis by axis, binary_erosion neighbour by neighbour.
    return whole & ~ndimage.minimum_filter(whole, 3, mode="constant", cval=0)


def edge_sentence(values: Array, least: float, brain: Array, edge: NDArray[np.bool_]) -> str:
    """One sentence if much of what is shown lies at the brain's edge, else an empty text.

    Parameters
    ----------
    values
        A map, axes (I, J, K).
    least
        The least magnitude that is shown, in the map's units.
    brain
        Brain mask on the same grid.
    edge
        What :func:`edge_of` finds of it.
    """
    whole = np.asarray(brain) > 0
    magnitudes = np.abs(values)
    shown = (magnitudes >= least) & (magnitudes > 0) & whole
    count, size, usual = np.count_nonzero(shown), np.count_nonzero(whole), np.count_nonzero(edge)
    if not count or not usual:
        return ""
    share = np.count_nonzero(shown & edge) / count
    times = share / (usual / size)
    if times < TELLING:
        return ""
    return (
        f"At first, {100 * share:.0f} % of what is shown lies at the brain's edge (within one voxel), {times:.1f} "
        "times the edge's share of the brain."
    )
