"""Where the room comes from when a piece of brain grows: what lies around it takes up the change.

Volumes add up to the same in a head. So a change of one place's volume is taken from places near it, in proportion to
how readily they give (compare :mod:`..simulation.atrophy`, which makes a disease in the same way).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from .construction import smooth
from .displacement import Box

GIVING_MM = 12.0  # volume is taken up within about this distance; as in the simulator
TISSUE_GIVES = 0.12  # as readily as so much fluid; as in the simulator
_LEAST_AROUND = 1e-3


@dataclass(frozen=True)
class Giving:
    """How readily each place gives volume to what grows near it.

    Attributes
    ----------
    weights
        (i, j, k): how readily each cell gives or takes up volume; 0 outside of the head.
    box
        Size of the grid in mm along the axes; it counts as periodic.
    reach_mm
        Gaussian sigma of the distance within which volume is taken up.
    """

    weights: Tensor
    box: Box
    reach_mm: float = GIVING_MM

    @cached_property
    def _around(self) -> Tensor:
        return smooth(self.weights, self.reach_mm, self.box).clamp(min=_LEAST_AROUND)

    def taken(self, change: Tensor) -> Tensor:
        """What each cell gives for a change of log-volume (i, j, k); the sums are equal, but for a head's rim."""
        return self.weights * smooth(change / self._around, self.reach_mm, self.box)

    def balanced(self, change: Tensor) -> Tensor:
        """The change of log-volume (i, j, k), less what the surroundings give for it."""
        return change - self.taken(change)

    def gradient(self, gradient: Tensor) -> Tensor:
        """The adjoint of :meth:`balanced`: derivatives by the balanced change become derivatives by the change."""
        return gradient - smooth(self.weights * gradient, self.reach_mm, self.box) / self._around
