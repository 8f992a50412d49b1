"""Additions, products and quotients."""

from __future__ import annotations

import torch
from torch import Tensor

from ..stabilise import divide, divide_into
from .activation import record_pointwise
from .affine import Affine
from .calls import Call, Recording, handles
from .operation import Function, Operation, RelevancePolicy
from .tag import place, tag_of


class Sum(Operation):
    """``a + sign * b``, both depending on the input: each summand gets relevance in proportion to its part."""

    kind = "sum"

    def __init__(self, sign: float) -> None:
        super().__init__()
        self.sign = sign

    def forward(self, *inputs: Tensor) -> Tensor:
        self.left, self.right = inputs[0].detach(), inputs[1].detach()
        return torch.add(self.left, self.right, alpha=self.sign)

    def gradient(self, grad: Tensor) -> tuple[Tensor, ...]:
        right = grad if self.sign == 1 else self.sign * grad
        return grad.sum_to_size(self.left.shape), right.sum_to_size(self.right.shape)

    def relevance(self, relevance: Tensor, policy: RelevancePolicy) -> tuple[Tensor, ...]:
        left, right = self.left, self.right if self.sign == 1 else self.sign * self.right
        z = left + right
        if policy.bias != "redistribute":
            shares = divide_into(relevance, z, policy.epsilon)
            parts = [left * shares, shares.mul_(right)]
        else:
            shares = divide(relevance, z, policy.epsilon)
            parts = [left * shares, right * shares]
            lost, total = relevance - shares * z, left.abs() + right.abs()
            scaled = divide(lost, total, 0.0)
            half = torch.where(total == 0, lost / 2, 0)
            parts = [part + value.abs() * scaled + half for part, value in zip(parts, (left, right), strict=True)]
        return parts[0].sum_to_size(left.shape), parts[1].sum_to_size(right.shape)


class Product(Operation):
    """``a * b``, both depending on the input.

    If one of the two is a gate (a sigmoid's or softmax's output), the other gets all the relevance (Arras et al. 2017,
    "signal takes all"); else each gets half (AttnLRP, Proposition 3.3).
    """

    kind = "product"

    def __init__(self, left_share: float) -> None:
        super().__init__()
        self.left_share = left_share

    def forward(self, *inputs: Tensor) -> Tensor:
        self.left, self.right = inputs[0].detach(), inputs[1].detach()
        return self.left * self.right

    def gradient(self, grad: Tensor) -> tuple[Tensor, ...]:
        return (grad * self.right).sum_to_size(self.left.shape), (grad * self.left).sum_to_size(self.right.shape)

    def relevance(self, relevance: Tensor, policy: RelevancePolicy) -> tuple[Tensor | None, ...]:
        return self._part(self.left_share, relevance, self.left), self._part(1 - self.left_share, relevance, self.right)

    @staticmethod
    def _part(share: float, relevance: Tensor, of: Tensor) -> Tensor | None:
        if share == 0:
            return None
        return (relevance if share == 1 else share * relevance).sum_to_size(of.shape)


def _constant(value: object, like: Tensor) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach().to(like.dtype)
    return torch.as_tensor(value, dtype=like.dtype, device=like.device)


def _is_tracked(value: object) -> bool:
    return isinstance(value, Tensor) and tag_of(value) is not None


def _scaled(recorder: Recording, x: Tensor, scale: object, shift: object = None) -> Tensor:
    one = torch.ones((), dtype=x.dtype, device=x.device)
    factor = one if scale is None else _constant(scale, x)
    operation = Affine(factor, None if shift is None else _constant(shift, x))
    output = recorder.record(operation, x)
    if output.shape == x.shape:
        place(output, recorder.geometry(x))
        tag, before = tag_of(output), tag_of(x)
        assert tag is not None
        assert before is not None
        tag.first, tag.gate = before.first, before.gate
    return output


@handles("add", "sub", "__radd__", "__rsub__", "rsub", "subtract")
def _add(recorder: Recording, call: Call) -> Tensor:
    left, right = call.get(0, "input"), call.get(1, "other")
    if call.name in ("__rsub__", "rsub"):
        left, right = right, left
    sign = -1.0 if "sub" in call.name else 1.0
    alpha = call.kwargs.get("alpha", 1)
    if _is_tracked(left) and _is_tracked(right):
        if left is right:
            return _scaled(recorder, left, 1 + sign * alpha)
        return recorder.record(Sum(sign * alpha), left, right, geometry=recorder.geometry(left, right))
    if _is_tracked(left):
        shift = _constant(right, left) * (sign * alpha)
        return _scaled(recorder, left, None, shift)
    return _scaled(recorder, right, sign * alpha, left)


@handles("mul", "multiply", "__rmul__")
def _multiply(recorder: Recording, call: Call) -> Tensor:
    left, right = call.get(0, "input"), call.get(1, "other")
    if _is_tracked(left) and _is_tracked(right):
        return recorder.record(Product(_share(left, right)), left, right, geometry=recorder.geometry(left, right))
    return _scaled(recorder, left, right) if _is_tracked(left) else _scaled(recorder, right, left)


def _share(left: Tensor, right: Tensor) -> float:
    left_tag, right_tag = tag_of(left), tag_of(right)
    assert left_tag is not None
    assert right_tag is not None
    if left_tag.gate == right_tag.gate:
        return 0.5
    return 0.0 if left_tag.gate else 1.0


@handles("div", "divide", "true_divide", "__truediv__", "__rtruediv__", "__rdiv__")
def _divide(recorder: Recording, call: Call) -> Tensor:
    left, right = call.get(0, "input"), call.get(1, "other")
    if call.name.startswith("__r"):
        left, right = right, left
    if call.kwargs.get("rounding_mode"):
        raise recorder.unsupported(call, "it rounds")
    if not _is_tracked(right):
        return _scaled(recorder, left, 1 / _constant(right, left))
    inverse = record_pointwise(recorder, right, Function(torch.reciprocal), gate=True)
    if not _is_tracked(left):
        return _scaled(recorder, inverse, left)
    # A quotient is a normalisation of its numerator: the denominator counts as a gate.
    return recorder.record(Product(1.0), left, inverse, geometry=recorder.geometry(left))


@handles("neg", "negative", "__neg__")
def _negate(recorder: Recording, call: Call) -> Tensor:
    return _scaled(recorder, call.args[0], -1)


@handles(
    *("pow", "__pow__", "square", "sqrt", "rsqrt", "exp", "exp2", "expm1", "abs", "log", "log2", "log10", "log1p"),
    *("reciprocal", "sin", "cos", "tan", "atan", "asinh", "sinh", "cosh", "erf", "erfc"),
)
def _power(recorder: Recording, call: Call) -> Tensor:
    x = call.get(0, "input")
    if call.name in ("pow", "__pow__"):
        exponent = call.get(1, "exponent")
        if _is_tracked(exponent):
            raise recorder.unsupported(call, "its exponent depends on the input")
        return record_pointwise(recorder, x, Function(lambda value: value**exponent))
    return record_pointwise(recorder, x, Function(getattr(torch, call.name)))
