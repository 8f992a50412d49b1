"""Class probabilities on the network's coarse grid become labels on the scan's fine one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..images.volume import Affine, Grid, Volume, resample

if TYPE_CHECKING:
    from .segmentation_bundle import SegmentationBundle

_POINTS = 200_000  # at a time: 33 classes of them are 26 MB


def labels_on_scan(
    probabilities: NDArray[np.float32], bundle: SegmentationBundle, grid: Grid, to_template: Affine
) -> Volume:
    """The most probable structure at each voxel of the scan.

    Probabilities are interpolated, not labels, so that a boundary runs where two structures are equally probable
    rather than along the coarse voxels' faces. Only voxels near something that is not certainly background are looked
    at, some hundred thousand at a time.

    Parameters
    ----------
    probabilities
        (classes, I, J, K) on the bundle's grid.
    grid
        The scan's.
    to_template
        4 x 4, RAS mm of the scan to RAS mm of the template.

    Returns
    -------
    Volume
        int16, FreeSurfer's values on ``grid``.
    """
    import torch

    names = np.array(bundle.labels, dtype=np.int16)
    # What all eight corners of a cell call background is background between them, too.
    background = probabilities[0] >= probabilities[1:].max(0)
    inside = ndimage.binary_dilation(~background, np.ones((3, 3, 3)))
    near = Volume(inside.astype(np.uint8), bundle.grid.affine)
    places = np.flatnonzero(resample(near, grid, to_template, order=0).array)
    labels = np.zeros(int(np.prod(grid.shape)), dtype=np.int16)
    index = np.linalg.inv(bundle.grid.affine) @ to_template @ grid.affine
    # grid_sample counts from -1 to 1, and its last axis of coordinates is (k, j, i).
    scale = 2.0 / (np.array(bundle.grid.shape) - 1)
    source = torch.from_numpy(probabilities)[None]
    for start in range(0, len(places), _POINTS):
        chosen = places[start : start + _POINTS]
        voxels = np.stack(np.unravel_index(chosen, grid.shape))
        points = (index[:3, :3] @ voxels + index[:3, 3:]).T * scale - 1
        sampled = torch.nn.functional.grid_sample(
            source, torch.from_numpy(points[:, ::-1].astype(np.float32).copy())[None, None, None],
            align_corners=True, padding_mode="border",
        )  # fmt: skip
        labels[chosen] = names[sampled[0, :, 0, 0].argmax(0).numpy()]
    return Volume(labels.reshape(grid.shape), grid.affine, "anatomy")
