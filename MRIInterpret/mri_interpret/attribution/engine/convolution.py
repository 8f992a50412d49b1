"""Convolutions, transposed or not, with what follows them merged in: a BatchNorm or a max-pooling (see plans)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ...errors import UserError
from .affine import batch_norm_constants
from .axes import through_spatial, with_new_channels
from .calls import Call, Recording, handles, joins
from .convolution_layer import Convolution
from .geometry import per_axis, through_transposed_window, through_window
from .plans import Plan, computed, deferred, plan_of
from .pooled_convolution import Pool, PooledConvolution, poolable
from .pooling import PoolingWindow
from .tag import tag_of
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
        geometry = with_new_channels(
            through_spatial(geometry, axes, lambda places: through_window(places, kernel, stride, before, dilation))
        )
    layer, module = Convolution(weight.to(x.dtype), _cast(bias, x), window), recorder.module
    shape = (x.shape[0], weight.shape[0], *window.output_shape(x.shape[2:], kernel))
    return deferred(recorder, Plan(layer, x, shape, geometry, module, module))


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
        kernel = tuple(weight.shape[2:])
        geometry = with_new_channels(
            through_spatial(
                geometry, axes, lambda places: through_transposed_window(places, kernel, stride, padding, dilation)
            )
        )
    layer, module = Convolution(weight.to(x.dtype), _cast(bias, x), window), recorder.module
    return computed(recorder, Plan(layer, x, (), geometry, module, module))


def _cast(bias: Tensor | None, x: Tensor) -> Tensor | None:
    return None if bias is None else bias.to(x.dtype)


@joins("batch_norm")
def _join_batch_norm(recorder: Recording, call: Call) -> Tensor | None:
    plan = plan_of(recorder, call.get(0, "input"))
    mean, variance = call.get(1, "running_mean"), call.get(2, "running_var")
    if plan is None or plan.rectified or mean is None or call.get(5, "training", False):
        return None
    if not isinstance(plan.layer, Convolution):
        return None
    weight, bias = (None if value is None else value.detach() for value in (call.get(3, "weight"), call.get(4, "bias")))
    scale, shift = batch_norm_constants(mean, variance, weight, bias, call.get(7, "eps", 1e-5), plan.x.dtype)
    layer = plan.layer.scaled(scale, shift)
    recorder.ruled.add(recorder.module)
    return deferred(recorder, replace(plan, layer=layer, label=recorder.module))


@joins("max_pool3d")
def _join_max_pool(recorder: Recording, call: Call) -> Tensor | None:
    plan = plan_of(recorder, call.get(0, "input"))
    slabs = recorder.slabs
    if plan is None or not isinstance(plan.layer, Convolution) or slabs is None or len(plan.shape) != 5:
        return None
    window = PoolingWindow.of(call, 3)
    if window.ceil or set(window.dilation) != {1} or call.get(6, "return_indices", False):
        return None
    convolution, pool = plan.layer, Pool(window.kernel, window.stride, window.padding)
    if not poolable(convolution.window, pool, plan.shape[2:], slabs):
        return None
    layer = PooledConvolution(
        convolution.weight, convolution.bias, convolution.window, pool, plan.rectified, slabs.planes
    )
    geometry = window.after(plan.geometry)
    return recorder.record(layer, plan.x, geometry=geometry, module=plan.module, label=plan.label)
