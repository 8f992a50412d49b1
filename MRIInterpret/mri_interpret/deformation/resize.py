"""One structure of a brain made smaller or larger, and what lies around it gives way.

The change is driven to its target by small steps, because one large step folds before it reaches a large change
(compare Karacali and Davatzikos 2006, "Simulation of tissue atrophy using a topology preserving transformation model").
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .displacement import log_jacobian, warp
from .giving import TISSUE_GIVES, Giving
from .head import Head

LARGEST_STEP = 0.15  # of log-volume
_TOLERANCE = 0.012  # of log-volume
_MOST_STEPS = 14
_LEAST_LOG_JACOBIAN = -3.0  # a cell twenty times as small: the next step could fold it


@dataclass(frozen=True)
class Resized:
    """A structure's change of size.

    Attributes
    ----------
    u
        The displacement (3, i, j, k) in mm on the head's field, backwards as in :mod:`.displacement`.
    change
        The change of log-volume that was reached.
    reached
        Whether that is the one asked for, and no cell is folded.
    """

    u: Tensor
    change: float
    reached: bool


def resize(
    head: Head,
    structure: Tensor,
    fluid: Tensor,
    change: float,
    start: Tensor | None = None,
    told: Callable[[], None] = lambda: None,
) -> Resized:
    """Deform until a structure's log-volume has changed by ``change``.

    Parameters
    ----------
    head
        Inside which volumes may change; its field has the images' grid (``step`` of 1).
    structure, fluid
        (I, J, K), share of each voxel, 0 to 1, before any deformation.
    change
        Of log-volume, from the undeformed structure: log(0.8) for a loss of a fifth.
    start
        A deformation to go on from; None for none.
    told
        Called before each step; may raise to cancel.

    Raises
    ------
    ValueError
        If the structure has no volume, or the field is coarser than the images.
    """
    if head.step != (1, 1, 1):
        raise ValueError(f"the field must have the images' grid, not {head.step} voxels a cell")
    whole = float(structure.sum())
    if whole <= 0:
        raise ValueError("the structure has no volume")
    parts = torch.stack((structure, fluid)).float()
    u = torch.zeros(3, *structure.shape, device=structure.device) if start is None else start
    now, gain, unfolded = _log_volume(parts, u, head, whole), 1.0, True
    for _ in range(_MOST_STEPS):
        gap = change - now
        if abs(gap) < _TOLERANCE or not unfolded:
            break
        told()
        asked = max(-LARGEST_STEP, min(LARGEST_STEP, gap * gain))
        u = head.then(u, head.displacement(_divergence(parts, u, head, asked)))
        unfolded = bool((log_jacobian(u, head.box) > _LEAST_LOG_JACOBIAN).all())  # a folded cell is not a number
        before, now = now, _log_volume(parts, u, head, whole)
        effect = now - before
        # Shares of voxels leak into what is beside the structure; ask for more to make up for it.
        gain = min(4.0, max(1.0, gain * min(2.0, max(0.7, asked / effect if effect * asked > 0 else 2.0))))
    return Resized(u, now, unfolded and abs(change - now) < 2 * _TOLERANCE)


def _log_volume(parts: Tensor, u: Tensor, head: Head, whole: float) -> float:
    volume = float(warp(parts[:1], u, box=head.box).sum())
    return math.log(volume / whole) if volume > 0 else -math.inf


def _divergence(parts: Tensor, u: Tensor, head: Head, asked: float) -> Tensor:
    """The change of log-volume of one step: the structure's, and what takes it up near by; they add up to zero."""
    structure, fluid = warp(parts, u, box=head.box)
    wanted = asked * structure
    giving = Giving((fluid + TISSUE_GIVES * head.inside) * (1 - structure).clamp(min=0), head.box)
    change = giving.balanced(wanted).clamp(-0.5, 0.5)
    inside = head.inside.sum().clamp(min=1)
    return change - head.inside * (change.sum() / inside)
