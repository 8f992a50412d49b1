"""Small random samples instead of brains: the loop does not care."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mri_interpret.models.plain_cnn import PlainCNN3d
from mri_interpret.simulation.structures import TARGETS
from torch import Tensor
from torch.utils.data import Dataset


class BlobSamples(Dataset[dict[str, Tensor]]):
    """A bright blob whose size depends on the class; the dense targets say where it is."""

    def __init__(self, length: int, seed: int = 0) -> None:
        self.length, self.seed = length, seed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, index])
        label = int(rng.integers(3))
        size = 6 - 2 * label
        image = 0.1 * torch.from_numpy(rng.random((1, 16, 16, 16), dtype=np.float32))
        low = rng.integers(0, 16 - size, 3)
        image[0, low[0] : low[0] + size, low[1] : low[1] + size, low[2] : low[2] + size] += 0.8
        targets = torch.zeros(len(TARGETS), 4, 4, 4)
        targets[0] = torch.nn.functional.avg_pool3d((image > 0.5).float(), 4)[0]
        return {
            "image": image,
            "targets": targets,
            "classes": torch.eye(3)[label],
            "label": torch.tensor(label),
            "fraction": torch.tensor(5.0 - label),
        }


@pytest.fixture
def blobs() -> type[BlobSamples]:
    return BlobSamples


@pytest.fixture
def small_network() -> PlainCNN3d:
    torch.manual_seed(0)
    return PlainCNN3d(channels=(8, 12, 16), strides=(2, 2, 1))
