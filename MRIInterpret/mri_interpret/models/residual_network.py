"""Residual networks of volumes, with or without squeeze-and-excitation, of any number of stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .layer_list import LayerList

RELU = {"layer": "ReLU"}


def layer_of(entry: Mapping[str, Any]) -> nn.Module:
    """One layer as :class:`~.layer_list.LayerList` writes it, such as {"layer": "ELU", "alpha": 0.5}."""
    return LayerList([entry])[0]


class ChannelGate(nn.Module):
    """Squeeze-and-excitation: each channel is scaled by what all channels' means say of it.

    Source: Hu et al. 2018, "Squeeze-and-excitation networks", equations 2 to 4, with biases.
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        hidden = channels // reduction
        if hidden < 1:
            raise ValueError(f"{channels} channels cannot be reduced by {reduction}")
        self.avg_pool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, I, J, K) to the same shape."""
        count, channels = x.shape[:2]
        gates: Tensor = self.fc(self.avg_pool(x).view(count, channels))
        return x * gates.view(count, channels, 1, 1, 1)


class _Block(nn.Module):
    """Two convolutions (or three, of which the first narrows and the last widens) beside a shortcut."""

    def __init__(
        self, before: int, planes: int, stride: int, expansion: int | None, gate: int | None, act: Mapping[str, Any]
    ) -> None:
        super().__init__()
        after = planes * (expansion or 1)
        if expansion is None:
            shapes = [(before, planes, 3, stride), (planes, planes, 3, 1)]
        else:
            shapes = [(before, planes, 1, 1), (planes, planes, 3, stride), (planes, after, 1, 1)]
        self.steps = len(shapes)
        for number, (inputs, outputs, kernel, step) in enumerate(shapes, start=1):
            convolution = nn.Conv3d(inputs, outputs, kernel, step, kernel // 2, bias=False)
            self.add_module(f"conv{number}", convolution)
            self.add_module(f"norm{number}", nn.BatchNorm3d(outputs))
            self.add_module(f"act{number}", layer_of(act))
        self.se_layer = None if gate is None else ChannelGate(after, gate)
        changes = stride != 1 or before != after
        self.downsample = (
            nn.Sequential(nn.Conv3d(before, after, 1, stride, bias=False), nn.BatchNorm3d(after)) if changes else None
        )

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for number in range(1, self.steps + 1):
            y = self.get_submodule(f"norm{number}")(self.get_submodule(f"conv{number}")(y))
            if number < self.steps:
                y = self.get_submodule(f"act{number}")(y)
        y = y if self.se_layer is None else self.se_layer(y)
        y = y + (x if self.downsample is None else self.downsample(x))
        result: Tensor = self.get_submodule(f"act{self.steps}")(y)
        return result


class ResidualNetwork(nn.Module):
    """A ResNet of volumes (He et al. 2016, "Deep residual learning for image recognition"), as ClinicaDL 2 has it.

    Parameters
    ----------
    in_channels, num_outputs
        Of the input, and of the last layer.
    blocks, features
        Residual blocks of each stage, and the channels that the stage returns; all stages but the first halve the grid.
    bottleneck
        By how much a block's first convolution narrows the channels; None for blocks of two convolutions.
    gate
        Reduction of the squeeze-and-excitation in each block (Hu et al. 2018); None for none.
    first_kernel, first_stride
        Of the first convolution, along each axis; a max-pooling of 3 with stride 2 follows it.
    act, last
        Activation within, and of the outputs (None for none), as :func:`layer_of` takes them.

    Raises
    ------
    ValueError
        If there are not as many stages in ``blocks`` as in ``features``, or channels cannot be divided.
    """

    def __init__(
        self,
        in_channels: int,
        num_outputs: int,
        blocks: Sequence[int],
        features: Sequence[int],
        bottleneck: int | None = None,
        gate: int | None = None,
        first_kernel: Sequence[int] = (7, 7, 7),
        first_stride: Sequence[int] = (2, 2, 2),
        act: Mapping[str, Any] = RELU,
        last: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if not blocks or len(blocks) != len(features):
            raise ValueError(f"{len(blocks)} numbers of blocks for {len(features)} stages")
        if bottleneck is not None and any(count % bottleneck for count in features):
            raise ValueError(f"features {list(features)} cannot be divided by {bottleneck}")
        planes = [count // (bottleneck or 1) for count in features]
        kernel, stride = tuple(first_kernel), tuple(first_stride)
        padding = tuple(size // 2 for size in kernel)
        self.conv0 = nn.Conv3d(in_channels, planes[0], kernel, stride, padding, bias=False)  # type: ignore[arg-type]
        self.norm0 = nn.BatchNorm3d(planes[0])
        self.act0 = layer_of(act)
        self.pool0 = nn.MaxPool3d(3, 2, 1)
        self.stages = len(blocks)
        before = planes[0]
        for number, (count, width) in enumerate(zip(blocks, planes, strict=True), start=1):
            made = []
            for place in range(count):
                step = 2 if place == 0 and number > 1 else 1
                made.append(_Block(before, width, step, bottleneck, gate, act))
                before = width * (bottleneck or 1)
            self.add_module(f"layer{number}", nn.Sequential(*made))
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(before, num_outputs)
        self.last = nn.Identity() if last is None else layer_of(last)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, I, J, K) to (N, outputs)."""
        x = self.pool0(self.act0(self.norm0(self.conv0(x))))
        for number in range(1, self.stages + 1):
            x = self.get_submodule(f"layer{number}")(x)
        result: Tensor = self.last(self.fc(torch.flatten(self.pool(x), 1)))
        return result
