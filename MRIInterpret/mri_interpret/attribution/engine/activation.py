"""Pointwise non-linearities: relevance passes, guided backpropagation gates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .axes import reduced
from .calls import Call, Recording, handles
from .operation import Function, Operation
from .tag import note_activation, place, tag_of

Derivative = Callable[[Tensor, Tensor], Tensor]
"""``derivative(grad, x)``: the gradient at ``x``, given that at ``f(x)``."""


class Activation(Function):
    """A function voxel by voxel. Its relevance rule is the identity (Bach et al. 2015, equation 56 and after).

    Parameters
    ----------
    function, name
        The function and what torch calls it.
    gates
        Whether guided backpropagation gates it.
    derivative
        Its derivative, where torch offers that by itself; otherwise the function is run again and differentiated.
    keeps_sign
        Whether the output is positive exactly where the input is.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        name: str,
        gates: bool = True,
        derivative: Derivative | None = None,
        keeps_sign: bool = False,
    ) -> None:
        super().__init__(function)
        self.name = name
        self.gates = gates
        self.derivative = derivative
        self.keeps_sign = keeps_sign

    def gradient(self, grad: Tensor) -> tuple[Tensor, ...]:
        return super().gradient(grad) if self.derivative is None else (self.derivative(grad, self.input),)

    def guided(self, grad: Tensor) -> tuple[Tensor, ...]:
        """Only positive gradients pass, and only where the output is positive.

        At a ReLU that is guided backpropagation as published (Springenberg et al. 2015, section 3.4: masked where the
        input is negative, as in backpropagation, and where the gradient is, as in the deconvnet). Other activations
        are gated by the same two signs and multiplied by their own derivative, which is one at a ReLU. What is no
        activation of features (a gate that scales others, clipping to a range) passes the gradient.
        """
        if not self.gates:
            self.backward.not_gated[self.name] += 1
            return self.gradient(grad)
        self.backward.gated[self.name] += 1
        if self.keeps_sign:
            return self.gradient(torch.ops.aten.threshold_backward(grad, self.input, 0).clamp_(min=0))
        return self.gradient(torch.where(self.function(self.input) > 0, grad.clamp(min=0), 0))


class Rectifier(Activation):
    """ReLU: keeps its output, which the next layer keeps anyway."""

    rectifies = True

    def __init__(self) -> None:
        super().__init__(torch.relu, "relu")

    def forward(self, *inputs: Tensor) -> Tensor:
        output = torch.relu(inputs[0])
        self.positive_part = output.detach()
        return output

    def gradient(self, grad: Tensor) -> tuple[Tensor, ...]:
        return (torch.ops.aten.threshold_backward(grad, self.positive_part, 0),)

    def guided(self, grad: Tensor) -> tuple[Tensor, ...]:
        self.backward.gated[self.name] += 1
        return (torch.ops.aten.threshold_backward(grad, self.positive_part, 0).clamp_(min=0),)


def record_pointwise(recorder: Recording, x: Tensor, operation: Operation, gate: bool = False) -> Tensor:
    """Record an operation whose output lies where its input lies."""
    return recorder.record(operation, x, geometry=recorder.geometry(x), gate=gate)


def _record(recorder: Recording, call: Call, operation: Operation, gate: bool = False) -> Tensor:
    return record_pointwise(recorder, call.get(0, "input"), operation, gate)


@handles("relu")
def _relu(recorder: Recording, call: Call) -> Tensor:
    return _record(recorder, call, Rectifier())


@handles("relu6", "hardtanh")
def _clipped(recorder: Recording, call: Call) -> Tensor:
    low, high = (0.0, 6.0) if call.name == "relu6" else (call.get(1, "min_val", -1.0), call.get(2, "max_val", 1.0))

    def derivative(grad: Tensor, x: Tensor) -> Tensor:
        found: Tensor = torch.ops.aten.hardtanh_backward(grad, x, low, high)
        return found

    name, keeps_sign = "relu6" if low == 0 else "hardtanh", low <= 0 < high
    operation = Activation(lambda x: F.hardtanh(x, low, high), name, derivative=derivative, keeps_sign=keeps_sign)
    return _record(recorder, call, operation)


