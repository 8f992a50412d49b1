"""Segments of the brain that are removed or put back as a whole: blocks of voxels, or atlas regions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..images.volume import Array

Segments = NDArray[np.int64]
"""(I, J, K): voxels of one segment share a number from 1; 0 for voxels that always stay."""


def blocks(inside: Array, size: int) -> Segments:
    """Cubes of ``size`` voxels over the brain, numbered from 1; 0 outside the brain. Shape of ``inside``."""
    chosen = np.asarray(inside) > 0
    places = np.indices(chosen.shape) // size
    counts = [-(-extent // size) for extent in chosen.shape]
    flat = np.where(chosen, np.ravel_multi_index(tuple(places), counts) + 1, 0)
    return _renumbered(flat)


def atlas_segments(labels: Array, inside: Array, size: int) -> Segments:
    """Atlas regions inside the brain, numbered from 1, and blocks of ``size`` voxels where the atlas has none."""
    chosen = np.asarray(inside) > 0
    named = np.where(chosen, np.asarray(labels, dtype=np.int64), 0)
    rest = blocks(chosen & (named == 0), size)
    return _renumbered(np.where(named > 0, named, np.where(rest > 0, rest + named.max(initial=0), 0)))


def _renumbered(flat: NDArray[np.int64]) -> Segments:
    present, inverse = np.unique(flat, return_inverse=True)
    start = 0 if present.size and present[0] == 0 else 1
    return np.asarray(inverse.reshape(flat.shape) + start, dtype=np.int64)


def sums_and_sizes(values: Array, segments: Segments) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum of the values in each segment, and its number of voxels; both of shape (segments,)."""
    count = int(segments.max(initial=0))
    sums = np.bincount(segments.ravel(), np.asarray(values, dtype=np.float64).ravel(), minlength=count + 1)[1:]
    sizes = np.bincount(segments.ravel(), minlength=count + 1)[1:]
    return np.asarray(sums, dtype=np.float64), sizes.astype(np.float64)
