"""Class activation maps: which feature maps of a late layer speak for the class, and where they are active."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..method import Method

if TYPE_CHECKING:
    from torch import Tensor

    from ..recorded_pass import RecordedPass


@dataclass(frozen=True)
class _ClassActivationMap(Method, ABC):
    """A map made from one layer's activations and their gradients, brought to the input's grid.

    Parameters
    ----------
    layers_named
        Dotted names of modules; their maps are averaged. Empty: the last layer with spatial axes, before pooling.
    """

    layers_named: tuple[str, ...] = ()

    #: Interpolated over many voxels, weights averaged: neither a voxel's value nor the sum is a share of the score.
    units: ClassVar[str] = "activation x gradient, arbitrary scale"
    signed: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if isinstance(self.layers_named, str):
            object.__setattr__(self, "layers_named", (self.layers_named,))

    @property
    def layers(self) -> tuple[str, ...]:
        return self.layers_named

    @abstractmethod
    def from_layer(self, activation: Tensor, gradient: Tensor) -> Tensor:
        """The map (N, *feature grid) from activations and gradients (N, C, *feature grid)."""

    def compute(self, recorded: RecordedPass) -> tuple[Tensor, dict[str, Any]]:
        import torch

        maps, names, scales = [], [], []
        for name in self.layers_named or (None,):
            layer = recorded.layer(name)
            activation = layer.in_order(layer.output.detach())
            # Rectified on the feature grid: interpolation then makes no new zeros of its own.
            coarse = self.from_layer(activation, recorded.layer_gradient(layer)).clamp(min=0)
            maps.append(recorded.upsample(coarse, layer))
            names.append(layer.name)
            scales.append([abs(scale) for scale, _ in layer.geometry])
        return torch.stack(maps).mean(0), {"layer": names, "feature_spacing_voxels": scales}


@dataclass(frozen=True)
class GradCam(_ClassActivationMap):
    """Feature maps weighted by their mean gradient."""

    name: ClassVar[str] = "grad_cam"
    title: ClassVar[str] = "Grad-CAM"
    reference: ClassVar[str] = "Selvaraju et al. 2017, Grad-CAM, equations 1 and 2"
    description: ClassVar[str] = "Coarse regions whose features speak for the target."

    def from_layer(self, activation: Tensor, gradient: Tensor) -> Tensor:
        axes = tuple(range(2, activation.dim()))
        return (gradient.mean(axes, keepdim=True) * activation).sum(1)


@dataclass(frozen=True)
class HiResCam(_ClassActivationMap):
    """Feature maps weighted by their gradient voxel by voxel: faithful where the rest of the network is linear."""

    name: ClassVar[str] = "hires_cam"
    title: ClassVar[str] = "HiResCAM"
    reference: ClassVar[str] = "Draelos and Carin 2020, Use HiResCAM instead of Grad-CAM, equation 2"
    description: ClassVar[str] = "Regions that really raised the target's score, without averaging gradients."

    def from_layer(self, activation: Tensor, gradient: Tensor) -> Tensor:
        return (gradient * activation).sum(1)


@dataclass(frozen=True)
class GradCamPlusPlus(_ClassActivationMap):
    """Grad-CAM with weights for every voxel of the feature maps, so that several places can count.

    The paper explains ``Y = exp(S)`` of the score S, so that higher derivatives are powers of the gradient g of S
    (its equation 19): ``alpha = g^2 / (2 g^2 + sum(A) g^3)``; the factor ``exp(S)`` in front of the map is the same
    everywhere and is left out. Dividing by g^2 gives ``1 / (2 + g sum(A))``, in which no power of a small gradient
    is left: nothing has to be stabilised by a constant of its own scale.

    Parameters
    ----------
    denominator
        ``"paper"``: g^3 times the sum of the activations, as in the paper. ``"pointwise"``: the sum of activation
        times g^3 over the feature map, as MONAI and M3d-Cam compute it.
    """

    denominator: str = "paper"

    name: ClassVar[str] = "grad_cam_pp"
    title: ClassVar[str] = "Grad-CAM++"
    reference: ClassVar[str] = "Chattopadhyay et al. 2018, Grad-CAM++, equations 10 to 19"
    description: ClassVar[str] = "Like Grad-CAM, but better when several places speak for the target."

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.denominator not in ("paper", "pointwise"):
            raise ValueError(f"denominator must be 'paper' or 'pointwise', not {self.denominator!r}")

    def from_layer(self, activation: Tensor, gradient: Tensor) -> Tensor:
        import torch

        axes = tuple(range(2, activation.dim()))
        if self.denominator == "paper":
            below = 2 + gradient * activation.sum(axes, keepdim=True)
            above = (gradient != 0).to(gradient.dtype)
        else:
            # In units of the largest gradient, so that its powers neither vanish nor need a constant added.
            largest = gradient.abs().amax(axes, keepdim=True)
            scaled = gradient / torch.where(largest > 0, largest, 1)
            above = scaled.square()
            below = 2 * above + largest * (activation * scaled**3).sum(axes, keepdim=True)
        alpha = torch.where(below == 0, 0, above / torch.where(below == 0, 1, below))
        weights = (alpha * gradient.clamp(min=0)).sum(axes, keepdim=True)
        return (weights * activation).sum(1)
