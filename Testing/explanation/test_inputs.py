"""Scans and masks come in as whatever a user holds, and give the same maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mri_interpret as mi
import nibabel as nib
import numpy as np
import pytest
from mri_interpret.errors import UserError
from mri_interpret.explanation.explanation import Explanation

from Testing.fixtures_explanation import kept, make_explanation, small_bundle


@pytest.fixture(scope="module")
def reference() -> Explanation:
    """In template space, so that nothing needs to be registered."""
    return make_explanation(signs=(1, 1, -1))


def _explain(scan: Any, mask: Any, **options: Any) -> Explanation:
    # What is asked here is how images come in, so the network need not segment them.
    options = {"space": "mni", "trust": "off", "methods": ["gradient"], "device": "cpu", "segmentation": mask} | options
    return mi.explain(scan, mask=mask, model=small_bundle(), target="AD", cache=kept(), **options)


@pytest.mark.slow
def test_images_of_every_kind_give_the_same_maps(reference: Explanation, tmp_path: Path) -> None:
    scan, mask = reference.scan, reference.mask
    array = np.asarray(scan.array, np.float32)
    images = nib.Nifti1Image(array, scan.affine), nib.Nifti1Image(mask.array, mask.affine)
    for image in images:
        image.header["sform_code"] = 1
    nib.save(images[0], tmp_path / "scan.nii.gz")
    nib.save(images[1], tmp_path / "mask.nii.gz")
    wanted = _explain(scan, mask).maps["gradient"].native.array
    assert np.ptp(wanted) > 0
    for one, its_mask in (
        ((array, scan.affine), (mask.array, mask.affine)),
        images,
        (tmp_path / "scan.nii.gz", str(tmp_path / "mask.nii.gz")),
    ):
        found = _explain(one, its_mask)
        # A header keeps its affine in float32.
        np.testing.assert_allclose(found.maps["gradient"].native.array, wanted, atol=1e-4 * np.abs(wanted).max())
        from_file = isinstance(one, Path)
        assert found.provenance.scan_file == (str(tmp_path / "scan.nii.gz") if from_file else "")
    np.testing.assert_array_equal(array, scan.array)  # inputs are never changed


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"trust": "blind"}, "trust level 'blind'"),
        ({"device": "tpu"}, "device 'tpu'"),
        ({"space": "moon"}, "space 'moon'"),
        ({"methods": []}, "No attribution method"),
        ({"atlas": ("no.nii.gz", "no.csv"), "segmentation": ""}, "no.nii.gz"),
    ],
)
def test_wrong_options_are_told_before_anything_is_computed(
    reference: Explanation, options: dict[str, Any], words: str
) -> None:
    steps: list[str] = []
    with pytest.raises(UserError, match=words):
        _explain(reference.scan, reference.mask, progress=lambda step, _: steps.append(step), **options)
    assert "Finding the brain" not in steps
