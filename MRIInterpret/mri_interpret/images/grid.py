"""Grid: where voxels lie in the world; and what anything with voxels has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Affine = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Grid:
    """A voxel grid in space.

    Attributes
    ----------
    shape
        Number of voxels along i, j, k.
    affine
        4 x 4, takes voxel indices (i, j, k) of voxel *centres* to RAS world coordinates in mm.
    """

    shape: tuple[int, int, int]
    affine: Affine

    @property
    def spacing(self) -> NDArray[np.floating[Any]]:
        """Voxel size along i, j, k in mm."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def voxel_volume(self) -> float:
        """Volume of a voxel in mm^3."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    def same_as(self, other: Grid, tolerance: float = 1e-4) -> bool:
        """Whether both grids have the same shape and affines equal to within ``tolerance`` mm."""
        return self.shape == other.shape and bool(np.allclose(self.affine, other.affine, atol=tolerance))


class Voxels(Protocol):
    """What writing and showing a volume needs of it; :class:`.volume.Volume` documents it."""

    @property
    def array(self) -> Array: ...
    @property
    def affine(self) -> Affine: ...
    @property
    def name(self) -> str: ...
    @property
    def notes(self) -> tuple[str, ...]: ...
    @property
    def shape(self) -> tuple[int, int, int]: ...
    @property
    def grid(self) -> Grid: ...
