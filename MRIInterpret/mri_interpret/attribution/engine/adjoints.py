"""Ways to compute the adjoint of a convolution of volumes in float32 on a CPU, in the layout of the gradient.

oneDNN's own adjoint is good for many input channels only. That of few is again a convolution: with flipped weights for
stride 1, and by phases for larger strides (every stride-th voxel of the result comes from the same few taps, so the
phases are output channels of one ordinary convolution). A vector unit computes 16 output channels at a time, so for a
single input channel the voxels of a small block become channels (folding), or every tap gets a row of a matrix product
(columns).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from .layout import channels_last, zeros
from .window import Window

#: Taps up to which :func:`by_columns` is used.
MOST_COLUMNS = 27
#: Planes of the first axis whose columns are formed at once in :func:`by_columns`; 4 and 16 measured best.
_PLANES = 16
#: The block of voxels that become channels in :func:`by_folding`.
_BLOCK = (2, 2, 4)


def by_deconvolution(grad: Tensor, weight: Tensor, shape: Sequence[int], window: Window) -> Tensor:
    """oneDNN's own adjoint, with the weights as they are: flipping many small kernels costs more than convolving."""
    reach = window.reach(weight.shape[2:])
    sizes = zip(shape[2:], grad.shape[2:], window.stride, window.padding, reach, strict=True)
    rest = [n - ((m - 1) * s - 2 * p + r + 1) for n, m, s, p, r in sizes]  # what the last window did not reach
    found: Tensor = torch.ops.mkldnn._convolution_transpose_pointwise(
        grad, weight, None, window.padding, rest, window.stride, window.dilation, 1, "none", [], ""
    )
    return found


def by_flipping(grad: Tensor, weight: Tensor, shape: Sequence[int], window: Window) -> Tensor:
    """For padding up to the kernel's reach: a convolution with flipped weights, of zeros between strides.

    With stride 1 there are none; otherwise it pays where a convolution costs next to nothing, as by groups it does.
    """
    groups, axes = window.groups, tuple(range(2, weight.dim()))
    by_group = weight.flip(axes).reshape(groups, -1, *weight.shape[1:])
    flipped = by_group.transpose(1, 2).flatten(0, 1)
    reach = window.reach(weight.shape[2:])
    padding = [r - p for r, p in zip(reach, window.padding, strict=True)]
    if any(s > 1 for s in window.stride):
        spread = [n + 2 * p - r for n, p, r in zip(shape[2:], window.padding, reach, strict=True)]
        wide = zeros((*grad.shape[:2], *spread), grad)
        wide[(slice(None), slice(None), *(slice(None, None, s) for s in window.stride))] = grad
        grad = wide
    return _convolution(grad, flipped, padding, [1] * len(padding), window.dilation, groups)


def by_folding(grad: Tensor, weight: Tensor, window: Window) -> Tensor:
    """As :func:`by_flipping`, without dilation, for few channels: the voxels of a block are channels of their own.

    Voxel ``f q + r`` of the result is channel ``r`` at place ``q`` of a convolution with stride ``f``, whose kernel is
    the flipped one shifted by ``r``. The kernel becomes larger by ``f - 1``; where it was large, that costs less than
    computing one channel at a time.
    """
    out, into = weight.shape[:2]
    kernel = tuple(weight.shape[2:])
    flipped = weight.flip(2, 3, 4).transpose(0, 1)
    blocks = weight.new_zeros(*_BLOCK, into, out, *(k + f - 1 for k, f in zip(kernel, _BLOCK, strict=True)))
    for shift in product(*map(range, _BLOCK)):
        taps = tuple(slice(r, r + k) for r, k in zip(shift, kernel, strict=True))
        blocks[shift][(slice(None), slice(None), *taps)] = flipped
    padding = [k - 1 - p for k, p in zip(kernel, window.padding, strict=True)]
    size = [m + 2 * p - k + 1 for m, p, k in zip(grad.shape[2:], padding, kernel, strict=True)]
    short = [-n % f for n, f in zip(size, _BLOCK, strict=True)]
    if any(short):
        grad = F.pad(grad, [amount for n in reversed(short) for amount in (0, n)])
        grad = _dense(grad)
    folded = _convolution(grad, blocks.flatten(0, 3), padding, _BLOCK, [1] * 3)
    return _dense(_unfolded(folded, _BLOCK)[:, :, : size[0], : size[1], : size[2]])


def by_phases(grad: Tensor, weight: Tensor, shape: Sequence[int], window: Window) -> Tensor:
    """For larger strides: input index ``i = s (o + q) + r - p`` for tap ``t = s q + r``, all ``r`` as channels."""
    stride, kernel = window.stride, tuple(weight.shape[2:])
    out, into = weight.shape[:2]
    if all(k == 1 for k in kernel):
        narrow = _convolution(grad, weight.transpose(0, 1), [0] * 3, [1] * 3, [1] * 3)
        wide = zeros((*narrow.shape[:2], *(n * s for n, s in zip(narrow.shape[2:], stride, strict=True))), narrow)
        wide[:, :, :: stride[0], :: stride[1], :: stride[2]] = narrow
        return _cut(wide, shape, window.padding)
    taps = [-(-k // s) for k, s in zip(kernel, stride, strict=True)]
    missing = [t * s - k for t, s, k in zip(taps, stride, kernel, strict=True)]
    padded = F.pad(weight, (0, missing[2], 0, missing[1], 0, missing[0]))
    phases = padded.reshape(out, into, taps[0], stride[0], taps[1], stride[1], taps[2], stride[2])
    phases = phases.permute(3, 5, 7, 1, 0, 2, 4, 6).reshape(prod(stride) * into, out, *taps)
    y = _convolution(grad, phases.flip(2, 3, 4), [t - 1 for t in taps], [1] * 3, [1] * 3)
    return _cut(_unfolded(y, stride), shape, window.padding)


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
