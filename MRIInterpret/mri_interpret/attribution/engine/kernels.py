"""Convolution and its adjoint, as plain functions of tensors, by the fastest way that gives the same numbers.

On a CPU torch sends many 3D convolutions (one sample, few voxels, kernels up to 3) to a slow path; here float32 goes to
oneDNN directly, and so does the adjoint of wide layers. That of narrow ones is again a convolution: with flipped
weights for stride 1, and by phases for larger strides (every stride-th voxel of the result comes from the same few
taps, so the phases are output channels of one ordinary convolution). Everything else, and every other device and
precision, takes torch's own way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

#: Planes of the first axis whose columns are formed at once in :func:`_adjoint_by_columns`; 4 and 16 measured best.
_PLANES = 16
#: Input channels from which on oneDNN's adjoint is the fastest: with 32 it takes 0.4 to 1 of the time of the others,
#: with 128 to 256 and stride 2 a sixtieth; with a single one, five times as much.
_WIDE = 32


@dataclass(frozen=True)
class Window:
    """The fixed parameters of a convolution, one value per spatial axis."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1
    transposed: bool = False
    output_padding: tuple[int, ...] = ()

    def with_padding(self, padding: tuple[int, ...]) -> Window:
        """The same window with other padding."""
        return replace(self, padding=padding)

    def output_shape(self, shape: Sequence[int], kernel: Sequence[int]) -> tuple[int, ...]:
        """Spatial shape of the convolution's output (not for transposed ones)."""
        parts = zip(shape, kernel, self.stride, self.padding, self.dilation, strict=True)
        return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in parts)


def _direct(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN can be called directly."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and weight.dim() == 5
        and torch.backends.mkldnn.is_available()
        and x.numel() > 0
    )


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, window: Window) -> Tensor:
    """The convolution ``window`` of ``x`` (N, C, ...) with ``weight``."""
    if _direct(x, weight) and not window.transposed:
        found: Tensor = torch.ops.aten.mkldnn_convolution(
            x.contiguous(), weight, bias, window.padding, window.stride, window.dilation, window.groups
        )
        return found
    output_padding = window.output_padding or (0,) * len(window.stride)
    found = torch.ops.aten.convolution(
        x,
        weight,
        bias,
        window.stride,
        window.padding,
        window.dilation,
        window.transposed,
        output_padding,
        window.groups,
    )
    return found


def convolve_back(grad: Tensor, weight: Tensor, shape: Sequence[int], window: Window) -> Tensor:
    """The adjoint of :func:`convolve`: gradient with respect to an input of ``shape``."""
    if _direct(grad, weight) and not window.transposed and window.groups == 1:
        kernel = tuple(weight.shape[2:])
        reach = [d * (k - 1) for d, k in zip(window.dilation, kernel, strict=True)]
        if weight.shape[1] >= _WIDE and hasattr(torch.ops.mkldnn, "_convolution_transpose_pointwise"):
            return _adjoint_by_deconvolution(grad, weight, shape, window, reach)
        if all(s == 1 for s in window.stride):
            if weight.shape[1] == 1 and prod(kernel) <= 27 and all(d == 1 for d in window.dilation):
                return _adjoint_by_columns(grad, weight, shape, window)
            if all(r >= p for r, p in zip(reach, window.padding, strict=True)):
                return _adjoint_by_flipping(grad, weight, reach, window)
        elif all(d == 1 for d in window.dilation):
            return _adjoint_by_phases(grad, weight, shape, window)
    output_padding = window.output_padding or (0,) * len(window.stride)
    like = grad.new_empty(1).expand(shape)  # only its shape is read
    back: Tensor = torch.ops.aten.convolution_backward(
        grad,
        like,
        weight,
        None,
        window.stride,
        window.padding,
        window.dilation,
        window.transposed,
        output_padding,
        window.groups,
        [True, False, False],
    )[0]
    return back


def _adjoint_by_deconvolution(
    grad: Tensor, weight: Tensor, shape: Sequence[int], window: Window, reach: Sequence[int]
) -> Tensor:
    """oneDNN's own adjoint, with the weights as they are: flipping many small kernels costs more than convolving."""
    sizes = zip(shape[2:], grad.shape[2:], window.stride, window.padding, reach, strict=True)
    rest = [n - ((m - 1) * s - 2 * p + r + 1) for n, m, s, p, r in sizes]  # what the last window did not reach
    found: Tensor = torch.ops.mkldnn._convolution_transpose_pointwise(
        grad.contiguous(), weight, None, window.padding, rest, window.stride, window.dilation, 1, "none", [], ""
    )
    return found


def _adjoint_by_flipping(grad: Tensor, weight: Tensor, reach: Sequence[int], window: Window) -> Tensor:
    flipped = weight.flip(2, 3, 4).transpose(0, 1).contiguous()
    padding = [r - p for r, p in zip(reach, window.padding, strict=True)]
    ones = [1] * len(padding)
    found: Tensor = torch.ops.aten.mkldnn_convolution(
        grad.contiguous(), flipped, None, padding, ones, window.dilation, 1
    )
    return found


def _adjoint_by_phases(grad: Tensor, weight: Tensor, shape: Sequence[int], window: Window) -> Tensor:
    """Input index ``i = s (o + q) + r - p`` for tap ``t = s q + r``: all ``r`` at once, as channels."""
    stride, kernel = window.stride, tuple(weight.shape[2:])
    out, into = weight.shape[:2]
    samples = grad.shape[0]
    if all(k == 1 for k in kernel):
        narrow = _adjoint_by_flipping(grad, weight, [0] * 3, Window((1, 1, 1), (0, 0, 0), (1, 1, 1)))
        wide = grad.new_zeros(samples, into, *(n * s for n, s in zip(narrow.shape[2:], stride, strict=True)))
        wide[:, :, :: stride[0], :: stride[1], :: stride[2]] = narrow
        return _cut(wide, shape, window.padding)
    taps = [-(-k // s) for k, s in zip(kernel, stride, strict=True)]
    missing = [t * s - k for t, s, k in zip(taps, stride, kernel, strict=True)]
    padded = F.pad(weight, (0, missing[2], 0, missing[1], 0, missing[0]))
    phases = padded.reshape(out, into, taps[0], stride[0], taps[1], stride[1], taps[2], stride[2])
    phases = phases.permute(3, 5, 7, 1, 0, 2, 4, 6).reshape(prod(stride) * into, out, *taps)
    y = torch.ops.aten.mkldnn_convolution(
        grad.contiguous(), phases.flip(2, 3, 4).contiguous(), None, [t - 1 for t in taps], [1] * 3, [1] * 3, 1
    )
    size = y.shape[2:]
    y = y.reshape(samples, *stride, into, *size).permute(0, 4, 5, 1, 6, 2, 7, 3)
    y = y.reshape(samples, into, *(n * s for n, s in zip(size, stride, strict=True)))
    return _cut(y, shape, window.padding)


def _cut(y: Tensor, shape: Sequence[int], padding: Sequence[int]) -> Tensor:
    """Take the input's voxels out of a padded grid; those the kernel never reached are zero."""
    spatial = tuple(shape[2:])
    y = y[(slice(None), slice(None), *(slice(p, p + n) for p, n in zip(padding, spatial, strict=True)))]
    short = [n - m for n, m in zip(spatial, y.shape[2:], strict=True)]
    return F.pad(y, [amount for n in reversed(short) for amount in (0, n)]) if any(short) else y.contiguous()


def _adjoint_by_columns(grad: Tensor, weight: Tensor, shape: Sequence[int], window: Window) -> Tensor:
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
