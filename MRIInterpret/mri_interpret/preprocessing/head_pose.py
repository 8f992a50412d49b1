"""Which way up is this head? The template's brain is looked for in the scan, turned every way."""

from __future__ import annotations

import numpy as np
import scipy  # scipy.fft and scipy.spatial are loaded on first use
from numpy.typing import NDArray
from scipy import ndimage

from ..images.volume import Affine, Grid, Volume, resample
from ..progress import ProgressCallback, silent
from .template import load_template

_GRID_MM = 12.0
_POSES = 576  # no head is turned by more than about 25 degrees against the nearest of so many
_APART_DEG = 40.0  # poses closer than this to a better one are the same guess
_REFINED_DEG = 10.0
_SURROUNDINGS_MM = 9.0  # around the brain, where fluid and bone are dark
_ROOM_MM = 45.0  # kept around the brain in an upright scan: enough for the skull, not for shoulders
_STEP = "Looking for the head's pose"


def upright(scan: Volume, to_template: Affine, spacing: float = 1.5) -> Volume:
    """The scan on a grid along the template's axes around the head, world RAS mm of the template.

    Parameters
    ----------
    scan
        Shape (I, J, K).
    to_template
        4 x 4, RAS mm of the scan to RAS mm of the template, roughly.
    spacing
        Voxel size in mm.
    """
    template, _ = load_template(2)
    low = template.affine[:3, 3] - _ROOM_MM + 12
    extent = np.array(template.shape) * template.grid.spacing + 2 * (_ROOM_MM - 12)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = low
    i, j, k = (int(np.ceil(size / spacing)) for size in extent)
    return resample(scan, Grid((i, j, k), affine), np.linalg.inv(to_template))


def likely_poses(scan: Volume, count: int = 3, progress: ProgressCallback = silent) -> list[Affine]:
    """Poses in which the template's brain is found in the scan, most likely first.

    The correlation of the template's brain and its dark surroundings with the scan, each place of the scan taken with
    its own mean and spread (fast normalised cross-correlation, Lewis 1995), for poses spread evenly over all rotations
    (Alexa 2022) and every shift; then finer around the best. Needs no brain mask and no header that tells the truth.

    Parameters
    ----------
    scan
        A head, or a brain with zeros around; shape (I, J, K).
    count
        How many poses at most.
    progress
        Told now and then, and may raise to cancel.

    Returns
    -------
    4 x 4 each, RAS mm of the scan to RAS mm of the template; turns and shifts only.
    """
    search = _Search(scan)
    coarse = _spread_rotations(_POSES)
    scores = np.empty(len(coarse))
    for number, rotation in enumerate(coarse):
        if number % 32 == 0:
            progress(_STEP, number / (len(coarse) * 1.3))
        scores[number] = search.best(rotation)[0]
    chosen: list[NDArray[np.float64]] = []
    for number in np.argsort(-scores):
        if all(_angle_deg(coarse[number] @ other.T) > _APART_DEG for other in chosen):
            chosen.append(coarse[number])
        if len(chosen) == count:
            break
    found = []
    for number, rotation in enumerate(chosen):
        progress(_STEP, 0.8 + 0.2 * number / count)
        found.append(search.refined(rotation))
    progress(_STEP, 1.0)
    return [search.pose(rotation, place) for _, rotation, place in sorted(found, key=lambda one: -one[0])]


