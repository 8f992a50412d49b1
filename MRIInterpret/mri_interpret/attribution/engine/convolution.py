"""Convolutions, transposed or not, with what follows them merged in.

A convolution is not computed when it is called, but when its result is needed. A BatchNorm, a ReLU or a max-pooling
that comes first joins it: it costs nothing then, and no memory for what lies between.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...errors import UserError
from .affine import batch_norm_constants
from .calls import Call, Recording, handles, joins
from .convolution_layer import Convolution, RectifiedConvolution
from .deferred import Deferred
from .geometry import Geometry, per_axis, through_transposed_window, through_window
from .pooled_convolution import Pool, PooledConvolution, poolable
from .pooling import PoolingWindow
from .tag import Tag, tag_of
from .window import Window


def same_padding(kernel: tuple[int, ...], dilation: tuple[int, ...]) -> list[tuple[int, int]]:
    """Zeros before and after each axis for ``padding="same"``; the odd one goes behind, as torch does."""
    totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return [(total // 2, total - total // 2) for total in totals]


@handles("conv1d", "conv2d", "conv3d")
def _convolution(recorder: Recording, call: Call) -> Tensor:
    x, weight, bias = call.get(0, "input"), call.get(1, "weight"), call.get(2, "bias")
    if tag_of(weight) is not None:
        raise recorder.unsupported(call, "its weights depend on the input")
    axes = weight.dim() - 2
    kernel = tuple(weight.shape[2:])
    needed = weight.shape[1] * int(call.get(6, "groups", 1))
    if x.shape[1] != needed:
        many = "channel" if needed == 1 else "channels"
        raise UserError(f"Layer '{recorder.module}' needs {needed} {many}, but gets {x.shape[1]}.")
    stride, dilation = per_axis(call.get(3, "stride", 1), axes), per_axis(call.get(5, "dilation", 1), axes)
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
        before = per_axis(padding, axes)
    if x.dim() == axes + 1:
        raise recorder.unsupported(call, "it gets a volume without a batch axis")
    window = Window(stride, before, dilation, int(call.get(6, "groups", 1)), channels_last=recorder.defers)
    if geometry is not None:
        geometry = through_window(geometry, kernel, stride, before, dilation)
    return _plan(recorder, Convolution(weight.to(x.dtype), _cast(bias, x), window), x, geometry)


@handles("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def _transposed(recorder: Recording, call: Call) -> Tensor:
    x, weight, bias = call.get(0, "input"), call.get(1, "weight"), call.get(2, "bias")
    axes = weight.dim() - 2
    stride, padding = per_axis(call.get(3, "stride", 1), axes), per_axis(call.get(4, "padding", 0), axes)
    output_padding, dilation = (
        per_axis(call.get(5, "output_padding", 0), axes),
        per_axis(call.get(7, "dilation", 1), axes),
    )
    window = Window(stride, padding, dilation, int(call.get(6, "groups", 1)), True, output_padding)
    geometry = recorder.geometry(x)
    if geometry is not None:
        geometry = through_transposed_window(geometry, tuple(weight.shape[2:]), stride, padding, dilation)
    layer, module = Convolution(weight.to(x.dtype), _cast(bias, x), window), recorder.module
    return _compute(recorder, Plan(layer, x, geometry, module, module))


def _cast(bias: Tensor | None, x: Tensor) -> Tensor | None:
    return None if bias is None else bias.to(x.dtype)


@dataclass
class Plan:
    """A convolution that is not computed yet, with the normalisation and ReLU that have joined it so far.

    ``module`` is the convolution's, by which rules are chosen; ``label`` that of the last one that joined.
    """

    layer: Convolution
    x: Tensor
    geometry: Geometry | None
    module: str
    label: str
    rectified: bool = False

    def shape(self) -> tuple[int, ...]:
        """Shape of the output."""
        spatial = self.layer.window.output_shape(self.x.shape[2:], self.layer.weight.shape[2:])
        return (self.x.shape[0], self.layer.weight.shape[0], *spatial)


def _plan(recorder: Recording, layer: Convolution, x: Tensor, geometry: Geometry | None) -> Tensor:
    return _deferred(recorder, Plan(layer, x, geometry, recorder.module, recorder.module))


def _deferred(recorder: Recording, plan: Plan) -> Tensor:
    """A tensor of the right shape without memory, computed when something else needs it."""
    if not recorder.defers:
        return _compute(recorder, plan)
    tag = Tag(geometry=plan.geometry, first=False, pending=lambda: _compute(recorder, plan), plan=plan)
    return recorder.defer(Deferred(plan.x, plan.shape(), plan.x.requires_grad), tag)


def _compute(recorder: Recording, plan: Plan) -> Tensor:
    layer = plan.layer
    if plan.rectified:
        layer = RectifiedConvolution(layer.weight, layer.bias, layer.window)
    output = recorder.record(layer, plan.x, geometry=plan.geometry, module=plan.module, label=plan.label)
    if not plan.rectified:
        tag = tag_of(output)
        assert tag is not None
        tag.producer = (layer, (plan.x,))
    return output


def _planned(recorder: Recording, value: object) -> Plan | None:
    tag = tag_of(recorder.peek(value)) if isinstance(value, Tensor) else None
    return tag.plan if tag is not None and tag.pending is not None else None


@joins("batch_norm")
def _join_batch_norm(recorder: Recording, call: Call) -> Tensor | None:
    plan = _planned(recorder, call.get(0, "input"))
    mean, variance = call.get(1, "running_mean"), call.get(2, "running_var")
    if plan is None or plan.rectified or mean is None or call.get(5, "training", False):
        return None
    weight, bias = (None if value is None else value.detach() for value in (call.get(3, "weight"), call.get(4, "bias")))
    scale, shift = batch_norm_constants(mean, variance, weight, bias, call.get(7, "eps", 1e-5), plan.x.dtype)
    layer = plan.layer.scaled(scale, shift)
    return _deferred(recorder, replace(plan, layer=layer, label=recorder.module))


@joins("relu")
def _join_relu(recorder: Recording, call: Call) -> Tensor | None:
    plan = _planned(recorder, call.get(0, "input"))
    if plan is None or plan.rectified:
        return None
    return _deferred(recorder, replace(plan, label=recorder.module, rectified=True))


@joins("max_pool3d")
def _join_max_pool(recorder: Recording, call: Call) -> Tensor | None:
    plan = _planned(recorder, call.get(0, "input"))
    slabs = recorder.slabs
    if plan is None or slabs is None or len(plan.shape()) != 5:
        return None
    window = PoolingWindow.of(call, 3)
    if window.ceil or set(window.dilation) != {1} or call.get(6, "return_indices", False):
        return None
    convolution, pool = plan.layer, Pool(window.kernel, window.stride, window.padding)
    if not poolable(convolution.window, pool, plan.shape()[2:], slabs):
        return None
    layer = PooledConvolution(
        convolution.weight, convolution.bias, convolution.window, pool, plan.rectified, slabs.planes
    )
    geometry = plan.geometry and through_window(plan.geometry, pool.kernel, pool.stride, pool.padding, (1, 1, 1))
    return recorder.record(layer, plan.x, geometry=geometry, module=plan.module, label=plan.label)
