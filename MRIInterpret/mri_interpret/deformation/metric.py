"""What counts as a small change of anatomy: smooth within tissue and within fluid, and fluid gives what tissue takes.

A metric turns the gradient by log-volumes into the direction of steepest descent, as Sobolev gradients do (Neuberger
1997; the smoothing kernels of LDDMM, Beg et al. 2005). Here it is G K G', symmetric and positive: K smooths within each
kind of matter, so that a ventricle does not move along with the tissue beside it, and G lets the surroundings take up
what a place gives, in proportion to how readily they do (as :mod:`..simulation.atrophy` does).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .construction import smooth
from .displacement import Box
from .head import Head

#: Chosen on simulated twins: Testing/benchmarks/volume_metric.md.
SMOOTHING_MM = 5.0
GIVING_MM = 12.0  # volume is taken up within about this distance; as in the simulator
TISSUE_GIVES = 0.12  # as readily as so much fluid; as in the simulator


@dataclass(frozen=True)
class Metric:
    """Which changes of log-volume are cheap.

    Attributes
    ----------
    kinds
        (kinds, i, j, k): share of each kind of matter in each cell; 0 outside of the head.
    giving
        (i, j, k): how readily a cell takes up or gives volume; None if that is not known.
    smoothing_mm
        Gaussian sigma within a kind of matter.
    box
        Size of the grid in mm along the axes; it counts as periodic.
    giving_mm
        Within about which distance volume is taken up.
    """

    kinds: Tensor
    giving: Tensor | None
    smoothing_mm: float
    box: Box
    giving_mm: float = GIVING_MM
    _around: Tensor | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        if self.giving is not None:
            around = smooth(self.giving, self.giving_mm, self.box).clamp(min=1e-3)
            object.__setattr__(self, "_around", around)

    def direction(self, gradient: Tensor) -> Tensor:
        """The change of log-volume (i, j, k) along which a number with this gradient rises most steeply."""
        inner = self._to_givers(gradient)
        within = (self.kinds * smooth(self.kinds * inner, self.smoothing_mm, self.box)).sum(0)
        return self._with_givers(within)

    def _with_givers(self, change: Tensor) -> Tensor:
        """The change, less what the surroundings take up of it; its sum is zero, but for a head's rim."""
        if self.giving is None or self._around is None:
            return change
        return change - self.giving * smooth(change / self._around, self.giving_mm, self.box)

    def _to_givers(self, gradient: Tensor) -> Tensor:
        """The adjoint of :meth:`_with_givers`."""
        if self.giving is None or self._around is None:
            return gradient
        return gradient - smooth(self.giving * gradient, self.giving_mm, self.box) / self._around


def metric_of(head: Head, fluid: Tensor | None = None, smoothing_mm: float = SMOOTHING_MM) -> Metric:
    """The metric of a head.

    Parameters
    ----------
    head
        Where volume may change.
    fluid
        (I, J, K), share of each of the image's voxels that is fluid of this brain. None: everything inside is one kind
        of matter, and gives way evenly.
    smoothing_mm
        Gaussian sigma within a kind of matter.
    """
    if fluid is None:
        return Metric(head.inside[None], None, smoothing_mm, head.box)
    wet = head.cells_of(fluid.float()).clamp(0, 1) * head.inside
    kinds: Sequence[Tensor] = (head.inside - wet, wet)
    return Metric(torch.stack(list(kinds)), wet + TISSUE_GIVES * head.inside, smoothing_mm, head.box)
