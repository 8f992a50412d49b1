"""Convolution and its adjoint, as plain functions of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Window:
    """The fixed parameters of a convolution, one value per spatial axis."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1
    transposed: bool = False
    output_padding: tuple[int, ...] = ()

    def with_groups(self, groups: int) -> Window:
        """The same window with another number of groups."""
        return replace(self, groups=groups)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, window: Window) -> Tensor:
    """The convolution ``window`` of ``x`` (N, C, ...) with ``weight``."""
    output_padding = window.output_padding or (0,) * len(window.stride)
    return torch.ops.aten.convolution(
        x,
        weight,
        bias,
        window.stride,
        window.padding,
        window.dilation,
        window.transposed,
        output_padding,
        window.groups,
    )


def convolve_back(grad: Tensor, weight: Tensor, shape: Sequence[int], window: Window) -> Tensor:
    """The adjoint of :func:`convolve`: gradient with respect to an input of ``shape``."""
    output_padding = window.output_padding or (0,) * len(window.stride)
    like = grad.new_empty(1).expand(shape)  # only its shape is read
    back: Tensor = torch.ops.aten.convolution_backward(
        grad,
        like,
        weight,
        None,
        window.stride,
        window.padding,
        window.dilation,
        window.transposed,
        output_padding,
        window.groups,
        [True, False, False],
    )[0]
    return back
