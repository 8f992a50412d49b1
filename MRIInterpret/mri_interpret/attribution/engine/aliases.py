"""In-place changes: which recorded tensors share memory, and what stands for one after it was changed."""

from __future__ import annotations

import weakref

import torch
from torch import Tensor

from .calls import Recording
from .deferred import Deferred
from .tag import Tag


class Aliases:
    """The recorded tensors by the memory that they use.

    Nothing is changed in place: an in-place operation is recorded as the one that is not, and its result stands for the
    changed tensor from then on. Views of the same memory would have to change too; they may not be used any more.
    """

    def __init__(self) -> None:
        self._sharing: dict[int, list[weakref.ref[Tensor]]] = {}
        self._copied: list[Tensor] = []

    def note(self, tensor: Tensor) -> None:
        """Remember a tensor that was recorded."""
        self._sharing.setdefault(_storage(tensor), []).append(weakref.ref(tensor))

    def copied(self, tensor: Tensor, copy: Tensor) -> None:
        """Treat ``copy``, which stands for ``tensor`` in another layout, as if it were in the same memory."""
        self._sharing[_storage(copy)] = self._sharing.setdefault(_storage(tensor), [])
        self._copied.append(tensor.detach())  # its memory may not become another tensor's
        self.note(copy)

    def replace(self, recorder: Recording, target: Tensor, output: Tensor, operation: str) -> None:
        """Let ``output`` stand for ``target``, which ``operation`` changed in place."""
        last = target
        while (tag := recorder.own_tag(last)) is not None and tag.replacement is not None:
            last = tag.replacement
        tag = recorder.own_tag(last)
        if tag is None:
            # A constant so far, or overwritten by one: nobody else's memory is concerned.
            recorder.tag(last, Tag(replacement=output))
            return
        for reference in self._sharing.get(_storage(last), ()):
            alias = reference()
            if alias is not None and alias is not last and alias is not target:
                other = recorder.own_tag(alias)
                if other is not None and other.replacement is None:
                    other.stale = operation, recorder.module
        tag.replacement = output


def _storage(tensor: Tensor) -> int:
    if isinstance(tensor, Deferred) or tensor.layout is not torch.strided:
        return id(tensor)
    return tensor.untyped_storage().data_ptr()
