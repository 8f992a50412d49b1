"""Segmentation bundles whose right answer is known: no training, no randomness."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mri_interpret.anatomy import freesurfer
from mri_interpret.anatomy.segmentation_bundle import HeldOut, SegmentationBundle
from mri_interpret.images.volume import Grid, Volume, resample
from mri_interpret.models.bundle_folder import write_bundle_folder
from numpy.typing import NDArray
from torch import nn

GRID = Grid((40, 52, 44), np.array([[4.0, 0, 0, -78], [0, 4, 0, -123], [0, 0, 4, -79], [0, 0, 0, 1]]))
# A network whose grid has no mirror image is asked once: it keeps the left side that it knows.
LEFT_AND_RIGHT = Grid(GRID.shape, GRID.affine + np.array([[0, 0, 0, 1.0], [0] * 4, [0] * 4, [0] * 4]))
PLAIN = ("Background", "3rd-Ventricle", "Brain-Stem", "CSF")


def write_intensity_bundle(
    folder: Path, changes: dict[str, Any] | None = None, *, classes: tuple[str, ...] = PLAIN, sharpness: float = 400.0
) -> Path:
    """A network that tells classes by intensity: class k is what has the intensity k / (classes - 1).

    Its logits are -sharpness * (x - c_k)^2 up to what all classes share, which a convolution of one voxel computes.
    ``changes`` replace entries of the metadata's ``mri_interpret``; None takes one away.
    """
    count = len(classes)
    centres = torch.arange(count) / (count - 1)
    weights = {
        "0.weight": (2 * sharpness * centres).reshape(count, 1, 1, 1, 1),
        "0.bias": -sharpness * centres**2,
    }
    own = {
        "output": "segmentation",
        "classes": list(classes),
        "grid": {
            "shape": list(GRID.shape), "spacing": GRID.spacing.tolist(), "origin": GRID.affine[:3, 3].tolist(),
        },
        "intensity": {"low": 0.0, "high": 100.0},
        "held_out": {"Brain-Stem": {"dice": 0.9, "volume_error": 0.05}},
        "unsure_entropy": {"CSF": 0.125},
    }  # fmt: skip
    own = {key: value for key, value in (own | (changes or {})).items() if value is not None}
    layers = [{"layer": "Conv3d", "in_channels": 1, "out_channels": count, "kernel_size": 1}]
    definition = {"_target_": "LayerList", "layers": layers}
    metadata = {"name": "by intensity", "version": "1", "mri_interpret": own}
    return write_bundle_folder(folder, metadata, "card", definition=definition, weights=weights)


class Constant(nn.Module):
    """Answers the same logits whatever it is shown."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.logits


def label_bundle(labels: Volume, grid: Grid = LEFT_AND_RIGHT, confidence: float = 12.0) -> SegmentationBundle:
    """A network that knows one anatomy by heart: ``labels`` in template space, parcels as cortex."""
    known = without_parcels(np.asarray(resample(labels, grid, order=0).array))
    values = (0, *(int(label) for label in np.unique(known) if label and freesurfer.is_known(int(label))))
    logits = torch.stack([torch.from_numpy((known == label) * np.float32(confidence)) for label in values])[None]
    held_out = {"Left-Hippocampus": HeldOut(0.8, 0.1)}
    return SegmentationBundle(
        Path("."), "known", "1", "banner", values, grid, (0.5, 99.5), held_out, {}, "0" * 64, Constant(logits)
    )


def without_parcels(labels: NDArray[Any]) -> NDArray[np.int16]:
    """The cortex as 3 and 42."""
    plain = labels.astype(np.int16)
    plain[(plain > 1000) & (plain < 2000)] = freesurfer.LEFT_CORTEX
    plain[(plain > 2000) & (plain < 3000)] = freesurfer.RIGHT_CORTEX
    return plain
