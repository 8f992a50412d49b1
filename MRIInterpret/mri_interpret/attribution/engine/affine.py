"""Affine maps per element: normalisations with their statistics held fixed, and arithmetic with constants."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from .operation import Operation, RelevancePolicy, gradient_through


class Affine(Operation):
    """``y = scale x + shift``, elementwise with broadcasting; scale and shift count as constants."""

    kind = "normalisation"

    def __init__(self, scale: Tensor, shift: Tensor | None) -> None:
        super().__init__()
        self.scale, self.shift = scale, shift

    def forward(self, *inputs: Tensor) -> Tensor:
        self.input = inputs[0].detach()
        if self.shift is None:
            return self.input * self.scale
        if self.input.dim() > 2 and self._is_per_channel(self.scale) and self._is_per_channel(self.shift):
            return _by_channel(self.input, self.scale.flatten(), self.shift.flatten())
        return self.input * self.scale + self.shift

    def _is_per_channel(self, values: Tensor) -> bool:
        return values.shape == (1, self.input.shape[1], *([1] * (self.input.dim() - 2)))

    def gradient(self, grad: Tensor) -> tuple[Tensor, ...]:
        return ((grad * self.scale).sum_to_size(self.input.shape),)

    def relevance(self, relevance: Tensor, policy: RelevancePolicy) -> tuple[Tensor, ...]:
        if policy.bias != "redistribute" and self.shift is not None and not policy.passes(self):
            relevance = self.shared(relevance)
        return (relevance.sum_to_size(self.input.shape),)

    def shared(self, relevance: Tensor) -> Tensor:
        """The input's part of ``relevance``: ``|a x| / (|a x| + |b|)`` of it; all of it where both are zero."""
        assert self.shift is not None
        ratio = self.shift / self.scale
        if self.input.shape == relevance.shape and bool((ratio.abs() > 0).all()):  # as a rule
            # R / (1 + |b / (a x)|) in one piece of memory: feature maps are large. Where x is zero, it is R / infinity.
            below = torch.div(ratio, self.input).abs_().add_(1)
            return torch.div(relevance, below, out=below)
        scaled, shift = (self.input * self.scale).abs_(), self.shift.abs()
        total = scaled + shift
        return torch.where(total > 0, scaled / torch.where(total > 0, total, 1), 1) * relevance


class RectifiedAffine(Affine):
    """An affine map per channel and the ReLU that follows it: one feature map less, on both ways.

    Relevance passes the ReLU; the gradient is stopped where the output is zero.
    """

    rectifies = True

    def forward(self, *inputs: Tensor) -> Tensor:
        output = super().forward(*inputs).relu_()
        self.rectified = output.detach()
        return output

    def gradient(self, grad: Tensor) -> tuple[Tensor, ...]:
        return (torch.ops.aten.threshold_backward(grad, self.rectified, 0).mul_(self.scale),)

    def guided(self, grad: Tensor) -> tuple[Tensor, ...]:
        self.backward.gated["relu"] += 1
        return (torch.ops.aten.threshold_backward(grad, self.rectified, 0).clamp_(min=0).mul_(self.scale),)


def _by_channel(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """``scale x + shift`` per channel, written in one go: a batch normalisation of mean 0 and variance 1."""
    zero, one = _neutral(len(scale), scale.dtype, scale.device)
    return torch.batch_norm(x, scale, shift, zero, one, False, 0.0, 0.0, False)


@lru_cache(maxsize=64)
def _neutral(channels: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean 0 and variance 1 of each channel; they are only read."""
    with torch.inference_mode(False):
        return torch.zeros(channels, dtype=dtype, device=device), torch.ones(channels, dtype=dtype, device=device)


class FixedStatistics(Affine):
    """Normalisation by the input's own statistics: affine for relevance, exact for the gradient."""

    def __init__(self, function: Any, statistics: Any) -> None:
        super().__init__(torch.empty(0), None)
        self.function, self.statistics = function, statistics

    def forward(self, *inputs: Tensor) -> Tensor:
        self.input = inputs[0].detach()
        self.scale, self.shift = self.statistics(self.input)
        return self.function(self.input)

    def gradient(self, grad: Tensor) -> tuple[Tensor, ...]:
        return gradient_through(self.function, self.input, grad)


def batch_norm_constants(
    mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, epsilon: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Scale and shift per channel of a batch normalisation in evaluation, in ``dtype``.

    They are computed in float64 and rounded once: a shift is a difference, and what its rounding adds to every voxel
    would turn activations that lie at a ReLU's edge.
    """
    scale = torch.rsqrt(variance.double() + epsilon)
    if weight is not None:
        scale *= weight
    if bias is None:
        return scale.to(dtype), (-mean * scale).to(dtype)
    return scale.to(dtype), torch.addcmul(bias.double(), mean.double(), scale, value=-1).to(dtype)
