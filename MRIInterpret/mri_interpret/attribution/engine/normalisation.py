"""Batch, instance, group and layer normalisation.

In evaluation a BatchNorm is the affine map ``a x + b`` per channel. Where it follows a convolution or a dense layer it
is merged into that layer, from the tensor that came out of it; elsewhere it has a rule of its own, which shares the
relevance between ``a x`` and ``b`` by magnitude (after Hui and Binder 2019, "BatchNorm decomposition for deep neural
network interpretation", section 3). Instance, group and layer normalisation are treated the same, with the statistics
of this input held fixed: the share keeps relevance bounded by the contribution, which the identity rule of AttnLRP
(Proposition 3.4) does not. The identity is there too: ``Pass`` for ``"normalisation"``, or redistributed biases.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .affine import Affine, FixedStatistics, batch_norm_constants
from .calls import Call, Recording, handles
from .convolution_layer import Convolution
from .operation import Operation, RelevancePolicy
from .plans import planned
from .tag import tag_of
from .weighted import Linear, WeightedLayer, per_channel


@handles("batch_norm")
def _batch_norm(recorder: Recording, call: Call) -> Tensor:
    x = call.get(0, "input")
    mean, variance = call.get(1, "running_mean"), call.get(2, "running_var")
    weight, bias = call.get(3, "weight"), call.get(4, "bias")
    training, epsilon = call.get(5, "training", False), call.get(7, "eps", 1e-5)
    if training or mean is None:
        if call.get(5, "training", False) and mean is not None:
            raise recorder.unsupported(call, "it would change its running statistics")
        return _by_input(recorder, call, x, [0, *range(2, x.dim())], weight, bias, epsilon)
    scale, shift = batch_norm_constants(mean, variance, weight, bias, epsilon, x.dtype)
    tag = tag_of(x)
    if tag is not None and tag.producer is not None:
        layer, inputs = tag.producer
        merged = merge(layer, scale, shift)
        if merged is not None:
            value = torch.addcmul(per_channel(shift, x.dim()), x.detach(), per_channel(scale, x.dim()))
            known, label = Known(merged, value), recorder.module
            recorder.ruled.add(label)
            if any(x is kept for kept in recorder.outputs.values()):
                # The gradient is wanted there: it has to take that way, although relevance does not.
                first = all(tag.first for tag in map(tag_of, inputs) if tag is not None)
                known, inputs = KnownBeside(merged, value, per_channel(scale, x.dim()), first), (*inputs, x)
            return recorder.record(known, *inputs, geometry=recorder.geometry(x), module=layer.module, label=label)
    return planned(recorder, Affine(per_channel(scale, x.dim()), per_channel(shift, x.dim())), x, tuple(x.shape))


def merge(layer: Operation, scale: Tensor, shift: Tensor) -> WeightedLayer | None:
    """``layer`` followed by ``scale y + shift`` as one layer, or None if it cannot be merged."""
    if isinstance(layer, Convolution):
        return layer.scaled(scale, shift)
    if isinstance(layer, Linear) and layer.weight.shape[0] == scale.shape[0] and layer.input.dim() == 2:
        bias = shift if layer.bias is None else layer.bias * scale + shift
        return Linear(layer.weight * scale[:, None], bias)
    return None


class Known(Operation):
    """A layer whose output is known already, so that it is not computed a second time."""

    def __init__(self, layer: WeightedLayer, value: Tensor) -> None:
        super().__init__()
        self.layer, self.value = layer, value
        self.kind = layer.kind

    def forward(self, *inputs: Tensor) -> Tensor:
        value = self.value
        del self.value
        self.layer.input = inputs[0].detach()
        self.layer.module, self.layer.first, self.layer.backward = self.module, self.first, self.backward
        return value

    def gradient(self, grad: Tensor) -> tuple[Tensor | None, ...]:
        return self.layer.gradient(grad)

    def relevance(self, relevance: Tensor, policy: RelevancePolicy) -> tuple[Tensor | None, ...]:
        return self.layer.relevance(relevance, policy)


class KnownBeside(Known):
    """The same, with the output of the layer before it was merged as a second input, which the gradient takes.

    Parameters
    ----------
    scale
        What the normalisation multiplies that output with.
    first
        Whether no layer with weights lies before the layer.
    """

    def __init__(self, layer: WeightedLayer, value: Tensor, scale: Tensor, first: bool) -> None:
        super().__init__(layer, value)
        self.scale, self.is_first = scale, first

    def forward(self, *inputs: Tensor) -> Tensor:
        value = super().forward(*inputs)
        self.layer.first = self.is_first
        return value

    def gradient(self, grad: Tensor) -> tuple[Tensor | None, ...]:
        return None, grad * self.scale

    def relevance(self, relevance: Tensor, policy: RelevancePolicy) -> tuple[Tensor | None, ...]:
        return *super().relevance(relevance, policy), None


@handles("instance_norm")
def _instance_norm(recorder: Recording, call: Call) -> Tensor:
    x = call.get(0, "input")
    weight, bias = call.get(3, "weight"), call.get(4, "bias")
    if not call.get(5, "use_input_stats", True):
        moved = Call(
            "batch_norm", call.func, (x, call.get(1, "running_mean"), call.get(2, "running_var"), weight, bias)
        )
        return _batch_norm(recorder, moved)
    if call.get(1, "running_mean") is not None:
        raise recorder.unsupported(call, "it would change its running statistics")
    return _by_input(recorder, call, x, list(range(2, x.dim())), weight, bias, call.get(7, "eps", 1e-5))


@handles("group_norm")
def _group_norm(recorder: Recording, call: Call) -> Tensor:
    x, groups = call.get(0, "input"), int(call.get(1, "num_groups"))
    weight, bias, epsilon = call.get(2, "weight"), call.get(3, "bias"), call.get(4, "eps", 1e-5)
    weight, bias = _cast(weight, x), _cast(bias, x)

    def statistics(value: Tensor) -> tuple[Tensor, Tensor]:
        grouped = value.reshape(value.shape[0], groups, -1)
        variance, mean = torch.var_mean(grouped, dim=2, unbiased=False)
        inverse = torch.rsqrt(variance + epsilon)
        size = value.shape[1] // groups
        shape = (value.shape[0], value.shape[1], *([1] * (value.dim() - 2)))
        inverse, mean = (part.repeat_interleave(size, 1).reshape(shape) for part in (inverse, mean))
        scale = inverse if weight is None else inverse * per_channel(weight, value.dim())
        shift = -mean * scale
        return scale, shift if bias is None else shift + per_channel(bias, value.dim())

    operation = FixedStatistics(lambda value: F.group_norm(value, groups, weight, bias, epsilon), statistics)
    return recorder.record(operation, x, geometry=recorder.geometry(x))


@handles("layer_norm", "rms_norm")
def _layer_norm(recorder: Recording, call: Call) -> Tensor:
    x, shape = call.get(0, "input"), call.get(1, "normalized_shape")
    weight, bias = _cast(call.get(2, "weight"), x), _cast(call.get(3, "bias"), x)
    centred = call.name == "layer_norm"
    if centred:
        epsilon = call.get(4, "eps", 1e-5)
    else:
        bias, epsilon = None, call.get(3, "eps") or torch.finfo(x.dtype).eps
    axes = tuple(range(-len(tuple(shape)), 0))

    def statistics(value: Tensor) -> tuple[Tensor, Tensor | None]:
        mean = value.mean(axes, keepdim=True) if centred else torch.zeros_like(value[..., :1])
        scale = torch.rsqrt((value - mean).square().mean(axes, keepdim=True) + epsilon)
        scale = scale if weight is None else scale * weight
        if not centred:
            return scale, None
        shift = -mean * scale
        return scale, shift if bias is None else shift + bias

    function = (
        (lambda value: F.layer_norm(value, shape, weight, bias, epsilon))
        if centred
        else (lambda value: F.rms_norm(value, shape, weight, epsilon))
    )
    return recorder.record(FixedStatistics(function, statistics), x, geometry=recorder.geometry(x))


def _cast(value: Any, x: Tensor) -> Any:
    return value.to(x.dtype) if isinstance(value, Tensor) else value


def _by_input(
    recorder: Recording,
    call: Call,
    x: Tensor,
    axes: list[int],
    weight: Tensor | None,
    bias: Tensor | None,
    epsilon: float,
) -> Tensor:
    weight, bias = _cast(weight, x), _cast(bias, x)

    def statistics(value: Tensor) -> tuple[Tensor, Tensor]:
        variance, mean = torch.var_mean(value, dim=axes, unbiased=False, keepdim=True)
        scale = torch.rsqrt(variance + epsilon)
        if weight is not None:
            scale = scale * per_channel(weight, value.dim())
        shift = -mean * scale
        return scale, shift if bias is None else shift + per_channel(bias, value.dim())

    def function(value: Tensor) -> Tensor:
        scale, shift = statistics(value)
        return value * scale + shift

    return recorder.record(FixedStatistics(function, statistics), x, geometry=recorder.geometry(x))
