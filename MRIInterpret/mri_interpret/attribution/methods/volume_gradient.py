"""The gradient by volumes: how the answer changes when a piece of the brain grows or shrinks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ...errors import UserError
from ...thresholds import OUTSIDE_MASK_SHARE
from ..deformation_result import NOTICES
from ..method import Method

if TYPE_CHECKING:
    from torch import Tensor

    from ...deformation.head import Head
    from ..recorded_pass import RecordedPass

_PER_CENT = 0.01


@dataclass(frozen=True)
class VolumeGradient(Method):
    """How the score would change if a voxel's piece of brain grew by 1 per cent of its volume.

    The sum over a region's voxels is, to first order, the change of the score if that region grows by 1 per cent, while
    the brain within about 12 mm gives way evenly and the head's outline stays. Made of the gradient by intensities:
    growth moves the scan by the displacement whose divergence it is, and the scan's own slope says what that does to
    the intensities. Who gives way decides what the map says, because more of one place is less of another; this rule
    was chosen on simulated patients (Testing/benchmarks/volume_giving.md).

    Parameters
    ----------
    giving_mm
        Within about which distance the brain gives way for what grows. None: all of the head gives way, its rim too.
    """

    giving_mm: float | None = 12.0  # as in ...deformation.giving

    name: ClassVar[str] = "volume_gradient"
    title: ClassVar[str] = "Volume gradient"
    reference: ClassVar[str] = (
        "The chain rule through a deformation (compare Beg et al. 2005, LDDMM, equation 6), with the displacement of "
        "Karacali and Davatzikos 2006, Simulation of tissue atrophy"
    )
    description: ClassVar[str] = "How the score would change if a piece of the brain grew by 1 %."
    units: ClassVar[str] = "logit per 1 % of a voxel's volume"
    measures_lengths: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.giving_mm is not None and not 0 < self.giving_mm < 100:
            raise UserError(f"What gives way lies within a length above 0 and below 100 mm, not {self.giving_mm:g}.")

    def check(self, x: Tensor) -> None:
        check_volume(self, x)

    def compute(self, recorded: RecordedPass) -> tuple[Tensor, dict[str, Any]]:
        import torch

        from ...deformation.giving import Giving

        gradient = recorded.input_gradient()
        heads = heads_of(recorded)
        maps, shares = [], []
        for scan, by_scan, head in zip(recorded.x.detach(), gradient, heads, strict=True):
            by_field = head.field_gradient(scan, by_scan)
            by_volume = head.gradient(by_field)
            if self.giving_mm is not None:
                by_volume = head.inside * Giving(head.inside, head.box, self.giving_mm).gradient(by_volume)
            maps.append(by_volume * _PER_CENT)
            shares.append(share_outside(by_field, head))
        return torch.stack(maps), {
            "spacing_mm": list(spacing_of(recorded)),
            "outside_mask_share": shares,
            NOTICES: outside_notices(shares),
        }


def check_volume(method: Method, x: Tensor) -> None:
    """Refuse an input without three spatial axes, or too thin for a deformation.

    Raises
    ------
    UserError
        With the axes or the shape.
    """
    if x.dim() != 5:
        raise UserError(
            f"{method.title} needs three spatial axes, but the input has {x.dim() - 2}: choose another method."
        )
    if min(x.shape[2:]) < 4:
        shape = " x ".join(map(str, x.shape[2:]))
        raise UserError(f"{method.title} needs four voxels along each axis, but the input has {shape}.")


def spacing_of(recorded: RecordedPass) -> tuple[float, float, float]:
    """Voxel size in mm; 1 mm where it is not known, of which the explainer gives notice."""
    i, j, k = recorded.about.spacing or (1.0, 1.0, 1.0)
    return i, j, k


def heads_of(recorded: RecordedPass, step: tuple[int, int, int] = (1, 1, 1)) -> list[Head]:
    """The inside of each sample's head: the brain mask, else the voxels that are not zero in every channel.

    Raises
    ------
    UserError
        If nothing is inside, or nothing inside is free to move.
    """
    from ...deformation.head import head_of

    spacing = spacing_of(recorded)
    if recorded.mask is not None:
        heads = [head_of(recorded.mask, spacing, step)] * len(recorded.x)
    else:
        heads = [head_of((scan != 0).any(0), spacing, step) for scan in recorded.x.detach()]
    for head in heads:
        if not bool((head.freedom > 0).any()):
            raise UserError(
                "The brain mask holds too few voxels for a change of volume: give the mask of a whole brain."
            )
    return heads


def outside_notices(shares: Sequence[float]) -> tuple[str, ...]:
    """A sentence where much of what the network looks at lies outside of the mask."""
    most = max(shares)
    if most <= OUTSIDE_MASK_SHARE:
        return ()
    return (
        f"{most:.0%} of what the network looks at lies outside of the brain mask, where no volume is changed: does the "
        "mask cut the brain?",
    )


def share_outside(gradient: Tensor, head: Head) -> float:
    """Which part of a gradient by displacements (3, i, j, k) lies outside of the head; 0 for a gradient of zero."""
    size = gradient.abs().sum(0)
    total = float(size.sum())
    return float((size * (1 - head.inside)).sum()) / total if total > 0 else 0.0
