"""Volume: a 3D array with its affine to RAS millimetres, and its resampling onto another grid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import ndimage

from ..errors import printable
from .grid import Affine, Array, Grid

__all__ = ["Affine", "Array", "Grid", "Volume", "resample"]


@dataclass(frozen=True)
class Volume:
    """A scalar or label volume.

    Attributes
    ----------
    array
        Shape (I, J, K), indexed in the order of the affine's columns.
    affine
        4 x 4, voxel indices to RAS mm.
    name
        For messages: a file or node name.
    notes
        Sentences on the file that every output must show, for instance that its qform and sform disagree.
    """

    array: Array
    affine: Affine = field(default_factory=lambda: np.eye(4))
    name: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # Names come from files, whose names may hold what no page, table or scene can.
        object.__setattr__(self, "name", printable(self.name))

    @property
    def shape(self) -> tuple[int, int, int]:
        i, j, k = self.array.shape
        return i, j, k

    @property
    def grid(self) -> Grid:
        return Grid(self.shape, self.affine)

    def with_array(self, array: Array, name: str | None = None) -> Volume:
        """Another array of the same shape on this volume's grid."""
        if array.shape != self.array.shape:
            raise ValueError(f"array of shape {array.shape} on a grid of shape {self.array.shape}")
        return Volume(array, self.affine, self.name if name is None else name)

    def to_nibabel(self) -> Any:
        """The volume as a nibabel.Nifti1Image: sform (and qform, unless sheared) with code 1, units mm."""
        from .writing import nifti_image

        return nifti_image(self)

    def _repr_html_(self) -> str:
        """For notebooks: name, shape, spacing, orientation, and the three middle slices."""
        from .notebook_view import volume_html

        return volume_html(self)


def resample(
    volume: Volume, grid: Grid, to_volume: Affine | None = None, *, order: int = 1, fill: float = 0.0
) -> Volume:
    """Sample a volume at the voxel centres of a grid.

    Parameters
    ----------
    volume
        What to sample; shape (I, J, K).
    grid
        Where to sample.
    to_volume
        4 x 4 affine from the grid's world to the volume's world, both RAS mm. Identity if left out.
    order
        Spline order: 0 for labels, 1 (trilinear) for images and relevance.
    fill
        Value beyond the volume's outermost voxel centres (with ``order`` 1 it fades in over one voxel).

    Returns
    -------
    Volume
        On ``grid``; float32 for ``order`` > 0, else of the input's dtype.
    """
    world = np.eye(4) if to_volume is None else to_volume
    index = np.linalg.inv(volume.affine) @ world @ grid.affine
    source = volume.array if order == 0 else np.asarray(volume.array, dtype=np.float32)
    sampled = ndimage.affine_transform(
        source,
        index[:3, :3],
        index[:3, 3],
        output_shape=grid.shape,
        order=order,
        mode="grid-constant" if order else "constant",
        cval=fill,
        prefilter=order > 1,
    )
    return Volume(sampled, grid.affine, volume.name)
