"""Convolution and its adjoint, as plain functions of tensors, by the fastest way that gives the same numbers.

On a CPU torch sends many 3D convolutions (one sample, few voxels, kernels up to 3) to a slow path; here float32 goes to
oneDNN directly. :mod:`adjoints` has the ways back. Everything else, and every other device and precision, takes torch's
own way.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from . import adjoints
from .layout import channels_last
from .uniform import box_sums, box_sums_back, is_uniform
from .window import Window

#: Input channels from which on oneDNN's adjoint is the fastest: with 32 it takes 0.4 to 1 of the time of the others,
#: with 128 to 256 and stride 2 a sixtieth; with a single one, five times as much.
_WIDE = 32
#: Input channels up to which the adjoint of a large kernel is folded.
_NARROW = 4


def direct(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN can be called directly."""
    return (
        x.dtype == torch.float32
        and x.is_cpu
        and weight.dim() == 5
        and torch.backends.mkldnn.is_available()
        and x.numel() > 0
    )


def prepared(weight: Tensor, window: Window) -> Tensor:
    """``weight`` in the layout in which :func:`convolve` needs it, so that it is not brought there every time."""
    return (
        channels_last(weight) if window.channels_last and not window.transposed and direct(weight, weight) else weight
    )


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, window: Window) -> Tensor:
    """The convolution ``window`` of ``x`` (N, C, ...) with ``weight``.

    If that is :func:`.ones_of`, and there is no bias, all channels of the output are the same, and one is returned.
    """
    if is_uniform(weight):
        if bias is None and window.groups == 1 and not window.transposed:
            return box_sums(x, weight, window, lambda values, ones, along: convolve(values, ones, None, along))
        weight = weight.contiguous()
    if direct(x, weight) and not window.transposed:
        lay = channels_last if window.channels_last else Tensor.contiguous
        found: Tensor = torch.ops.aten.mkldnn_convolution(
            lay(x), lay(weight), bias, window.padding, window.stride, window.dilation, window.groups
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
    if is_uniform(weight):
        if window.groups == 1 and not window.transposed:
            return box_sums_back(grad, weight, shape, window, convolve_back)
        weight = weight.contiguous()
    if direct(grad, weight) and not window.transposed:
        lay = channels_last if window.channels_last else Tensor.contiguous
        found = _direct_back(lay(grad), lay(weight), shape, window)
        if found is not None:
            return lay(found)
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


def _direct_back(grad: Tensor, weight: Tensor, shape: Sequence[int], window: Window) -> Tensor | None:
    """The adjoint by the fastest of the ways in :mod:`adjoints`; None if none of them applies."""
    into = weight.shape[1]
    if into >= _WIDE and window.groups == 1 and hasattr(torch.ops.mkldnn, "_convolution_transpose_pointwise"):
        return adjoints.by_deconvolution(grad, weight, shape, window)
    taps = prod(weight.shape[2:])
    dilated, strided = any(d > 1 for d in window.dilation), any(s > 1 for s in window.stride)
    fits = all(r >= p for r, p in zip(window.reach(weight.shape[2:]), window.padding, strict=True))
    if window.groups > 1 and strided:
        return adjoints.by_phases(grad, weight, shape, window) if fits and not dilated else None
    if window.groups > 1:
        return adjoints.by_flipping(grad, weight, window) if fits else None
    if into == 1 and taps <= adjoints.MOST_COLUMNS and not dilated and not strided:
        return adjoints.by_columns(grad, weight, shape, window)
    if not fits or (dilated and strided):
        return None
    if strided or (into <= _NARROW and taps > adjoints.MOST_COLUMNS and not dilated):
        return adjoints.by_blocks(grad, weight, shape, window)
    return adjoints.by_flipping(grad, weight, window)
