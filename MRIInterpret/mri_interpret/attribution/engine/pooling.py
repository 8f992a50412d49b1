"""Linear operations without weights (sums, means, average pooling, interpolation), and max-pooling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..stabilise import divide
from .axes import Origins, through_spatial
from .axes import reduced as left_by_reduction
from .calls import Call, Recording, handles
from .geometry import per_axis, through_resize, through_window
from .kernels import convolve, direct
from .layout import channels_last, empty, is_channels_last, zeros
from .operation import Function, Operation, RelevancePolicy
from .tag import place
from .window import Window


class LinearMap(Function):
    """A linear function with non-negative coefficients: each input gets relevance in proportion to its part.

    ``R_j = sum_k x_j c_jk / z_k R_k`` with ``z = function(x)``: the epsilon rule with the function's own coefficients.
    """

    kind = "pooling"

    def relevance(self, relevance: Tensor, policy: RelevancePolicy) -> tuple[Tensor, ...]:
        z = self.total()
        shares = divide(relevance, z, policy.epsilon)
        result = self.input * self.gradient(shares)[0]
        if policy.bias == "redistribute":
            # What the stabiliser took is given back in proportion to the size of each part.
            lost, size = relevance - shares * z, self.input.abs()
            total = self.function(size)
            result = result + size * self.gradient(divide(lost, total, 0.0))[0]
            unplaced = torch.where(total == 0, lost, 0)
            if bool(unplaced.any()):
                ones = torch.ones_like(self.input)
                result = result + self.gradient(divide(unplaced, self.function(ones), 0.0))[0]
        return (result,)

    def total(self) -> Tensor:
        """The function's value for the input of the forward pass."""
        return self.function(self.input)


class AveragePooling(LinearMap):
    """Average pooling of volumes: its adjoint is at hand, and its output is kept.

    Parameters
    ----------
    function
        The pooling.
    arguments
        Kernel, stride, padding, ceil_mode, count_include_pad and divisor_override, as torch's operator has them.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], arguments: tuple[Any, ...]) -> None:
        super().__init__(function)
        self.arguments = arguments

    def forward(self, *inputs: Tensor) -> Tensor:
        self.input = inputs[0].detach()
        output = self._by_convolution() if self._convolves() else self._laid_out(self.function(self.input))
        self.pooled_values = output.detach()
        return output

    @property
    def _in_blocks(self) -> bool:
        """Whether each voxel is in one window at most, and each window full."""
        kernel, stride, padding, ceil, _, divisor = self.arguments
        return kernel == stride and not any(padding) and not ceil and divisor is None

    def _convolves(self) -> bool:
        return self._in_blocks and is_channels_last(self.input) and direct(self.input, self.input)

    def _by_convolution(self) -> Tensor:
        """Channel by channel in the layout of the input, which torch's pooling does not know: 0.2 instead of 5 ms."""
        kernel, channels = self.arguments[0], self.input.shape[1]
        ones = self.input.new_ones(channels, 1, *kernel)
        window = Window(kernel, (0, 0, 0), (1, 1, 1), groups=channels)
        return convolve(self.input, ones, None, window).div_(prod(kernel))

    def _spread(self, grad: Tensor) -> Tensor:
        """The adjoint where windows are blocks: each voxel of a block gets the same."""
        kernel, sizes = self.arguments[0], grad.shape[2:]
        ends = [n * k for n, k in zip(sizes, kernel, strict=True)]
        is_full = tuple(ends) == tuple(self.input.shape[2:])
        found = empty(self.input.shape, self.input) if is_full else zeros(self.input.shape, self.input)
        blocks = found[:, :, : ends[0], : ends[1], : ends[2]]
        for axis in (2, 1, 0):
            blocks = blocks.unflatten(2 + axis, (sizes[axis], kernel[axis]))
        blocks.copy_((grad / prod(kernel))[:, :, :, None, :, None, :, None].expand_as(blocks))
        return found

    def gradient(self, grad: Tensor) -> tuple[Tensor, ...]:
        if self._in_blocks:
            return (self._spread(grad),)
        backward = torch.ops.aten.avg_pool3d_backward
        return (self._laid_out(backward(self._laid_out(grad), self.input, *self.arguments)),)

    def _laid_out(self, values: Tensor) -> Tensor:
        """As the input is laid out; torch's own pooling loses the layout, and all that follows would be slower."""
        return channels_last(values) if is_channels_last(self.input) else values.contiguous()

    def total(self) -> Tensor:
        return self.pooled_values


