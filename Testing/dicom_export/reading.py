"""Voxels of what was exported, put where highdicom says that they lie."""

from __future__ import annotations

import numpy as np

LPS = np.diag([-1.0, -1, 1, 1])


def on_grid(volume, affine, shape):
    """The voxels of highdicom's volume, which may order its axes and planes in its own way, on a grid; 0 elsewhere.

    Every voxel centre must lie on one of the grid's.
    """
    index = np.indices(volume.array.shape).reshape(3, -1)
    to_grid = np.linalg.inv(affine) @ LPS @ volume.affine
    places = to_grid[:3, :3] @ index + to_grid[:3, 3:]
    assert np.abs(places - places.round()).max() < 1e-6
    found = np.zeros(shape, volume.array.dtype)
    found[tuple(places.round().astype(int))] = volume.array.ravel()
    return found
