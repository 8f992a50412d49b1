"""Desikan-Killiany parcels on the cortex that was segmented: the atlas is bent onto this brain and carried over."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..images.volume import Affine, Array, Volume
from . import freesurfer
from .atlas import load_default_atlas
from .atlas_alignment import GRID, atlas_to_brain, groups_of_labels

_SIDES = ((freesurfer.LEFT_CORTEX, 1000), (freesurfer.RIGHT_CORTEX, 2000))


def with_parcels(labels: Volume, to_template: Affine) -> Volume:
    """Give every voxel of the cortex its parcel.

    A parcel lies in the cortex of its side alone, by construction: each voxel that is labelled cortex takes the parcel
    that is nearest, in the atlas, to where the bent atlas has it; no other voxel changes.

    Parameters
    ----------
    labels
        FreeSurfer's labels on the scan's grid, shape (I, J, K), the cortex as 3 and 42.
    to_template
        4 x 4, RAS mm of the scan to RAS mm of the template.

    Returns
    -------
    Volume
        The same with 1001 to 1035 and 2001 to 2035 instead of 3 and 42.
    """
    array = np.array(labels.array)
    if not np.isin(array, [cortex for cortex, _ in _SIDES]).any():
        return labels.with_array(array)  # nothing to divide: the atlas need not be bent
    displacement = atlas_to_brain(groups_of_labels(labels, to_template))
    for cortex, base in _SIDES:
        voxels = np.flatnonzero(array == cortex)
        places = _in_atlas(voxels, array.shape, to_template @ labels.affine, displacement)
        nearest, affine = _nearest_parcel(base)
        index = np.linalg.inv(affine) @ np.vstack([places, np.ones((1, places.shape[1]))])
        limits = np.array(nearest.shape)[:, None] - 1
        i, j, k = np.clip(np.rint(index[:3]).astype(np.intp), 0, limits)
        array.flat[voxels] = nearest[i, j, k]
    return labels.with_array(array)


def _in_atlas(
    voxels: NDArray[np.intp], shape: tuple[int, ...], to_template: Affine, displacement: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Where voxels lie in the atlas's space, (3, N) in RAS mm."""
    template = to_template[:3, :3] @ np.stack(np.unravel_index(voxels, shape)) + to_template[:3, 3:]
    coarse = (template - GRID.affine[:3, 3:]) / GRID.spacing[:, None]
    moved = [ndimage.map_coordinates(one, coarse, order=1, mode="nearest") for one in displacement]
    return np.asarray(template + np.stack(moved), dtype=np.float64)


@lru_cache(maxsize=2)
def _nearest_parcel(base: int) -> tuple[Array, Affine]:
    """For every voxel of the atlas, the nearest parcel of one side."""
    volume = load_default_atlas().volume
    labels = np.asarray(volume.array)
    parcel = (labels > base) & (labels < base + 1000)
    nearest = ndimage.distance_transform_edt(
        ~parcel, sampling=volume.grid.spacing, return_distances=False, return_indices=True
    )
    return labels[tuple(nearest)].astype(np.int16), volume.affine
