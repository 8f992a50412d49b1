"""The regions that the published disease changes, left and right apart, and their masks in an anatomy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..deformation.displacement import COARSE
from .anatomy import Anatomy
from .atrophy import Fractions, fractions_of
from .structures import BRAIN, INTRACRANIAL, NAMES, member
from .zones import parcel_likelihoods

SIDES = ("left", "right")


class Region(NamedTuple):
    """One row: whole structures, or those of the cortex's Desikan-Killiany parcels that are named."""

    name: str
    structures: tuple[str, ...] = ()  # ends of structures' names without their side
    parcels: tuple[int, ...] = ()  # FreeSurfer's parcel numbers less 1000 (left) or 2000 (right)


REGIONS: tuple[Region, ...] = (
    Region("hippocampus", ("Hippocampus",)),
    Region("amygdala", ("Amygdala",)),
    Region("entorhinal", parcels=(6,)),
    Region("parahippocampal", parcels=(16,)),
    Region("fusiform", parcels=(7,)),
    Region("inferior temporal", parcels=(9,)),
    Region("middle temporal", parcels=(15,)),
    Region("superior temporal", parcels=(1, 30, 34)),
    Region("temporal pole", parcels=(33,)),
    Region("precuneus", parcels=(25,)),
    Region("posterior cingulate", parcels=(10, 23)),
    Region("inferior parietal", parcels=(8, 31)),
    Region("superior parietal", parcels=(29,)),
    Region("superior and middle frontal", parcels=(3, 27, 28, 32)),
    Region("inferior and orbital frontal", parcels=(2, 12, 14, 18, 19, 20, 26)),
    Region("sensorimotor", parcels=(17, 22, 24)),
    Region("occipital", parcels=(5, 11, 13, 21)),
    Region("insula", parcels=(35,)),
    Region("accumbens and basal forebrain", ("Accumbens-area",)),
    Region("thalamus", ("Thalamus",)),
    Region("caudate", ("Caudate",)),
    Region("putamen", ("Putamen",)),
    Region("inferior lateral ventricle", ("Inf-Lat-Vent",)),
    Region("lateral ventricle", ("Lateral-Ventricle", "choroid-plexus")),
)
#: Cortex is everything that is named by parcels.
CORTICAL = tuple(region.name for region in REGIONS if region.parcels)
#: "left hippocampus", "right hippocampus", "left amygdala" ...
SIDED = tuple(f"{side} {region.name}" for region in REGIONS for side in SIDES)
_MIDLINE = ("third ventricle",)
NAMES_OF_REGIONS = (*SIDED, *_MIDLINE)


def structure_table(region: str) -> NDArray[np.bool_]:
    """Which structure codes belong to a region that is no part of the cortex ("left hippocampus").

    Raises
    ------
    ValueError
        If the region is unknown or made of parcels.
    """
    if region == "third ventricle":
        return np.array([name == "3rd-Ventricle" for name in NAMES])
    side, _, name = region.partition(" ")
    for row in REGIONS:
        if row.name == name and row.structures and side in SIDES:
            wanted = {f"{side.capitalize()}-{structure}" for structure in row.structures}
            return np.array([structure in wanted for structure in NAMES])
    raise ValueError(f"no region of whole structures is called '{region}'")


def regional_fractions(anatomy: Anatomy) -> Fractions:
    """Partial volumes of :data:`NAMES_OF_REGIONS` at 4 mm, by counting voxels of 1 mm, and the region of each of these.

    The cortex is shared out among the parcels: where the anatomy knows its parcels (``Anatomy.parcels``) by them, else
    by how likely each is there according to the atlas.
    """
    labels = torch.from_numpy(anatomy.labels).long()
    cortex = {side: _share(member_of(side, "Cerebral-Cortex"), labels) for side in SIDES}
    shares = _parcel_shares(anatomy, cortex)
    masks = []
    for region in REGIONS:
        for side in SIDES:
            if region.parcels:
                masks.append(shares[f"{side} {region.name}"])
            else:
                masks.append(_share(structure_table(f"{side} {region.name}"), labels))
    masks.append(_share(structure_table("third ventricle"), labels))
    regions = torch.stack(masks)
    base = fractions_of(anatomy)
    fluid = _share(member("CSF"), labels)
    horns = regions[NAMES_OF_REGIONS.index("left inferior lateral ventricle")]
    horns = horns + regions[NAMES_OF_REGIONS.index("right inferior lateral ventricle")]
    return Fractions(
        regions=regions,
        giving=fluid + horns + 0.12 * _share(INTRACRANIAL, labels),
        intracranial=base.intracranial,
        hippocampus=base.hippocampus,
        corner=base.corner,
        block=base.block,
        names=NAMES_OF_REGIONS,
        brain=_share(BRAIN, labels),
        region_of=_region_of(anatomy, regions),
    )


