"""Where the brain is: found by deepbet, given by the user, or what has signal in a scan that is said to be stripped."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import UserError
from ..gpu_memory import on_device_or_cpu
from ..images.reading import read_volume
from ..images.volume import Array, Volume
from ..thresholds import BRAIN_ML

_CLOSING_MM = 4.0  # sulci up to twice as wide, emptied by skull-stripping, count as brain again


class NoBrain(UserError):
    """No brain was found, or what was found is none."""


@dataclass(frozen=True)
class BrainMask:
    """A brain mask and how it came about."""

    volume: Volume  # uint8 0/1 on the scan's grid
    method: str  # "deepbet", "given", "as stripped"


def find_brain_mask(scan: Volume, mask: str | Path | Volume = "auto", device: str = "cpu") -> BrainMask:
    """The brain mask of a scan.

    Found in a stripped scan as in a whole head: the mask's width sets the dark end of the intensity scale, and how
    closely somebody stripped a scan must not. (Two stripped copies of Colin27 got AD probabilities of 0.18 and 0.36 in
    their own outlines; so they get 0.13 and 0.11, and the whole head 0.13.)

    Parameters
    ----------
    scan
        Shape (I, J, K).
    mask
        "auto" (deepbet), "none" (the scan is stripped, and what has signal is brain, with the narrow gaps in it), a
        file, or a Volume on the scan's grid, where above 0 counts as brain.
    device
        "cpu", or "cuda" to let deepbet use the GPU.

    Raises
    ------
    UserError
        If the mask lies on another grid, is empty, or has a volume that no brain has.
    """
    if isinstance(mask, Volume):
        return BrainMask(_given(scan, mask), "given")
    if str(mask) == "none":
        return BrainMask(_checked(scan, _foreground(scan)), "as stripped")
    if str(mask) != "auto":
        return BrainMask(_given(scan, read_volume(mask)), "given")
    return checked_mask(scan, _deepbet(scan, device), "deepbet")


def checked_mask(scan: Volume, inside: NDArray[np.bool_], method: str) -> BrainMask:
    """A mask on the scan's grid, shape (I, J, K), as a brain mask.

    Raises
    ------
    NoBrain
        If its volume is none that a brain has.
    UserError
        If the scan is constant in it.
    """
    return BrainMask(_checked(scan, inside), method)


def _given(scan: Volume, mask: Volume) -> Volume:
    if not mask.grid.same_as(scan.grid, tolerance=1e-2):
        raise UserError(
            f"The mask {mask.name} lies on another grid ({_grid(mask)}) than {scan.name} ({_grid(scan)}): "
            "resample it onto the scan first."
        )
    return _checked(scan, np.asarray(mask.array) > 0)


def _grid(volume: Volume) -> str:
    spacing = " x ".join(f"{value:.3g}" for value in volume.grid.spacing)
    origin = ", ".join(f"{value:.4g}" for value in volume.affine[:3, 3])
    return f"{' x '.join(map(str, volume.shape))} voxels of {spacing} mm, origin {origin}"


def _checked(scan: Volume, inside: NDArray[np.bool_]) -> Volume:
    millilitres = float(inside.sum()) * scan.grid.voxel_volume / 1000.0
    if not BRAIN_ML[0] <= millilitres <= BRAIN_ML[1]:
        raise NoBrain(
            f"The brain mask of {scan.name} holds {millilitres:.0f} ml, which no whole adult brain does "
            f"({BRAIN_ML[0]:.0f} to {BRAIN_ML[1]:.0f} ml): check that this is a whole-brain T1-weighted scan, "
            "or give a brain mask.",
            option="mask",
        )
    if float(scan.array[inside].min()) == float(scan.array[inside].max()):
        raise UserError(f"{scan.name} is constant inside its brain mask: check that mask and scan belong together.")
    return Volume(inside.astype(np.uint8), scan.affine, f"{scan.name} brain mask")


def _deepbet(scan: Volume, device: str) -> NDArray[np.bool_]:
    try:
        from deepbet.bet import BrainExtraction
    except ImportError as error:
        raise UserError(
            "deepbet, which finds the brain, is missing: install it (pip install deepbet) or give a brain mask.",
            option="mask",
        ) from error
    image = scan.with_array(np.asarray(scan.array, dtype=np.float32)).to_nibabel()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = on_device_or_cpu(lambda chosen: BrainExtraction(no_gpu=chosen == "cpu").run(image)[1], device)
    except (AssertionError, ValueError, RuntimeError, IndexError) as error:
        raise NoBrain(
            f"No brain was found in {scan.name}: check that it is a T1-weighted head scan, or give a brain mask.",
            option="mask",
        ) from error
    return np.asarray(found.dataobj) > 0


def _signal(array: Array) -> NDArray[np.bool_]:
    """Voxels that are not background, where background is the value most frequent on the volume's faces."""
    faces = [np.take(array, index, axis).ravel() for axis in range(3) for index in (0, -1)]
    values, counts = np.unique(np.concatenate(faces), return_counts=True)
    background = values[counts.argmax()]
    scale = np.percentile(np.abs(array - background), 99.0)
    return np.abs(array - background) > 0.02 * scale


def _foreground(scan: Volume) -> NDArray[np.bool_]:
    """Largest connected part with signal, closed by some millimetres, holes (dark ventricles) filled."""
    labels, count = ndimage.label(_signal(scan.array))
    if count == 0:
        return np.zeros(scan.shape, dtype=bool)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    largest = labels == sizes.argmax()
    box = ndimage.find_objects(largest.astype(np.uint8))[0]
    spacing = scan.grid.spacing
    # Room for the closing on every side, in voxels of each axis.
    room = [int(np.ceil(_CLOSING_MM / size)) + 1 for size in spacing]
    part = np.pad(largest[box], [(size, size) for size in room])
    grown = ndimage.distance_transform_edt(~part, sampling=spacing) <= _CLOSING_MM
    closed = ndimage.distance_transform_edt(grown, sampling=spacing) > _CLOSING_MM
    inner = tuple(slice(size, -size) for size in room)
    result = np.zeros(scan.shape, dtype=bool)
    result[box] = closed[inner] | largest[box]
    return np.asarray(ndimage.binary_fill_holes(result))
