"""The bias field of a scan: N4 (Tustison 2010) by SimpleITK on a coarse grid, a few iterations at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import UserError
from ..images.volume import Array
from ..progress import ProgressCallback, silent

#: Of the coarse grid. The field is smooth over centimetres: fitted at 6 mm it differs from one fitted at 4 mm by less
#: than its own noise, and takes 0.5 to 1.6 s of processor time instead of 2 to 5 s.
COARSE_MM = 6.0
STEP = "Correcting the bias field"
ITERATIONS = (50, 50, 30)
_SLICE = 10  # iterations between two reports: N4 cannot be stopped from outside, so it is asked for a few at a time
_CONVERGED = 1e-3  # change of the field (coefficient of variation) at which N4 goes on to the next level; ITK's own


@dataclass(frozen=True)
class BiasField:
    """A bias field as it was fitted: the logarithm on a coarse grid, and how that lies in the image."""

    coarse: NDArray[np.float32]
    factors: NDArray[np.int64]  # voxels of the image per voxel of the coarse grid
    start: NDArray[np.int64]  # voxel of the image at which the coarse grid begins

    def logarithm(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """At the voxels of the image, whose shape is (I, J, K); beyond the brain's box as at the box's edge."""
        field = self.coarse
        for axis, size in enumerate(shape):
            # Voxel v of the image lies at (v - start + 0.5) / factor - 0.5 on the coarse grid.
            place = (np.arange(size) - self.start[axis] + 0.5) / self.factors[axis] - 0.5
            field = np.moveaxis(np.tensordot(_spline_weights(field.shape[axis], place), field, (1, axis)), 0, axis)
        return np.ascontiguousarray(field, dtype=np.float32)

    def corrected(self, image: Array) -> NDArray[np.float32]:
        """The image divided by the field."""
        return np.asarray(np.asarray(image, dtype=np.float32) / np.exp(self.logarithm(image.shape)))


def fit_bias_field(
    image: Array,
    inside: Array,
    spacing: Sequence[float] | NDArray[np.floating[Any]],
    *,
    shrink: int = 0,
    iterations: Sequence[int] = ITERATIONS,
    progress: ProgressCallback = silent,
) -> BiasField:
    """Fit the bias field in the brain.

    N4's levels, each with twice as many spline patches as the one before, run as calls of at most ten iterations on
    the image that the ones before have corrected: what N4 does inside one call, but it can be cancelled in between.

    Parameters
    ----------
    image
        Intensities, shape (I, J, K). If some are negative, all are raised so that none is.
    inside
        Above 0 where the field is fitted: the brain. Same shape.
    spacing
        Voxel size in mm, three numbers.
    shrink
        Voxels of the image per voxel of the coarse grid; 0: about ``COARSE_MM``.
    iterations
        Highest number of iterations for each level.
    progress
        Told after each few iterations, and may raise to cancel.

    Returns
    -------
    The field, its logarithm's mean 0 in the brain.

    Raises
    ------
    UserError
        If SimpleITK is missing, the mask is empty, the image is constant in it, or N4 finds no field.
    """
    try:
        import SimpleITK as sitk
    except ImportError as error:
        raise UserError(
            "SimpleITK, which corrects the scan's bias field, is missing: install it (pip install SimpleITK)."
        ) from error
    boxes = ndimage.find_objects((np.asarray(inside) > 0).astype(np.uint8))
    if not boxes:
        raise UserError("The bias field cannot be fitted: the mask holds no brain.")
    box = boxes[0]
    sizes = np.asarray(spacing, dtype=np.float64)
    factors = _factors(sizes, shrink, [part.stop - part.start for part in box])
    brain = np.asarray(inside[box]) > 0
    values = np.asarray(image[box], dtype=np.float32) - min(float(np.min(image)), 0.0)
    # Means over blocks rather than single voxels: noise would blunt the peaks of the histogram that N4 sharpens.
    coarse, weight = _blocks(np.where(brain, values, 0), factors), _blocks(brain, factors)
    fitted = weight > 0.5
    if not fitted.any() or not float(np.ptp(values[brain])) > 0:
        raise UserError("The bias field cannot be fitted: the image is constant in the brain.")
    coarse = np.where(fitted, coarse / np.maximum(weight, 1e-6), 0.0).astype(np.float32)
    mask = sitk.GetImageFromArray(np.ascontiguousarray(fitted.T.astype(np.uint8)))
    mask.SetSpacing((sizes * factors).tolist())
    field = np.zeros(coarse.shape, dtype=np.float32)
    total, done = sum(iterations), 0
    for level, highest in enumerate(iterations):
        for begun in range(0, highest, _SLICE):
            progress(STEP, min(0.99, done / total))
            asked = min(_SLICE, highest - begun)
            found, used = _fit(np.where(fitted, coarse / np.exp(field), 0.0), mask, level, asked)
            field = field + found
            done += asked
            if used < asked:
                done += highest - begun - asked
                break
    progress(STEP, 1.0)
    start = np.array([part.start for part in box], dtype=np.int64)
    return BiasField(np.asarray(field - field[fitted].mean(), dtype=np.float32), factors, start)


def _factors(spacing: NDArray[np.float64], shrink: int, sizes: Sequence[int]) -> NDArray[np.int64]:
    wanted = np.full(3, shrink) if shrink else np.round(COARSE_MM / spacing)
    # N4's spline needs some voxels along every axis.
    return np.clip(wanted, 1, np.maximum(1, np.asarray(sizes) // 8)).astype(np.int64)


def _spline_weights(size: int, place: NDArray[np.float64]) -> NDArray[np.float32]:
    """What each of ``size`` samples contributes to a cubic spline's values at ``place``; beyond the ends, the ends'."""
    place = np.clip(place, 0, size - 1)
    columns = [ndimage.map_coordinates(one, place[None], order=3, mode="nearest") for one in np.eye(size)]
    return np.stack(columns, axis=1).astype(np.float32)


def _blocks(array: Array, factors: NDArray[np.int64]) -> NDArray[np.float32]:
    """Means over blocks of ``factors`` voxels; blocks that reach beyond the array count zeros."""
    padded = np.pad(np.asarray(array, np.float32), [(0, -n % f) for n, f in zip(array.shape, factors, strict=True)])
    (i, j, k), (a, b, c) = padded.shape, factors.tolist()
    return padded.reshape(i // a, a, j // b, b, k // c, c).mean(axis=(1, 3, 5))


def _fit(values: NDArray[np.float32], mask: Any, level: int, iterations: int) -> tuple[NDArray[np.float32], int]:
    """The log field found by some iterations at one level, and how many of them were needed."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(values.T.astype(np.float32)))
    image.CopyInformation(mask)
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations([iterations])
    n4.SetConvergenceThreshold(_CONVERGED)
    n4.SetNumberOfControlPoints([3 + 2**level] * 3)
    try:
        n4.Execute(image, mask)
    except RuntimeError as error:
        raise UserError("The bias field could not be fitted: check the scan and its brain mask.") from error
    field = sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image)).T
    return np.asarray(field, dtype=np.float32), int(n4.GetElapsedIterations())
