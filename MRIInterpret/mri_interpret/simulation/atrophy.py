"""Controlled atrophy: regions driven to target volumes by a deformation that keeps the topology.

Each step prescribes a log-Jacobian inside the regions' masks, lets the surrounding CSF (and, a little, all tissue) take
up or give volume, solves Poisson's equation for the displacement, and carries the masks along. Steps are small,
because one large step folds before it reaches a large change (compare Karacali and Davatzikos 2006; Khanal 2017).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..deformation.construction import field_of_divergence, smooth
from ..deformation.displacement import BOX_MM, COARSE, compose, inverse, warp
from .anatomy import FINE_GRID, Anatomy
from .structures import INTRACRANIAL, member
from .zones import cortical_zones

LARGEST_STEP = 0.35  # of log-volume
_LARGEST_DIVERGENCE = 0.5  # anywhere in a step, so that no step folds
_TOLERANCE = 0.012  # of log-volume, for the hippocampus
_GIVING = 12.0  # mm: volume is taken up by CSF within about this distance
_HIPPOCAMPUS = "hippocampus"

REGIONS = (
    _HIPPOCAMPUS,
    "amygdala",
    "medial temporal cortex",
    "temporal cortex",
    "parietal cortex",
    "other cortex",
    "inferior lateral ventricle",
    "lateral ventricle",
)


@dataclass
class Fractions:
    """Partial volumes of an anatomy: regions on the coarse grid, the hippocampus also at 2 mm.

    In voxels of 4 mm a region blurs into its surroundings, and a change of its volume looks smaller than it is. So
    where regions are driven to given volumes (:mod:`.regional_drive`), the region of each voxel of 1 mm is kept, too.
    """

    regions: Tensor  # (R, i, j, k) at 4 mm: share of each voxel in each of ``names``
    giving: Tensor  # (i, j, k): how readily a voxel takes up or gives volume
    intracranial: Tensor  # (i, j, k)
    hippocampus: Tensor  # (1, I, J, K) at 2 mm
    corner: tuple[int, int, int] = field(default=(0, 0, 0))  # of the coarse block that holds the hippocampi
    block: tuple[int, int, int] = field(default=COARSE)
    names: tuple[str, ...] = REGIONS
    brain: Tensor = field(default_factory=lambda: torch.zeros(COARSE))  # (i, j, k): tissue and ventricles
    # (I, J, K) uint8 on FINE_GRID, or empty: number of the voxel's region in ``names`` from 1; one more than the last
    # for what else is inside the skull, 0 outside.
    region_of: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.uint8))


def fractions_of(anatomy: Anatomy) -> Fractions:
    """Partial volumes of the regions, by counting fine voxels."""
    labels = torch.from_numpy(anatomy.labels)

    def share(table: np.ndarray, size: int) -> Tensor:
        inside = torch.from_numpy(table.astype(np.float32))[labels.long()]
        return functional.avg_pool3d(inside[None], size)[0]

    cortex = share(member("Cerebral-Cortex"), 4)
    zones = cortical_zones()
    hippocampus_coarse = share(member("Hippocampus"), 4)
    ilv, ventricle = share(member("Inf-Lat-Vent"), 4), share(member("Lateral-Ventricle", "choroid-plexus"), 4)
    regions = [hippocampus_coarse, share(member("Amygdala"), 4), *(cortex * zone for zone in zones), ilv, ventricle]
    intracranial = share(INTRACRANIAL, 4)
    csf = share(member("CSF"), 4)
    occupied = (hippocampus_coarse > 0).nonzero()
    low = (occupied.min(0).values - 4).clamp(min=0)
    high = torch.minimum(occupied.max(0).values + 5, torch.tensor(COARSE))
    block = (high - low).tolist()
    return Fractions(
        regions=torch.stack(regions),
        giving=csf + ilv + 0.12 * intracranial,
        intracranial=intracranial,
        hippocampus=share(member("Hippocampus"), 2)[None],
        corner=(int(low[0]), int(low[1]), int(low[2])),
        block=(block[0], block[1], block[2]),
    )


def intracranial_volume(fractions: Fractions, u: Tensor) -> float:
    """mm^3 in template space after deformation by ``u``, summed on the grid of ``u``."""
    return float(warp(fractions.intracranial[None], u).sum()) * math.prod(BOX_MM) / u[0].numel()


def hippocampal_volume(fractions: Fractions, u: Tensor) -> float:
    """mm^3 in template space after deformation by ``u``, measured at 2 mm around the hippocampi."""
    (a, b, c), (na, nb, nc) = fractions.corner, fractions.block
    piece = u[:, a : a + na, b : b + nb, c : c + nc]
    fine = functional.interpolate(piece[None], scale_factor=2, mode="trilinear", align_corners=False)[0]
    grid = _block_positions(fractions.corner, fractions.block) + fine.flip(0).permute(1, 2, 3, 0)[None] * _per_mm()
    sampled = functional.grid_sample(fractions.hippocampus[None], grid, padding_mode="border", align_corners=False)
    return float(sampled.sum()) * 8.0


def _per_mm() -> Tensor:
    return 2.0 / torch.tensor([float(n) for n in reversed(FINE_GRID.shape)])


@lru_cache(maxsize=64)
def _block_positions(corner: tuple[int, int, int], block: tuple[int, int, int]) -> Tensor:
    axes = [
        (torch.arange(2 * a, 2 * (a + n), dtype=torch.float32) * 2 + 1) / (2 * size) - 1
        for a, n, size in zip(corner, block, COARSE, strict=True)
    ]
    i, j, k = torch.meshgrid(*axes, indexing="ij")
    return torch.stack((k, j, i), -1)[None]


@dataclass(frozen=True)
class Reached:
    """What :func:`drive` reached."""

    u: Tensor  # (3, i, j, k), the whole deformation from the base anatomy
    added: Tensor  # (3, i, j, k), the part that this drive added
    hippocampal_volume: float  # mm^3 in template space
    steps: int


def drive(
    fractions: Fractions, u: Tensor, hippocampus_mm3: float, changes: dict[str, float], most_steps: int = 14
) -> Reached:
    """Deform further until the hippocampi reach a target volume and the other regions a target change of volume.

    Parameters
    ----------
    fractions
        Partial volumes of the base anatomy.
    u
        The deformation so far, (3, i, j, k).
    hippocampus_mm3
        Target volume of both hippocampi together in template space.
    changes
        Region of ``REGIONS`` (not the hippocampus) to change of log-volume, relative to the volume at ``u``.
    most_steps
        Maximum number of steps.
    """
    now = _volumes(fractions, u)
    goals = {name: float(np.log(now[name])) + change for name, change in changes.items() if now[name] > 0}
    goals[_HIPPOCAMPUS] = float(np.log(hippocampus_mm3))
    gains = dict.fromkeys(goals, 1.3)
    added = torch.zeros_like(u)
    steps = 0
    while steps < most_steps:
        gaps = {name: goals[name] - float(np.log(now[name])) for name in goals}
        widest = max(abs(gap) for gap in gaps.values())
        if abs(gaps[_HIPPOCAMPUS]) < _TOLERANCE and (steps >= 3 or widest < 0.05):
            break
        asked = {name: float(np.clip(gap * gains[name], -LARGEST_STEP, LARGEST_STEP)) for name, gap in gaps.items()}
        step = _step(fractions, u, asked)
        u, added = compose(u, step), compose(added, step)
        before, now = now, _volumes(fractions, u)
        for name, change in asked.items():
            if 0.02 < abs(change) < LARGEST_STEP:
                effect = float(np.log(now[name] / before[name]))
                # Masks at 4 mm leak; ask for more to make up for it.
                missed = gaps[name] / effect if effect * change > 0 else 1.5
                gains[name] = float(np.clip(gains[name] * np.clip(missed, 0.7, 1.5), 1.0, 4.0))
        steps += 1
    return Reached(u, added, now[_HIPPOCAMPUS], steps)


def _volumes(fractions: Fractions, u: Tensor) -> dict[str, float]:
    sums = warp(fractions.regions, u).sum((1, 2, 3)).tolist()
    volumes = {name: 64.0 * value for name, value in zip(REGIONS, sums, strict=True)}
    volumes[_HIPPOCAMPUS] = hippocampal_volume(fractions, u)
    return volumes


def _step(fractions: Fractions, u: Tensor, asked: dict[str, float]) -> Tensor:
    """The field of one small deformation with the asked changes of log-volume."""
    carried = warp(torch.cat((fractions.regions, fractions.giving[None], fractions.intracranial[None])), u)
    masks, giving, inside = carried[: len(REGIONS)], carried[-2], carried[-1]
    strengths = torch.tensor([asked.get(name, 0.0) for name in REGIONS])
    wanted = torch.einsum("r,rijk->ijk", strengths, masks)
    # Surrounding voxels take up what a region gives up, in proportion to ``giving``; the sum is exactly zero.
    giving = giving * (1 - masks[0] - masks[1]).clamp(min=0)
    around = smooth(giving, _GIVING).clamp(min=1e-3)
    taken = giving * smooth(wanted / around, _GIVING)
    divergence = (wanted - taken).clamp(-_LARGEST_DIVERGENCE, _LARGEST_DIVERGENCE)
    divergence = divergence - inside * (divergence.sum() / inside.sum())
    return inverse(field_of_divergence(divergence))
