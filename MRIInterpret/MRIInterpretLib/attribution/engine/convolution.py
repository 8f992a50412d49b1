"""Convolutions, transposed or not, with the normalisation that follows them merged in."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .geometry import through_transposed_window, through_window
from .kernels import Window, convolve, convolve_back
from .recorder import Call, Recorder, handles
from .tag import tag_of
from .weighted import WeightedLayer, per_channel


class Convolution(WeightedLayer):
    """A convolution; ``weight`` is (out, in / groups, ...) or, transposed, (in, out / groups, ...)."""

    kind = "convolution"

    def __init__(self, weight: Tensor, bias: Tensor | None, window: Window) -> None:
        super().__init__(weight, bias)
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
        bias = shift if self.bias is None else self.bias * scale + shift
        return Convolution(weight, bias, self.window)


def _tuple(value: Any, axes: int) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, (tuple, list, torch.Size)) else (value,)
    return tuple(int(v) for v in (values * axes if len(values) == 1 else values))


def same_padding(kernel: tuple[int, ...], dilation: tuple[int, ...]) -> list[tuple[int, int]]:
    """Zeros before and after each axis for ``padding="same"``; the odd one goes behind, as torch does."""
    totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return [(total // 2, total - total // 2) for total in totals]


@handles("conv1d", "conv2d", "conv3d")
def _convolution(recorder: Recorder, call: Call) -> Tensor:
    x, weight, bias = call.get(0, "input"), call.get(1, "weight"), call.get(2, "bias")
    if tag_of(weight) is not None:
        raise recorder.unsupported(call, "its weights depend on the input")
    axes = weight.dim() - 2
    kernel = tuple(weight.shape[2:])
    stride, dilation = _tuple(call.get(3, "stride", 1), axes), _tuple(call.get(5, "dilation", 1), axes)
    padding = call.get(4, "padding", 0)
    geometry = recorder.geometry(x)
    if isinstance(padding, str):
        both = [(0, 0)] * axes if padding == "valid" else same_padding(kernel, dilation)
        before = tuple(low for low, _ in both)
        extra = [high - low for low, high in both]
        if any(extra):
            # The uneven zeros become a padding of their own; it shifts nothing, as they stand behind.
            flat = [amount for high in reversed(extra) for amount in (0, high)]
            padded = Call("pad", torch.nn.functional.pad, (x, flat))
            x = recorder.plain(padded, geometry)
    else:
        before = _tuple(padding, axes)
    if x.dim() == axes + 1:
        raise recorder.unsupported(call, "it gets a volume without a batch axis")
    window = Window(stride, before, dilation, int(call.get(6, "groups", 1)))
    if geometry is not None:
        geometry = through_window(geometry, kernel, stride, before, dilation)
    return _run(recorder, Convolution(weight.to(x.dtype), _cast(bias, x), window), x, geometry)


@handles("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def _transposed(recorder: Recorder, call: Call) -> Tensor:
    x, weight, bias = call.get(0, "input"), call.get(1, "weight"), call.get(2, "bias")
    axes = weight.dim() - 2
    stride, padding = _tuple(call.get(3, "stride", 1), axes), _tuple(call.get(4, "padding", 0), axes)
    output_padding, dilation = _tuple(call.get(5, "output_padding", 0), axes), _tuple(call.get(7, "dilation", 1), axes)
    window = Window(stride, padding, dilation, int(call.get(6, "groups", 1)), True, output_padding)
    geometry = recorder.geometry(x)
    if geometry is not None:
        geometry = through_transposed_window(geometry, tuple(weight.shape[2:]), stride, padding, dilation)
    return _run(recorder, Convolution(weight.to(x.dtype), _cast(bias, x), window), x, geometry)


def _cast(bias: Tensor | None, x: Tensor) -> Tensor | None:
    return None if bias is None else bias.to(x.dtype)


def _run(recorder: Recorder, operation: Convolution, x: Tensor, geometry: Any) -> Tensor:
    output = recorder.record(operation, x, geometry=geometry)
    tag = tag_of(output)
    assert tag is not None
    tag.producer = (operation, (x,))
    return output
