"""A convolution together with the ReLU and the max-pooling that follow it.

Computed together they need less memory: of a full-resolution feature map that is pooled at once, only the pooled values
and the place of each maximum are kept, and the map itself is formed a few planes at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

from .convolution_layer import Convolution
from .kernels import Window, convolve, convolve_back

#: Feature maps of at least this many voxels are pooled slab by slab.
LARGE = 1 << 19
#: Output planes of the convolution that are formed at once.
PLANES = 16


class RectifiedConvolution(Convolution):
    """Convolution and ReLU. Relevance passes the ReLU; the gradient is stopped where the output is zero."""

    def forward(self, *inputs: Tensor) -> Tensor:
        output = super().forward(*inputs).relu_()
        self.rectified = output.detach()
        return output

    def gradient(self, grad: Tensor) -> tuple[Tensor, ...]:
        return super().gradient(torch.ops.aten.threshold_backward(grad, self.rectified, 0))

    def guided(self, grad: Tensor) -> tuple[Tensor, ...]:
        return super().gradient(torch.ops.aten.threshold_backward(grad, self.rectified, 0).clamp_(min=0))


class PooledConvolution(Convolution):
    """Convolution, then max-pooling with windows that do not overlap, with a ReLU between or not.

    With the places of the maxima fixed, the pooled values are linear in the input: the layer's outputs are the
    convolution's outputs at these places, and every LRP rule applies to them as it stands.
    """

    pooled = True

    def __init__(
        self, weight: Tensor, bias: Tensor | None, window: Window, pool: tuple[int, ...], rectifies: bool
    ) -> None:
        super().__init__(weight, bias, window)
        self.pool = pool
        self.rectifies = rectifies

    def forward(self, *inputs: Tensor) -> Tensor:
        self.input = inputs[0].detach()
        values, places = [], []
        for slab in self._slabs(self.weight, self.bias):
            pooled, place = F.max_pool3d(slab, self.pool, return_indices=True)
            values.append(pooled)
            places.append(place.to(torch.int32))
        self.places = torch.cat(places, 2)
        output = torch.cat(values, 2)
        if self.rectifies:
            output.relu_()
        self.maxima = output.detach()
        return output

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        found = []
        depth = PLANES // self.pool[0]
        for number, slab in enumerate(self._slabs(weight, bias, x)):
            place = self.places[:, :, number * depth : (number + 1) * depth]
            values = slab.flatten(2).gather(2, place.flatten(2).long())
            found.append(values.reshape(place.shape))
        return torch.cat(found, 2)

    def adjoint(self, y: Tensor, weight: Tensor) -> Tensor:
        depth, step = PLANES // self.pool[0], self.window.stride[0]
        pad, reach = self.window.padding[0], weight.shape[2]
        shape = list(self.input.shape)
        total = y.new_zeros(*shape[:2], shape[2] + 2 * pad, *shape[3:])
        for number, planes in enumerate(self._planes()):
            part = y[:, :, number * depth : (number + 1) * depth]
            place = self.places[:, :, number * depth : (number + 1) * depth]
            wide = y.new_zeros(*y.shape[:2], planes * self.size[1] * self.size[2])
            wide.scatter_(2, place.flatten(2).long(), part.flatten(2))
            height = (planes - 1) * step + reach
            slab = convolve_back(
                wide.reshape(*y.shape[:2], planes, *self.size[1:]),
                weight,
                [*shape[:2], height, *shape[3:]],
                self.window.with_padding((0, *self.window.padding[1:])),
            )
            start = number * PLANES * step
            total[:, :, start : start + height] += slab
        return total[:, :, pad : pad + shape[2]]

    def gradient(self, grad: Tensor) -> tuple[Tensor, ...]:
        if self.rectifies:
            grad = torch.ops.aten.threshold_backward(grad, self.maxima, 0)
        return super().gradient(grad)

    def guided(self, grad: Tensor) -> tuple[Tensor, ...]:
        return self.gradient(grad.clamp(min=0) if self.rectifies else grad)

    @property
    def size(self) -> tuple[int, ...]:
        """Spatial shape of the convolution's output, before pooling."""
        return self.window.output_shape(self.input.shape[2:], self.weight.shape[2:])

    def _planes(self) -> Iterator[int]:
        """Numbers of output planes that are formed together; planes that no window covers are left out."""
        used = self.size[0] // self.pool[0] * self.pool[0]
        for first in range(0, used, PLANES):
            yield min(PLANES, used - first)

    def _slabs(self, weight: Tensor, bias: Tensor | None, x: Tensor | None = None) -> Iterator[Tensor]:
        x = self.input if x is None else x
        pad, step, reach = self.window.padding[0], self.window.stride[0], weight.shape[2]
        window = self.window.with_padding((0, *self.window.padding[1:]))
        for number, planes in enumerate(self._planes()):
            low = number * PLANES * step - pad
            high = low + (planes - 1) * step + reach
            piece = x[:, :, max(low, 0) : min(high, x.shape[2])]
            if low < 0 or high > x.shape[2]:
                piece = F.pad(piece, (0, 0, 0, 0, max(-low, 0), max(high - x.shape[2], 0)))
            yield convolve(piece, weight, bias, window)


def poolable(window: Window, pool: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether a convolution's output of spatial ``shape`` is worth pooling slab by slab."""
    voxels = 1
    for size in shape:
        voxels *= size
    return (
        len(shape) == 3
        and not window.transposed
        and window.dilation[0] == 1
        and PLANES % pool[0] == 0
        and voxels >= LARGE
    )


@contextmanager
def slabs_everywhere() -> Iterator[None]:
    """Pool slab by slab wherever it saves any memory, for the block."""
    global LARGE
    before, LARGE = LARGE, 1 << 12
    try:
        yield
    finally:
        LARGE = before