@handles("clamp", "clip", "clamp_min", "clamp_max")
def _clamp(recorder: Recording, call: Call) -> Tensor:
    if call.name in ("clamp", "clip"):
        low, high = call.get(1, "min"), call.get(2, "max")
    else:
        low, high = (call.args[1], None) if call.name == "clamp_min" else (None, call.args[1])
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        raise recorder.unsupported(call, "its limits are tensors")
    if low == 0 and high is None:
        return _record(recorder, call, Rectifier())
    if low == 0:
        return _record(recorder, call, Activation(lambda x: torch.clamp(x, low, high), "relu6"))
    return _record(recorder, call, Activation(lambda x: torch.clamp(x, low, high), "clamp", gates=False))


@handles("maximum", "max")
def _maximum(recorder: Recording, call: Call) -> Any:
    x, other = call.get(0, "input"), call.get(1, "other")
    if isinstance(other, Tensor) and tag_of(other) is None and other.numel() == 1 and not bool(other.any()):
        return _record(recorder, call, Rectifier())
    # Otherwise the larger one takes all, which is what the gradient does.
    pointwise = isinstance(other, Tensor) and other.shape == x.shape
    output = recorder.plain(call, recorder.geometry(x) if pointwise else None)
    dim, before = call.get(1, "dim"), recorder.geometry(x)
    if isinstance(dim, int) and before is not None:
        place(output[0], reduced(before, (dim,), bool(call.get(2, "keepdim", False))))
    return output


@handles("leaky_relu")
def _leaky_relu(recorder: Recording, call: Call) -> Tensor:
    slope = float(call.get(1, "negative_slope", 0.01))

    def derivative(grad: Tensor, x: Tensor) -> Tensor:
        found: Tensor = torch.ops.aten.leaky_relu_backward(grad, x, slope, False)
        return found

    operation = Activation(call.of_input, "leaky_relu", derivative=derivative, keeps_sign=slope >= 0)
    return _record(recorder, call, operation)


@handles("silu")
def _silu(recorder: Recording, call: Call) -> Tensor:
    operation = Activation(call.of_input, "silu", derivative=torch.ops.aten.silu_backward, keeps_sign=True)
    return _record(recorder, call, operation)


@handles(
    *("elu", "selu", "celu", "gelu", "mish", "hardswish", "softplus", "tanh", "rrelu"),
    *("hardshrink", "softshrink", "threshold", "_threshold", "logsigmoid", "log_sigmoid"),
)
def _smooth(recorder: Recording, call: Call) -> Tensor:
    if call.name == "rrelu" and call.get(3, "training", False):
        raise recorder.unsupported(call, "it draws random slopes in training mode")
    # No output of a log-sigmoid is positive: a gate would let nothing pass.
    name = {"_threshold": "threshold", "log_sigmoid": "logsigmoid"}.get(call.name, call.name)
    return _record(recorder, call, Activation(call.of_input, name, gates=name != "logsigmoid"))


@handles("prelu")
def _prelu(recorder: Recording, call: Call) -> Tensor:
    slopes = call.get(1, "weight")
    return _record(recorder, call, Activation(lambda x: F.prelu(x, slopes.to(x.dtype)), "prelu"))


@handles("sigmoid", "hardsigmoid")
def _sigmoid(recorder: Recording, call: Call) -> Tensor:
    function = torch.sigmoid if call.name == "sigmoid" else F.hardsigmoid
    output = _record(recorder, call, Activation(function, call.name, gates=False), gate=True)
    return note_activation(output, "sigmoid", call.get(0, "input")) if call.name == "sigmoid" else output


@handles("log_softmax")
def _log_softmax(recorder: Recording, call: Call) -> Tensor:
    x, dim = call.get(0, "input"), softmax_axis(call)
    output = _record(recorder, call, Function(lambda x: F.log_softmax(x, dim)))
    return note_activation(output, "log_softmax", x) if dim == 1 else output


def softmax_axis(call: Call) -> int:
    """The axis of a softmax, 0 or more; without one, that which torch takes (with a warning)."""
    axes, dim = call.get(0, "input").dim(), call.get(1, "dim")
    if dim is None:
        return 0 if axes in (0, 1, 3) else 1
    return int(dim) % max(axes, 1)
