"""Scans for the tests of preprocessing: the template's brain as it would look in scanners of all kinds."""

from __future__ import annotations

import numpy as np
from mri_interpret.images.volume import Affine, Grid, Volume, resample
from mri_interpret.preprocessing.template import load_template
from scipy import ndimage


def rotation(x: float, y: float, z: float) -> Affine:
    """Rotation about R, then A, then S, in degrees, as 4 x 4."""
    a, b, c = np.radians([x, y, z])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = about_z @ about_y @ about_x
    return matrix


def grid_around(centre: np.ndarray, axes: np.ndarray, spacing: tuple[float, float, float], extent: float) -> Grid:
    """A grid of about ``extent`` mm along each axis, centred at ``centre``; ``axes`` has the directions as columns."""
    shape = tuple(int(np.ceil(extent / step)) for step in spacing)
    affine = np.eye(4)
    affine[:3, :3] = axes * np.array(spacing)
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


# Name -> (directions of the voxel axes as columns in RAS, voxel size in mm)
SCANNERS: dict[str, tuple[np.ndarray, tuple[float, float, float]]] = {
    "RAS": (np.eye(3), (2.0, 2.0, 2.0)),
    "LPS": (np.diag([-1.0, -1.0, 1.0]), (2.0, 2.0, 2.0)),
    "LIA": (np.array([[-1.0, 0, 0], [0, 0, 1], [0, -1, 0]]), (2.0, 2.0, 2.0)),
    "oblique": (rotation(12, -9, 15)[:3, :3], (1.9, 2.1, 2.0)),
    "flipped handedness": (np.diag([-1.0, 1.0, 1.0]), (2.0, 2.0, 2.0)),
    "anisotropic": (np.eye(3), (1.0, 1.0, 3.0)),
    "oblique, flipped, anisotropic": (rotation(-8, 10, 6)[:3, :3] @ np.diag([-1.0, 1, 1]), (1.2, 1.2, 3.0)),
}


def scanned(scanner: str, placement: Affine | None = None) -> tuple[Volume, Volume, Affine]:
    """The template's brain in a scanner.

    Parameters
    ----------
    scanner
        A name of ``SCANNERS``.
    placement
        4 x 4, template RAS to scanner RAS: how the subject lies there, and how large the head is.

    Returns
    -------
    scan, mask, placement
    """
    placement = np.eye(4) if placement is None else placement
    brain, mask = load_template(2)
    axes, spacing = SCANNERS[scanner]
    centre = (placement @ np.array([0.0, -18.0, 8.0, 1.0]))[:3]
    grid = grid_around(centre, axes, spacing, 236.0)
    back = np.linalg.inv(placement)
    scan = resample(brain, grid, back)
    inside = resample(mask.with_array(mask.array.astype(np.float32)), grid, back).array > 0.5
    return (
        Volume(scan.array * 900.0, grid.affine, f"{scanner}.nii.gz"),
        Volume(inside.astype(np.uint8), grid.affine, f"{scanner}-mask.nii.gz"),
        placement,
    )


def blob(grid: Grid, world: np.ndarray, sigma: float = 4.0) -> Volume:
    """A Gaussian of ``sigma`` mm at a place in RAS mm."""
    index = np.indices(grid.shape).reshape(3, -1)
    points = grid.affine[:3, :3] @ index + grid.affine[:3, 3:]
    square = ((points - np.asarray(world)[:, None]) ** 2).sum(0)
    return Volume(np.exp(-square / (2 * sigma**2)).reshape(grid.shape).astype(np.float32), grid.affine, "blob")


def centre_of_mass(volume: Volume) -> np.ndarray:
    """Centre of mass in RAS mm."""
    values = volume.array.astype(np.float64).ravel()
    index = np.indices(volume.shape).reshape(3, -1)
    return volume.affine[:3, :3] @ ((index * values).sum(1) / values.sum()) + volume.affine[:3, 3]


def with_neck_and_shoulders(head: Volume, down_mm: float = 100.0, aside_mm: float = 120.0) -> Volume:
    """The same head in a field of view that reaches further down and aside, with neck and shoulders in it.

    Parameters
    ----------
    head
        A whole head on straight axes R, A, S.
    down_mm, aside_mm
        By how much the field of view grows below, and to either side.
    """
    down, aside = (round(size / float(head.grid.spacing[0])) for size in (down_mm, aside_mm))
    values = np.pad(np.asarray(head.array, np.float32), ((aside, aside), (0, 0), (down, 0)))
    affine = head.affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ [aside, 0, down]
    dark = 0.15 * np.percentile(head.array, 99)
    lowest = ndimage.binary_fill_holes(head.array[:, :, 2] > dark)
    right, anterior = ndimage.center_of_mass(lowest)
    middle = (right + aside, anterior, down)
    x, y, z = (
        (axis - centre) * size
        for axis, centre, size in zip(
            np.ogrid[tuple(slice(0, size) for size in values.shape)], middle, head.grid.spacing, strict=True
        )
    )
    neck = (x / 58) ** 2 + (y / 62) ** 2 < 1
    shoulders = (x / 200) ** 2 + (y / 75) ** 2 + ((z + down_mm + 15) / 60) ** 2 < 1
    body = (neck | shoulders) & (z < 6) & (values < dark)
    skin = body & ~ndimage.binary_erosion(body, iterations=3)
    spine = np.broadcast_to((x / 12) ** 2 + ((y + 15) / 14) ** 2 < 1, body.shape)
    muscle = np.percentile(head.array[head.array > dark], 60)
    grain = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=values.shape).astype(np.float32), 2)
    tissue = muscle * (0.8 + 0.2 * grain / grain.std()) * np.select([skin, spine], [1.8, 1.4], 1.0)
    return Volume(np.where(body, np.clip(tissue, 0, None), values).astype(np.float32), affine, "head and shoulders")
