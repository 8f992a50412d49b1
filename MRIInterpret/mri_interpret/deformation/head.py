"""Where volumes may change: inside a head, on a grid of displacements that covers any scan.

A change of log-volume becomes a displacement by Poisson's equation (:func:`.construction.field_of_divergence`), which
fades out towards the head's outline: outside of it nothing moves. The adjoints of all steps are exact, so that the
gradient of any number with respect to an image becomes its gradient with respect to volumes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from .construction import adjoint_of_field, field_of_divergence
from .displacement import Box, compose, warp

#: Displacements fade to zero over this length in mm, from inside towards the outline: about the cortex's thickness.
RIM_MM = 3.0


@dataclass(frozen=True)
class Head:
    """The inside of a head, and the displacements that it allows.

    Displacements are as in :mod:`.displacement`: backwards, in mm along the image's axes, (3, i, j, k) on the field's
    grid, whose cells hold ``step`` voxels of the image along each axis.

    Attributes
    ----------
    shape
        (I, J, K) of the images.
    step
        Voxels per cell of the field along each axis.
    box
        Size in mm of the field's grid along each axis: that of the image, or a little more where ``step`` does not
        divide its shape.
    inside
        (i, j, k): 1 where volume may change, else 0.
    freedom
        (i, j, k): 1 where displacements are free, 0 outside of the head, in between along its rim.
    """

    shape: tuple[int, int, int]
    step: tuple[int, int, int]
    box: Box
    inside: Tensor
    freedom: Tensor

    def displacement(self, change: Tensor) -> Tensor:
        """The displacement (3, i, j, k) of a small change of log-volume (i, j, k); what is not named gives way."""
        return -self.freedom * field_of_divergence(change * self.inside, self.box)

    def gradient(self, displacement: Tensor) -> Tensor:
        """The adjoint: derivatives by the displacement (3, i, j, k) become derivatives by the log-volume (i, j, k)."""
        return -self.inside * adjoint_of_field(self.freedom * displacement, self.box)

    def deformed(self, image: Tensor, u: Tensor) -> Tensor:
        """The image (C, I, J, K) seen through the displacement ``u`` on the field's grid; as it is where that is 0."""
        fine = self._fine(u)
        seen = self._cropped(warp(self._padded(image), fine, box=self.box))
        return torch.where(self._cropped(fine == 0).all(0), image, seen)

    def then(self, u: Tensor, further: Tensor) -> Tensor:
        """The displacement of ``u`` followed by ``further``."""
        # Rounding in the interpolation must not let the outside move.
        return compose(u, further, self.box) * (self.freedom > 0)

    def on_image(self, field: Tensor) -> Tensor:
        """Values (C, i, j, k) on the field's grid, interpolated to the image's grid."""
        return self._cropped(self._fine(field))

    def cells_of(self, image: Tensor) -> Tensor:
        """Mean of each cell's voxels: (I, J, K) on the image's grid to (i, j, k)."""
        return functional.avg_pool3d(_padded(image[None], self._padding, "replicate"), self.step)[0]

    def step_gradient(self, image: Tensor, gradient: Tensor, u: Tensor | None = None) -> Tensor:
        """Derivatives by the log-volume of a small further change, after the deformation ``u``.

        Parameters
        ----------
        image
            (C, I, J, K), not deformed.
        gradient
            (C, I, J, K): derivatives of the number by the deformed image.
        u
            The deformation so far; None for none.

        Returns
        -------
        (i, j, k) on the field's grid, per unit of log-volume of a cell.

        Notes
        -----
        A deformation by ``u`` and then by a small ``s`` is s(x) + u(x + s(x)), so its derivative by s is that by the
        displacement times 1 + the gradient of u. Linear interpolation has a kink at a voxel's centre; there the mean of
        both sides, the central difference, is taken.
        """
        if u is None:
            return self.gradient(self.field_gradient(image, gradient))
        with torch.enable_grad():
            fine = self._fine(u).detach().requires_grad_()
            seen = self._cropped(warp(self._padded(image.detach()), fine, box=self.box))
        (by_fine,) = torch.autograd.grad(seen, fine, gradient)
        by_field = self._back(by_fine)
        by_step = by_field.clone()
        cells = tuple(length / n for length, n in zip(self.box, u.shape[1:], strict=True))
        for axis in range(3):
            by_step[axis] += (by_field * central_difference(u, axis, cells[axis])).sum(0)
        return self.gradient(by_step)

    def field_gradient(self, image: Tensor, gradient: Tensor) -> Tensor:
        """Derivatives (3, i, j, k) by the displacement of an image (C, I, J, K) that is not deformed yet, anywhere."""
        by_image = [(gradient * central_difference(image, axis, self._voxel[axis])).sum(0) for axis in range(3)]
        return self._back(_padded(torch.stack(by_image), self._padding, "constant"))

    @property
    def _voxel(self) -> tuple[float, ...]:
        cells = self.inside.shape
        return tuple(length / (n * step) for length, n, step in zip(self.box, cells, self.step, strict=True))

    def _fine(self, field: Tensor) -> Tensor:
        if self.step == (1, 1, 1):
            return field
        shape = [n * step for n, step in zip(field.shape[1:], self.step, strict=True)]
        return functional.interpolate(field[None], size=shape, mode="trilinear", align_corners=False)[0]

    def _back(self, by_fine: Tensor) -> Tensor:
        """The adjoint of :meth:`_fine`."""
        if self.step == (1, 1, 1):
            return by_fine
        with torch.enable_grad():
            field = by_fine.new_zeros(len(by_fine), *self.inside.shape, requires_grad=True)
            fine = self._fine(field)
        return torch.autograd.grad(fine, field, by_fine)[0]

    @property
    def _padding(self) -> list[int]:
        return [n * step - size for n, step, size in zip(self.inside.shape, self.step, self.shape, strict=True)]

    def _padded(self, image: Tensor) -> Tensor:
        return _padded(image, self._padding, "replicate")

    def _cropped(self, padded: Tensor) -> Tensor:
        i, j, k = self.shape
        return padded[..., :i, :j, :k]


