"""One scan's counterfactual of volumes: the descent, its further starts, and what there is to say about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..deformation.displacement import warp
from ..deformation.head import central_difference, head_of
from ..deformation.metric import SMOOTHING_MM, metric_of
from ..errors import UserError
from ..minus_sign import true_minus
from ..models.goals import Goal
from ..thresholds import FLUID_LOG_VOLUME, TISSUE_LOG_VOLUME
from .criterion import criterion_of
from .deformation_result import SIZE_UNIT, Deformation, log_volume
from .recorded_pass import RecordedPass
from .volume_descent import Descender, Window

if TYPE_CHECKING:
    from .methods.volume_counterfactual import VolumeCounterfactual

_CELL_MM = 2.0  # the field is about so fine, whatever the scan's resolution
_NOISE = 0.02  # of the scan's range; as the stability check
_SHIFT = 0.5  # voxels along each axis; as the stability check
_LONGER = 3.0  # steps far from the goal, and all of a further start, which so costs a third
_SMALL_SHARE = 0.001  # of the voxels at either end, which plausibility leaves out


def counterfactual(
    method: VolumeCounterfactual, recorded: RecordedPass, number: int, told: Callable[[float], None]
) -> tuple[Tensor, Deformation, float]:
    """The map (I, J, K) in per cent, the deformation of sample ``number``, and what is looked at outside of the mask.

    Raises
    ------
    UserError
        If the mask holds too little, or the goal does not fit the network.
    """
    scan = recorded.x.detach()[number]
    spacing = recorded.about.spacing or (1.0, 1.0, 1.0)
    mask = recorded.mask if recorded.mask is not None else (scan != 0).any(0)
    cells = [max(1, round(_CELL_MM / size)) for size in spacing]
    window = _window(mask, cells)
    head = head_of(mask[window], spacing, cells)
    if not bool((head.freedom > 0).any()):
        raise UserError("The brain mask holds too few voxels for a change of volume: give the mask of a whole brain.")
    fluid = None if recorded.about.fluid is None else recorded.about.fluid[window]
    logits = recorded.logits.detach()[number : number + 1]
    weights = recorded.weights[number : number + 1]
    goal = method.goal if isinstance(method.goal, Goal) else None
    descender = Descender(
        record=lambda image: recorded.record_alone(image[None], number),
        logits_of=lambda image: recorded.logits_of(image[None]),
        explained=weights,
        head=head,
        metric=metric_of(head, fluid, method.smoothing_mm or SMOOTHING_MM),
        criterion=criterion_of(goal, weights, logits, recorded.choice.scale),
        window=window,
        step=method.step_percent / 100,
        longest_step=_LONGER * method.step_percent / 100,
        most_steps=method.max_steps,
        told=lambda share: told(share / (1 + method.starts / _LONGER)),
    )
    outside = _share_outside(scan, recorded.input_gradient()[number], mask, spacing)
    first = recorded if len(recorded.x) == 1 else descender.record(scan)
    found = descender.descend(scan, first)
    del first
    moved = found.u if found.u is not None else scan.new_zeros(3, *head.inside.shape)
    starts, starts_reached = [], []
    # Where there is no way, other starts would only take time.
    for start in range(method.starts if found.reached and found.u is not None else 0):
        share = (1 + start / _LONGER) / (1 + method.starts / _LONGER)
        told(share)
        u, reached = _from_another_start(descender, scan, method.seed + start, share, told)
        starts.append(u.float().cpu())
        starts_reached.append(reached)
    change = head.on_image(log_volume(moved, head.box)[None])[0]
    plausible, sentence = _plausibility(change[mask[window]], None if fluid is None else fluid[mask[window]])
    percent = torch.zeros_like(scan[0])
    percent[window] = 100 * torch.expm1(change) * mask[window]
    return (
        percent,
        Deformation(
            displacement=moved.float().cpu(),
            step=tuple(float(n) for n in cells),  # type: ignore[arg-type]
            origin=tuple(part.start + (n - 1) / 2 for part, n in zip(window, cells, strict=True)),  # type: ignore[arg-type]
            spacing=(spacing[0], spacing[1], spacing[2]),
            image=(scan if found.u is None else descender.seen(scan, moved)).float().cpu(),
            path=found.path,
            goal=descender.criterion.words,
            goal_value=descender.criterion.level,
            reached=found.reached,
            sentence=_why(found.reached, found.u is None, found.reason, found.path, descender.criterion.level),
            plausible=plausible,
            plausibility=sentence,
            size=found.path[-1]["size"],
            size_unit=SIZE_UNIT,
            starts=tuple(starts),
            starts_reached=tuple(starts_reached),
        ),
        outside,
    )


def _from_another_start(
    descender: Descender, scan: Tensor, seed: int, done: float, told: Callable[[float], None]
) -> tuple[Tensor, bool]:
    """The displacement, in the scan's own place, that takes a slightly different scan to the goal."""
    from dataclasses import replace

    head, window = descender.head, descender.window
    generator = torch.Generator().manual_seed(seed)
    voxels = np.array(head.box) / (np.array(head.inside.shape) * np.array(head.step))
    signs = torch.randint(0, 2, (3,), generator=generator) * 2 - 1
    shift = (signs * _SHIFT).double() * torch.from_numpy(voxels)
    shift = shift.to(scan)[:, None, None, None]
    moved = descender.seen(scan, shift.expand(3, *head.inside.shape))
    grain = torch.randn(scan.shape, generator=generator).to(scan) * (_NOISE * float(scan.max() - scan.min()))
    place = (slice(None), *window)
    inside = head.on_image(head.inside[None]) > 0.5
    start = moved.clone()
    start[place] = torch.where(inside & (moved[place] != 0), moved[place] + grain[place], moved[place])
    larger = replace(descender, step=descender.longest_step, told=lambda _share: told(done))
    found = larger.descend(start, larger.record(start))
    if found.u is None:
        return scan.new_zeros(3, *head.inside.shape), found.reached
    return warp(found.u, -shift.expand(3, *head.inside.shape), box=head.box), found.reached