class Mean(LinearMap):
    """The mean over some axes: its adjoint needs neither the input's values nor memory."""

    def __init__(self, function: Callable[[Tensor], Tensor], axes: Sequence[int], keeps: bool) -> None:
        super().__init__(function)
        self.axes, self.keeps = tuple(axes), keeps

    def gradient(self, grad: Tensor) -> tuple[Tensor, ...]:
        count = prod(self.input.shape[axis] for axis in self.axes)
        if not self.keeps:
            for axis in sorted(axis % self.input.dim() for axis in self.axes):
                grad = grad.unsqueeze(axis)
        return ((grad / count).expand(self.input.shape),)


class WinnerTakesAll(LinearMap):
    """Max-pooling: the gradient's way is the relevance's way."""

    def relevance(self, relevance: Tensor, policy: RelevancePolicy) -> tuple[Tensor, ...]:
        return self.gradient(relevance)


class MaxPooling(Operation):
    """Max-pooling of volumes: remembers where the maxima were, and not the map they were in."""

    kind = "pooling"

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        super().__init__()
        self.arguments = arguments

    def forward(self, *inputs: Tensor) -> Tensor:
        self.shape = inputs[0].shape
        output, self.places = torch.ops.aten.max_pool3d_with_indices(inputs[0], *self.arguments)
        return output

    def gradient(self, grad: Tensor) -> tuple[Tensor, ...]:
        form = torch.channels_last_3d if is_channels_last(self.places) else torch.contiguous_format
        like = torch.empty(self.shape, dtype=grad.dtype, device=grad.device, memory_format=form)  # only for its layout
        backward = torch.ops.aten.max_pool3d_with_indices_backward
        return (backward(grad.contiguous(memory_format=form), like, *self.arguments, self.places),)

    def relevance(self, relevance: Tensor, policy: RelevancePolicy) -> tuple[Tensor, ...]:
        """The winner takes all."""
        return self.gradient(relevance)


