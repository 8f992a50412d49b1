"""Many regions, left and right apart, driven to target volumes at once, by the steps of :mod:`.atrophy`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from ..deformation.construction import field_of_divergence, smooth
from ..deformation.displacement import COARSE, compose, inverse, positions, resized, warp
from .atrophy import LARGEST_STEP, Fractions
from .grids import FINE_GRID

_LARGEST_DIVERGENCE = 0.5  # anywhere in a step, so that no step folds
_GIVING = 12.0  # mm: volume is taken up by CSF within about this distance
# Of log-volume, root mean square over the regions. Healthy people's cortical regions differ by 0.05 to 0.2: what is
# missed here is an error of every label. With 7 steps 0.02 to 0.09 were missed.
_NEAR_ENOUGH = 0.005
_MOST_STEPS = 18
_LARGEST_GAIN = 5.0
_MARGIN = 3  # coarse voxels around the skull that are looked at
# Voxels of 4 mm blur a region into what lies around it, so that what is deformed most, its middle, counts too little:
# volumes that were reached by their sums were exaggerated by 2 to 35 % in the labels. So every few steps, and before
# the end, the labels' own voxels are counted.
_STEPS_BETWEEN_MEASUREMENTS = 4
_COUNTED_MM = 1
#: How closely volumes are reached: brains that were driven otherwise are of another edition.
PRECISION = (_NEAR_ENOUGH, _MOST_STEPS, _STEPS_BETWEEN_MEASUREMENTS, _COUNTED_MM)
_KEEPS_ITS_PLACE = ("hippocampus", "amygdala")  # never asked to take up what another region gives


@dataclass(frozen=True)
class RegionsReached:
    """What :func:`drive_regions` reached.

    Attributes
    ----------
    u
        (3, i, j, k) in mm, the whole deformation from the base anatomy.
    added
        (3, i, j, k), the part that was added to the one at the start.
    changes
        Change of each region's log-volume from the start, were the skull still of the same size: it changes by 1 %.
    counted
        :func:`counted_volumes` at the end.
    steps
        Number of steps taken.
    """

    u: Tensor
    added: Tensor
    changes: dict[str, float]
    counted: Tensor
    steps: int


def counted_volumes(fractions: Fractions, u: Tensor) -> Tensor:
    """mm^3 of each region, and of what else is inside the skull, by the voxels of 1 mm after a deformation.

    Parameters
    ----------
    fractions
        Of the base anatomy, by :func:`.regions.regional_fractions`.
    u
        (3, i, j, k) in mm, on the coarse grid or a finer one.

    Returns
    -------
    (R + 1,)

    Raises
    ------
    ValueError
        If the regions of the voxels of 1 mm are not known.
    """
    if tuple(fractions.region_of.shape) != FINE_GRID.shape:
        raise ValueError("the fractions do not say which region each voxel of 1 mm belongs to")
    if tuple(u.shape[1:]) == COARSE:
        where = _fine_positions(u, _cells_inside(fractions, u))
    else:
        where = positions(resized(u, FINE_GRID.shape))
    # How often each voxel of the base anatomy is looked at: one sampling for all regions, by its adjoint.
    with torch.enable_grad():
        looked_at = torch.zeros(1, 1, *FINE_GRID.shape, dtype=u.dtype, requires_grad=True)
        sampled = functional.grid_sample(looked_at, where, padding_mode="border", align_corners=False)
        (often,) = torch.autograd.grad(sampled.sum(), looked_at)
    known = fractions.region_of.flatten().long()
    return torch.bincount(known, often.flatten(), len(fractions.names) + 2)[1:]


def drive_regions(
    fractions: Fractions,
    u: Tensor,
    changes: dict[str, float],
    most_steps: int = _MOST_STEPS,
    counted: Tensor | None = None,
) -> RegionsReached:
    """Deform further until every region's volume has changed as asked.

    Parameters
    ----------
    fractions
        Partial volumes of the base anatomy, of :func:`.regions.regional_fractions`.
    u
        The deformation so far, (3, i, j, k) in mm.
    changes
        Change of log-volume by region; regions that are not named keep their volume as well as the others allow.
    most_steps
        Maximum number of steps.
    counted
        :func:`counted_volumes` at ``u``, where they are known.
    """
    box = _box(fractions)
    carried = _carried(fractions, u, box)
    counted = counted_volumes(fractions, u) if counted is None else counted
    start = now = _log_shares(counted)
    missed_at_4_mm = now - _summed(carried)
    goal = start + torch.tensor([float(changes.get(name, 0.0)) for name in fractions.names], dtype=start.dtype)
    gain = torch.full_like(goal, 1.3)
    added = torch.zeros_like(u)
    steps = 0
    while steps < most_steps and _rms(goal - now) >= _NEAR_ENOUGH:
        wanted = (goal - now).clamp(-LARGEST_STEP, LARGEST_STEP)
        step = _step(fractions, carried, box, wanted * gain)
        u, added = compose(u, step), compose(added, step)
        carried = _carried(fractions, u, box)
        before, now = now, _summed(carried) + missed_at_4_mm
        effect = now - before
        # Masks at 4 mm leak; ask for more to make up for it.
        missed = torch.where(effect * wanted > 0, wanted / effect, torch.full_like(effect, 1.5)).clamp(0.7, 1.5)
        gain = torch.where(wanted.abs() > 0.02, (gain * missed).clamp(1.0, _LARGEST_GAIN), gain)
        steps += 1
        due = steps % _STEPS_BETWEEN_MEASUREMENTS == 0 or steps == most_steps
        if due or _rms(goal - now) < _NEAR_ENOUGH:
            counted = counted_volumes(fractions, u)
            now = _log_shares(counted)
            missed_at_4_mm = now - _summed(carried)
    reached = dict(zip(fractions.names, (now - start).tolist(), strict=True))
    return RegionsReached(u, added, reached, counted, steps)


def _box(fractions: Fractions) -> tuple[slice, slice, slice]:
    """The coarse voxels around the inside of the skull: the rest of the grid is empty."""
    there = (fractions.intracranial > 0).nonzero()
    low, high = (there.min(0).values - _MARGIN).clamp(min=0), there.max(0).values + _MARGIN + 1
    a, b, c = (slice(int(start), int(stop)) for start, stop in zip(low, high, strict=True))
    return a, b, c


def _carried(fractions: Fractions, u: Tensor, box: tuple[slice, slice, slice]) -> Tensor:
    """Regions, giving and intracranial share after deformation, within the box: (R + 2, i, j, k)."""
    volumes = torch.cat((fractions.regions, fractions.giving[None], fractions.intracranial[None]))
    where = positions(u)[(slice(None), *box)]
    return functional.grid_sample(volumes[None], where, padding_mode="border", align_corners=False)[0]


def _summed(carried: Tensor) -> Tensor:
    """Log of the regions' shares of the skull's inside, by sums over coarse voxels, (R,)."""
    return torch.log(carried[:-2].sum((1, 2, 3)).clamp(min=1e-3) / carried[-1].sum())


def _log_shares(counted: Tensor) -> Tensor:
    """The same by counted voxels of 1 mm, (R,)."""
    # A region that an anatomy lacks has no volume to change: a fraction of a voxel keeps its logarithm finite.
    return torch.log(counted[:-1].clamp(min=0.064) / counted.sum())


def _cells_inside(fractions: Fractions, u: Tensor) -> Tensor:
    """The coarse voxels that may see the skull's inside after deformation, (N, 3); none on the grid's border."""
    there = functional.max_pool3d((fractions.intracranial > 0).float()[None], 3, 1, 1)
    return warp(there, u)[0, 1:-1, 1:-1, 1:-1].nonzero() + 1


def _fine_positions(u: Tensor, cells: Tensor) -> Tensor:
    """Where the 64 voxels of 1 mm of each coarse voxel (N, 3) look, for ``grid_sample``: (1, N, 64, 1, 3)."""
    sides, within = torch.tensor([-1, 0, 1]), torch.arange(4)
    around = torch.cartesian_prod(sides, sides, sides)  # 27 neighbours
    flat = ((cells[:, None] + around) * torch.tensor([COARSE[1] * COARSE[2], COARSE[2], 1])).sum(-1)
    per_mm = 2 / torch.tensor(FINE_GRID.shape)  # half a box is 1
    scaled = (u.flatten(1).T * per_mm)[:, [2, 1, 0]]
    found = _trilinear() @ scaled[flat]
    found += ((4 * cells) * per_mm - 1)[:, None, [2, 1, 0]]
    found += ((torch.cartesian_prod(within, within, within) + 0.5) * per_mm)[:, [2, 1, 0]]
    return found[None, :, :, None]


@lru_cache(maxsize=1)
def _trilinear() -> Tensor:
    """Weights of the 27 voxels around in each of the 64 voxels within a coarse one, (64, 27)."""
    along = torch.tensor([[0.375, 0.125, 0.0, 0.0], [0.625, 0.875, 0.875, 0.625], [0.0, 0.0, 0.125, 0.375]])
    return torch.einsum("ai,bj,ck->abcijk", along, along, along).reshape(27, 64).T.contiguous()


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


def _step(fractions: Fractions, carried: Tensor, box: tuple[slice, slice, slice], asked: Tensor) -> Tensor:
    """The field of one small deformation with the asked changes of log-volume, on the whole coarse grid."""
    whole = torch.zeros(3, *fractions.intracranial.shape)
    masks, inside = carried[:-2], carried[-1]
    keeps = [index for index, name in enumerate(fractions.names) if name.endswith(_KEEPS_ITS_PLACE)]
    whole[0][box] = torch.einsum("r,rijk->ijk", asked, masks)
    whole[1][box] = carried[-2] * (1 - masks[keeps].sum(0)).clamp(min=0)
    whole[2][box] = inside
    wanted, giving, inside = whole
    # Surrounding voxels take up what a region gives up, in proportion to how readily they do; the sum is zero.
    around = smooth(giving, _GIVING).clamp(min=1e-3)
    taken = giving * smooth(wanted / around, _GIVING)
    divergence = (wanted - taken).clamp(-_LARGEST_DIVERGENCE, _LARGEST_DIVERGENCE)
    divergence = divergence - inside * (divergence.sum() / inside.sum())
    return inverse(field_of_divergence(divergence))
