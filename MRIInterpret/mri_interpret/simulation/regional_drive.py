"""Many regions, left and right apart, driven to target volumes at once, by the steps of :mod:`.atrophy`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..deformation.construction import field_of_divergence, smooth
from ..deformation.displacement import compose, inverse, positions, resized
from .atrophy import LARGEST_STEP, Fractions

_LARGEST_DIVERGENCE = 0.5  # anywhere in a step, so that no step folds
_GIVING = 12.0  # mm: volume is taken up by CSF within about this distance
# Of log-volume, root mean square over the regions. Healthy people's cortical regions differ by 0.05 to 0.2: what is
# missed here is an error of every label. With 7 steps 0.02 to 0.09 were missed.
_NEAR_ENOUGH = 0.005
_MOST_STEPS = 18
_LARGEST_GAIN = 5.0
_MARGIN = 3  # coarse voxels around the skull that are looked at
# Where a deformation is strong, partial volumes that are summed at 4 mm are off by up to a third (entorhinal cortex);
# so every few steps, and before the end, they are summed at 2 mm.
_STEPS_BETWEEN_MEASUREMENTS = 3
#: How closely volumes are reached: brains that were driven otherwise are of another edition.
PRECISION = (_NEAR_ENOUGH, _MOST_STEPS, _STEPS_BETWEEN_MEASUREMENTS)
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
        Change of each region's log-volume from the start, were the skull still of the same size: it changes by about
        1 %.
    steps
        Number of steps taken.
    """

    u: Tensor
    added: Tensor
    changes: dict[str, float]
    steps: int


def region_volumes(fractions: Fractions, u: Tensor) -> dict[str, float]:
    """mm^3 of every region in template space after deformation by ``u``, summed at 2 mm."""
    volumes = _measured(fractions, u, _box(fractions)).tolist()
    return {name: 64.0 * value for name, value in zip(fractions.names, volumes, strict=True)}


def drive_regions(
    fractions: Fractions, u: Tensor, changes: dict[str, float], most_steps: int = _MOST_STEPS
) -> RegionsReached:
    """Deform further until every region's volume has changed as asked.

    Parameters
    ----------
    fractions
        Partial volumes of the base anatomy.
    u
        The deformation so far, (3, i, j, k) in mm.
    changes
        Change of log-volume by region; regions that are not named keep their volume as well as the others allow.
    most_steps
        Maximum number of steps.
    """
    box = _box(fractions)
    carried = _carried(fractions, u, box)
    start = now = _log_volumes(_measured(fractions, u, box))
    missed_at_4_mm = now - _log_volumes(_summed(fractions, carried))
    skull = torch.log(carried[-1].sum())
    goal = start + torch.tensor([float(changes.get(name, 0.0)) for name in fractions.names], dtype=start.dtype)
    gain = torch.full_like(goal, 1.3)
    added = torch.zeros_like(u)
    steps = 0
    while steps < most_steps and _rms(goal - now) >= _NEAR_ENOUGH:
        wanted = (goal - now).clamp(-LARGEST_STEP, LARGEST_STEP)
        step = _step(fractions, carried, box, wanted * gain)
        u, added = compose(u, step), compose(added, step)
        carried = _carried(fractions, u, box)
        grown = torch.log(carried[-1].sum()) - skull
        before, now = now, _log_volumes(_summed(fractions, carried)) + missed_at_4_mm - grown
        effect = now - before
        # Masks at 4 mm leak; ask for more to make up for it.
        missed = torch.where(effect * wanted > 0, wanted / effect, torch.full_like(effect, 1.5)).clamp(0.7, 1.5)
        gain = torch.where(wanted.abs() > 0.02, (gain * missed).clamp(1.0, _LARGEST_GAIN), gain)
        steps += 1
        due = steps % _STEPS_BETWEEN_MEASUREMENTS == 0 or steps == most_steps
        if due or _rms(goal - now) < _NEAR_ENOUGH:
            measured = _log_volumes(_measured(fractions, u, box))
            missed_at_4_mm = measured - _log_volumes(_summed(fractions, carried))
            now = measured - grown
    reached = dict(zip(fractions.names, (now - start).tolist(), strict=True))
    return RegionsReached(u, added, reached, steps)


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


def _summed(fractions: Fractions, carried: Tensor) -> Tensor:
    """Volumes of the regions in coarse voxels, (R,)."""
    return carried[: len(fractions.names)].sum((1, 2, 3))


def _measured(fractions: Fractions, u: Tensor, box: tuple[slice, slice, slice]) -> Tensor:
    """The same, summed at 2 mm."""
    i, j, k = fractions.intracranial.shape
    doubled = tuple(slice(2 * part.start, 2 * part.stop) for part in box)
    where = positions(resized(u, (2 * i, 2 * j, 2 * k)))[(slice(None), *doubled)]
    # How often each voxel of the base anatomy is looked at: one sampling for all regions, by its adjoint.
    with torch.enable_grad():
        looked_at = torch.zeros(1, 1, i, j, k, dtype=u.dtype, requires_grad=True)
        sampled = functional.grid_sample(looked_at, where, padding_mode="border", align_corners=False)
        (often,) = torch.autograd.grad(sampled.sum(), looked_at)
    return torch.einsum("rijk,ijk->r", fractions.regions, often[0, 0]) / 8


def _log_volumes(volumes: Tensor) -> Tensor:
    # A region that an anatomy lacks has no volume to change: a thousandth of a voxel keeps its logarithm finite.
    return torch.log(volumes.clamp(min=1e-3))


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
