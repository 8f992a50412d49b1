"""A positive gain for each feature at each place: what a feature counts for may depend on where it is.

Scans lie in template space, so a place means an anatomy. A gain is a constant of the trained network: it leaves the
logits positively homogeneous in the image, and every rule of attribution passes through it as through any scale.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class PlaceGain(nn.Module):
    """Features times the exponential of a coarse grid of logarithms, interpolated linearly, and 0 outside the brain.

    Parameters
    ----------
    channels
        Number of features.
    shape
        Of the coarse grid of learnt logarithms.
    grid
        Of the features of a whole image.

    Attributes
    ----------
    inside
        (I, J, K), ``grid``: share of brain in each place of the template, 0 to 1; 1 everywhere until it is set.

    Raises
    ------
    ValueError
        If a shape has not three sides of 1 or more.
    """

    inside: Tensor

    def __init__(self, channels: int, shape: Sequence[int], grid: Sequence[int]) -> None:
        super().__init__()
        for name, sides in (("gain_shape", shape), ("gain_grid", grid)):
            if len(sides) != 3 or min(sides) < 1:
                raise ValueError(f"{name} needs three sides of 1 or more, not {tuple(sides)}")
        self.log_gain = nn.Parameter(torch.zeros(1, channels, *shape))
        self.register_buffer("inside", torch.ones(tuple(grid)))

    def gains(self, shape: Sequence[int]) -> Tensor:
        """Gains at the places of an image from whose every face the same number of voxels may have been cropped.

        Returns
        -------
        (1, channels, I, J, K), ``shape`` being I, J, K.

        Raises
        ------
        ValueError
            If ``shape`` is not the middle of the grid.
        """
        whole = tuple(self.inside.shape)
        missing = [size - side for size, side in zip(whole, shape, strict=True)]
        if min(missing) < 0 or any(size % 2 for size in missing):
            raise ValueError(
                f"the network weighs its features by place on {' x '.join(map(str, whole))} places; "
                f"the image has {' x '.join(map(str, shape))}"
            )
        learnt = functional.interpolate(self.log_gain.exp(), size=whole, mode="trilinear", align_corners=False)
        i, j, k = (slice(size // 2, size // 2 + side) for size, side in zip(missing, shape, strict=True))
        return (learnt * self.inside)[:, :, i, j, k]

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, I, J, K) to the same."""
        return x * self.gains(x.shape[2:]).to(x.dtype)
