"""A convolution, alone or with the ReLU that follows it, as a layer that LRP rules work on."""

from __future__ import annotations

import torch
from torch import Tensor

from .kernels import convolve, convolve_back, prepared
from .weighted import WeightedLayer, per_channel
from .window import Window


class Convolution(WeightedLayer):
    """A convolution; ``weight`` is (out, in / groups, ...) or, transposed, (in, out / groups, ...)."""

    kind = "convolution"

    def __init__(self, weight: Tensor, bias: Tensor | None, window: Window) -> None:
        super().__init__(prepared(weight, window), bias)
        self.window = window

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return convolve(x, weight, bias, self.window)

    def adjoint(self, y: Tensor, weight: Tensor) -> Tensor:
        return convolve_back(y, weight, self.input.shape, self.window)

    def bias_like(self, bias: Tensor) -> Tensor:
        return per_channel(bias, self.input.dim())

    def scaled(self, scale: Tensor, shift: Tensor) -> Convolution:
        """This convolution followed by ``scale * y + shift`` per output channel (a BatchNorm in eval mode)."""
        axes = self.weight.dim() - 2
        if self.window.transposed:
            groups = self.window.groups
            per_group = self.weight.reshape(groups, self.weight.shape[0] // groups, *self.weight.shape[1:])
            weight = per_group * scale.reshape(groups, 1, -1, *([1] * axes))
            weight = weight.reshape(self.weight.shape)
        else:
            weight = self.weight * scale.reshape(-1, 1, *([1] * axes))
        # Rounded once: see batch_norm_constants.
        bias = shift if self.bias is None else (self.bias.double() * scale.double() + shift.double()).to(shift.dtype)
        return Convolution(weight, bias, self.window)


class RectifiedConvolution(Convolution):
    """Convolution and ReLU. Relevance passes the ReLU; the gradient is stopped where the output is zero."""

    rectifies = True

    def forward(self, *inputs: Tensor) -> Tensor:
        output = super().forward(*inputs).relu_()
        self.rectified = output.detach()
        return output

    def gradient(self, grad: Tensor) -> tuple[Tensor, ...]:
        return super().gradient(torch.ops.aten.threshold_backward(grad, self.rectified, 0))

    def guided(self, grad: Tensor) -> tuple[Tensor, ...]:
        self.backward.gated["relu"] += 1
        return super().gradient(torch.ops.aten.threshold_backward(grad, self.rectified, 0).clamp_(min=0))