def _window(mask: Tensor, cells: Sequence[int]) -> Window:
    """The box around the mask, wider by two cells, cut at the grid's edges."""
    occupied = mask.nonzero()
    if not len(occupied):
        raise UserError("The brain mask holds too few voxels for a change of volume: give the mask of a whole brain.")
    low, high = occupied.min(0).values.tolist(), occupied.max(0).values.tolist()
    i, j, k = (
        slice(max(0, first - 2 * n), min(size, last + 1 + 2 * n))
        for first, last, n, size in zip(low, high, cells, mask.shape, strict=True)
    )
    return i, j, k


def _share_outside(scan: Tensor, gradient: Tensor, mask: Tensor, spacing: Sequence[float]) -> float:
    """Which part of the gradient by displacements lies outside of the mask."""
    look = sum((gradient * central_difference(scan, axis, spacing[axis])).sum(0).abs() for axis in range(3))
    assert isinstance(look, Tensor)
    total = float(look.sum())
    return float((look * ~mask).sum()) / total if total > 0 else 0.0


def _why(reached: bool, still: bool, reason: str, path: list[dict[str, float]], level: float) -> str:
    if reached:
        return "The goal is reached already: nothing has to change." if still else ""
    before, after = path[0]["criterion"], path[-1]["criterion"]
    return true_minus(f"The goal was not reached: {reason} (from {before:.3g} to {after:.3g}, {level:.3g} was asked).")


def _plausibility(change: Tensor, fluid: Tensor | None) -> tuple[bool, str]:
    """Whether changes of log-volume inside the mask stay within what ageing and disease make."""
    limit = FLUID_LOG_VOLUME if fluid is None else TISSUE_LOG_VOLUME
    tissue = change if fluid is None else change[fluid < 0.5]
    parts = [("tissue" if fluid is not None else "the brain", tissue, limit)]
    if fluid is not None:
        parts.append(("fluid", change[fluid >= 0.5], FLUID_LOG_VOLUME))
    said = []
    for name, values, most in parts:
        if values.numel() == 0:
            continue
        ordered = values.sort().values
        leave = int(_SMALL_SHARE * len(ordered))
        low, high = float(ordered[leave]), float(ordered[-1 - leave])
        if max(-low, high) > most:
            said.append(true_minus(f"{name} changes by {np.expm1(low):+.0%} to {np.expm1(high):+.0%}"))
    if said:
        return False, (
            f"The network can be fooled by a change that no brain makes: {' and '.join(said)}, more than ageing or "
            "disease is known to."
        )
    return True, "All changes of volume stay within what ageing and disease are known to make."
