"""The network that segments: a U-Net on a whole brain at once, light where voxels are many.

At the input's resolution there is one convolution going down and one coming up; most of the work is done at half and at
a quarter of it (compare Ronneberger 2015, "U-Net", for the plan and Billot 2023, "SynthSeg", for the use).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

CHANNELS = (16, 32, 72, 96)
LAST_CHANNELS = 24
_GROUP = 4  # channels that are normalised together


class ConvNorm(nn.Sequential):
    """Convolution 3 x 3 x 3 without bias, group normalisation, leaky ReLU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(
            nn.Conv3d(channels_in, channels_out, 3, padding=1, bias=False),
            nn.GroupNorm(channels_out // _GROUP, channels_out),
            nn.LeakyReLU(0.01),
        )


class AnatomyUNet(nn.Module):
    """A U-Net with strided convolutions for pooling.

    Parameters
    ----------
    num_classes
        Number of structures, the background among them.
    channels
        Of each level, multiples of 4; every level halves the resolution.
    last_channels
        Features per voxel from which the structures are read, a multiple of 4.

    Raises
    ------
    ValueError
        If the channels are fewer than two or no multiples of 4.
    """

    def __init__(
        self, num_classes: int = 33, channels: Sequence[int] = CHANNELS, last_channels: int = LAST_CHANNELS
    ) -> None:
        super().__init__()
        if len(channels) < 2 or any(c < _GROUP or c % _GROUP for c in (*channels, last_channels)):
            raise ValueError(f"channels must be two or more multiples of {_GROUP}, not {list(channels)}")
        levels = range(1, len(channels))
        self.stem = ConvNorm(1, channels[0])
        self.down = nn.ModuleList(nn.Conv3d(channels[k - 1], channels[k], 2, stride=2) for k in levels)
        self.encoder = nn.ModuleList(_two(channels[k], channels[k]) for k in levels)
        self.up = nn.ModuleList(nn.ConvTranspose3d(channels[k], channels[k - 1], 2, stride=2) for k in levels)
        self.decoder = nn.ModuleList(
            [ConvNorm(2 * channels[0], last_channels), *(_two(2 * c, c) for c in channels[1:-1])]
        )
        self.head = nn.Conv3d(last_channels, num_classes, 1)

    def features(self, x: Tensor) -> Tensor:
        """(N, 1, I, J, K), sizes divisible by 2 ** (levels - 1), to the features (N, last_channels, I, J, K)."""
        x = self.stem(x)
        skipped = []
        for down, encode in zip(self.down, self.encoder, strict=True):
            skipped.append(x)
            x = encode(down(x))
        for skip, up, decode in reversed(list(zip(skipped, self.up, self.decoder, strict=True))):
            x = decode(torch.cat((skip, up(x)), 1))
        return x

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, I, J, K) in 0 to 1 to logits (N, num_classes, I, J, K)."""
        logits: Tensor = self.head(self.features(x))
        return logits


def _two(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(ConvNorm(channels_in, channels_out), ConvNorm(channels_out, channels_out))
