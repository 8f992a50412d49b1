"""Ways to compute the adjoint of a convolution of volumes in float32 on a CPU, in the layout of the gradient.

oneDNN's own adjoint is good for many input channels only. That of few is again a convolution: with flipped weights for
stride 1, and by blocks for larger strides. A vector unit computes 16 output channels at a time, so for a few input
channels blocks are made with stride 1 too; or, for a single one, every tap gets a row of a matrix product (columns).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from .layout import channels_last, empty, zeros
from .window import Window

#: Taps up to which :func:`by_columns` is used.
MOST_COLUMNS = 27
#: Planes of the first axis whose columns are formed at once in :func:`by_columns`; 4 and 16 measured best.
_PLANES = 16
#: Channels that fill a vector unit.
_ENOUGH = 16


def by_deconvolution(grad: Tensor, weight: Tensor, shape: Sequence[int], window: Window) -> Tensor:
    """oneDNN's own adjoint, with the weights as they are: flipping many small kernels costs more than convolving."""
    reach = window.reach(weight.shape[2:])
    sizes = zip(shape[2:], grad.shape[2:], window.stride, window.padding, reach, strict=True)
    rest = [n - ((m - 1) * s - 2 * p + r + 1) for n, m, s, p, r in sizes]  # what the last window did not reach
    found: Tensor = torch.ops.mkldnn._convolution_transpose_pointwise(
        grad, weight, None, window.padding, rest, window.stride, window.dilation, 1, "none", [], ""
    )
    return found


def by_flipping(grad: Tensor, weight: Tensor, window: Window) -> Tensor:
    """For stride 1 and padding up to the kernel's reach: a convolution with flipped weights."""
    flipped = _by_group(weight.flip(2, 3, 4), window.groups)
    padding = [r - p for r, p in zip(window.reach(weight.shape[2:]), window.padding, strict=True)]
    return _convolution(grad, flipped, padding, [1] * len(padding), window.dilation, window.groups)


