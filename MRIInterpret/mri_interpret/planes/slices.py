"""Slices across a scan's world, along R, A and S whatever the orientation of its voxel grid.

Every picture is radiological, as 3D Slicer's slice views are: axial and coronal pictures show the patient's right on
the left. Sagittal pictures show anterior on the left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..images.volume import Array, Grid, Volume, resample

Floats = NDArray[np.floating]
Plane = Literal["axial", "coronal", "sagittal"]
PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")
AXIS: dict[Plane, int] = {"axial": 2, "coronal": 1, "sagittal": 0}  # the world axis that the plane is normal to
_ACROSS: dict[Plane, int] = {"axial": 0, "coronal": 0, "sagittal": 1}  # the world axis along the picture's width
_UP: dict[Plane, int] = {"axial": 1, "coronal": 2, "sagittal": 2}
EDGES: dict[Plane, tuple[str, str]] = {"axial": ("R", "L"), "coronal": ("R", "L"), "sagittal": ("A", "P")}
CONVENTION = "Radiological convention, as in 3D Slicer: the patient's right is on the left of the picture, marked R."


@dataclass(frozen=True)
class Box:
    """The box in the world that pictures show.

    Attributes
    ----------
    low, high
        Corners in RAS mm, shape (3,).
    brain_low, brain_high
        Corners of the smallest box around the brain.
    spacing
        Size of a picture's pixels in mm.
    """

    low: Floats
    high: Floats
    brain_low: Floats
    brain_high: Floats
    spacing: float

    @property
    def extent(self) -> Floats:
        return self.high - self.low

    def size(self, plane: Plane) -> tuple[float, float]:
        """Width and height of a plane's pictures in mm."""
        return float(self.extent[_ACROSS[plane]]), float(self.extent[_UP[plane]])

    def grid(self, spacing: float | None = None) -> Grid:
        """An isotropic grid over the box whose axes point R, A, S."""
        size = self.spacing if spacing is None else spacing
        shape = np.maximum(np.ceil(self.extent / size).astype(int) + 1, 1)
        affine = np.diag([size, size, size, 1.0])
        affine[:3, 3] = self.low
        return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def outermost_points(mask: Volume) -> Floats:
    """World coordinates (RAS mm) of the mask's first and last voxel in every line along k, shape (n, 3).

    A linear function is largest at the end of a line: these hold the corners of any box around the mask.
    """
    inside = mask.array > 0
    i, j = np.nonzero(inside.any(axis=2))
    lines = inside[i, j]
    ends = (lines.argmax(axis=1), lines.shape[1] - 1 - lines[:, ::-1].argmax(axis=1))
    index = np.concatenate([np.stack([i, j, k], axis=1) for k in ends])
    return np.asarray(index @ mask.affine[:3, :3].T + mask.affine[:3, 3])


def brain_box(mask: Volume, margin: float = 0.06) -> Box:
    """The box around the brain, with a margin as a part of its largest side; about 1 mm per pixel for a human brain."""
    if np.any(mask.array > 0):
        points = outermost_points(mask)
    else:  # no brain was found: show the whole volume
        points = outermost_points(mask.with_array(np.ones(mask.shape, dtype=np.uint8)))
    low, high = points.min(axis=0), points.max(axis=0)
    side = float(max((high - low).max(), 1e-3))
    pad = margin * side
    spacing = 1.0 if 90 <= side <= 260 else side / 180
    return Box(low - pad, high + pad, low, high, spacing)


def cut(volume: Volume, plane: Plane, position: float, box: Box, order: int = 1) -> Floats:
    """One slice of a volume, ready for ``imshow`` with the origin at the upper left.

    Parameters
    ----------
    volume
        Shape (I, J, K), any orientation.
    plane
        Which plane.
    position
        Where along the plane's normal, RAS mm.
    box
        What part of the plane.
    order
        0 for labels, 1 for intensities and relevance.

    Returns
    -------
    array
        Shape (rows, columns); the columns run from R to L (axial, coronal) or from A to P (sagittal), the rows
        downwards from A (axial) or S (coronal, sagittal).
    """
    return as_picture(resample(volume, slice_grid(plane, position, box), order=order).array, plane)


