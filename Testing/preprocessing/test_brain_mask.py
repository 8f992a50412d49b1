"""Brain masks: found, given, or read off a stripped scan."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from heads import scanned
from MRIInterpretLib.errors import UserError
from MRIInterpretLib.preprocessing.brain_mask import find_brain_mask
from MRIInterpretLib.preprocessing.reading import read_scan
from MRIInterpretLib.resources import resource
from MRIInterpretLib.volume import Grid, Volume, resample


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2.0 * float((a & b).sum()) / float(a.sum() + b.sum())


@pytest.mark.parametrize("background", [0.0, -3.0])
def test_a_stripped_scan_is_recognised_whatever_its_background(background: float) -> None:
    scan, mask, _ = scanned("LPS")
    scan = scan.with_array(np.where(mask.array > 0, scan.array, background).astype(np.float32))
    found = find_brain_mask(scan)
    assert found.method == "already stripped"
    assert _dice(found.volume.array > 0, mask.array > 0) > 0.99


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


def test_a_scan_without_a_brain_is_refused() -> None:
    noise = np.random.default_rng(1).random((64, 64, 64)).astype(np.float32)
    with pytest.raises(UserError, match=r"brain"):
        find_brain_mask(Volume(noise, np.diag([3.0, 3.0, 3.0, 1.0]), "noise.nii.gz"))
