"""A convolution together with the max-pooling that follows it, with a ReLU between or not.

Computed together they need less memory: of a full-resolution feature map that is pooled at once, only the pooled values
and the place of each maximum are kept, and the map itself is formed slab by slab, a few planes at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from .convolution_layer import Convolution
from .kernels import convolve, convolve_back
from .layout import zeros
from .places import put, taken
from .uniform import is_uniform
from .window import Window


@dataclass(frozen=True)
class SlabPolicy:
    """When a max-pooling joins its convolution, and how much is computed at once.

    Attributes
    ----------
    minimum_voxels
        Feature maps of fewer voxels are computed whole.
    planes
        Output planes of the convolution that are formed at once, but for those that windows share.
    """

    minimum_voxels: int = 1 << 16
    planes: int = 16

    def scaled(self, share: float) -> SlabPolicy:
        """The policy that treats an input of ``share`` of the voxels as this one treats the whole."""
        return replace(self, minimum_voxels=max(1, round(share * self.minimum_voxels)))


#: Slab by slab wherever that saves any memory.
SMALL_SLABS = SlabPolicy(minimum_voxels=1 << 12)


@dataclass(frozen=True)
class Pool:
    """The windows of a max-pooling of volumes."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]

    def output_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Spatial shape of the pooled map; zero or less where no window fits."""
        parts = zip(shape, self.kernel, self.stride, self.padding, strict=True)
        return tuple((n + 2 * p - k) // s + 1 for n, k, s, p in parts)


@dataclass(frozen=True)
class Slab:
    """Some planes of the pooled map, and those of the convolution's output that their windows see.

    Attributes
    ----------
    pooled
        Planes of the pooled map.
    planes
        Planes of the convolution's output.
    missing
        Planes of the windows that lie before and behind the convolution's output.
    """

    pooled: slice
    planes: slice
    missing: tuple[int, int]


class PooledConvolution(Convolution):
    """Convolution, then max-pooling, with a ReLU between or not.

    With the places of the maxima fixed, the pooled values are linear in the input: the layer's outputs are the
    convolution's outputs at these places, and every LRP rule applies to them as it stands.
    """

    pooled = True

    def __init__(
        self, weight: Tensor, bias: Tensor | None, window: Window, pool: Pool, rectifies: bool, planes: int
    ) -> None:
        super().__init__(weight, bias, window)
        self.pool = pool
        self.rectifies = rectifies
        self.planes = planes

    def forward(self, *inputs: Tensor) -> Tensor:
        self.input = inputs[0].detach()
        values, places = [], []
        padding = (0, *self.pool.padding[1:])
        for slab, planes in self._convolved(self.input, self.weight, self.bias):
            if any(slab.missing):
                planes = F.pad(planes, (0, 0, 0, 0, *slab.missing), value=-torch.inf)
            pooled, place = F.max_pool3d(planes, self.pool.kernel, self.pool.stride, padding, return_indices=True)
            values.append(pooled)
            places.append(place.sub_(slab.missing[0] * planes[0, 0, 0].numel()).to(torch.int32))
        self.places = torch.cat(places, 2)
        output = torch.cat(values, 2)
        if self.rectifies:
            output.relu_()
        self.maxima = output.detach()
        return output

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        found = []
        for slab, planes in self._convolved(x, weight, bias):
            found.append(taken(planes, self.places[:, :, slab.pooled]))
        return torch.cat(found, 2)

    def adjoint(self, y: Tensor, weight: Tensor) -> Tensor:
        return self._adjoint(y, weight, clip=False)

    def gradient(self, grad: Tensor) -> tuple[Tensor, ...]:
        return (self._adjoint(self._rectified(grad), self.weight, clip=False),)

    def guided(self, grad: Tensor) -> tuple[Tensor, ...]:
        if self.rectifies:
            self.backward.gated["relu"] += 1
        # Windows that share a maximum: the ReLU sees the sum of their gradients.
        return (self._adjoint(self._rectified(grad), self.weight, clip=self.rectifies),)

    def _rectified(self, grad: Tensor) -> Tensor:
        return torch.ops.aten.threshold_backward(grad, self.maxima, 0) if self.rectifies else grad

    def _adjoint(self, y: Tensor, weight: Tensor, clip: bool) -> Tensor:
        """The transposed map; ``clip`` drops what is negative between the pooling and the convolution."""
        step, pad, reach = self.window.stride[0], self.window.padding[0], weight.shape[2]
        shape, window = list(self.input.shape), self.window.with_padding((0, *self.window.padding[1:]))
        total: Tensor | None = None
        for first, planes in self._scattered(y, is_uniform(weight)):
            if clip:
                planes.clamp_(min=0)
            height = (planes.shape[2] - 1) * step + reach
            slab = convolve_back(planes, weight, [*shape[:2], height, *shape[3:]], window)
            if total is None:
                total = zeros((*shape[:2], shape[2] + 2 * pad, *shape[3:]), slab)
            total[:, :, first * step : first * step + height] += slab
        assert total is not None
        return total[:, :, pad : pad + shape[2]]

    def _scattered(self, y: Tensor, together: bool) -> Iterator[tuple[int, Tensor]]:
        """``y`` put where the maxima were: first plane and planes of the convolution's output, each plane once.

        ``together`` adds all channels up in one.
        """
        slabs, area = list(self._slabs()), self._size[1:]
        shared = None
        for number, slab in enumerate(slabs):
            first, count = slab.planes.start, slab.planes.stop - slab.planes.start
            place, part = self.places[:, :, slab.pooled], y[:, :, slab.pooled]
            wide = put(part, place, (count, *area), together)
            if shared is not None:
                wide[:, :, : shared.shape[2]] += shared
            # Planes that the next slab's windows see too are its concern.
            own = count if number + 1 == len(slabs) else min(count, slabs[number + 1].planes.start - first)
            shared = wide[:, :, own:]
            yield first, wide[:, :, :own]

    @property
    def _size(self) -> tuple[int, ...]:
        """Spatial shape of the convolution's output, before pooling."""
        return self.window.output_shape(self.input.shape[2:], self.weight.shape[2:])

    def _slabs(self) -> Iterator[Slab]:
        size, depth = self._size, max(1, self.planes // self.pool.stride[0])
        for first in range(0, count := self.pool.output_shape(size)[0], depth):
            last = min(first + depth, count)
            low = first * self.pool.stride[0] - self.pool.padding[0]
            high = (last - 1) * self.pool.stride[0] - self.pool.padding[0] + self.pool.kernel[0]
            inside = slice(max(low, 0), min(high, size[0]))
            yield Slab(slice(first, last), inside, (inside.start - low, high - inside.stop))

    def _convolved(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Iterator[tuple[Slab, Tensor]]:
        """Slab by slab, the planes of the convolution's output."""
        pad, step, reach = self.window.padding[0], self.window.stride[0], weight.shape[2]
        window = self.window.with_padding((0, *self.window.padding[1:]))
        for slab in self._slabs():
            low = slab.planes.start * step - pad
            high = (slab.planes.stop - 1) * step - pad + reach
            piece = x[:, :, max(low, 0) : min(high, x.shape[2])]
            if low < 0 or high > x.shape[2]:
                piece = F.pad(piece, (0, 0, 0, 0, max(-low, 0), max(high - x.shape[2], 0)))
            yield slab, convolve(piece, weight, bias, window)


def poolable(window: Window, pool: Pool, shape: Sequence[int], slabs: SlabPolicy) -> bool:
    """Whether a convolution's output of spatial ``shape`` is worth pooling slab by slab."""
    return (
        len(shape) == 3
        and not window.transposed
        and window.dilation[0] == 1
        and min(pool.output_shape(shape)) > 0
        and prod(shape) >= slabs.minimum_voxels
    )
