"""The fixed parameters of a convolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Window:
    """The fixed parameters of a convolution, one value per spatial axis.

    Attributes
    ----------
    stride, padding, dilation, groups, transposed, output_padding
        As torch has them.
    channels_last
        Whether feature maps may be laid out as :mod:`layout` says.
    """

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1
    transposed: bool = False
    output_padding: tuple[int, ...] = ()
    channels_last: bool = True

    def with_padding(self, padding: tuple[int, ...]) -> Window:
        """The same window with other padding."""
        return replace(self, padding=padding)

    def along(self, axis: int) -> Window:
        """The window of a kernel that reaches along one spatial axis only."""
        only = [number == axis for number in range(len(self.stride))]

        def chosen(values: Sequence[int], otherwise: int) -> tuple[int, ...]:
            return tuple(value if here else otherwise for value, here in zip(values, only, strict=True))

        return replace(
            self, stride=chosen(self.stride, 1), padding=chosen(self.padding, 0), dilation=chosen(self.dilation, 1)
        )

    def reach(self, kernel: Sequence[int]) -> tuple[int, ...]:
        """Voxels from the first to the last that a kernel of shape ``kernel`` sees, per axis."""
        return tuple(d * (k - 1) for d, k in zip(self.dilation, kernel, strict=True))

    def output_shape(self, shape: Sequence[int], kernel: Sequence[int]) -> tuple[int, ...]:
        """Spatial shape of the convolution's output (not for transposed ones)."""
        parts = zip(shape, self.reach(kernel), self.stride, self.padding, strict=True)
        return tuple((n + 2 * p - r - 1) // s + 1 for n, r, s, p in parts)
