"""What the recorder remembers about a tensor that depends on the input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .axes import Origins

_ATTRIBUTE = "_mri_interpret_tag"


@dataclass
class Tag:
    """Facts about one recorded tensor.

    Attributes
    ----------
    geometry
        Where each of the tensor's axes lies in the input; None where nothing is known.
    gate
        True for values that scale others (a sigmoid's or a softmax's output): products send relevance past them.
    first
        True until a layer with weights has been passed.
    nonnegative
        True if a ReLU made it.
    producer
        The operation that made the tensor and its inputs, where a normalisation or ReLU that follows may join it.
    pending
        Computes the tensor when it is first needed; until then the tensor is deferred and takes no memory.
    replacement
        The tensor that stands for this one now, after an in-place change or once a pending one is computed.
    plan
        What is pending, for operations that may join it.
    patch
        Where it differs from the same tensor of an input that is known already.
    activated
        A function that made it (softmax, log_softmax, sigmoid), perhaps with moves of its values after that, and the
        function's input, where the tensor may be the model's output: the input may then be what is explained.
    stale
        The operation and the module that changed memory which this tensor shared, so that it may not be used any more.
    recording
        What the tag belongs to: a model may keep tensors of an earlier pass, which are constants in this one.
    history
        The tensor's node in torch's graph when it was tagged; another one means that something changed the tensor.
    number
        Of the operation that made the tensor, in the order of recording.
    """

    geometry: Origins | None = None
    gate: bool = False
    first: bool = True
    nonnegative: bool = False
    producer: tuple[Any, tuple[Tensor, ...]] | None = None
    pending: Callable[[], Tensor] | None = None
    replacement: Tensor | None = None
    activated: tuple[str, Tensor] | None = None
    stale: tuple[str, str] | None = None
    plan: Any = None
    patch: Any = None
    recording: object = None
    history: Any = None
    number: int = -1


def tag_of(tensor: Tensor) -> Tag | None:
    """The tag of ``tensor``, or None if it does not depend on the input."""
    return getattr(tensor, _ATTRIBUTE, None)


def set_tag(tensor: Tensor, tag: Tag) -> Tensor:
    """Tag ``tensor`` and return it."""
    setattr(tensor, _ATTRIBUTE, tag)
    return tensor


def place(tensor: Tensor, geometry: Origins | None) -> None:
    """Set the geometry of a recorded tensor."""
    tag = tag_of(tensor)
    if tag is not None:
        tag.geometry = geometry


def note_activation(output: Tensor, function: str, x: Tensor) -> Tensor:
    """Note on ``output`` that ``function`` made it from ``x``, if these may be class scores; return ``output``."""
    tag = tag_of(output)
    if tag is not None and x.numel() == x.shape[:2].numel():
        tag.activated = function, x
    return output
