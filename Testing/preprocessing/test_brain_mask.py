"""Brain masks: found, given, or read off a stripped scan."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from mri_interpret.errors import UserError
from mri_interpret.images.reading import read_scan
from mri_interpret.images.volume import Grid, Volume, resample
from mri_interpret.preprocessing.brain_mask import find_brain_mask
from mri_interpret.resources import resource
from scipy import ndimage

from Testing.preprocessing.heads import scanned


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2.0 * float((a & b).sum()) / float(a.sum() + b.sum())


@pytest.mark.parametrize("background", [0.0, -3.0])
def test_a_scan_taken_as_stripped_keeps_its_outline_whatever_its_background(background: float) -> None:
    scan, mask, _ = scanned("LPS")
    scan = scan.with_array(np.where(mask.array > 0, scan.array, background).astype(np.float32))
    found = find_brain_mask(scan, "none")
    assert found.method == "as stripped"
    assert _dice(found.volume.array > 0, mask.array > 0) > 0.98


def test_narrow_gaps_in_a_stripped_scan_are_brain_and_wide_ones_are_not() -> None:
    shape, affine = (80, 90, 70), np.diag([2.0, 2.0, 2.0, 1.0])
    ball = np.linalg.norm((np.indices(shape).T - [40, 45, 35]) * 2.0, axis=-1).T < 62
    image = np.where(ball, 100.0 + np.arange(shape[2]), 0.0).astype(np.float32)
    image[:, 45:48, 50:] = 0  # an emptied sulcus, 6 mm wide, open to the outside
    image[30:50, 20:35, 50:] = 0  # a resection, 40 by 30 mm
    image[38:42, 43:47, 20:30] = 0  # a dark ventricle
    found = find_brain_mask(Volume(image, affine), "none").volume.array > 0
    assert found[45, 46, 55]
    assert not found[40, 27, 62]
    assert found[40, 45, 25]
    assert not found[~ball].any()


@pytest.mark.slow
def test_how_closely_a_scan_was_stripped_hardly_matters() -> None:
    sample = read_scan(resource("SampleData", "colin27_T1.nii.gz"))
    affine = sample.affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    head = resample(sample, Grid((91, 109, 91), affine))
    whole = find_brain_mask(head).volume.array > 0
    tight = ndimage.binary_erosion(whole) & (head.array > 0.5 * np.median(head.array[whole]))  # without rim and CSF
    stripped = head.with_array(np.where(tight, head.array, 0).astype(np.float32))
    found = find_brain_mask(stripped).volume.array > 0
    assert tight.sum() < 0.9 * whole.sum()
    assert abs(found.sum() / whole.sum() - 1) < 0.05
    assert _dice(found, whole) > 0.95


@pytest.mark.slow
def test_the_brain_is_found_in_a_whole_head() -> None:
    sample = read_scan(resource("SampleData", "colin27_T1.nii.gz"))
    # Every second voxel, rotated into another orientation: what matters is that the mask comes back on that grid.
    affine = sample.affine @ np.diag([-2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = sample.affine[:3, :3] @ [180, 0, 0] + sample.affine[:3, 3]
    scan = resample(sample, Grid((91, 109, 91), affine))
    found = find_brain_mask(scan)
    assert found.method == "deepbet"
    assert found.volume.grid.same_as(scan.grid)
    millilitres = found.volume.array.sum() * scan.grid.voxel_volume / 1000
    assert 1700 < millilitres < 2150  # Colin's head in MNI space is large; other tools give 1.75 to 2.0 l
    inside = found.volume.array > 0
    assert inside[tuple(np.round(np.linalg.inv(affine) @ [28, -20, -14, 1])[:3].astype(int))]  # right hippocampus
    assert not inside[tuple(np.round(np.linalg.inv(affine) @ [0, 88, -40, 1])[:3].astype(int))]  # below the nose


def test_a_given_mask_is_used_as_it_is(tmp_path: Path) -> None:
    scan, mask, _ = scanned("oblique")
    path = tmp_path / "mask.nii.gz"
    nib.save(nib.Nifti1Image(mask.array, mask.affine), path)
    for given in (mask, path, str(path)):
        found = find_brain_mask(scan, given)
        assert found.method == "given"
        assert np.array_equal(found.volume.array, mask.array)


def test_a_mask_on_another_grid_is_refused() -> None:
    scan, mask, _ = scanned("RAS")
    shifted = mask.affine.copy()
    shifted[0, 3] += 2.0
    with pytest.raises(UserError, match="another grid"):
        find_brain_mask(scan, Volume(mask.array, shifted, "shifted.nii.gz"))
    with pytest.raises(UserError, match="another grid"):
        find_brain_mask(scan, Volume(mask.array[:-1], mask.affine, "cut.nii.gz"))


@pytest.mark.parametrize(("share", "word"), [(0.0, "0 ml"), (0.2, "no whole adult brain")])
def test_a_mask_without_a_whole_brain_is_refused(share: float, word: str) -> None:
    scan, mask, _ = scanned("RAS")
    part = mask.array.copy()
    part[:, int(part.shape[1] * share) :] = 0
    with pytest.raises(UserError, match=word):
        find_brain_mask(scan, mask.with_array(part))


@pytest.mark.slow
def test_a_scan_without_a_brain_is_refused() -> None:
    noise = np.random.default_rng(1).random((64, 64, 64)).astype(np.float32)
    with pytest.raises(UserError, match=r"brain"):
        find_brain_mask(Volume(noise, np.diag([3.0, 3.0, 3.0, 1.0]), "noise.nii.gz"))
