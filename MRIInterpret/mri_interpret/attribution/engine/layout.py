"""How feature maps of volumes lie in memory: with the channels innermost, whatever the model says.

Convolutions, poolings and normalisations of volumes on a CPU are up to ten times as fast on such maps as on those
that torch makes unasked, in which every channel lies by itself. Values are the same; only code that asks about memory
(:data:`BOUND`) can tell the difference, and gets an ordinary tensor.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Functions that look at the layout in memory, or whose result shares memory in one layout and not in another.
BOUND = frozenset(
    {
        *("view", "_unsafe_view", "view_as", "reshape", "_reshape_alias", "reshape_as", "flatten", "unflatten"),
        *("ravel", "contiguous", "as_strided", "stride", "storage_offset", "data_ptr", "untyped_storage", "storage"),
        *("detach", "data"),
    }
)


def channels_last(x: Tensor) -> Tensor:
    """``x`` (N, C, I, J, K) with the channels innermost in memory; the same tensor if they are already.

    torch leaves open how axes of length one lie, and a convolution takes a single channel for an ordinary tensor:
    here the strides say clearly what is meant.
    """
    _, c, i, j, k = x.shape
    strides = (c * i * j * k, 1, c * j * k, c * k, c)
    if x.stride() == strides:
        return x
    x = x.contiguous(memory_format=torch.channels_last_3d)
    return x if x.stride() == strides else x.as_strided(x.shape, strides)


def is_channels_last(x: Tensor) -> bool:
    """Whether the channels of a volume's feature map lie innermost, and there is more than one."""
    return x.dim() == 5 and not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last_3d)


def empty(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """A tensor of ``shape`` with any values, laid out as ``like`` is."""
    form = torch.channels_last_3d if is_channels_last(like) else torch.contiguous_format
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=form)


def zeros(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Zeros of ``shape``, laid out as ``like`` is."""
    return empty(shape, like).zero_()
