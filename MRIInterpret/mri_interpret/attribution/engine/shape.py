"""Operations that only move values: their gradient is their relevance rule."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from .calls import Call, Recording, handles
from .constants import mark_constant
from .geometry import Geometry, through_slice
from .tag import Tag, tag_of

#: The output lies where the input lies.
_KEEP_THE_GRID = (
    *("clone", "contiguous", "to", "float", "double", "type_as", "type", "cuda", "cpu", "positive", "__pos__"),
    *("alias", "as_tensor", "masked_fill", "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout"),
    *("feature_alpha_dropout", "feature_dropout", "native_channel_shuffle", "channel_shuffle", "tril", "triu"),
    *("requires_grad_", "retain_grad"),
)
#: Values go elsewhere, or the winner takes all.
_MOVE = (
    *("view", "reshape", "flatten", "unflatten", "ravel", "permute", "transpose", "t", "movedim", "moveaxis"),
    *("swapaxes", "swapdims", "squeeze", "unsqueeze", "expand", "expand_as", "broadcast_to", "repeat"),
    *("repeat_interleave", "tile", "narrow", "select", "index_select", "gather", "take_along_dim", "chunk"),
    *("split", "tensor_split", "unbind", "split_with_sizes", "roll", "flip", "rot90", "view_as", "reshape_as", "T"),
    *("mT", "H", "mH", "adjoint", "diagonal", "pixel_shuffle", "pixel_unshuffle", "unfold", "stack", "hstack"),
    *("vstack", "dstack", "concatenate", "concat", "masked_select", "broadcast_tensors", "atleast_1d"),
    *("atleast_2d", "atleast_3d", "where", "real", "take", "__iter__", "index_fill", "masked_scatter"),
    *("slice_scatter", "select_scatter", "index_copy", "index_put", "max_unpool1d", "max_unpool2d", "max_unpool3d"),
    *("sort", "topk", "median", "nanmedian", "kthvalue", "mode", "cummax", "cummin", "index", "im2col"),
    *("max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices", "min", "minimum", "amin"),
)


@handles(*_KEEP_THE_GRID)
def _keep(recorder: Recording, call: Call) -> Any:
    x = call.args[0] if call.args else call.kwargs["input"]
    if call.name in ("to", "type", "type_as", "as_tensor") and isinstance(x, Tensor):
        # A network of lower precision is recorded in the precision of the input; casts to less are left out.
        output = call.func(*call.args, **call.kwargs)
        if not output.dtype.is_floating_point or output.dtype.itemsize < x.dtype.itemsize:
            return x if output.dtype.is_floating_point else output
    return recorder.plain(call, recorder.geometry(x))


@handles("half", "bfloat16")
def _lower(recorder: Recording, call: Call) -> Tensor:
    x: Tensor = call.args[0]
    return x


@handles(*_MOVE)
def _move(recorder: Recording, call: Call) -> Any:
    return recorder.plain(call)


@handles("cat")
def _cat(recorder: Recording, call: Call) -> Tensor:
    parts, dim = call.get(0, "tensors"), call.get(1, "dim", 0)
    geometry = recorder.geometry(*(part for part in parts if isinstance(part, Tensor))) if dim in (0, 1) else None
    # One of the parts may be constant; as a tensor without history it receives nothing.
    output = recorder.plain(call, geometry)
    if geometry is not None:
        recorder.note_feature(output, recorder.module)
    result: Tensor = output
    return result


@handles("pad", "constant_pad_nd")
def _pad(recorder: Recording, call: Call) -> Tensor:
    x, amounts = call.get(0, "input"), call.get(1, "pad")
    geometry = recorder.geometry(x)
    if geometry is not None:
        before = [0] * x.dim()
        for index in range(len(amounts) // 2):
            before[x.dim() - 1 - index] = int(amounts[2 * index])
        geometry = through_slice(geometry, [-amount for amount in before[2:]], [1] * len(geometry))
    output: Tensor = recorder.plain(call, geometry)
    return output


@handles("__getitem__")
def _getitem(recorder: Recording, call: Call) -> Tensor:
    x, index = call.args
    output: Tensor = recorder.plain(call, _sliced(recorder.geometry(x), x, index))
    return output


@handles("slice")
def _slice(recorder: Recording, call: Call) -> Tensor:
    x, dim = call.args[0], call.get(1, "dim", 0)
    index = [slice(None)] * x.dim()
    index[dim] = slice(call.get(2, "start"), call.get(3, "end"), call.get(4, "step", 1))
    output: Tensor = recorder.plain(call, _sliced(recorder.geometry(x), x, tuple(index)))
    return output


def _sliced(geometry: Geometry | None, x: Tensor, index: Any) -> Geometry | None:
    index = index if isinstance(index, tuple) else (index,)
    if geometry is None or not all(isinstance(part, slice) or part is Ellipsis for part in index):
        return None
    if Ellipsis in index:
        at = index.index(Ellipsis)
        index = (*index[:at], *[slice(None)] * (x.dim() - len(index) + 1), *index[at + 1 :])
    index = (*index, *[slice(None)] * (x.dim() - len(index)))
    ranges = [part.indices(size) for part, size in zip(index[2:], x.shape[2:], strict=True)]
    return through_slice(geometry, [start for start, _, _ in ranges], [step for _, _, step in ranges])


@handles("__setitem__")
def _setitem(recorder: Recording, call: Call) -> Tensor:
    x, index, value = call.args
    output = x.clone()
    output[index] = value
    source = tag_of(value) if isinstance(value, Tensor) else tag_of(x)
    source = source or tag_of(x)
    return recorder.tag(output, Tag(geometry=recorder.geometry(x), first=bool(source and source.first)))


@handles("copy", "fill", "zero", "detach", "data")
def _overwritten(recorder: Recording, call: Call) -> Any:
    x = call.args[0]
    if call.name == "copy":
        source: Tensor = call.args[1]
        return recorder.plain(Call("expand", torch.Tensor.expand, (source, *x.shape)))
    if call.name in ("fill", "zero"):
        return torch.full_like(x.detach(), 0 if call.name == "zero" else call.args[1])
    return mark_constant(x.detach())


@handles("register_hook", "register_post_accumulate_grad_hook")
def _register_hook(recorder: Recording, call: Call) -> Any:
    if recorder.strict:
        raise recorder.unsupported(call, "it changes gradients, and what that means for relevance is not known")
    x: Tensor = call.args[0]
    return call.func(*call.args, **call.kwargs) if x.requires_grad else RemovableHandle(OrderedDict())