def by_blocks(grad: Tensor, weight: Tensor, shape: Sequence[int], window: Window) -> Tensor:
    """For few channels or large strides, without dilation: the voxels of a block become channels of their own.

    With stride ``s`` and blocks of ``s m`` voxels, voxel ``s m q + r`` of the result gets ``w[r + p - s j]`` times
    place ``m q + j`` of the gradient: channel ``r`` at place ``q`` of a convolution with stride ``m``.
    """
    if all(k == 1 for k in weight.shape[2:]):
        narrow = _convolution(grad, weight.transpose(0, 1), [0] * 3, [1] * 3, [1] * 3)
        wide = zeros((*narrow.shape[:2], *(n + 2 * p for n, p in zip(shape[2:], window.padding, strict=True))), narrow)
        wide[_every(window.stride, narrow.shape[2:])] = narrow
        return _cut(wide, shape, window.padding)
    block = _block(window.stride, weight.shape[1])
    steps = [f // s for f, s in zip(block, window.stride, strict=True)]
    count = [-(-n // f) for n, f in zip(shape[2:], block, strict=True)]
    kernels, before = _taps(weight, window, block)
    kernels = kernels.permute(2, 4, 6, 1, 0, 3, 5, 7).flatten(0, 3)
    sizes = zip(steps, count, kernels.shape[2:], before, strict=True)
    grad = _reaching(grad, [m * (q - 1) + k - 2 * a for m, q, k, a in sizes])
    folded = _convolution(grad, kernels, before, steps, [1] * 3)[:, :, : count[0], : count[1], : count[2]]
    return _cut(_unfolded(_dense(folded), block), shape, (0, 0, 0))


def by_phases(grad: Tensor, weight: Tensor, shape: Sequence[int], window: Window) -> Tensor:
    """For large strides and groups, without dilation: voxels that lie equally between strides are one convolution."""
    stride = window.stride
    kernels, before = _taps(weight, window, stride)
    count = [-(-n // s) for n, s in zip(shape[2:], stride, strict=True)]
    sizes = (kernels.shape[3], kernels.shape[5], kernels.shape[7])
    grad = _reaching(grad, [q - 1 + k - 2 * a for q, k, a in zip(count, sizes, before, strict=True)])
    found = empty((grad.shape[0], shape[1], *(q * s for q, s in zip(count, stride, strict=True))), grad)
    for shift in product(*map(range, stride)):
        kernel = _by_group(kernels[:, :, shift[0], :, shift[1], :, shift[2], :], window.groups)
        part = _convolution(grad, kernel, before, [1] * 3, [1] * 3, window.groups)
        found[_every(stride, count, shift)] = part[:, :, : count[0], : count[1], : count[2]]
    return _cut(found, shape, (0, 0, 0))


def _block(stride: Sequence[int], channels: int) -> tuple[int, ...]:
    """Multiples of the strides by which ``channels`` become enough."""
    block = list(stride)
    for axis in (2, 0, 1, 2):
        if channels * prod(block) < _ENOUGH:
            block[axis] *= 2
    return tuple(block)


def _taps(weight: Tensor, window: Window, block: Sequence[int]) -> tuple[Tensor, list[int]]:
    """The kernel of every voxel of a block, (out, in, f, taps, f, taps, f, taps), and zeros before the gradient."""
    found, before = F.pad(weight, (0, 1, 0, 1, 0, 1)), []  # taps that are not there are zeros
    for axis, (k, s, p, f) in enumerate(zip(weight.shape[2:], window.stride, window.padding, block, strict=True)):
        first, last = min(-((k - 1 - p) // s), 0), (f - 1 + p) // s
        taps = torch.arange(f)[:, None] + p - s * torch.arange(first, last + 1)
        taps = torch.where((taps < 0) | (taps >= k), k, taps)
        dim = 2 + 2 * axis
        found = found.index_select(dim, taps.flatten()).unflatten(dim, taps.shape)
        before.append(-first)
    return found, before


def _reaching(grad: Tensor, needed: Sequence[int]) -> Tensor:
    """``grad`` with zeros behind each axis up to the length that is needed."""
    short = [max(0, need - n) for need, n in zip(needed, grad.shape[2:], strict=True)]
    return _dense(F.pad(grad, [amount for n in reversed(short) for amount in (0, n)])) if any(short) else grad


def _every(stride: Sequence[int], count: Sequence[int], shift: Sequence[int] = (0, 0, 0)) -> tuple[slice, ...]:
    """``count`` voxels of each axis, ``stride`` apart."""
    parts = zip(shift, count, stride, strict=True)
    return (slice(None), slice(None), *(slice(r, r + (q - 1) * s + 1, s) for r, q, s in parts))


def _by_group(weight: Tensor, groups: int) -> Tensor:
    """Weights with the roles of input and output exchanged, group by group."""
    return weight.reshape(groups, -1, *weight.shape[1:]).transpose(1, 2).flatten(0, 1)


def by_columns(grad: Tensor, weight: Tensor, shape: Sequence[int], window: Window) -> Tensor:
    """For one input channel: a matrix product gives every tap's part, and shifted sums put them in place.

    oneDNN has no good kernel for a single output channel; this takes a third of its time.
    """
    samples, out = grad.shape[:2]
    kernel, size = tuple(weight.shape[2:]), tuple(grad.shape[2:])
    matrix = weight.reshape(out, -1).t().contiguous()
    total = grad.new_zeros(samples, *(n + k - 1 for n, k in zip(size, kernel, strict=True)))
    for first in range(0, size[0], _PLANES):
        slab = grad[:, :, first : first + _PLANES]
        planes = slab.shape[2]
        columns = (matrix @ slab.reshape(samples, out, -1)).reshape(samples, *kernel, planes, *size[1:])
        for i, j, k in product(*map(range, kernel)):
            place = total[:, first + i : first + i + planes, j : j + size[1], k : k + size[2]]
            place += columns[:, i, j, k]
    return _cut(total[:, None], shape, window.padding)


def _convolution(
    x: Tensor,
    weight: Tensor,
    padding: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int = 1,
) -> Tensor:
    """The convolution in the layout of ``x``."""
    weight = channels_last(weight) if x.stride(1) == 1 else weight.contiguous()
    found: Tensor = torch.ops.aten.mkldnn_convolution(x, weight, None, padding, stride, dilation, groups)
    return found


def _unfolded(y: Tensor, block: Sequence[int]) -> Tensor:
    """Channels (block voxel, channel) put back where the voxels of each block lie."""
    samples, size = y.shape[0], y.shape[2:]
    into = y.shape[1] // prod(block)
    spatial = tuple(n * f for n, f in zip(size, block, strict=True))
    if y.stride(1) == 1:
        y = y.permute(0, 2, 3, 4, 1).reshape(samples, *size, *block, into)
        return y.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(samples, *spatial, into).permute(0, 4, 1, 2, 3)
    y = y.reshape(samples, *block, into, *size).permute(0, 4, 5, 1, 6, 2, 7, 3)
    return y.reshape(samples, into, *spatial)


def _dense(y: Tensor) -> Tensor:
    """``y`` without gaps in memory, in the layout that it has."""
    return channels_last(y) if y.stride(1) == 1 else y.contiguous()


def _cut(y: Tensor, shape: Sequence[int], padding: Sequence[int]) -> Tensor:
    """Take the input's voxels out of a padded grid; those the kernel never reached are zero."""
    spatial = tuple(shape[2:])
    y = y[(slice(None), slice(None), *(slice(p, p + n) for p, n in zip(padding, spatial, strict=True)))]
    short = [n - m for n, m in zip(spatial, y.shape[2:], strict=True)]
    return F.pad(y, [amount for n in reversed(short) for amount in (0, n)]) if any(short) else _dense(y)
