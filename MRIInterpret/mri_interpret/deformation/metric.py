"""What counts as a small change of anatomy: smooth within tissue and within fluid, and fluid gives what tissue takes.

A metric turns the gradient by log-volumes into the direction of steepest descent, as Sobolev gradients do (Neuberger
1997; the smoothing kernels of LDDMM, Beg et al. 2005). Here it is G K G', symmetric and positive: K smooths within each
kind of matter, so that a ventricle does not move along with the tissue beside it, and G lets the surroundings take up
what a place gives (:mod:`.giving`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .construction import smooth
from .displacement import Box
from .giving import TISSUE_GIVES, Giving
from .head import Head

#: Chosen on simulated twins: Testing/benchmarks/volume_metric.md.
SMOOTHING_MM = 5.0


@dataclass(frozen=True)
class Metric:
    """Which changes of log-volume are cheap.

    Attributes
    ----------
    kinds
        (kinds, i, j, k): share of each kind of matter in each cell; 0 outside of the head.
    giving
        What takes up a change; None if that is not known.
    smoothing_mm
        Gaussian sigma within a kind of matter.
    box
        Size of the grid in mm along the axes; it counts as periodic.
    """

    kinds: Tensor
    giving: Giving | None
    smoothing_mm: float
    box: Box

    def direction(self, gradient: Tensor) -> Tensor:
        """The change of log-volume (i, j, k) along which a number with this gradient rises most steeply."""
        inner = gradient if self.giving is None else self.giving.gradient(gradient)
        within = (self.kinds * smooth(self.kinds * inner, self.smoothing_mm, self.box)).sum(0)
        return within if self.giving is None else self.giving.balanced(within)


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
    giving = Giving(wet + TISSUE_GIVES * head.inside, head.box)
    return Metric(torch.stack(list(kinds)), giving, smoothing_mm, head.box)
