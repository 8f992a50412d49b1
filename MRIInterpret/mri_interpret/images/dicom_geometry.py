"""The geometry of a DICOM series: the order of its slices, their affine, and whether they make one whole volume."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .dicom_files import listed
from .dicom_slices import DicomSlice, Numbers
from .itk import LPS_TO_RAS
from .refusals import no_orientation
from .volume import Affine

_UNEVEN = 0.01  # of the distance between slices
_ROUNDING_MM = 0.011  # of positions that are written with two decimals
_SAME_DIRECTION = 1e-3  # largest difference of a direction cosine
_TILT_DEGREES = 0.5
_SIDEWAYS_MM = 0.1
_WHOLE_NUMBER = 0.05  # how far a gap over the usual distance may be from a whole number to count as missing slices


@dataclass(frozen=True)
class SliceStack:
    """Slices in spatial order, the first at k = 0."""

    slices: tuple[DicomSlice, ...]
    affine: Affine  # voxel indices (column, row, slice) to RAS mm
    notes: tuple[str, ...]


def stack_slices(slices: Sequence[DicomSlice], where: str, name: str) -> SliceStack:
    """Order slices along their normal, towards its positive side in LPS.

    The distance between slices is that of their positions (ImagePositionPatient), never SliceThickness or
    SpacingBetweenSlices, which may differ from it (DICOM PS3.3, C.7.6.2).

    Parameters
    ----------
    slices
        In any order.
    where, name
        What messages call the series, and what notes call the volume.

    Raises
    ------
    UserError
        If any slice has no position, orientation or voxel size; if they differ in orientation, size or voxel size; if
        positions are repeated, missing or uneven; or if the stack is sheared (gantry tilt).
    """
    orientation, spacing = _common(slices, where)
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    normal = np.cross(row, column)
    if not (np.allclose(np.linalg.norm([row, column], axis=1), 1, atol=1e-2) and abs(row @ column) < 1e-2):
        raise UserError(
            f"{where} has an invalid ImageOrientationPatient ({listed([orientation])}: rows and columns must be "
            "perpendicular unit vectors): export it again."
        )
    if len(slices) < 2:
        raise UserError(f"{where} is a single slice: give the folder of the whole series.")
    positions = np.array([each.position for each in slices], dtype=np.float64)
    order = np.argsort(positions @ normal, kind="stable")
    ordered, positions = [slices[index] for index in order], positions[order]
    along = positions @ normal
    _check_repeated(ordered, along, where)
    step = (positions[-1] - positions[0]) / (len(ordered) - 1)
    _check_gaps(ordered, along, where)
    _check_tilt(positions, step, normal, where)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * spacing[1], column * spacing[0]
    affine[:3, 2], affine[:3, 3] = step, positions[0]
    return SliceStack(tuple(ordered), LPS_TO_RAS @ affine, _notes(ordered, name))


def _common(slices: Sequence[DicomSlice], where: str) -> tuple[Numbers, Numbers]:
    """The orientation and the voxel size that all slices have."""
    total = len(slices)
    lacking = [each.called for each in slices if each.orientation is None]
    if lacking:
        raise no_orientation(where, f"{len(lacking)} of {total} slices have no ImageOrientationPatient")
    lacking = [each.called for each in slices if each.position is None]
    if lacking:
        raise UserError(
            f"{where} has {len(lacking)} of {total} slices without a position (ImagePositionPatient; "
            f"{listed(lacking)}): export it again."
        )
    lacking = [each.called for each in slices if each.spacing is None or min(each.spacing) <= 0]
    if lacking:
        raise UserError(
            f"{where} has {len(lacking)} of {total} slices without a voxel size (PixelSpacing; {listed(lacking)}): "
            "export it again."
        )
    orientations = _distinct([each.orientation for each in slices if each.orientation], _SAME_DIRECTION)
    if len(orientations) > 1:
        counts = ", ".join(str(count) for _, count in orientations)
        raise UserError(
            f"{where} holds slices of {len(orientations)} orientations ({counts} slices), as a localiser does: "
            "give the series of the T1-weighted volume."
        )
    sizes = Counter((int(each.image.header.Columns), int(each.image.header.Rows)) for each in slices)
    if len(sizes) > 1:
        raise UserError(
            f"{where} holds slices of different sizes ({listed([f'{i} x {j}' for i, j in sizes])} voxels): "
            "give the series of one volume."
        )
    spacings = _distinct([each.spacing for each in slices if each.spacing], 1e-4)
    if len(spacings) > 1:
        raise UserError(
            f"{where} holds slices of different voxel sizes "
            f"({listed([f'{j:g} x {i:g}' for (i, j), _ in spacings])} mm): give the series of one volume."
        )
    return orientations[0][0], spacings[0][0]


def _distinct(values: Sequence[Numbers], tolerance: float) -> list[tuple[Numbers, int]]:
    """Values that differ by more than a tolerance, with how often each occurs."""
    found: list[tuple[Numbers, int]] = []
    for value in values:
        for index, (known, count) in enumerate(found):
            if np.abs(np.subtract(known, value)).max() <= tolerance:
                found[index] = (known, count + 1)
                break
        else:
            found.append((value, 1))
    return found


def _check_repeated(ordered: Sequence[DicomSlice], along: NDArray[np.float64], where: str) -> None:
    steps = np.diff(along)
    moved = steps[steps > 1e-3]
    apart = steps > max(1e-3, _UNEVEN * float(np.median(moved)) if moved.size else 0.0)
    if apart.all():
        return
    groups = np.concatenate([[0], np.cumsum(apart)])
    counts = np.bincount(groups)
    first = [each for each, group in zip(ordered, groups, strict=True) if group == counts.argmax()]
    uids = [(each.image.header.get("SOPInstanceUID"), each.frame) for each in first]
    if len(set(uids)) < len(uids):
        why = f"the same image more than once ({listed([each.called for each in first])})"
    else:
        names = dict.fromkeys(name for each in first for name in each.traits)
        seen = {name: sorted({each.traits.get(name, "none") for each in first}) for name in names}
        differing = [f"{len(values)} {name}: {listed(values)}" for name, values in seen.items() if len(values) > 1]
        why = differing[0] if differing else listed([each.called for each in first])
    raise UserError(
        f"{where} holds {len(ordered)} slices at {len(counts)} positions ({why}): give the series of one volume."
    )


def _check_gaps(ordered: Sequence[DicomSlice], along: NDArray[np.float64], where: str) -> None:
    steps = np.diff(along)
    usual = float(np.median(steps))
    if steps.max() < 1.1 * usual:  # no gap of a whole slice pulls the mean
        usual = float(steps.mean())
    tolerance = max(_UNEVEN * usual, _ROUNDING_MM)
    odd = [int(index) for index in np.flatnonzero(np.abs(steps - usual) > tolerance)]
    skipped = _numbers_skipped(ordered, usual)
    if not odd and skipped < 2:
        return
    if not odd:
        raise UserError(
            f"{where} lacks slices: its {len(ordered)} slices are {usual:.4g} mm apart, {skipped} times what the "
            "header says, and so are their numbers: export it again, or copy all its files."
        )
    ratios = steps[odd] / usual
    if np.all(np.abs(ratios - np.round(ratios)) < _WHOLE_NUMBER) and ratios.min() > 1.5:
        missing = int(np.sum(np.round(ratios) - 1))
        places = [f"{ordered[index].called} and {ordered[index + 1].called}" for index in odd]
        raise UserError(
            f"{where} lacks {missing} slice{'s' if missing > 1 else ''} (between {listed(places)}; {len(ordered)} of "
            f"{len(ordered) + missing} are there): export it again, or copy all its files."
        )
    raise UserError(
        f"{where} has slices at uneven distances ({steps.min():.4g} to {steps.max():.4g} mm, mostly {usual:.4g}): "
        "resample it to even ones first, or give another series."
    )


def _numbers_skipped(ordered: Sequence[DicomSlice], step: float) -> int:
    """The ratio of the slices' distance to the header's, if their numbers skip as many; else 1."""
    numbers = [each.number for each in ordered]
    header = ordered[0].image.header
    said = float(header.get("SpacingBetweenSlices") or header.get("SliceThickness") or 0)
    known = [number for number in numbers if number is not None]
    if said <= 0 or len(known) < len(ordered):
        return 1
    skips = set(np.abs(np.diff(known)).tolist())
    times = round(step / said)
    return times if skips == {times} and abs(step / said - times) < _WHOLE_NUMBER else 1


def _check_tilt(
    positions: NDArray[np.float64], step: NDArray[np.float64], normal: NDArray[np.float64], where: str
) -> None:
    cosine = float(step @ normal / np.linalg.norm(step) / np.linalg.norm(normal))
    angle = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    if angle > _TILT_DEGREES:
        raise UserError(
            f"{where} is sheared: each slice is shifted against the one before (gantry tilt of {angle:.1f} degrees): "
            "resample it to a rectangular grid first (dcm2niix can)."
        )
    off = positions - (positions[0] + np.arange(len(positions))[:, None] * step)
    sideways = np.linalg.norm(off - np.outer(off @ normal, normal), axis=1).max()
    if sideways > _SIDEWAYS_MM:
        raise UserError(
            f"{where} has slices up to {sideways:.2g} mm off a straight line: give the series of one volume."
        )


def _notes(ordered: Sequence[DicomSlice], name: str) -> tuple[str, ...]:
    """Fewer images than the header announces: missing slices at an end leave no gap."""
    announced = ordered[0].image.header.get("ImagesInAcquisition")
    if announced is not None and int(announced) > len(ordered):
        return (
            f"{name}: the header announces {int(announced)} images, and {len(ordered)} are there: slices may be "
            "missing at either end.",
        )
    return ()
