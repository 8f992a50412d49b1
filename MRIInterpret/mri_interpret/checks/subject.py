"""What the checks look at: one image, the network, the maps, and how to make them again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..images.volume import Array

if TYPE_CHECKING:
    import torch
    from torch import nn

Maps = Mapping[str, NDArray[np.floating]]
Explain = Callable[["nn.Module", "torch.Tensor", Sequence[float], Sequence[str]], Maps]
"""Called as ``explain(network, image, target weights, method names)``; returns maps of shape (I, J, K) by method."""


@dataclass(frozen=True)
class Subject:
    """One explained image on the model's grid.

    Attributes
    ----------
    network
        In evaluation mode; returns logits (N, classes).
    image
        Tensor (1, 1, I, J, K), what the network saw.
    target
        A weight for each logit: the contrast that the maps explain.
    maps
        Raw relevance by method, each (I, J, K). May hold "summary", to which only checks of the map itself apply.
    mask
        Brain, (I, J, K), > 0 inside.
    labels
        Atlas labels on the same grid, 0 for none.
    spacing
        Voxel size in mm.
    explain
        Makes maps for another network or image; None if that is not possible, and checks that need it say so.
    details
        By method: what the attribution recorded, for instance what its map should add up to.
    truth
        Voxels that really changed, (I, J, K), for simulated subjects; None for real ones.
    affected
        Labels of the regions that really changed.
    neutral
        What takes the place of parts that are taken out, (I, J, K); the blurred brain if left out.
    """

    network: nn.Module
    image: torch.Tensor
    target: Sequence[float]
    maps: Maps
    mask: Array
    labels: Array
    spacing: tuple[float, float, float] = (2.0, 2.0, 2.0)
    explain: Explain | None = None
    details: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    truth: Array | None = None
    affected: Sequence[int] = ()
    neutral: Array | None = None

    def __post_init__(self) -> None:
        shape = tuple(self.image.shape[-3:])
        if self.image.ndim != 5 or self.image.shape[0] != 1:
            raise ValueError(f"image must be (1, C, I, J, K), not {tuple(self.image.shape)}")
        for name, array in {"mask": self.mask, "labels": self.labels, **self.maps}.items():
            if np.shape(array) != shape:
                raise ValueError(f"{name} of shape {np.shape(array)} for an image of shape {shape}")
        if not np.any(np.asarray(self.mask) > 0):
            raise ValueError("the mask is empty")

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Brain voxels."""
        return np.asarray(self.mask) > 0

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods that can be run again: all but the summary."""
        return tuple(name for name in self.maps if name != "summary")

    def resolution_mm(self, method: str) -> float:
        """How far apart the samples of a coarse method are (class activation maps); 0 for methods of voxel detail."""
        details = self.details.get(method, {})
        if "resolution_mm" in details:
            return float(details["resolution_mm"])
        steps = np.asarray(details.get("feature_spacing_voxels", 0.0), dtype=np.float64)
        return float((steps * np.asarray(self.spacing)).max()) if steps.size and steps.ndim else 0.0


def explained_values(network: nn.Module, images: torch.Tensor, target: Sequence[float]) -> NDArray[np.float64]:
    """The contrast (weighted sum of logits) of each image of a batch, shape (N,)."""
    import torch

    with torch.inference_mode():
        output = network(images)
        logits = output[0] if isinstance(output, (tuple, list)) else output
        weights = torch.as_tensor(target, dtype=logits.dtype, device=logits.device)
        if logits.ndim != 2 or logits.shape[1] != len(weights):
            raise ValueError(f"the network returns {tuple(logits.shape)} for {len(weights)} target weights")
        return (logits @ weights).double().cpu().numpy()
