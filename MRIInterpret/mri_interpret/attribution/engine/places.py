"""Values at the maxima of a pooling, and values put back there, in whichever layout the maps have."""

from __future__ import annotations

import torch
from torch import Tensor

from .layout import is_channels_last


def taken(planes: Tensor, places: Tensor) -> Tensor:
    """Values of ``planes`` (N, C, ...) at ``places`` (N, C, ...), which number the voxels of one channel.

    If ``planes`` has a single channel, it stands for all.
    """
    if planes.shape[1] == places.shape[1] and is_channels_last(planes):
        index = _index(places)
        flat = planes.permute(0, 2, 3, 4, 1).reshape(len(planes), -1).gather(1, index.flatten(1))
        return flat.reshape(index.shape).permute(0, 4, 1, 2, 3)
    flat = planes.flatten(2).expand(-1, places.shape[1], -1)
    return flat.gather(2, places.flatten(2).long()).reshape(places.shape)


def put(values: Tensor, places: Tensor, size: tuple[int, ...], together: bool) -> Tensor:
    """The adjoint of :func:`taken`: planes (N, C, *size), or (N, 1, *size) with all channels added up."""
    samples, channels = places.shape[:2]
    voxels = size[0] * size[1] * size[2]
    if together:
        wide = values.new_zeros(samples, voxels)
        wide.scatter_add_(1, places.reshape(samples, -1).long(), values.reshape(samples, -1))
        return wide.reshape(samples, 1, *size)
    if is_channels_last(places):
        wide = values.new_zeros(samples, voxels * channels)
        wide.scatter_add_(1, _index(places).flatten(1), values.permute(0, 2, 3, 4, 1).reshape(samples, -1))
        return wide.reshape(samples, *size, channels).permute(0, 4, 1, 2, 3)
    wide = values.new_zeros(samples, channels, voxels)
    wide.scatter_add_(2, places.flatten(2).long(), values.flatten(2))
    return wide.reshape(samples, channels, *size)


def _index(places: Tensor) -> Tensor:
    """Places in memory, (N, ..., C), of maps with the channels innermost."""
    channels = places.shape[1]
    last = places.permute(0, 2, 3, 4, 1).long()
    return last * channels + torch.arange(channels, device=places.device)
