"""Weights and a scan by formula, so that ClinicaDL's networks and ours are given the same ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

GRID = (169, 208, 179)  # Clinica's cropped t1-linear


def filled(shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """A state dict with these names and shapes; variances are positive, weights about 1 / sqrt(inputs)."""
    state = {}
    for place, (name, shape) in enumerate(shapes.items()):
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(1)
            continue
        wave = np.sin(1.7 * np.arange(int(np.prod(shape))) + place)
        if name.endswith("running_var"):
            wave = 1.0 + 0.5 * wave**2
        elif len(shape) > 1:
            wave = wave * (2.0 / np.prod(shape[1:])) ** 0.5
        else:
            wave = 0.4 * wave + (0.6 if name.endswith("weight") else 0.0)
        state[name] = torch.from_numpy(wave.astype(np.float32).reshape(shape))
    return state


def picture(shape: Sequence[int]) -> NDArray[np.float32]:
    """A scan with values from 0 to 1."""
    i, j, k = np.indices(shape)
    return (((7 * i + 11 * j + 13 * k) % 97) / 96 * (0.5 + 0.5 * np.sin(i / 9) ** 2)).astype(np.float32)


def probe(image: NDArray[np.float32]) -> list[float]:
    """Some voxels of an image, and its mean."""
    found = [float(image[place]) for place in ((0, 0, 0), (3, 5, 7), (11, 12, 13), (-1, -1, -1))]
    return [*found, float(image.mean(dtype=np.float64))]
