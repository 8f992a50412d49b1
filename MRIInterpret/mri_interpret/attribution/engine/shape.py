"""Operations that keep values where they are, or overwrite them: their gradient is their relevance rule."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from ...errors import UserError
from .calls import Call, Recording, handles
from .constants import mark_constant
from .tag import Tag, tag_of

#: The output lies where the input lies.
_KEEP_THE_GRID = (
    *("clone", "contiguous", "to", "float", "double", "type_as", "type", "cuda", "cpu", "positive", "__pos__"),
    *("alias", "as_tensor", "masked_fill", "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout"),
    *("feature_alpha_dropout", "feature_dropout", "native_channel_shuffle", "channel_shuffle", "tril", "triu"),
    *("requires_grad_", "retain_grad", "real", "index_fill"),
)
#: Of these, what draws random numbers in training, and whether it trains unless told.
_DROPOUT = {
    **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "dropout3d", "feature_dropout"), True),
    **dict.fromkeys(("alpha_dropout", "feature_alpha_dropout"), False),
}


@handles(*_KEEP_THE_GRID)
def _keep(recorder: Recording, call: Call) -> Any:
    x = call.args[0] if call.args else call.kwargs["input"]
    if call.name in _DROPOUT and bool(call.get(1, "p", 0.5)) and _draws(call):
        where = f"module '{recorder.module}'" if recorder.module else "the model's own forward()"
        raise UserError(
            f"The model drops features at random in evaluation mode too ('{call.name}' in {where}), so that each run "
            "gives other scores: give it training=self.training."
        )
    if call.name in ("to", "type", "type_as", "as_tensor") and isinstance(x, Tensor):
        # A network of lower precision is recorded in the precision of the input; casts to less are left out.
        output = call.func(*call.args, **call.kwargs)
        if not output.dtype.is_floating_point or output.dtype.itemsize < x.dtype.itemsize:
            return x if output.dtype.is_floating_point else output
    return recorder.plain(call, recorder.geometry(x))


def _draws(call: Call) -> bool:
    """Whether a dropout is in training mode; programs call this argument ``train``."""
    told = call.get(2, "training", call.kwargs.get("train"))
    return bool(_DROPOUT[call.name] if told is None else told)


@handles("half", "bfloat16")
def _lower(recorder: Recording, call: Call) -> Tensor:
    x: Tensor = call.args[0]
    return x


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
        geometry = recorder.geometry(source) if source.shape == x.shape else None
        return recorder.plain(Call("expand", torch.Tensor.expand, (source, *x.shape)), geometry)
    if call.name in ("fill", "zero"):
        return torch.full_like(x.detach(), 0 if call.name == "zero" else call.args[1])
    return mark_constant(x.detach())


@handles("register_hook", "register_post_accumulate_grad_hook")
def _register_hook(recorder: Recording, call: Call) -> Any:
    if recorder.strict:
        raise recorder.unsupported(call, "it changes gradients, and what that means for relevance is not known")
    x: Tensor = call.args[0]
    return call.func(*call.args, **call.kwargs) if x.requires_grad else RemovableHandle(OrderedDict())
