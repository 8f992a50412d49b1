"""Convolutions whose weights are all one: sums over boxes, of all channels alike.

The flat rules of LRP ask for them, mostly at the first layer, which is the largest. All output channels are the same,
so one is computed; and a sum over a box is a sum along one axis after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from torch import Tensor

from .window import Window

Convolve = Callable[[Tensor, Tensor, Window], Tensor]
ConvolveBack = Callable[[Tensor, Tensor, Sequence[int], Window], Tensor]


def ones_of(weight: Tensor) -> Tensor:
    """Ones of the shape of ``weight``, in the memory of a single number, by which :func:`is_uniform` knows them."""
    return weight.new_ones(()).expand_as(weight)


def is_uniform(weight: Tensor) -> bool:
    """Whether ``weight`` was made by :func:`ones_of`, and more than a single number."""
    return weight.numel() > 1 and not any(weight.stride())


def box_sums(x: Tensor, weight: Tensor, window: Window, convolve: Convolve) -> Tensor:
    """The one output channel that stands for all, (N, 1, ...), of ``x`` (N, C, ...)."""
    total = x.sum(1, keepdim=True)
    for ones, along in _axes(weight, window):
        total = convolve(total, ones, along)
    return total


def box_sums_back(y: Tensor, weight: Tensor, shape: Sequence[int], window: Window, back: ConvolveBack) -> Tensor:
    """The adjoint for ``y`` (N, any number of channels, ...), an expanded tensor of ``shape`` (N, C, ...)."""
    total = y.sum(1, keepdim=True)
    passes, shapes = list(_axes(weight, window)), [(shape[0], 1, *shape[2:])]
    for ones, along in passes:
        shapes.append((shape[0], 1, *along.output_shape(shapes[-1][2:], ones.shape[2:])))
    for (ones, along), before in zip(reversed(passes), reversed(shapes[:-1]), strict=True):
        total = back(total, ones, before, along)
    return total.expand(*shape)


def _axes(weight: Tensor, window: Window) -> Iterator[tuple[Tensor, Window]]:
    """Kernel and window along each axis in turn, those that change nothing left out."""
    for axis, size in enumerate(weight.shape[2:]):
        along = window.along(axis)
        if size > 1 or along.stride[axis] > 1 or along.padding[axis] > 0:
            kernel = [size if number == axis else 1 for number in range(weight.dim() - 2)]
            yield weight.new_ones(1, 1, *kernel), along
