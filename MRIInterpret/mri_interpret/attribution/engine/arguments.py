"""The arguments of a torch function one by one, and back; those of most calls hold no tensors within containers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import SUPPORTED_NODES, tree_flatten, tree_unflatten

Rebuilt = Callable[[list[Any]], tuple[Any, dict[str, Any]]]
#: What a list or tuple may hold and still count as one value: sizes, strides, indices.
_NO_TENSORS = frozenset({int, float, bool, str, slice, type(None), type(Ellipsis), torch.dtype, torch.device})


def flattened(args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[list[Any], Rebuilt]:
    """The values that a call was given, and the function that makes arguments of as many others.

    Lists and tuples of numbers count as one value; where a container holds anything else, all are taken apart.
    """
    leaves = [*args, *kwargs.values()]
    count, names = len(args), list(kwargs)
    if all(map(_is_single, leaves)):
        return leaves, lambda given: (tuple(given[:count]), dict(zip(names, given[count:], strict=True)))
    if count and _is_row(leaves[0]) and all(map(_is_single, leaves[1:])):  # cat, stack
        kind, size = type(leaves[0]), len(leaves[0])

        def with_row(given: list[Any]) -> tuple[Any, dict[str, Any]]:
            values = [kind(given[:size]), *given[size:]]
            return tuple(values[:count]), dict(zip(names, values[count:], strict=True))

        return [*leaves[0], *leaves[1:]], with_row
    parts, structure = tree_flatten((tuple(args), kwargs))
    return parts, lambda given: tree_unflatten(given, structure)


def leaves_of(value: Any) -> list[Any]:
    """What a module was given or returned, taken apart."""
    if isinstance(value, Tensor):
        return [value]
    if type(value) is tuple and all(isinstance(part, Tensor) for part in value):
        return list(value)
    parts: list[Any] = tree_flatten(value)[0]
    return parts


def _is_row(value: Any) -> bool:
    return (type(value) is list or type(value) is tuple) and all(isinstance(part, Tensor) for part in value)


def _is_single(value: Any) -> bool:
    kind = type(value)
    if kind is tuple or kind is list:
        return all(type(part) in _NO_TENSORS for part in value)
    return kind not in SUPPORTED_NODES and not isinstance(value, tuple | list | dict)
