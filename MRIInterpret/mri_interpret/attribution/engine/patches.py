"""Feature maps that differ from known ones only inside a box: what hiding a patch of the input changes.

A convolution of such a map changes only where its kernel touches the box, so only a crop around the box has to be
computed; the rest is the map of the unchanged input. All boxes of a batch have one size and each its own place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import starmap
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

Place = tuple[int, ...]


@dataclass
class Patch:
    """Changes of a feature map.

    Attributes
    ----------
    base
        The map of the unchanged input, (N, C, *shape).
    places
        First voxel of each box.
    values
        What is in the boxes: (boxes, N, C, *size).
    """

    base: Tensor
    places: list[Place]
    values: Tensor

    @property
    def size(self) -> Place:
        """Edge lengths of the boxes."""
        return tuple(self.values.shape[3:])

    @property
    def shape(self) -> Place:
        """Edge lengths of the whole map."""
        return tuple(self.base.shape[2:])

    def whole(self) -> Tensor:
        """The changed maps, (boxes * N, C, *shape)."""
        full = self.base.expand(len(self.places), *self.base.shape).clone()
        for box, place, value in zip(full, self.places, self.values, strict=True):
            box[(slice(None), slice(None), *_slices(place, self.size))] = value
        return full.flatten(0, 1)

    def is_small(self) -> bool:
        """Whether the boxes are so much smaller than the map that cropping pays."""
        return prod(self.size) * 2 < prod(self.shape)

    def crop(self, places: Sequence[Place], size: Place, before: Place, behind: Place, fill: float) -> Tensor:
        """Crops of the changed maps, (boxes, N, C, *size), with ``fill`` beyond the map's borders.

        ``places`` count from the first voxel of the map padded by ``before``.
        """
        padding = [
            amount for low, high in zip(reversed(before), reversed(behind), strict=True) for amount in (low, high)
        ]
        padded = F.pad(self.base, padding, value=fill) if any(padding) else self.base
        crops = torch.stack([padded[(slice(None), slice(None), *_slices(place, size))] for place in places])
        for crop, place, box, value in zip(crops, places, self.places, self.values, strict=True):
            into, source = [], []
            for start, width, low, first, length in zip(place, size, before, box, self.size, strict=True):
                at = first + low - start
                begin, end = max(at, 0), min(at + length, width)
                into.append(slice(begin, max(begin, end)))
                source.append(slice(begin - at, max(begin, end) - at))
            crop[(slice(None), slice(None), *into)] = value[(slice(None), slice(None), *source)]
        return crops

    def pointwise(self, function: Callable[[Tensor], Tensor], base: Tensor) -> Patch:
        """The same boxes after a function of single voxels; ``base`` is the unchanged map after it."""
        values = function(self.values.flatten(0, 1))
        return Patch(base, self.places, values.reshape(*self.values.shape[:2], *values.shape[1:]))

    def windowed(
        self,
        function: Callable[[Tensor], Tensor],
        base: Tensor,
        window: tuple[Place, Place, Place, Place],
        fill: float = 0.0,
    ) -> Patch:
        """The boxes after a function of windows (kernel, stride, padding, dilation), which pads nothing itself."""
        kernel, stride, padding, dilation = window
        after = tuple(base.shape[2:])
        reach = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        # A box of w voxels touches at most this many windows, wherever it lies.
        size = tuple(min((w - 1 + r) // s + 1, n) for w, r, s, n in zip(self.size, reach, stride, after, strict=True))
        places: list[Place] = []
        for box in self.places:
            first = [-(-(a + p - r) // s) for a, p, r, s in zip(box, padding, reach, stride, strict=True)]
            places.append(tuple(min(max(o, 0), n - m) for o, n, m in zip(first, after, size, strict=True)))
        needed = tuple((m - 1) * s + r + 1 for m, s, r in zip(size, stride, reach, strict=True))
        corners = [tuple(o * s for o, s in zip(place, stride, strict=True)) for place in places]
        behind = tuple(
            max(0, (n - 1) * s + r + 1 - p - before)
            for n, s, r, p, before in zip(after, stride, reach, padding, self.shape, strict=True)
        )
        crops = self.crop(corners, needed, padding, behind, fill)
        values = function(crops.flatten(0, 1))
        return Patch(base, places, values.reshape(*crops.shape[:2], *values.shape[1:]))

    def plus(self, other: Patch, sign: float, base: Tensor) -> Patch:
        """The sum with another patch, over boxes that hold both."""
        pairs = list(zip(self.places, other.places, strict=True))
        size = tuple(
            max(max(a[i] + self.size[i], b[i] + other.size[i]) - min(a[i], b[i]) for a, b in pairs)
            for i in range(len(self.size))
        )
        size = tuple(starmap(min, zip(size, self.shape, strict=True)))
        places = [tuple(min(x, y, n - m) for x, y, n, m in zip(a, b, self.shape, size, strict=True)) for a, b in pairs]
        none = (0,) * len(size)
        parts = [part.crop(places, size, none, none, 0.0) for part in (self, other)]
        return Patch(base, places, torch.add(parts[0], parts[1], alpha=sign))


def _slices(place: Place, size: Place) -> list[slice]:
    return [slice(start, start + length) for start, length in zip(place, size, strict=True)]
