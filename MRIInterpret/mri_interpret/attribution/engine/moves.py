"""Operations that only move values: their gradient is their relevance rule, and where values come from is followed.

What becomes of the axes is in :mod:`axes`. What is not followed there still has its gradient, but no place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .axes import LOST, Origin, Origins, flipped, reshaped, sliced, stretched
from .calls import Call, Recording, handles
from .pooling import PoolingWindow
from .tag import place

#: Values go elsewhere, or the winner takes all: where the axes then lie is not followed.
_NOT_FOLLOWED = (
    *("repeat_interleave", "gather", "take_along_dim", "rot90", "diagonal", "pixel_shuffle", "pixel_unshuffle"),
    *("unfold", "stack", "hstack", "vstack", "dstack", "masked_select", "broadcast_tensors"),
    *("take", "__iter__", "masked_scatter", "slice_scatter", "select_scatter", "index_copy", "index_put"),
    *("max_unpool1d", "max_unpool2d", "max_unpool3d", "sort", "topk", "median", "nanmedian", "kthvalue", "mode"),
    *("cummax", "cummin", "index", "im2col", "min", "amin"),
)
_RESHAPES = (
    *("view", "reshape", "flatten", "unflatten", "ravel", "squeeze", "unsqueeze", "view_as", "reshape_as"),
    *("atleast_1d", "atleast_2d", "atleast_3d", "_unsafe_view"),
)
_PERMUTES = (
    *("permute", "transpose", "t", "movedim", "moveaxis", "swapaxes", "swapdims", "T", "mT", "H", "mH", "adjoint"),
)


@handles(*_NOT_FOLLOWED)
def _move(recorder: Recording, call: Call) -> Any:
    return recorder.plain(call)


@handles("where", "minimum")
def _choose(recorder: Recording, call: Call) -> Any:
    tensors = [value for value in (*call.args, *call.kwargs.values()) if isinstance(value, Tensor)]
    output = recorder.plain(call)
    geometry = recorder.geometry(*tensors)
    if isinstance(output, Tensor) and geometry is not None and len(geometry) == output.dim():
        place(output, geometry)
    return output


@handles(*_RESHAPES)
def _reshape(recorder: Recording, call: Call) -> Any:
    output = recorder.plain(call)
    if isinstance(output, Tensor):
        x = call.get(0, "input")
        changes_values = output.dtype != x.dtype or output.numel() != x.numel()
        _place(recorder, x, output, lambda before: None if changes_values else reshaped(before, x.shape, output.shape))
    return output


@handles(*_PERMUTES)
def _permute(recorder: Recording, call: Call) -> Any:
    output = recorder.plain(call)
    x = call.get(0, "input")

    def moved(before: Origins) -> Origins:
        # A tensor whose axes have sizes of their own shows where each of them goes.
        probe = torch.empty(tuple(range(2, x.dim() + 2)), device="meta")
        args, kwargs = call.args, call.kwargs
        if args:
            args = (probe, *args[1:])
        else:
            kwargs = {**kwargs, "input": probe}
        return tuple(before[size - 2] for size in call.func(*args, **kwargs).shape)

    _place(recorder, x, output, moved)
    return output


@handles("expand", "expand_as", "broadcast_to", "repeat", "tile")
def _stretch(recorder: Recording, call: Call) -> Any:
    output = recorder.plain(call)
    x = call.get(0, "input")
    _place(recorder, x, output, lambda before: stretched(before, x.shape, output.shape))
    return output


@handles("flip")
def _flip(recorder: Recording, call: Call) -> Any:
    output = recorder.plain(call)
    x, axes = call.get(0, "input"), _numbers(call, 1, "dims")
    turned = {axis % x.dim() for axis in axes}
    _place(
        recorder,
        x,
        output,
        lambda before: tuple(
            flipped(origin, x.shape[axis]) if axis in turned else origin for axis, origin in enumerate(before)
        ),
    )
    return output


@handles("roll")
def _roll(recorder: Recording, call: Call) -> Any:
    output = recorder.plain(call)
    x, axes = call.get(0, "input"), _numbers(call, 2, "dims") or range(call.get(0, "input").dim())
    turned = {axis % x.dim() for axis in axes}
    _place(
        recorder,
        x,
        output,
        lambda before: tuple(
            LOST if axis in turned and origin is not None else origin for axis, origin in enumerate(before)
        ),
    )
    return output


@handles("chunk", "split", "tensor_split", "split_with_sizes")
def _split(recorder: Recording, call: Call) -> Any:
    parts = recorder.plain(call)
    x = call.get(0, "input")
    axis, start = int(call.get(2, "dim", 0)) % x.dim(), 0
    for part in parts:
        _place(recorder, x, part, _cut(axis, start))
        start += part.shape[axis]
    return parts


@handles("narrow")
def _narrow(recorder: Recording, call: Call) -> Any:
    output = recorder.plain(call)
    x, axis, start = call.get(0, "input"), int(call.get(1, "dim")), int(call.get(2, "start"))
    _place(recorder, x, output, _cut(axis % x.dim(), start % max(x.shape[axis], 1)))
    return output


def _cut(axis: int, start: int) -> Callable[[Origins], Origins]:
    return lambda before: (*before[:axis], sliced(before[axis], start, 1), *before[axis + 1 :])


@handles("select", "unbind")
def _select(recorder: Recording, call: Call) -> Any:
    output = recorder.plain(call)
    x = call.get(0, "input")
    axis = int(call.get(1, "dim", 0)) % x.dim()
    for part in [output] if isinstance(output, Tensor) else output:
        _place(recorder, x, part, lambda before: (*before[:axis], *before[axis + 1 :]))
    return output


@handles("index_select")
def _index_select(recorder: Recording, call: Call) -> Any:
    output = recorder.plain(call)
    x = call.get(0, "input")
    axis = int(call.get(1, "dim")) % x.dim()
    _place(recorder, x, output, lambda before: (*before[:axis], before[axis] and LOST, *before[axis + 1 :]))
    return output


@handles("cat", "concat", "concatenate")
def _cat(recorder: Recording, call: Call) -> Tensor:
    parts = [part for part in call.get(0, "tensors") if isinstance(part, Tensor) and part.numel() > 0]
    # One of the parts may be constant; as a tensor without history it receives nothing.
    output: Tensor = recorder.plain(call)
    geometry = recorder.geometry(*parts)
    if geometry is not None and len(geometry) == output.dim():
        axis = int(call.get(1, "dim", 0)) % output.dim()
        geometry = (*geometry[:axis], geometry[axis] and LOST, *geometry[axis + 1 :])
        place(output, geometry)
        recorder.note_feature(output, geometry, recorder.module)
    return output


@handles("pad", "constant_pad_nd")
def _pad(recorder: Recording, call: Call) -> Tensor:
    x, amounts = call.get(0, "input"), call.get(1, "pad")
    output: Tensor = recorder.plain(call)
    before = [0] * x.dim()
    for index in range(len(amounts) // 2):
        before[x.dim() - 1 - index] = int(amounts[2 * index])
    _place(
        recorder,
        x,
        output,
        lambda origins: tuple(sliced(origin, -amount, 1) for origin, amount in zip(origins, before, strict=True)),
    )
    return output


@handles("__getitem__")
def _getitem(recorder: Recording, call: Call) -> Tensor:
    x, index = call.args
    output: Tensor = recorder.plain(call)
    _place(recorder, x, output, lambda before: _indexed(before, x, index))
    return output


@handles("slice")
def _slice(recorder: Recording, call: Call) -> Tensor:
    x, dim = call.args[0], call.get(1, "dim", 0)
    index = [slice(None)] * x.dim()
    index[dim] = slice(call.get(2, "start"), call.get(3, "end"), call.get(4, "step", 1))
    output: Tensor = recorder.plain(call)
    _place(recorder, x, output, lambda before: _indexed(before, x, tuple(index)))
    return output


def _indexed(origins: Origins, x: Tensor, index: Any) -> Origins | None:
    """After basic indexing; None after any other."""
    index = index if isinstance(index, tuple) else (index,)
    if not all(part is None or part is Ellipsis or isinstance(part, (slice, int)) for part in index):
        return None
    if any(isinstance(part, bool) for part in index):
        return None
    used = sum(part is not None and part is not Ellipsis for part in index)
    at = next((number for number, part in enumerate(index) if part is Ellipsis), len(index))
    index = (*index[:at], *[slice(None)] * (x.dim() - used), *index[at + 1 :])
    found: list[Origin | None] = []
    axis = 0
    for part in index:
        if part is None:
            found.append(None)
            continue
        if isinstance(part, slice):
            start, _, step = part.indices(x.shape[axis])
            found.append(sliced(origins[axis], start, step))
        axis += 1
    return tuple(found)


@handles("max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices")
def _max_pool_with_indices(recorder: Recording, call: Call) -> Any:
    output = recorder.plain(call)
    window = PoolingWindow.of(call, int(call.name[len("max_pool")]))
    _place(recorder, call.get(0, "input"), output[0], window.after)
    return output


def _place(recorder: Recording, x: Any, output: Tensor, change: Callable[[Origins], Origins | None]) -> None:
    """Say of ``output`` where it lies, if that is known of ``x``, and not said already."""
    before = recorder.geometry(x) if isinstance(x, Tensor) else None
    if before is not None and output is not x:
        place(output, change(before))


def _numbers(call: Call, position: int, name: str) -> tuple[int, ...]:
    """Numbers given as a sequence, one by one, or not at all."""
    given = call.get(position, name)
    if given is None:
        return ()
    if isinstance(given, int):
        return tuple(value for value in call.args[position:] if isinstance(value, int)) or (given,)
    return tuple(given)