@dataclass(frozen=True)
class PoolingWindow:
    """The arguments of a pooling, one value per spatial axis."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    ceil: bool

    @classmethod
    def of(cls, call: Call, axes: int) -> PoolingWindow:
        """The window of a call of ``max_pool``; those of ``avg_pool`` have no dilation."""
        kernel, stride, average = per_axis(call.get(1, "kernel_size"), axes), call.get(2, "stride"), "avg" in call.name
        # Python leaves the stride out for that of the kernel; programs give an empty list.
        stride = kernel if stride is None or len(per_axis(stride, axes)) == 0 else per_axis(stride, axes)
        dilation = 1 if average else call.get(4, "dilation", 1)
        ceil = call.get(4 if average else 5, "ceil_mode", False)
        return cls(kernel, stride, per_axis(call.get(3, "padding", 0), axes), per_axis(dilation, axes), bool(ceil))

    def after(self, geometry: Origins | None) -> Origins | None:
        """The geometry of the pooled map."""
        if geometry is None:
            return None
        window = (self.kernel, self.stride, self.padding, self.dilation)
        return through_spatial(geometry, len(self.kernel), lambda places: through_window(places, *window))


@handles("avg_pool1d", "avg_pool2d", "avg_pool3d")
def _average_pool(recorder: Recording, call: Call) -> Tensor:
    x, window = call.get(0, "input"), PoolingWindow.of(call, int(call.name[-2]))
    operation = LinearMap(call.of_input)
    if x.dim() == 5:
        counts_padding, divisor = call.get(5, "count_include_pad", True), call.get(6, "divisor_override")
        arguments = (window.kernel, window.stride, window.padding, window.ceil, bool(counts_padding), divisor)
        operation = AveragePooling(call.of_input, arguments)
    return recorder.record(operation, x, geometry=window.after(recorder.geometry(x)))


@handles("max_pool1d", "max_pool2d", "max_pool3d")
def _max_pool(recorder: Recording, call: Call) -> Tensor:
    x, axes = call.get(0, "input"), int(call.name[-2])
    window = PoolingWindow.of(call, axes)
    if axes == 3 and x.dim() == 5:
        operation: Operation = MaxPooling((window.kernel, window.stride, window.padding, window.dilation, window.ceil))
    else:
        operation = WinnerTakesAll(call.of_input)
    return recorder.record(operation, x, geometry=window.after(recorder.geometry(x)))


@handles(*(f"adaptive_{kind}_pool{axes}d" for kind in ("avg", "max") for axes in (1, 2, 3)))
def _adaptive_pool(recorder: Recording, call: Call) -> Any:
    x, size = call.get(0, "input"), call.get(1, "output_size")
    axes = int(call.name[-2])

    def function(value: Tensor) -> Any:
        return getattr(F, call.name)(value, size)

    if "max" in call.name:
        operation: Operation = WinnerTakesAll(function)
    elif all(n == 1 for n in (size if isinstance(size, (tuple, list)) else (size,))):
        operation = Mean(function, range(x.dim() - axes, x.dim()), keeps=True)
    else:
        operation = LinearMap(function)
    pooled = _resized(recorder, operation, x, axes)
    # The operator of a program gives the places of the maxima too.
    return (pooled, call.of_input(x.detach())[1]) if "max" in call.name and call.from_program else pooled


@handles("interpolate", "upsample")
def _interpolate(recorder: Recording, call: Call) -> Tensor:
    x, mode = call.get(0, "input"), call.get(3, "mode", "nearest")
    operation = LinearMap(call.of_input)
    if mode == "bicubic":
        raise recorder.unsupported(call, "bicubic interpolation has negative coefficients; use linear")
    return _resized(recorder, operation, x, x.dim() - 2, bool(call.get(4, "align_corners", False)))


def _resized(recorder: Recording, operation: Operation, x: Tensor, axes: int, align_corners: bool = False) -> Tensor:
    before = recorder.geometry(x)
    output = recorder.record(operation, x)
    if before is not None:
        sizes = x.shape[-axes:], output.shape[-axes:]
        place(output, through_spatial(before, axes, lambda places: through_resize(places, *sizes, align_corners)))
    return output


@handles("mean", "sum", "nanmean", "nansum")
def _reduce(recorder: Recording, call: Call) -> Tensor:
    function = getattr(torch, call.name)
    x, dim = call.get(0, "input"), call.get(1, "dim")
    keepdim = bool(call.get(2, "keepdim", False))
    axes: Sequence[int] = range(x.dim()) if dim is None else (dim if isinstance(dim, (tuple, list)) else [dim])

    def reduced(value: Tensor) -> Any:
        return function(value, dim=tuple(axes), keepdim=keepdim)

    mean = call.name == "mean" and len(axes) > 0
    output = recorder.record(Mean(reduced, axes, keepdim) if mean else LinearMap(reduced), x)
    place(output, _left_by(recorder, x, axes, keepdim))
    return output


def _left_by(recorder: Recording, x: Tensor, axes: Sequence[int], keepdim: bool) -> Origins | None:
    """Where what a reduction of ``x`` over ``axes`` (all if there are none) leaves lies."""
    before = recorder.geometry(x)
    return None if before is None else left_by_reduction(before, axes or range(x.dim()), keepdim)


@handles("fold", "col2im")
def _fold(recorder: Recording, call: Call) -> Tensor:
    return recorder.record(LinearMap(call.of_input), call.get(0, "input"))


@handles("amax")
def _amax(recorder: Recording, call: Call) -> Tensor:
    x, dim, keepdim = call.get(0, "input"), call.get(1, "dim", ()), call.get(2, "keepdim", False)
    output = recorder.record(WinnerTakesAll(lambda value: torch.amax(value, dim=dim, keepdim=keepdim)), x)
    axes = dim if isinstance(dim, (tuple, list)) else (dim,)
    place(output, _left_by(recorder, x, axes, bool(keepdim)))
    return output
