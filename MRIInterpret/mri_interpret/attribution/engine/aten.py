"""Calls into ``torch.ops.aten`` (exported programs, TorchScript), with the signatures of torch's own functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch._ops import OpOverload, OpOverloadPacket

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def aten_name(func: Callable[..., Any]) -> str | None:
    """The bare name of an aten operation, or None for any other function."""
    space, _, name = operator_name(func).partition("::")
    return name if space == "aten" else None


def operator_name(func: Callable[..., Any]) -> str:
    """The name of an operator of ``torch.ops`` with its namespace, such as ``"aten::relu"``; else empty."""
    if isinstance(func, OpOverload):
        return str(func._schema.name)
    if isinstance(func, OpOverloadPacket):
        return str(func._qualified_op_name)
    return ""


def _at(args: tuple[Any, ...], index: int, default: Any = None) -> Any:
    return args[index] if len(args) > index else default


def _batch_norm(args: tuple[Any, ...]) -> Arguments:
    x, weight, bias, mean, variance, training, momentum, epsilon = args[:8]
    return (x, mean, variance, weight, bias, training, momentum, epsilon), {}


def _instance_norm(args: tuple[Any, ...]) -> Arguments:
    x, weight, bias, mean, variance, from_input, momentum, epsilon = args[:8]
    return (x, mean, variance, weight, bias, from_input, momentum, epsilon), {}


def _interpolation(mode: str) -> Callable[[tuple[Any, ...]], Arguments]:
    def translate(args: tuple[Any, ...]) -> Arguments:
        aligned = bool(_at(args, 2, False)) if mode != "nearest" else None
        scale = _at(args, 2 if mode == "nearest" else 3)
        size = _at(args, 1)
        if size is not None:
            scale = None
        return (args[0], size, scale, mode, aligned), {}

    return translate


def _convolution(args: tuple[Any, ...]) -> Arguments:
    x, weight, bias, stride, padding, dilation, transposed, output_padding, groups = args[:9]
    if transposed:
        return (x, weight, bias, stride, padding, output_padding, groups, dilation), {}
    return (x, weight, bias, stride, padding, dilation, groups), {}


_TRANSLATIONS: dict[str, tuple[str, Callable[[tuple[Any, ...]], Arguments]]] = {
    "batch_norm": ("batch_norm", _batch_norm),
    "instance_norm": ("instance_norm", _instance_norm),
    "upsample_trilinear3d": ("interpolate", _interpolation("trilinear")),
    "upsample_bilinear2d": ("interpolate", _interpolation("bilinear")),
    "upsample_linear1d": ("interpolate", _interpolation("linear")),
    **{f"upsample_nearest{axes}d": ("interpolate", _interpolation("nearest")) for axes in (1, 2, 3)},
}


def translate(name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, Any, Arguments]:
    """Name, function and arguments as torch's Python functions have them."""
    if name in ("convolution", "_convolution"):
        new = f"conv{'_transpose' if args[6] else ''}{args[1].dim() - 2}d"
        return new, getattr(F, new), _convolution(args)
    if name in _TRANSLATIONS and not kwargs:
        new, reorder = _TRANSLATIONS[name]
        return new, getattr(F, new), reorder(args)
    return name, func, (args, kwargs)
