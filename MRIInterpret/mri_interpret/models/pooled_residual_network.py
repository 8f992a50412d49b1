"""ClinicaDL 1's residual networks of volumes: one block and one max-pooling per stage, dense layers at the end."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .residual_network import ChannelGate

CHANNELS = (8, 16, 32, 64, 128)
GATE_REDUCTION, HIDDEN = 8, 256


class _Block(nn.Module):
    def __init__(self, before: int, after: int, gated: bool) -> None:
        super().__init__()
        activation = nn.ReLU if gated else nn.ELU
        self.conv1 = nn.Conv3d(before, after, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm3d(after)
        self.act1 = activation()
        self.conv2 = nn.Conv3d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm3d(after)
        self.gate = ChannelGate(after, GATE_REDUCTION) if gated else None
        self.shortcut = nn.Conv3d(before, after, 1, bias=False)
        self.act2 = activation()

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x)))))
        y = y if self.gate is None else self.gate(y)
        result: Tensor = self.act2(y + self.shortcut(x))
        return result


class PooledResidualNetwork(nn.Module):
    """Five stages of 8 to 128 channels; Thibeau-Sutre et al. 2022, "ClinicaDL", has it as ResNet3D and, gated, as
    SqueezeExcitationCNN.

    Parameters
    ----------
    shape
        Of the input, (I, J, K).
    gated
        Whether blocks have squeeze-and-excitation; their activation is then ReLU, else ELU.
    num_outputs
        Of the last layer.

    Raises
    ------
    ValueError
        If nothing is left of the input after five poolings.
    """

    def __init__(self, shape: Sequence[int], gated: bool = False, num_outputs: int = 2) -> None:
        super().__init__()
        sizes, stages, before = list(shape), [], 1
        for channels in CHANNELS:
            stages += [_Block(before, channels, gated), nn.MaxPool3d(3, 2)]
            sizes, before = [(size - 3) // 2 + 1 for size in sizes], channels
        if min(sizes) < 1:
            raise ValueError(f"an input of {' x '.join(map(str, shape))} voxels is too small for five poolings")
        self.stages = nn.Sequential(*stages)
        self.dense1 = nn.Linear(before * sizes[0] * sizes[1] * sizes[2], HIDDEN)
        self.act = nn.ReLU() if gated else nn.ELU()
        self.dense2 = nn.Linear(HIDDEN, num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, I, J, K) to (N, outputs)."""
        result: Tensor = self.dense2(self.act(self.dense1(torch.flatten(self.stages(x), 1))))
        return result
