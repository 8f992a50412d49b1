"""A network whose answer is a sum over places: no biases, no centring; evidence for each class is added up at 4 mm.

Everything is convolution, multiplication by a constant that is not negative, ReLU, linear interpolation and addition.
So the logits are positively homogeneous in the image: f(a x) = a f(x). By Euler's theorem gradient x input, integrated
gradients from black and LRP with any rule that has no stabiliser then add up to the logit, without redistributing
(compare Mohan et al. 2020, "Robust and interpretable blind image denoising via bias-free CNNs", arXiv 1906.05478).

Fine features at 4 mm say what a place looks like; features at 8 mm with a wide view say where it is. They are joined
at 4 mm (through a hidden layer if asked for, which can tell what only both together say), weighed by place if asked
for, and a linear layer turns them into evidence for each class. It reads the mean of
the features instead of each place, which is the same sum: evidence has either sign, and attribution rules for layers
whose output a ReLU follows (z+, Grad-CAM++) mean nothing on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .evidence_sum import EvidenceSum
from .place_gain import PlaceGain

FINE_CHANNELS = (16, 24)
WIDE_CHANNELS = (48, 64, 64)  # more of them see wider, and blur maps: Testing/benchmarks/response_width.md
JOINT_CHANNELS = 48
GAIN_GRID = (48, 56, 48)


class ScaleNorm3d(nn.Module):
    """Channels divided by their root mean square over batch and places, without centring; a constant once trained.

    Parameters
    ----------
    channels
        Number of channels.
    momentum
        Of the running mean of the squares.
    """

    running_square: Tensor
    seen: Tensor

    def __init__(self, channels: int, momentum: float = 0.05) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.momentum = momentum
        self.register_buffer("running_square", torch.ones(channels))
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))

    def scale(self) -> Tensor:
        """The constant factor of each channel, (C,)."""
        return self.weight / torch.sqrt(self.running_square + 1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, I, J, K) to the same."""
        if not self.training:
            zero = torch.zeros_like(self.running_square)
            return functional.batch_norm(x, zero, self.running_square, self.weight, None, False, 0.0, 1e-6)
        square = x.float().square().mean((0, 2, 3, 4))
        with torch.no_grad():  # as tensors: a number would make the host wait for a GPU
            self.seen += 1
            self.running_square.lerp_(square, (1.0 / self.seen).clamp(min=self.momentum))
        factor = self.weight / torch.sqrt(square + 1e-6)
        return x * factor.to(x.dtype)[:, None, None, None]


