"""The networks of the attribution benchmark, with normalisation statistics that are not trivial."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class PlainNetwork(nn.Module):
    """A: five stages of convolution, batch normalisation, ReLU and max-pooling, 16 to 256 channels."""

    def __init__(self) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        before = 1
        for channels in (16, 32, 64, 128, 256):
            stages += [nn.Conv3d(before, channels, 3, padding=1), nn.BatchNorm3d(channels), nn.ReLU(), nn.MaxPool3d(2)]
            before = channels
        self.features = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.head = nn.Linear(before, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.features(x)).flatten(1))


class BasicBlock(nn.Module):
    """Two convolutions and a shortcut; no module is used twice, as the peers need it."""

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(before, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv3d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm3d(channels)
        self.relu2 = nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != channels:
            self.shortcut = nn.Sequential(nn.Conv3d(before, channels, 1, stride, bias=False), nn.BatchNorm3d(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(y + self.shortcut(x))


class ResidualNetwork(nn.Module):
    """B: a 3D ResNet-18 with a base width of 32."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(1, 32, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm3d(32)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool3d(3, 2, 1)
        blocks: list[nn.Module] = []
        before = 32
        for channels, stride in ((32, 1), (64, 2), (128, 2), (256, 2)):
            blocks += [BasicBlock(before, channels, stride), BasicBlock(channels, channels, 1)]
            before = channels
        self.blocks = nn.Sequential(*blocks)
        # A module, as zennit gives functional pooling no rule, and says nothing.
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(before, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.maxpool(self.relu(self.bn1(self.conv1(x)))))
        return self.fc(self.pool(x).flatten(1))


def qiu() -> nn.Module:
    """The network of Qiu et al. 2022 with its head of two classes, as the recipe builds it, for 182 x 218 x 182."""
    from mri_interpret.models.layer_list import LayerList
    from mri_interpret.models.recipes.qiu_2022 import _layers

    return LayerList(_layers("add"))


def _monai(name: str, **arguments: Any) -> nn.Module:
    """One of MONAI's networks as people have it, for one channel and three classes."""
    from monai.networks import nets

    return getattr(nets, name)(spatial_dims=3, num_classes=3, **arguments)


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "A": PlainNetwork,
    "B": ResidualNetwork,
    "ResNet-18": lambda: _monai("resnet18", n_input_channels=1),
    "DenseNet-121": lambda: _densenet(),
    "SE-ResNet-50": lambda: _monai("SEResNet50", in_channels=1),
    "EfficientNet-B0": lambda: _monai("EfficientNetBN", model_name="efficientnet-b0", in_channels=1, pretrained=False),
    "Qiu": qiu,
}


def _densenet() -> nn.Module:
    from monai.networks import nets

    return nets.DenseNet121(spatial_dims=3, in_channels=1, out_channels=3)


def network(name: str) -> nn.Module:
    """One of :data:`NETWORKS` in evaluation mode, always with the same weights."""
    torch.manual_seed(0)
    model = NETWORKS[name]()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model.eval().requires_grad_(False)


#: The class that the benchmarks explain.
TARGET = 1
SHAPES = {"2 mm": (96, 112, 96), "1 mm": (182, 218, 182), "1 mm, ICBM": (193, 229, 193)}
#: Where the networks of the study and of the literature are measured.
CASES = [
    *((name, size) for name in ("A", "B") for size in ("2 mm", "1 mm")),
    *((name, "2 mm") for name in ("ResNet-18", "DenseNet-121", "SE-ResNet-50", "EfficientNet-B0")),
    *(("A", "1 mm, ICBM"), ("B", "1 mm, ICBM"), ("Qiu", "1 mm")),
]


def volume(size: str) -> Tensor:
    """A smooth volume with a dark surround, (1, 1, I, J, K), values 0 to 1."""
    generator = torch.Generator().manual_seed(1)
    shape = SHAPES[size]
    coarse = torch.rand(1, 1, 12, 14, 12, generator=generator)
    smooth = functional.interpolate(coarse, size=shape, mode="trilinear", align_corners=False)
    axes = [torch.linspace(-1, 1, n) for n in shape]
    radius = sum(part**2 for part in torch.meshgrid(*axes, indexing="ij"))
    return (smooth * (radius < 0.8)).contiguous()