def slice_grid(plane: Plane, position: float, box: Box) -> Grid:
    """The pixels of a slice as a grid of one voxel's thickness."""
    grid, axis = box.grid(), AXIS[plane]
    shape = list(grid.shape)
    shape[axis] = 1
    affine = grid.affine.copy()
    affine[axis, 3] = position
    return Grid((shape[0], shape[1], shape[2]), affine)


def as_picture(array: Array, plane: Plane) -> Floats:
    """What was sampled on a :func:`slice_grid`, turned as :func:`cut` says."""
    # What is left is (across, up) in the order of the world axes, growing towards R (or A) and A (or S).
    flat = array.squeeze(axis=AXIS[plane])
    assert _ACROSS[plane] < _UP[plane]
    return np.asarray(flat.T[::-1, ::-1])


def pixel_of(plane: Plane, world: Floats, box: Box) -> tuple[float, float]:
    """Column and row, in :func:`cut`'s picture, of a point in the world (RAS mm)."""
    grid = box.grid()
    across, up = _ACROSS[plane], _UP[plane]
    column = grid.shape[across] - 1 - (world[across] - box.low[across]) / box.spacing
    row = grid.shape[up] - 1 - (world[up] - box.low[up]) / box.spacing
    return float(column), float(row)


def hottest(volume: Volume, mask: Volume, box: Box, blur: float = 4.0) -> Floats | None:
    """World coordinate (RAS mm) of the strongest area inside the brain; None for a map that is zero there.

    The absolute value is smoothed (Gaussian of ``blur`` mm at 1 mm pixels, wider for larger heads), because one noisy
    voxel is no area.
    """
    grid = box.grid(2 * box.spacing)
    values = resample(volume.with_array(np.abs(np.nan_to_num(np.asarray(volume.array, dtype=np.float32)))), grid).array
    inside = resample(Volume(mask.array, mask.affine), grid, order=0).array > 0
    smooth = ndimage.gaussian_filter(np.where(inside, values, 0).astype(np.float32), blur / 2)
    smooth = np.where(inside, smooth, 0)
    if smooth.max(initial=0) <= 0:
        return None
    index = np.unravel_index(int(smooth.argmax()), smooth.shape)
    return np.asarray(grid.affine[:3, :3] @ np.array(index) + grid.affine[:3, 3])


@dataclass(frozen=True)
class Slices:
    """Positions (RAS mm, ascending) along a plane's normal, and which of them pass through a strongest area."""

    positions: tuple[float, ...]
    hot: frozenset[float]


def choose_slices(plane: Plane, box: Box, hot: list[Floats | None], count: int = 7) -> Slices:
    """Slices evenly spaced across the brain; those nearest to the strongest areas are moved onto them.

    Parameters
    ----------
    plane
        Which plane.
    box
        Where the brain is.
    hot
        The strongest areas' points in RAS mm; None is skipped.
    count
        How many slices.
    """
    axis = AXIS[plane]
    low, high = float(box.brain_low[axis]), float(box.brain_high[axis])
    # The outermost tenth at each end holds little brain.
    positions = [float(p) for p in np.linspace(low + 0.12 * (high - low), high - 0.10 * (high - low), count)]
    free = set(range(count))
    chosen: set[float] = set()
    for point in hot:
        if point is None or not free:
            continue
        target = float(point[axis])
        nearest = min(free, key=lambda i: abs(positions[i] - target))
        if any(abs(target - done) < 0.5 for done in chosen):
            continue  # the same slice already crosses it
        free.discard(nearest)
        positions[nearest] = target
        chosen.add(target)
    return Slices(tuple(sorted(positions)), frozenset(chosen))


def scan_window(scan: Volume, mask: Volume) -> tuple[float, float]:
    """Black and white level of the scan, from the brain's intensities: CSF dark, the brightest tissue just white."""
    inside = mask.array > 0
    values = np.asarray(scan.array[inside] if np.any(inside) else scan.array, dtype=np.float32).ravel()
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    low, middle, high = (float(value) for value in np.percentile(values, [0.5, 50, 99.7]))
    low = min(low, 0.25 * middle)
    high = low + 1.1 * (high - low)  # white matter stays below white, so that colours over it can be told apart
    return (low, high) if high > low else (low, low + 1.0)


def as_float(volume: Volume) -> Volume:
    """The volume in float32 without NaN or infinities, converted once for many slices."""
    array: Array = np.nan_to_num(np.asarray(volume.array, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    return volume.with_array(array)