class ScaledConv(nn.Sequential):
    """Convolution without bias, :class:`ScaleNorm3d`, and a ReLU unless it is left out."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1, relu: bool = True
    ) -> None:
        # A strided kernel is twice its stride wide, so that every voxel lies in equally many windows.
        width, padding = (kernel, kernel // 2) if stride == 1 else (2 * stride, stride // 2)
        layers: list[nn.Module] = [
            nn.Conv3d(channels_in, channels_out, width, stride=stride, padding=padding, bias=False),
            ScaleNorm3d(channels_out),
        ]
        super().__init__(*layers, *([nn.ReLU()] if relu else []))

    def forward(self, x: Tensor) -> Tensor:
        """Layer by layer; while it is trained with a constant scale, the scale is multiplied into the weights."""
        convolution, norm = self[0], self[1]
        assert isinstance(convolution, nn.Conv3d)
        assert isinstance(norm, ScaleNorm3d)
        if not self.training or norm.training:
            for layer in self:
                x = layer(x)
            return x
        weight = convolution.weight * norm.scale()[:, None, None, None, None]
        x = functional.conv3d(x, weight, None, convolution.stride, convolution.padding)
        return x.relu() if len(self) > 2 else x


class EvidenceCNN3d(EvidenceSum):
    """Evidence at 4 mm, averaged over the grid.

    Parameters
    ----------
    in_channels
        Channels of the input; 1 for a T1-weighted scan.
    num_classes
        Number of logits.
    fine_channels
        Of the layers at half of the input's resolution.
    wide_channels
        Of the layers at a quarter of it.
    joint_channels
        Features from which the evidence is read.
    hidden_channels
        Of a layer between fine and wide features and the joint ones; no such layer by default.
    gain_shape
        Of the coarse grid of gains by place (:class:`.place_gain.PlaceGain`); no gains by default.
    gain_grid
        Sides of the features of a whole image, half of the image's; read only with ``gain_shape``.

    Raises
    ------
    ValueError
        If there are no layers at one of the resolutions, or a count is below 1.
    """

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 3,
        fine_channels: Sequence[int] = FINE_CHANNELS,
        wide_channels: Sequence[int] = WIDE_CHANNELS,
        joint_channels: int = JOINT_CHANNELS,
        gain_shape: Sequence[int] | None = None,
        gain_grid: Sequence[int] = GAIN_GRID,
        hidden_channels: int | None = None,
    ) -> None:
        super().__init__()
        if not fine_channels or not wide_channels:
            raise ValueError("fine_channels and wide_channels need one layer or more")
        hidden = () if hidden_channels is None else (hidden_channels,)
        if min(*fine_channels, *wide_channels, *hidden, in_channels, num_classes, joint_channels) < 1:
            raise ValueError("channel and class counts must be positive")
        self.fine = _stack(in_channels, fine_channels)
        self.wide = _stack(fine_channels[-1], wide_channels)
        seen = fine_channels[-1] + wide_channels[-1]
        self.hidden = None if hidden_channels is None else ScaledConv(seen, hidden_channels, kernel=1)
        self.joint = ScaledConv(hidden_channels or seen, joint_channels, kernel=1, relu=False)
        # Before the ReLU: so the last features, which the CAMs show, are those that count.
        self.gain = PlaceGain(joint_channels, gain_shape, gain_grid) if gain_shape is not None else None
        self.last_relu = nn.ReLU()
        self.evidence = nn.Linear(joint_channels, num_classes, bias=False)

    def before_last_relu(self, image: Tensor) -> Tensor:
        """The joint features before their ReLU: (N, joint_channels, I / 2, J / 2, K / 2)."""
        joined: Tensor = self.joint(self.before_joint(image))
        return joined if self.gain is None else self.gain(joined)

    def before_joint(self, image: Tensor) -> Tensor:
        """What the layer ``joint`` is given: (N, hidden or fine and wide channels, I / 2, J / 2, K / 2)."""
        fine = self.fine(image)
        wide = functional.interpolate(self.wide(fine), size=fine.shape[2:], mode="trilinear", align_corners=False)
        both = torch.cat((fine, wide), 1)
        return both if self.hidden is None else self.hidden(both)

    def arguments(self) -> dict[str, Any]:
        """All arguments of the constructor of an :class:`EvidenceCNN3d` like this one."""
        first: nn.Conv3d = self.fine[0][0]  # type: ignore[assignment, index]
        return {"in_channels": first.in_channels, "num_classes": self.num_classes, **EvidenceCNN3d.channels(self)}

    def channels(self) -> dict[str, object]:
        """The arguments of the constructor that say how many channels each layer has, and where gains lie."""

        def widths(layers: nn.Sequential) -> list[int]:
            return [layer[0].out_channels for layer in layers]  # type: ignore[index]

        return {
            "fine_channels": widths(self.fine),
            "wide_channels": widths(self.wide),
            "joint_channels": self.width,
            **({} if self.hidden is None else {"hidden_channels": self.hidden[0].out_channels}),
            **self._gain_arguments(),
        }

    def _gain_arguments(self) -> dict[str, object]:
        if self.gain is None:
            return {}
        return {"gain_shape": list(self.gain.log_gain.shape[2:]), "gain_grid": list(self.gain.inside.shape)}


def _stack(channels_in: int, channels: Sequence[int]) -> nn.Sequential:
    """Layers of which the first halves the resolution."""
    widths = (channels_in, *channels)
    return nn.Sequential(
        *(ScaledConv(widths[k], widths[k + 1], stride=2 if k == 0 else 1) for k in range(len(channels)))
    )
