"""Dense layers: linear, and products with a constant matrix."""

from __future__ import annotations

import torch
from torch import Tensor

from .attention import record_matrix_product
from .axes import with_new_channels
from .calls import Call, Recording, handles
from .pooling import LinearMap
from .tag import tag_of
from .weighted import Contraction, Linear


@handles("linear")
def _linear(recorder: Recording, call: Call) -> Tensor:
    x, weight, bias = call.get(0, "input"), call.get(1, "weight"), call.get(2, "bias")
    if tag_of(weight) is not None:
        raise recorder.unsupported(call, "its weights depend on the input")
    operation = Linear(weight.to(x.dtype), None if bias is None else bias.to(x.dtype))
    before = recorder.geometry(x)
    output = recorder.record(operation, x, geometry=None if before is None else with_new_channels(before, -1))
    tag = tag_of(output)
    assert tag is not None
    tag.producer = (operation, (x,))
    return output


@handles("matmul", "__matmul__", "bmm", "mm", "mv", "__rmatmul__")
def _matmul(recorder: Recording, call: Call) -> Tensor:
    left, right = call.get(0, "input"), call.args[1] if len(call.args) > 1 else _second(call)
    if call.name == "__rmatmul__":
        left, right = right, left
    return record_matrix_product(recorder, torch.matmul, left, right)


@handles("addmm", "baddbmm")
def _addmm(recorder: Recording, call: Call) -> Tensor:
    bias, left, right = call.args[:3]
    if tag_of(bias) is not None or tag_of(right) is not None:
        raise recorder.unsupported(call, "only a constant matrix and a constant bias are covered")
    alpha, beta = call.kwargs.get("alpha", 1), call.kwargs.get("beta", 1)
    weight, bias = right.to(left.dtype), bias.to(left.dtype)
    weight, bias = weight if alpha == 1 else weight * alpha, bias if beta == 1 else bias * beta
    return recorder.record(Contraction(torch.matmul, weight, bias), left)


@handles("einsum")
def _einsum(recorder: Recording, call: Call) -> Tensor:
    equation, *operands = call.args
    if operands and isinstance(operands[0], (tuple, list)):
        operands = list(operands[0])  # a program gives the order of contraction after them
    if not isinstance(equation, str) or len(operands) != 2:
        if len(operands) == 1 and isinstance(equation, str):
            if _only_moves(equation):
                return recorder.plain(call)
            return recorder.record(LinearMap(lambda x: torch.einsum(equation, x)), operands[0])
        raise recorder.unsupported(call, "only einsum of two tensors, written as an equation, is covered")
    return record_matrix_product(recorder, lambda a, b: torch.einsum(equation, a, b), operands[0], operands[1])


def _only_moves(equation: str) -> bool:
    left, _, right = equation.replace(" ", "").partition("->")
    return sorted(left) == sorted(right) and len(set(left)) == len(left)


def _second(call: Call) -> Tensor:
    for name in ("other", "mat2", "vec"):
        if name in call.kwargs:
            value: Tensor = call.kwargs[name]
            return value
    raise TypeError(f"{call.name} needs two operands")
