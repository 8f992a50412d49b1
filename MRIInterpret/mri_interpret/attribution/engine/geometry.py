"""Where the voxels of a feature map lie in the input volume, and how to bring a map back to the input's grid.

For every spatial axis, feature index ``f`` has its centre at input index ``scale * f + offset``. The pair follows from
the kernel, stride, padding and dilation of the layers passed, so that a class activation map is put back where the
network looked, and not where ``interpolate`` happens to stretch it (which is off by half a voxel for every strided
convolution with odd kernels).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

Axis = tuple[float, float]
Geometry = tuple[Axis, ...]


def per_axis(value: Any, axes: int) -> tuple[int, ...]:
    """``value`` for each of ``axes`` spatial axes; one number counts for all."""
    values = tuple(value) if isinstance(value, (tuple, list, torch.Size)) else (value,)
    return tuple(int(v) for v in (values * axes if len(values) == 1 else values))


def identity(axes: int) -> Geometry:
    """The geometry of the input itself."""
    return ((1.0, 0.0),) * axes


def through_window(
    geometry: Geometry, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[float], dilation: Sequence[int]
) -> Geometry:
    """After a convolution or pooling: the centre of each window, in input voxels."""
    return tuple(
        (scale * s, offset + scale * (d * (k - 1) / 2 - p))
        for (scale, offset), k, s, p, d in zip(geometry, kernel, stride, padding, dilation, strict=True)
    )


def through_transposed_window(
    geometry: Geometry, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]
) -> Geometry:
    """After a transposed convolution: output ``o`` is centred on input ``(o + p - d (k - 1) / 2) / s``."""
    return tuple(
        (scale / s, offset + scale * (p - d * (k - 1) / 2) / s)
        for (scale, offset), k, s, p, d in zip(geometry, kernel, stride, padding, dilation, strict=True)
    )


def through_resize(
    geometry: Geometry, before: Sequence[int], after: Sequence[int], align_corners: bool = False
) -> Geometry:
    """After adaptive pooling or interpolation from ``before`` to ``after`` voxels per axis."""
    axes = []
    for (scale, offset), n, m in zip(geometry, before, after, strict=True):
        if align_corners and m > 1:
            axes.append((scale * (n - 1) / (m - 1), offset))
        else:
            axes.append((scale * n / m, offset + scale * (n / m - 1) / 2))
    return tuple(axes)


def through_slice(geometry: Geometry, starts: Sequence[float], steps: Sequence[int]) -> Geometry:
    """After slicing (or, with a negative start, padding) each axis."""
    return tuple(
        (scale * step, offset + scale * start)
        for (scale, offset), start, step in zip(geometry, starts, steps, strict=True)
    )


def covering(before: Sequence[int], after: Sequence[int]) -> Geometry:
    """The geometry of a feature map of ``after`` voxels that covers an input of ``before`` voxels edge to edge."""
    return through_resize(identity(len(before)), before, after)


def interpolation_matrix(size: int, axis: Axis, features: int, like: Tensor) -> Tensor:
    """Linear interpolation from ``features`` feature voxels to ``size`` input voxels along one axis.

    Returns
    -------
    Tensor
        Shape (size, features); rows sum to one. Beyond the outermost feature centres the nearest value is kept.
    """
    scale, offset = axis
    position = (torch.arange(size, dtype=torch.float64) - offset) / scale
    position = position.clamp(0, features - 1)
    lower = position.floor().clamp(max=max(features - 2, 0))
    fraction = position - lower
    matrix = torch.zeros(size, features, dtype=torch.float64)
    rows = torch.arange(size)
    matrix[rows, lower.long()] += 1 - fraction
    if features > 1:
        matrix[rows, lower.long() + 1] += fraction
    return matrix.to(dtype=like.dtype, device=like.device)


def to_input_grid(features: Tensor, geometry: Geometry, shape: Sequence[int]) -> Tensor:
    """Bring ``features`` (N, *feature grid) to the input's grid (N, *shape) by trilinear interpolation in place."""
    result = features
    for axis, size in enumerate(shape):
        matrix = interpolation_matrix(size, geometry[axis], features.shape[1 + axis], features)
        result = torch.movedim(torch.movedim(result, 1 + axis, -1) @ matrix.T, -1, 1 + axis)
    return result.contiguous()
