"""Shares of single regions in the voxels of 4 mm: what a network's features are asked for beside the tissues."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..deformation.displacement import COARSE, resized, warp
from .anatomy import FINE_GRID, Anatomy
from .regions import CORTICAL, REGIONS, SIDES, parcel_table, structure_table
from .structures import TARGETS, member

#: The regions of :mod:`.regions` that are no dense target by themselves, both sides together.
OWN_REGIONS = (*(region.name for region in REGIONS if region.name not in TARGETS), "third ventricle")
_PER_VOXEL = 64  # fine voxels in a coarse one


def region_shares(anatomy: Anatomy, u: Tensor, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Share of each of :data:`OWN_REGIONS` in each coarse voxel of a brain that was made from an anatomy.

    Parameters
    ----------
    anatomy
        The base, with its parcels.
    u
        (3, i, j, k) in mm, backwards: the brain's whole deformation from it.
    labels
        Codes of :mod:`.structures` on ``FINE_GRID``, after deformation.

    Returns
    -------
    (R, 48, 56, 48) uint8, 255 for 1.

    Raises
    ------
    ValueError
        If the anatomy does not know its parcels.
    """
    if anatomy.parcels is None:
        raise ValueError(f"the anatomy {anatomy.name} does not know its parcels")
    of_parcels = parcel_table({name: OWN_REGIONS.index(name) + 1 for name in CORTICAL}, 1000, 2000)
    carried = warp(torch.from_numpy(of_parcels[anatomy.parcels])[None].float(), resized(u, FINE_GRID.shape), "nearest")
    row = np.where(member("Cerebral-Cortex")[labels], carried[0].to(torch.uint8).numpy(), _rows_of_codes()[labels])
    there = np.flatnonzero(row)
    places = np.unravel_index(there, row.shape)
    coarse = np.ravel_multi_index([axis // 4 for axis in places], COARSE)
    size = int(np.prod(COARSE))
    counts = np.bincount((row.ravel()[there].astype(np.int64) - 1) * size + coarse, minlength=len(OWN_REGIONS) * size)
    shares = np.round(counts * (255 / _PER_VOXEL)).astype(np.uint8)
    return shares.reshape(len(OWN_REGIONS), *COARSE)


def _rows_of_codes() -> NDArray[np.uint8]:
    """Of each structure code the number of its region, from 1, where it is a region of whole structures; else 0."""
    table = np.zeros(256, dtype=np.uint8)
    for row, name in enumerate(OWN_REGIONS, start=1):
        if name not in CORTICAL:
            for region in [name] if name == "third ventricle" else [f"{side} {name}" for side in SIDES]:
                table[np.flatnonzero(structure_table(region))] = row
    return table
