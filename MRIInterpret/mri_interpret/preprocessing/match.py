"""How well a scan lies on the template, and how far from there it would lie best."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..images.volume import Affine, Grid, Volume, resample
from ..metrics.similarity import correlation as pearson
from .template import load_template

#: Root mean square displacement over the brain by which the scan is turned, shifted or scaled to see whether it then
#: matches better. A turn by 10 degrees is 7 to 8 mm, a scale of 15 % is 8 mm.
PROBE_MM = 6.0
_MARGIN = 12  # voxels of 2 mm around the template that are sampled: probes reach beyond it
_POINT_MM = 4.0  # distance of the points at which the match is measured
_SMOOTH_MM = 1.7  # standard deviation that goes with points 4 mm apart
_BINS = 24
_CENTRE = np.array([0.0, -18.0, 8.0])  # of the template's brain, RAS mm


@dataclass(frozen=True)
class Match:
    """How a scan, brought into template space by an affine, matches the template.

    Attributes
    ----------
    correlation
        Pearson's, of the masked intensities inside the template's mask, -1 to 1. Both are smoothed by 2 mm first: the
        template is an average of 152 brains, a single one has sulci that it has not.
    overlap
        Dice coefficient of the two brain masks, 0 to 1; what of the scan's lies beyond the template's grid counts too.
    offset_mm
        How far from here the template is matched best: root mean square displacement over the brain, mm, summed in
        squares over turns and shifts about three axes and a change of size. A length up to about 4, where the match is
        a parabola; beyond it only says "far", and each of the seven is cut off at 12.
    covered
        Share of the template's brain that lies within the scan's field of view, 0 to 1.
    """

    correlation: float
    overlap: float
    offset_mm: float
    covered: float


def measure_match(scan: Volume, mask: Volume, to_template: Affine, *, offset: bool = True) -> Match:
    """Measure how a scan matches the template.

    The offset needs no threshold on similarity, which falls with bias, age and contrast while the alignment is right:
    mutual information (Mattes 2003) is compared with its own values after small known moves, and a parabola through
    them says where it is highest.

    Parameters
    ----------
    scan, mask
        The scan, its bias field corrected, and its brain mask; shape (I, J, K).
    to_template
        4 x 4, RAS mm of the scan to RAS mm of the template.
    offset
        False leaves the offset out (NaN), which takes half of the time.
    """
    template, template_mask = load_template(2)
    ours = brain_on_template(scan, mask, to_template)
    inside = mask.with_array((np.asarray(mask.array) > 0).astype(np.float32))
    brain = resample(inside, template.grid, np.linalg.inv(to_template)).array > 0.5
    inner = tuple(slice(_MARGIN, -_MARGIN) for _ in range(3))
    reference = np.asarray(template_mask.array) > 0
    total = np.count_nonzero(reference)
    sigma = (2.0 / template.grid.spacing).tolist()
    smooth = ndimage.gaussian_filter(ours.array, sigma)[inner][reference]
    theirs = ndimage.gaussian_filter(template.array, sigma)[reference]
    return Match(
        correlation=float(np.nan_to_num(pearson(smooth, theirs))),
        overlap=float(2 * np.count_nonzero(brain & reference) / (_voxels(mask, to_template, template) + total)),
        offset_mm=offset_mm(ours) if offset else math.nan,
        covered=_covered(scan, to_template),
    )


def brain_on_template(scan: Volume, mask: Volume, to_template: Affine) -> Volume:
    """The masked brain, scaled to 0..1, on the template's 2 mm grid with a margin around; see :func:`measure_match`."""
    template, _ = load_template(2)
    affine = template.affine.copy()
    affine[:3, 3] -= _MARGIN * template.grid.spacing
    i, j, k = (size + 2 * _MARGIN for size in template.shape)
    inside = np.asarray(mask.array) > 0
    bottom, top = np.percentile(scan.array[inside], [0.5, 99.5])
    scaled = np.clip((scan.array - bottom) / max(float(top - bottom), 1e-12), 0, 1)
    brain = scan.with_array(np.where(inside, scaled, 0).astype(np.float32))
    return resample(brain, Grid((i, j, k), affine), np.linalg.inv(to_template))


def offset_mm(brain: Volume) -> float:
    """``Match.offset_mm`` of a brain in template space, as :func:`brain_on_template` gives it."""
    smooth = ndimage.gaussian_filter(brain.array, _SMOOTH_MM / brain.grid.spacing)
    return float(np.linalg.norm(offsets_mm(smooth, brain.affine)))


def _voxels(mask: Volume, to_template: Affine, template: Volume) -> float:
    """The mask's volume in template space, in voxels of the template."""
    scale = abs(float(np.linalg.det(to_template[:3, :3])))
    return np.count_nonzero(mask.array) * mask.grid.voxel_volume * scale / template.grid.voxel_volume


