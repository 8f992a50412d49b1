"""Spellings of operations that work in place, and the operations that they are otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch._ops import OpOverload

from .aten import operator_name

#: In-place operations whose out-of-place twin has another name.
_TWINS = {"__iadd__": "add", "__isub__": "sub", "__imul__": "mul", "__itruediv__": "div", "__idiv__": "div"}
#: Counterparts of operations that work in place, where they have another name.
_COUNTERPARTS = {"zero": torch.zeros_like, "copy": torch.ops.aten.copy.default}
#: Position of the argument ``inplace`` of torch's Python functions.
_IN_PLACE_AT = {
    **dict.fromkeys(("relu", "relu6", "selu", "silu", "mish", "hardswish", "hardsigmoid"), 1),
    **dict.fromkeys(("leaky_relu", "elu", "celu"), 2),
    **dict.fromkeys(("hardtanh", "threshold", "_threshold", "dropout", "dropout2d", "dropout3d"), 3),
}


def without_in_place(func: Callable[..., Any], name: str, args: Any, kwargs: Any) -> tuple[str, bool]:
    """The name of the out-of-place operation, and whether it was called in place."""
    if name in _TWINS:
        return _TWINS[name], True
    if name == "__setitem__":
        return name, True
    if name.endswith("_") and not name.endswith("__") and name not in ("requires_grad_", "retain_grad_"):
        return name[:-1], True
    if operator_name(func):
        return name, False  # an operator says so in its name; its arguments are others
    at = _IN_PLACE_AT.get(name, len(args))
    return name, bool(kwargs.get("inplace", False) or (len(args) > at and args[at]))


def without_in_place_argument(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments of the out-of-place operation."""
    return {key: value for key, value in kwargs.items() if key != "inplace"}


def out_of_place(name: str, function: Any) -> Callable[..., Any] | None:
    """The out-of-place operation called ``name`` of the in-place ``function``; None if there is none."""
    twin: Any = _COUNTERPARTS.get(name)
    if twin is None and isinstance(function, OpOverload):
        # The operator of the same arguments: elu_.default has elu.default.
        twin = getattr(getattr(torch.ops.aten, name, None), function._overloadname, None)
    for place in (torch.Tensor, torch, torch.nn.functional):
        twin = twin or getattr(place, name, None)
    found: Callable[..., Any] | None = twin
    return found