def _region_of(anatomy: Anatomy, shares: Tensor) -> Tensor:
    """The region of each voxel of 1 mm, as :attr:`.atrophy.Fractions.region_of` has it: (I, J, K) uint8.

    Cortex whose parcel is not known belongs to the region that most of the cortex around belongs to, by ``shares``
    (R, i, j, k) at 4 mm.
    """
    no_region = len(NAMES_OF_REGIONS) + 1
    rows = np.zeros(256, dtype=np.uint8)
    rows[np.flatnonzero(INTRACRANIAL)] = no_region
    for number, name in enumerate(NAMES_OF_REGIONS, start=1):
        if name.partition(" ")[2] not in CORTICAL:
            rows[np.flatnonzero(structure_table(name))] = number
    found = rows[anatomy.labels]
    for base, side in zip((1000, 2000), SIDES, strict=True):
        numbers = [NAMES_OF_REGIONS.index(f"{side} {name}") for name in CORTICAL]
        best = shares[numbers].max(0)
        around = torch.where(best.values > 0, torch.tensor(numbers)[best.indices] + 1, no_region).numpy()
        rows_of_parcels = parcel_table({name: number + 1 for name, number in zip(CORTICAL, numbers, strict=True)}, base)
        cortex = np.nonzero(member_of(side, "Cerebral-Cortex")[anatomy.labels])
        own = np.zeros(len(cortex[0]), dtype=np.uint8)
        if anatomy.parcels is not None:
            own = rows_of_parcels[anatomy.parcels[cortex]]
        found[cortex] = np.where(own > 0, own, around[tuple(axis // 4 for axis in cortex)])
    return torch.from_numpy(found)


def member_of(side: str, structure: str) -> NDArray[np.bool_]:
    """Which codes are the structure on one side."""
    return np.array([name == f"{side.capitalize()}-{structure}" for name in NAMES])


def _share(table: NDArray[np.bool_], labels: Tensor) -> Tensor:
    inside = torch.from_numpy(table.astype(np.float32))[labels]
    return functional.avg_pool3d(inside[None], 4)[0]


def _parcel_shares(anatomy: Anatomy, cortex: dict[str, Tensor]) -> dict[str, Tensor]:
    """Share of each cortical region and side in each coarse voxel; together they are the cortex."""
    rows = [region for region in REGIONS if region.parcels]
    numbers = [region.parcels for region in rows]
    found = {}
    for number, side in enumerate(SIDES):
        if anatomy.parcels is None:
            likelihood = parcel_likelihoods(tuple(numbers))
        else:
            likelihood = _counted(anatomy.parcels, 1000 * (number + 1))
        for row, share in zip(rows, likelihood, strict=True):
            found[f"{side} {row.name}"] = cortex[side] * share
    return found


def _counted(parcels: NDArray[np.uint16], base: int) -> Tensor:
    """Of the parcels counted in a coarse voxel, each region of ``CORTICAL``: (R, i, j, k) shares, sum 1 or 0."""
    table = parcel_table({name: number for number, name in enumerate(CORTICAL, start=1)}, base)
    found = torch.from_numpy(table[parcels])
    shares = [functional.avg_pool3d((found == index).float()[None], 4)[0] for index in range(1, len(CORTICAL) + 1)]
    stacked = torch.stack(shares)
    assert stacked.shape[1:] == COARSE
    return stacked / stacked.sum(0).clamp(min=1e-6)


def parcel_table(numbers: Mapping[str, int], *bases: int) -> NDArray[np.uint8]:
    """By label of a parcel the number of its region in ``numbers``, by the region's name; 0 for any other label.

    Parameters
    ----------
    numbers
        1 to 255, by names of :data:`CORTICAL`.
    bases
        1000 for the left cortex's parcels, 2000 for the right one's.

    Returns
    -------
    (4096,)
    """
    table = np.zeros(4096, dtype=np.uint8)
    for region in REGIONS:
        if region.parcels and region.name in numbers:
            for base in bases:
                table[[base + parcel for parcel in region.parcels]] = numbers[region.name]
    return table
