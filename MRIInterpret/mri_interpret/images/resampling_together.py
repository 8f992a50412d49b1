"""Several volumes of one grid onto another: where each voxel lies, and between which others, is worked out once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from .volume import Affine, Grid, Volume

_SLABS = 8  # at a time, over which torch's threads are divided; a millimetre scan's coordinates are then 8 MB


def resample_together(
    volumes: Sequence[Volume],
    grid: Grid,
    to_volume: Affine | None = None,
    *,
    report: Callable[[float], None] = lambda share: None,
) -> list[Volume]:
    """What :func:`.volume.resample` gives for each volume, trilinearly, up to float32's last digit.

    Seven maps take a third of the time of one by one.

    Parameters
    ----------
    volumes
        All on the same grid; shape (I, J, K).
    grid
        Where to sample.
    to_volume
        4 x 4 affine from the grid's world to the volumes' world, both RAS mm. Identity if left out.
    report
        Called with the share done; may raise to cancel.

    Returns
    -------
    list of Volume
        On ``grid``, float32; 0 beyond the volumes' outermost voxel centres, into which values fade over one voxel.

    Raises
    ------
    ValueError
        If the volumes lie on different grids.
    """
    if not volumes:
        return []
    import torch

    first = volumes[0].grid
    if any(one.shape != first.shape or not np.array_equal(one.affine, first.affine) for one in volumes):
        raise ValueError("volumes that are resampled together must lie on one grid")
    # Coordinates in single precision would move values by a hundred times float32's last digit.
    source = torch.from_numpy(np.stack([np.asarray(one.array, dtype=np.float64) for one in volumes]))
    index = np.linalg.inv(first.affine) @ (np.eye(4) if to_volume is None else to_volume) @ grid.affine
    # grid_sample counts from -1 to 1 between the outer faces, and its last axis of coordinates is (k, j, i).
    scale = 2.0 / np.array(first.shape)
    columns, origin = index[:3, :3] * scale[:, None], (index[:3, 3] + 0.5) * scale - 1
    found = [np.empty(grid.shape, dtype=np.float32) for _ in volumes]
    for start in range(0, grid.shape[0], _SLABS):
        points = _points(columns, origin, np.arange(start, min(start + _SLABS, grid.shape[0])), grid.shape)
        sampled = torch.nn.functional.grid_sample(
            source.expand(len(points), *source.shape), torch.from_numpy(points), align_corners=False,
            padding_mode="zeros",
        )  # fmt: skip
        for one, values in zip(found, sampled.unbind(1), strict=True):
            one[start : start + _SLABS] = values[:, 0].numpy()
        report(min(1.0, (start + _SLABS) / grid.shape[0]))
    return [Volume(array, grid.affine, one.name) for array, one in zip(found, volumes, strict=True)]


def _points(
    columns: NDArray[np.float64], origin: NDArray[np.float64], slabs: NDArray[np.intp], shape: tuple[int, int, int]
) -> NDArray[np.float64]:
    """Coordinates (slabs, 1, J, K, 3) of the voxels of some slabs along the first axis."""
    _, j, k = (np.arange(size) for size in shape)
    points = np.empty((len(slabs), 1, len(j), len(k), 3))
    for place, axis in enumerate((2, 1, 0)):
        along_i, along_j, along_k = columns[axis]
        plane = (along_j * j)[:, None] + (along_k * k)[None, :] + origin[axis]
        points[..., place] = ((along_i * slabs)[:, None, None] + plane)[:, None]
    return points
