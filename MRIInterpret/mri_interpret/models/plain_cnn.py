"""A plain 3D CNN of convolution, batch normalisation and ReLU, without skips, gates or dropout (atrophy_cnn up to 0.2).

Plain on purpose. Every attribution rule has a well-defined meaning on these layers, and the features that are pooled
keep 8 mm: at 32 mm, where deep residual networks pool, a hippocampus is a fraction of one voxel.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

# Two strided blocks take 2 mm to 8 mm; the blocks after them widen the receptive field to about 10 cm, without which
# a convolution could not tell a hippocampus from any other grey matter.
CHANNELS = (16, 16, 32, 64, 64, 64, 64, 64)
STRIDES = (2, 1, 2, 1, 1, 1, 1, 1)


class ConvBlock(nn.Sequential):
    """Convolution without bias, batch normalisation, ReLU.

    A strided kernel is twice its stride wide (4 for 2), so that every voxel lies in equally many windows. With 3 at
    stride 2 every second voxel lies in twice as many as its neighbour, and each map of relevance or gradient shows
    that as a checkerboard.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        kernel, padding = (3, 1) if stride == 1 else (2 * stride, stride // 2)
        super().__init__(
            nn.Conv3d(channels_in, channels_out, kernel, stride=stride, padding=padding, bias=False),
            nn.BatchNorm3d(channels_out),
            nn.ReLU(),
        )


class PlainCNN3d(nn.Module):
    """Conv-BN-ReLU blocks, global average pooling, one linear layer.

    Parameters
    ----------
    in_channels
        Channels of the input; 1 for a T1-weighted scan.
    num_classes
        Number of logits.
    channels, strides
        Output channels and stride of each block, of the same length. Kernels are 3 wide, strided ones 2 x stride.

    Raises
    ------
    ValueError
        If the two sequences differ in length, are empty, or hold something below 1.
    """

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 3,
        channels: Sequence[int] = CHANNELS,
        strides: Sequence[int] = STRIDES,
    ) -> None:
        super().__init__()
        if not channels or len(channels) != len(strides):
            raise ValueError(f"{len(channels)} channel counts for {len(strides)} strides")
        if min(*channels, *strides, in_channels, num_classes) < 1:
            raise ValueError("channels, strides and class counts must be positive")
        widths = (in_channels, *channels)
        self.blocks = nn.Sequential(*(ConvBlock(widths[i], widths[i + 1], stride) for i, stride in enumerate(strides)))
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.classifier = nn.Linear(channels[-1], num_classes)

    def features(self, image: torch.Tensor) -> torch.Tensor:
        """The last feature maps: (N, C, I / stride, J / stride, K / stride), non-negative."""
        return self.blocks(image)

    def before_last_relu(self, image: torch.Tensor) -> torch.Tensor:
        """The last feature maps before their ReLU."""
        *early, last = self.blocks
        for block in early:
            image = block(image)
        found: torch.Tensor = last[1](last[0](image))  # type: ignore[index]
        return found

    @property
    def width(self) -> int:
        """Number of the features that are averaged."""
        return self.classifier.in_features

    @property
    def num_classes(self) -> int:
        """Number of logits."""
        return self.classifier.out_features

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits (N, num_classes) of images (N, in_channels, I, J, K)."""
        return self.classifier(self.pool(self.features(image)).flatten(1))
