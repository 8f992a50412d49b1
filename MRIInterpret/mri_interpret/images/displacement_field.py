"""A displacement field in the world: what it does to a volume, and the NIfTI file that ITK reads it from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .grid import Affine, Array, Grid
from .volume import Volume

if TYPE_CHECKING:
    import SimpleITK
    from nibabel import Nifti1Image

Floats = NDArray[np.floating]
_INTENT_VECTOR = 1007  # NIFTI_INTENT_VECTOR: ITK, ANTs and Slicer read it as the vectors of a transform, in LPS mm
_LPS = np.array([-1, -1, 1], dtype=np.float32)


@dataclass(frozen=True)
class DisplacementField:
    """A field that maps backwards: what is seen at x came from x + u(x). It is zero beyond its grid.

    Attributes
    ----------
    array
        Shape (I, J, K, 3), float32: u in mm along R, A, S at the voxel centres; trilinear between them.
    affine
        4 x 4, voxel indices to RAS mm; its columns are orthogonal, which ITK and VTK want.
    """

    array: Array
    affine: Affine

    def __post_init__(self) -> None:
        if self.array.ndim != 4 or self.array.shape[3] != 3:
            raise ValueError(f"a displacement field has shape (I, J, K, 3), not {self.array.shape}")

    @property
    def grid(self) -> Grid:
        """Where its vectors lie."""
        i, j, k, _ = self.array.shape
        return Grid((i, j, k), self.affine)

    @property
    def largest_mm(self) -> float:
        """The length of the longest displacement."""
        return float(np.sqrt(np.square(self.array, dtype=np.float64).sum(-1)).max(initial=0.0))

    def at(self, grid: Grid) -> Array:
        """The displacement at the voxel centres of a grid: shape (I, J, K, 3), float32, mm along R, A, S."""
        index = np.linalg.inv(self.affine) @ grid.affine
        found = np.empty((*grid.shape, 3), dtype=np.float32)
        for component in range(3):
            found[..., component] = ndimage.affine_transform(
                self.array[..., component], index[:3, :3], index[:3, 3], output_shape=grid.shape, order=1, cval=0.0
            )
        return found

    def warp(self, volume: Volume, grid: Grid | None = None, share: float = 1.0, order: int = 1) -> Volume:
        """The volume as it looks after the deformation.

        Parameters
        ----------
        volume
            Any volume in the same world.
        grid
            Where to sample; the volume's own grid if left out.
        share
            How much of each displacement to go: 0 is the volume itself, 1 the whole way.
        order
            1 (trilinear) for intensities, 0 for labels.

        Returns
        -------
        Volume
            On ``grid``, float32 (of the volume's dtype for ``order`` 0). What is not displaced keeps its value to the
            last bit on the volume's own grid.
        """
        from .volume import resample

        own = grid is None or grid is volume.grid
        target = volume.grid if grid is None else grid
        kind = volume.array.dtype if order == 0 else np.dtype(np.float32)
        still = volume if own else resample(volume, target, order=order)
        result = np.array(still.array, dtype=kind)
        box = self._box(target)
        if box is not None:
            corner = np.array([part.start for part in box])
            affine = target.affine.copy()
            affine[:3, 3] += target.affine[:3, :3] @ corner
            shape = tuple(part.stop - part.start for part in box)
            shift = share * self.at(Grid((shape[0], shape[1], shape[2]), affine))
            to_index = np.linalg.inv(volume.affine)
            points = np.indices(shape, dtype=np.float64)
            start = to_index @ affine
            moved = np.tensordot(start[:3, :3], points, 1) + start[:3, 3].reshape(3, 1, 1, 1)
            moved += np.tensordot(to_index[:3, :3], np.moveaxis(shift, -1, 0), 1)
            source = volume.array if order == 0 else np.asarray(volume.array, dtype=np.float32)
            sampled = ndimage.map_coordinates(source, moved, order=order, mode="nearest", prefilter=False)
            displaced = (shift != 0).any(-1)
            result[box][displaced] = sampled[displaced]
        return Volume(result, target.affine, volume.name)

    def _box(self, grid: Grid) -> tuple[slice, slice, slice] | None:
        """The voxels of a grid that the field reaches; None if there are none."""
        corners = np.array([[i, j, k, 1.0] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
        corners[:, :3] *= np.array(self.grid.shape) - 1
        index = (np.linalg.inv(grid.affine) @ self.affine @ corners.T)[:3]
        low = np.clip(np.floor(index.min(axis=1)).astype(int), 0, grid.shape)
        high = np.clip(np.ceil(index.max(axis=1)).astype(int) + 1, 0, grid.shape)
        if (high <= low).any():
            return None
        i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        return i, j, k

    def to_nibabel(self) -> Nifti1Image:
        """The field as a NIfTI image that ITK reads as one of vectors: shape (I, J, K, 1, 3), LPS mm, intent vector."""
        import nibabel

        image = nibabel.Nifti1Image(np.ascontiguousarray(self.array * _LPS)[:, :, :, None], self.affine)
        image.set_sform(self.affine, code=1)
        image.set_qform(self.affine, code=1)
        image.header.set_xyzt_units("mm")
        image.header.set_intent(_INTENT_VECTOR, name="displacement, LPS mm")
        image.header["descrip"] = b"MRIInterpret displacement: seen at x, came from x + u(x)"
        return image

    def to_itk(self) -> SimpleITK.DisplacementFieldTransform:
        """The field as an ITK transform, to give to ITK's resampling filter."""
        import SimpleITK

        image = SimpleITK.GetImageFromArray(
            np.ascontiguousarray(np.swapaxes(self.array * _LPS, 0, 2), dtype=np.float64), isVector=True
        )
        spacing = self.grid.spacing
        flip = np.diag(_LPS.astype(np.float64))
        image.SetSpacing(spacing.tolist())
        image.SetOrigin((flip @ self.affine[:3, 3]).tolist())
        image.SetDirection((flip @ (self.affine[:3, :3] / spacing)).ravel().tolist())
        return SimpleITK.DisplacementFieldTransform(image)


def read_displacement(path: Path) -> DisplacementField:
    """The field of a file that :meth:`DisplacementField.to_nibabel` was saved to; values to the last bit."""
    import nibabel

    image = nibabel.load(path)
    array = np.asarray(image.dataobj, dtype=np.float32)  # type: ignore[attr-defined]
    return DisplacementField(array.reshape(*array.shape[:3], 3) * _LPS, np.asarray(image.affine, np.float64))  # type: ignore[attr-defined]
