"""Where the brain is: found by deepbet, given by the user, or read off a scan that is already skull-stripped."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import UserError
from ..volume import Array, Volume
from .reading import read_volume

BRAIN_ML = (500.0, 2600.0)  # from severe atrophy to the largest brains on record, with room for a generous mask
STRIPPED_SHARE = 0.03  # of the voxels with signal, how many may lie off the brain in a scan that counts as stripped


@dataclass(frozen=True)
class BrainMask:
    """A brain mask and how it came about."""

    volume: Volume  # uint8 0/1 on the scan's grid
    method: str  # "deepbet", "given", "already stripped"


def find_brain_mask(scan: Volume, mask: str | Path | Volume = "auto", device: str = "cpu") -> BrainMask:
    """The brain mask of a scan.

    Parameters
    ----------
    scan
        Shape (I, J, K).
    mask
        "auto" (deepbet, unless the scan is already stripped), "none" (the scan is taken as stripped), a file, or a
        Volume on the scan's grid, where above 0 counts as brain.
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
        return BrainMask(_checked(scan, _foreground(scan.array)), "already stripped")
    if str(mask) != "auto":
        return BrainMask(_given(scan, read_volume(mask)), "given")
    found = _deepbet(scan, device)
    if _is_stripped(scan.array, found):
        return BrainMask(_checked(scan, _foreground(scan.array)), "already stripped")
    return BrainMask(_checked(scan, found), "deepbet")


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
        raise UserError(
            f"The brain mask of {scan.name} holds {millilitres:.0f} ml, which no whole adult brain does "
            f"({BRAIN_ML[0]:.0f} to {BRAIN_ML[1]:.0f} ml): check that this is a whole-brain T1-weighted scan, "
            "or give a mask with --mask."
        )
    if float(scan.array[inside].min()) == float(scan.array[inside].max()):
        raise UserError(f"{scan.name} is constant inside its brain mask: check that mask and scan belong together.")
    return Volume(inside.astype(np.uint8), scan.affine, f"{scan.name} brain mask")


def _deepbet(scan: Volume, device: str) -> NDArray[np.bool_]:
    import nibabel as nib

    try:
        from deepbet.bet import BrainExtraction
    except ImportError as error:
        raise UserError(
            "deepbet, which finds the brain, is missing: install it (pip install deepbet) or give a mask with --mask."
        ) from error
    image = nib.Nifti1Image(np.asarray(scan.array, dtype=np.float32), scan.affine)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _, found, _ = BrainExtraction(no_gpu=device == "cpu").run(image)
    except (AssertionError, ValueError, RuntimeError, IndexError) as error:
        raise UserError(
            f"No brain was found in {scan.name}: check that it is a T1-weighted head scan, or give a mask with --mask."
        ) from error
    return np.asarray(found.dataobj) > 0


def _signal(array: Array) -> NDArray[np.bool_]:
    """Voxels that are not background, where background is the value most frequent on the volume's faces."""
    faces = [np.take(array, index, axis).ravel() for axis in range(3) for index in (0, -1)]
    values, counts = np.unique(np.concatenate(faces), return_counts=True)
    background = values[counts.argmax()]
    scale = np.percentile(np.abs(array - background), 99.0)
    return np.abs(array - background) > 0.02 * scale


def _is_stripped(array: Array, brain: NDArray[np.bool_]) -> bool:
    """Whether next to nothing but brain has signal; two voxels of margin for masks that were cut more generously."""
    signal = _signal(array)
    off_brain = signal & ~ndimage.binary_dilation(brain, iterations=2)
    return bool(off_brain.sum() < STRIPPED_SHARE * max(1, signal.sum()))


def _foreground(array: Array) -> NDArray[np.bool_]:
    """Largest connected part with signal, holes (dark ventricles) filled."""
    labels, count = ndimage.label(_signal(array))
    if count == 0:
        return np.zeros(array.shape, dtype=bool)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return ndimage.binary_fill_holes(labels == sizes.argmax())