def head_of(mask: Tensor, spacing: Sequence[float], step: Sequence[int] = (1, 1, 1), rim_mm: float = RIM_MM) -> Head:
    """The head of a mask.

    Parameters
    ----------
    mask
        (I, J, K), true inside the head or brain; on the device and grid of the images.
    spacing
        Voxel size in mm along the axes.
    step
        Voxels per cell of the field along each axis.
    rim_mm
        Over which length displacements fade out towards the outline.
    """
    cells = [-(-size // n) for size, n in zip(mask.shape, step, strict=True)]
    padding = [n * count - size for n, count, size in zip(step, cells, mask.shape, strict=True)]
    whole = _padded(mask.float()[None], padding, "constant")
    # A cell is inside if all its voxels are.
    inside = -functional.max_pool3d(-whole, tuple(step))[0]
    # Between cells, displacements are interpolated: those next to the outside rest too.
    resting = (
        inside if max(step) == 1 else -functional.max_pool3d(functional.pad(-inside[None], [1] * 6), 3, stride=1)[0]
    )
    lengths = [float(size) * n for size, n in zip(spacing, step, strict=True)]
    depth = _depth(resting.cpu().numpy() > 0.5, lengths)
    freedom = torch.from_numpy((depth / rim_mm).clip(0, 1).astype(np.float32)).to(mask.device)
    return Head(
        shape=(mask.shape[0], mask.shape[1], mask.shape[2]),
        step=(int(step[0]), int(step[1]), int(step[2])),
        box=(lengths[0] * cells[0], lengths[1] * cells[1], lengths[2] * cells[2]),
        inside=inside,
        freedom=freedom,
    )


def _depth(inside: NDArray[np.bool_], spacing: Sequence[float]) -> NDArray[np.float64]:
    """Distance in mm to the nearest voxel outside; beyond the grid is outside."""
    depth = np.zeros(inside.shape)
    (box,) = ndimage.find_objects(inside.astype(np.uint8)) or [None]
    if box is not None:
        piece = np.pad(inside[box], 1)  # all around the box is outside
        depth[box] = ndimage.distance_transform_edt(piece, sampling=spacing)[1:-1, 1:-1, 1:-1]
    return depth


def central_difference(volumes: Tensor, axis: int, spacing: float) -> Tensor:
    """Derivative of (C, i, j, k) along a spatial axis: of what trilinear interpolation gives, edges continued."""
    last = volumes.shape[axis + 1] - 1
    at = torch.arange(last + 1, device=volumes.device)
    dimension = axis + 1
    ahead = volumes.index_select(dimension, (at + 1).clamp(max=last))
    behind = volumes.index_select(dimension, (at - 1).clamp(min=0))
    return (ahead - behind) / (2 * spacing)


def _padded(volumes: Tensor, padding: Sequence[int], mode: str) -> Tensor:
    """With so many voxels more at the far end of each axis."""
    if not any(padding):
        return volumes
    i, j, k = padding
    return functional.pad(volumes[None], (0, k, 0, j, 0, i), mode=mode)[0]
