"""Small networks for the attribution tests."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mri_interpret.attribution import Explainer
from torch import Tensor, nn


def randomise(model: nn.Module, seed: int = 0) -> nn.Module:
    """Evaluation mode, float64, with normalisation statistics and parameters that do something."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            spread = 0.4 if parameter.dim() > 1 else 0.2
            parameter.copy_(spread * torch.randn(parameter.shape, generator=generator))
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.running_mean.copy_(0.1 * torch.randn(module.running_mean.shape, generator=generator))
                module.running_var.copy_(0.5 + torch.rand(module.running_var.shape, generator=generator))
                module.weight.add_(1)
    return model.double().eval()


def plain(channels: int = 1, seed: int = 0) -> nn.Module:
    """Two stages of convolution, batch normalisation, ReLU, max-pooling; average pooling; a dense layer."""
    model = nn.Sequential(
        nn.Conv3d(channels, 4, 3, padding=1),
        nn.BatchNorm3d(4),
        nn.ReLU(),
        nn.MaxPool3d(2),
        nn.Conv3d(4, 6, 3, padding=1, bias=False),
        nn.BatchNorm3d(6),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(6, 3),
    )
    return randomise(model, seed)


class Spellings(nn.Module):
    """One network, with its ReLUs and additions written in one of many ways."""

    def __init__(self, relu: str) -> None:
        super().__init__()
        self.relu = relu
        self.conv1, self.bn1 = nn.Conv3d(1, 4, 3, padding=1), nn.BatchNorm3d(4)
        self.conv2, self.bn2 = nn.Conv3d(4, 4, 3, padding=1, bias=False), nn.BatchNorm3d(4)
        self.module = nn.ReLU()
        self.in_place = nn.ReLU(inplace=True)
        self.fc = nn.Linear(4, 3)

    def activate(self, x: Tensor) -> Tensor:
        if self.relu == "F.relu":
            return F.relu(x)
        if self.relu == "F.relu in place":
            F.relu(x, inplace=True)
            return x
        if self.relu == "torch.relu_":
            torch.relu_(x)
            return x
        if self.relu == "method":
            return x.relu()
        if self.relu == "clamp":
            return x.clamp(min=0)
        if self.relu == "clamp_":
            x.clamp_(min=0)
            return x
        if self.relu == "in-place module":
            self.in_place(x)
            return x
        return self.module(x)

    def forward(self, x: Tensor) -> Tensor:
        x = self.activate(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(x))
        if self.relu in ("F.relu", "method"):
            y = y + x
        else:
            y += x
        y = self.activate(y)
        return self.fc(y.mean((2, 3, 4)))


SPELLINGS = ("module", "in-place module", "F.relu", "F.relu in place", "torch.relu_", "method", "clamp", "clamp_")


def volume(size: tuple[int, ...] = (10, 12, 11), channels: int = 1, samples: int = 1, seed: int = 5) -> Tensor:
    """Values 0 to 1 with a dark corner, float64."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(samples, channels, *size, generator=generator, dtype=torch.float64)
    x[..., :3, :3, :3] = 0
    return x


class _Plain(nn.Module):
    """Two max-pooled stages and a third one, all with modules of their own, as the peers need it."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv3d(1, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU(), nn.MaxPool3d(2),
            nn.Conv3d(4, 6, 3, padding=1), nn.BatchNorm3d(6), nn.ReLU(), nn.MaxPool3d(2),
            nn.Sequential(nn.Conv3d(6, 8, 3, padding=1), nn.BatchNorm3d(8), nn.ReLU()),
        )  # fmt: skip
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.features(x)).flatten(1))


class OracleBlock(nn.Module):
    """A residual block without any module that is used twice."""

    def __init__(self, before: int, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv3d(before, channels, 3, padding=1, bias=False), nn.BatchNorm3d(channels), nn.ReLU(),
            nn.Conv3d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm3d(channels),
        )  # fmt: skip
        self.shortcut = nn.Sequential(nn.Conv3d(before, channels, 1, bias=False), nn.BatchNorm3d(channels))
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu2(self.body(x) + self.shortcut(x))


class _Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU(), nn.MaxPool3d(2))
        self.block1, self.pool1 = OracleBlock(4, 6), nn.AvgPool3d(2)
        self.block2 = OracleBlock(6, 8)
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.block2(self.pool1(self.block1(self.stem(x))))).flatten(1))


def oracle_plain() -> nn.Module:
    """The plain network of the stored references."""
    return randomise(_Plain(), seed=11)


def oracle_residual() -> nn.Module:
    """The residual network of the stored references."""
    return randomise(_Residual(), seed=12)


class AfterConvolution(nn.Module):
    """Whatever a function does, as a model with one convolution."""

    def __init__(self, function) -> None:
        super().__init__()
        self.conv = nn.Conv3d(1, 3, 3, padding=1)
        self.function = function

    def forward(self, x: Tensor):
        return self.function(self.conv(x))


def explain_after_convolution(function, methods="lrp", x: Tensor | None = None):
    """What an explainer says of class 0 of such a model, on 6^3 voxels unless others are given."""
    torch.manual_seed(0)
    return Explainer(AfterConvolution(function)).explain(volume((6, 6, 6)).float() if x is None else x, 0, methods)