class _Search:
    """The scan on a coarse grid, and what every pose's correlation with it needs."""

    def __init__(self, scan: Volume) -> None:
        corners = np.array(np.meshgrid(*[(0, size - 1) for size in scan.shape])).reshape(3, -1)
        world = scan.affine[:3, :3] @ corners + scan.affine[:3, 3:]
        self.low = world.min(1)
        shape = np.maximum(1, np.ceil((world.max(1) - self.low) / _GRID_MM).astype(int) + 1)
        affine = np.diag([_GRID_MM, _GRID_MM, _GRID_MM, 1.0])
        affine[:3, 3] = self.low
        values = np.asarray(scan.array, dtype=np.float32)
        bottom, top = np.percentile(values, [1.0, 99.0])
        # Square root: a bright neck or a coil's bright side counts less.
        root = np.sqrt(np.clip((values - bottom) / max(float(top - bottom), 1e-12), 0, 1))
        sigma = np.maximum(0, _GRID_MM / 2.355 / scan.grid.spacing - 0.3)
        smooth = scan.with_array(ndimage.gaussian_filter(root, sigma.tolist()))
        image = resample(smooth, Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)).array
        template, mask = load_template(2)
        inside = np.asarray(mask.array) > 0
        self._centre = np.array(template.affine[:3, :3] @ ndimage.center_of_mass(inside) + template.affine[:3, 3])
        reach = int(np.ceil(_SURROUNDINGS_MM / 2))
        around = ndimage.binary_dilation(np.pad(inside, reach + 1), iterations=reach)
        brain = np.pad(np.sqrt(np.clip(template.array, 0, 1)), reach + 1)
        sigma_template = _GRID_MM / 2.355 / 2
        self._affine = template.affine.copy()
        self._affine[:3, 3] = template.affine[:3, 3] - (reach + 1) * template.affine[:3, :3].sum(1)
        self._brain = ndimage.gaussian_filter(brain, sigma_template).astype(np.float32)
        self._around = ndimage.gaussian_filter(around.astype(np.float32), sigma_template)
        corner = self._affine[:3, :3] @ np.argwhere(around).T + self._affine[:3, 3:] - self._centre[:, None]
        self._size = 2 * int(np.ceil(np.linalg.norm(corner, axis=0).max() / _GRID_MM)) + 1
        # The template may reach beyond the scan by half its size.
        self._pad = self._size // 2
        padded = np.pad(image, self._pad)  # float32 throughout: twice as fast
        self._full = [scipy.fft.next_fast_len(size, real=True) for size in padded.shape]
        self._valid = tuple(slice(0, size - self._size + 1) for size in padded.shape)
        self._image, self._square = (scipy.fft.rfftn(one, self._full) for one in (padded, padded**2))
        self._floor = 1e-3 * float(image.var()) + 1e-12

    def best(self, rotation: NDArray[np.float64]) -> tuple[float, NDArray[np.int64]]:
        """The highest correlation over all shifts, and the voxel at which the template's centre then lies."""
        grid = Grid((self._size,) * 3, _centred(self._size))
        back = np.eye(4)  # from the turned template's own coordinates to the template's world
        back[:3, :3], back[:3, 3] = rotation, self._centre
        weight, values = (resample(Volume(one, self._affine), grid, back).array for one in (self._around, self._brain))
        total = weight.sum()
        values = weight * (values - (weight * values).sum() / total)
        norm = np.sqrt((values**2 / np.maximum(weight, 1e-6)).sum())
        weights, wanted = (np.conj(scipy.fft.rfftn(one, self._full)) for one in (weight, values))
        sums, squares, products = (
            scipy.fft.irfftn(one, self._full)[self._valid]
            for one in (self._image * weights, self._square * weights, self._image * wanted)
        )
        spread = np.sqrt(np.maximum(squares - sums**2 / total, self._floor * total))
        score = products / (spread * norm)
        place = np.array(np.unravel_index(int(score.argmax()), score.shape))
        return float(score.max()), place + self._size // 2 - self._pad

    def refined(self, rotation: NDArray[np.float64]) -> tuple[float, NDArray[np.float64], NDArray[np.int64]]:
        """The best of the poses a little turned from this one, from there once more by half."""
        score, place = self.best(rotation)
        for degrees in (_REFINED_DEG, _REFINED_DEG / 2):
            start = rotation
            for axis in range(3):
                for sign in (1, -1):
                    turn = np.zeros(3)
                    turn[axis] = np.radians(degrees) * sign
                    tried = start @ _rotation(turn)
                    better, there = self.best(tried)
                    if better > score:
                        score, rotation, place = better, tried, there
        return score, rotation, place

    def pose(self, rotation: NDArray[np.float64], place: NDArray[np.int64]) -> Affine:
        """RAS mm of the scan to RAS mm of the template."""
        pose = np.eye(4)
        pose[:3, :3] = rotation
        pose[:3, 3] = self._centre - rotation @ (self.low + place * _GRID_MM)
        return pose


def _centred(size: int) -> Affine:
    affine = np.diag([_GRID_MM, _GRID_MM, _GRID_MM, 1.0])
    affine[:3, 3] = -_GRID_MM * (size // 2)
    return affine


def _spread_rotations(count: int) -> list[NDArray[np.float64]]:
    """Rotations spread evenly: super-Fibonacci spirals (Alexa 2022, algorithm 1)."""
    golden, plastic = np.sqrt(2.0), 1.533751168755204288118041
    s = np.arange(count) + 0.5
    outer, inner = np.sqrt(s / count), np.sqrt(1 - s / count)
    alpha, beta = 2 * np.pi * s / golden, 2 * np.pi * s / plastic
    quaternions = (outer * np.sin(alpha), outer * np.cos(alpha), inner * np.sin(beta), inner * np.cos(beta))
    return list(scipy.spatial.transform.Rotation.from_quat(np.stack(quaternions, axis=1)).as_matrix())


def _rotation(turn: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(scipy.spatial.transform.Rotation.from_rotvec(turn).as_matrix())


def _angle_deg(rotation: NDArray[np.float64]) -> float:
    return float(np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))))