def offsets_mm(image: NDArray[np.float32], affine: Affine) -> NDArray[np.float64]:
    """For three turns, three shifts and a change of size: how far the best match lies from here, in mm.

    Parameters
    ----------
    image
        The scan's brain in template space, 0..1, smoothed to ``_POINT_MM``; shape (I, J, K).
    affine
        4 x 4, its voxel indices to RAS mm.
    """
    points, bins, moves = _probes()
    to_index = np.linalg.inv(affine)

    def match(move: Affine) -> float:
        index = to_index @ np.linalg.inv(move)
        at = ndimage.map_coordinates(image, index[:3, :3] @ points + index[:3, 3:], order=1, mode="constant")
        return _mutual_information(bins, at)

    here = match(np.eye(4))
    found = []
    for forth, back in moves:
        there, opposite = match(forth), match(back)
        bend = 2 * here - there - opposite
        farthest = math.copysign(2 * PROBE_MM, there - opposite)
        vertex = PROBE_MM * (there - opposite) / (2 * bend) if bend > 0 else farthest
        found.append(np.clip(vertex, -2 * PROBE_MM, 2 * PROBE_MM))
    return np.array(found)


@lru_cache(maxsize=1)
def _probes() -> tuple[NDArray[np.float64], NDArray[np.int64], tuple[tuple[Affine, Affine], ...]]:
    """Points in the template's brain and around it (3, N), the bins of its intensities there, and pairs of moves."""
    template, mask = load_template(2)
    step = round(_POINT_MM / 2)
    thin = (slice(None, None, step),) * 3
    inside = np.asarray(mask.array)[thin] > 0
    around = ndimage.binary_dilation(inside, iterations=2)
    values = ndimage.gaussian_filter(template.array, _SMOOTH_MM / template.grid.spacing)[thin][around]
    bins = np.clip(values / np.percentile(values, 99.8) * _BINS, 0, _BINS - 1).astype(np.int64)

    def world(chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        return template.affine[:3, :3] @ (np.argwhere(chosen).T * step) + template.affine[:3, 3:]

    brain = world(inside)
    moves = []
    for move in (*(_turn(axis) for axis in range(3)), *(_shift(axis) for axis in range(3)), _growth()):
        small = 1e-3
        moved = move(small)
        per_unit = np.sqrt((((moved[:3, :3] - np.eye(3)) @ brain + moved[:3, 3:]) ** 2).sum(0).mean()) / small
        moves.append((move(PROBE_MM / per_unit), move(-PROBE_MM / per_unit)))
    return world(around), bins, tuple(moves)


def _about_centre(matrix: NDArray[np.float64]) -> Affine:
    move = np.eye(4)
    move[:3, :3] = matrix
    move[:3, 3] = _CENTRE - matrix @ _CENTRE
    return move


def _turn(axis: int) -> Callable[[float], Affine]:
    def move(angle: float) -> Affine:
        first, second = (axis + 1) % 3, (axis + 2) % 3
        matrix = np.eye(3)
        matrix[[first, second], [first, second]] = np.cos(angle)
        matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
        return _about_centre(matrix)

    return move


def _shift(axis: int) -> Callable[[float], Affine]:
    def move(distance: float) -> Affine:
        matrix = np.eye(4)
        matrix[axis, 3] = distance
        return matrix

    return move


def _growth() -> Callable[[float], Affine]:
    return lambda logarithm: _about_centre(np.eye(3) * np.exp(logarithm))


def _mutual_information(bins: NDArray[np.int64], values: NDArray[np.float32]) -> float:
    """Of the template's bins and values in 0..1, which count in the two nearest bins by their distances; in nats."""
    place = np.clip(values, 0, 1).astype(np.float64) * (_BINS - 1)
    lower = np.minimum(place.astype(np.int64), _BINS - 2)
    share = place - lower
    size = _BINS * _BINS
    joint = np.bincount(bins * _BINS + lower, 1 - share, size) + np.bincount(bins * _BINS + lower + 1, share, size)
    joint = joint.reshape(_BINS, _BINS) / joint.sum()
    expected = np.outer(joint.sum(1), joint.sum(0))
    there = joint > 0
    return float((joint[there] * np.log(joint[there] / expected[there])).sum())


def _covered(scan: Volume, to_template: Affine) -> float:
    """Share of the template's brain within the scan's field of view."""
    template, mask = load_template(2)
    to_voxels = np.linalg.inv(to_template @ scan.affine) @ template.affine
    index = to_voxels[:3, :3] @ np.argwhere(np.asarray(mask.array) > 0).T + to_voxels[:3, 3:]
    within = (index > -0.5) & (index < np.array(scan.shape)[:, None] - 0.5)
    return float(within.all(0).mean())
