"""Products of a fine map and a coarse one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ..deformation_result import plain_facts
from ..method import Method
from .cam import GradCam, GradCamPlusPlus
from .gradient import GuidedBackpropagation
from .lrp import LRP

if TYPE_CHECKING:
    from torch import Tensor

    from ..recorded_pass import RecordedPass


@dataclass(frozen=True)
class Combination(Method):
    """A fine map times a class activation map.

    The class activation map is scaled to a largest value of one per sample, so that the product keeps the fine map's
    units: it says what is left of the fine map where the coarse one looks.

    Parameters
    ----------
    fine
        Any method with detail.
    coarse
        Any method; its negative values count as zero.
    """

    fine: Method = field(default_factory=LRP)
    coarse: Method = field(default_factory=GradCamPlusPlus)

    name: ClassVar[str] = "combination"
    title: ClassVar[str] = "Fine x coarse map"
    reference: ClassVar[str] = "After Selvaraju et al. 2017, Grad-CAM, section 3.2"
    description: ClassVar[str] = "Any fine map, weighted by any coarse one."

    @property
    def map_units(self) -> str:
        return self.fine.map_units

    def components(self) -> tuple[Method, ...]:
        return (self.fine, self.coarse)

    def title_of(self, details: Mapping[str, Any]) -> str:
        fine = self.fine.title_of(details[self.fine.name])
        return self.title + fine.removeprefix(self.fine.title)

    def compute(self, recorded: RecordedPass) -> tuple[Tensor, dict[str, Any]]:
        import torch

        fine, fine_details = recorded.map_of(self.fine)
        coarse, coarse_details = recorded.map_of(self.coarse)
        coarse = coarse.clamp(min=0)
        axes = tuple(range(1, coarse.dim()))
        largest = coarse.amax(axes, keepdim=True)
        weight = coarse / torch.where(largest > 0, largest, 1)
        details = {self.fine.name: plain_facts(fine_details), self.coarse.name: plain_facts(coarse_details)}
        return fine * weight, details


@dataclass(frozen=True)
class GuidedGradCam(Combination):
    """Guided backpropagation times Grad-CAM."""

    fine: Method = field(default_factory=GuidedBackpropagation)
    coarse: Method = field(default_factory=GradCam)

    name: ClassVar[str] = "guided_grad_cam"
    title: ClassVar[str] = "Guided Grad-CAM"
    reference: ClassVar[str] = "Selvaraju et al. 2017, Grad-CAM, section 3.2"
    description: ClassVar[str] = "Fine detail within the regions of Grad-CAM."


@dataclass(frozen=True)
class GuidedGradCamPlusPlus(Combination):
    """Guided backpropagation times Grad-CAM++."""

    fine: Method = field(default_factory=GuidedBackpropagation)
    coarse: Method = field(default_factory=GradCamPlusPlus)

    name: ClassVar[str] = "guided_grad_cam_pp"
    title: ClassVar[str] = "Guided Grad-CAM++"
    reference: ClassVar[str] = "Chattopadhyay et al. 2018, Grad-CAM++, section 4"
    description: ClassVar[str] = "Fine detail within the regions of Grad-CAM++."


@dataclass(frozen=True)
class LrpGradCamPlusPlus(Combination):
    """Layer-wise relevance times Grad-CAM++."""

    name: ClassVar[str] = "lrp_grad_cam_pp"
    title: ClassVar[str] = "LRP x Grad-CAM++"
    reference: ClassVar[str] = "Bach et al. 2015 and Chattopadhyay et al. 2018, multiplied"
    description: ClassVar[str] = "Voxel-wise relevance within the regions of Grad-CAM++."
