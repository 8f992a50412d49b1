"""Networks so small that what they compute is known, and subjects of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mri_interpret.checks.explained_image import ExplainedImage, Maps
from torch import nn

SHAPE = (12, 14, 10)


class Linear3d(nn.Module):
    """logits = W x, so that W * (x - neutral) is each voxel's exact contribution."""

    def __init__(self, weights: np.ndarray) -> None:
        super().__init__()
        self.dense = nn.Linear(int(np.prod(SHAPE)), len(weights), bias=False)
        with torch.no_grad():
            self.dense.weight.copy_(torch.as_tensor(weights.reshape(len(weights), -1), dtype=torch.float32))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.dense(image.flatten(1))


def brain() -> np.ndarray:
    inside = np.zeros(SHAPE, dtype=bool)
    inside[2:-2, 2:-2, 1:-1] = True
    return inside


def atlas() -> np.ndarray:
    labels = np.zeros(SHAPE, dtype=int)
    labels[:6] = 1
    labels[6:] = 2
    labels[:, 7:] += 2
    labels[:, :, 5:] += 4
    return labels


def image(seed: int = 0) -> torch.Tensor:
    values = np.random.default_rng(seed).uniform(0.1, 1, SHAPE) * brain()
    return torch.as_tensor(values, dtype=torch.float32)[None, None]


def linear_case(seed: int = 1, **changes: Any) -> tuple[ExplainedImage, np.ndarray]:
    """A subject of a linear network with three classes, and the weights of the explained class."""
    weights = np.random.default_rng(seed).normal(size=(3, *SHAPE)).astype(np.float32)
    target = [0.0, 0.0, 1.0]
    x = image()
    relevance = weights[2] * x[0, 0].numpy()
    settings: dict[str, Any] = {
        "network": Linear3d(weights).eval(),
        "image": x,
        "target": target,
        "maps": {"exact": relevance},
        "mask": brain(),
        "labels": atlas(),
        "explain": gradient_times_input,
    }
    return ExplainedImage(**{**settings, **changes}), weights[2]


def gradient_times_input(network: nn.Module, x: torch.Tensor, target: Sequence[float], names: Sequence[str]) -> Maps:
    """Gradient x input under every name: what an explainer of these networks gives."""
    leaf = x.detach().clone().requires_grad_()
    value = (network(leaf) * torch.as_tensor(target)).sum()
    (gradient,) = torch.autograd.grad(value, leaf)
    return dict.fromkeys(names, (gradient * leaf.detach())[0, 0].numpy())


def brightness(network: nn.Module, x: torch.Tensor, target: Sequence[float], names: Sequence[str]) -> Maps:
    """A map that never looks at the network."""
    return dict.fromkeys(names, x[0, 0].numpy().copy())


def small_cnn(seed: int = 0) -> nn.Module:
    """Three convolutions with batch normalisation that has seen data, then pooling and a dense layer."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Conv3d(1, 6, 3, padding=1),
            nn.BatchNorm3d(6),
            nn.ReLU(),
            nn.Conv3d(6, 6, 3, padding=1, stride=2),
            nn.BatchNorm3d(6),
            nn.ReLU(),
            nn.Conv3d(6, 8, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool3d(1),
            nn.Flatten(),
            nn.Linear(8, 3),
        )
        network.train()
        for number in range(4):
            network(image(number))
    return network.eval()


def parameters_of(network: nn.Module) -> Mapping[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}
