"""NIfTI files keep values and geometry, and say what their world is."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest
from mri_interpret.errors import UserError
from mri_interpret.images.volume import Volume
from mri_interpret.images.writing import nifti_image, save_nifti, write_image

from Testing.fixtures_explanation import oblique_affine

SHAPE = (7, 9, 5)


def _volume(affine: np.ndarray) -> Volume:
    return Volume(np.random.default_rng(0).normal(size=SHAPE).astype(np.float32), affine)


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, -1, 1), (-1, 1, 1)])
@pytest.mark.parametrize(("space", "code"), [("scanner", 1), ("mni", 4)])
def test_values_and_geometry_come_back(tmp_path: Path, signs: tuple[int, int, int], space: str, code: int) -> None:
    volume = _volume(oblique_affine(SHAPE, (1.0, 1.2, 3.0), (10, -20, 30), signs))
    path = save_nifti(volume, tmp_path / "map.nii.gz", space=space, description="Relevanz für Grad-CAM++" * 5)
    image = nibabel.load(path)
    np.testing.assert_array_equal(np.asarray(image.dataobj), volume.array)
    assert image.get_data_dtype() == np.float32
    for affine, found in (image.get_sform(coded=True), image.get_qform(coded=True)):
        np.testing.assert_allclose(affine, volume.affine, atol=1e-4)
        assert found == code
    assert image.header.get_xyzt_units()[0] == "mm"


def test_a_sheared_affine_is_kept_in_the_sform_and_the_qform_claims_nothing(tmp_path: Path) -> None:
    affine = np.eye(4)
    affine[0, 1] = 0.3
    image = nibabel.load(save_nifti(_volume(affine), tmp_path / "map.nii"))
    np.testing.assert_allclose(image.affine, affine, atol=1e-6)
    assert image.get_qform(coded=True)[1] == 0


@pytest.mark.parametrize(("top", "dtype"), [(3, np.uint8), (2035, np.uint16)])
def test_labels_are_integers_with_the_label_intent(tmp_path: Path, top: int, dtype: type) -> None:
    labels = Volume(np.arange(315).reshape(SHAPE) % 2 * top)
    image = nibabel.load(save_nifti(labels, tmp_path / "labels.nii.gz", labels=True))
    np.testing.assert_array_equal(np.asarray(image.dataobj), labels.array)
    assert image.get_data_dtype() == dtype
    assert int(image.header["intent_code"]) == 1002


def test_an_unwritable_place_is_one_clear_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(UserError, match="Cannot write"):
        save_nifti(_volume(np.eye(4)), blocked / "map.nii.gz")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_scan_of_int16_stays_so_and_is_no_label_image(tmp_path: Path) -> None:
    scan = Volume(np.arange(315, dtype=np.int16).reshape(SHAPE))
    for image in (scan.to_nibabel(), nibabel.load(save_nifti(scan, tmp_path / "scan.nii"))):
        assert image.get_data_dtype() == np.int16
        assert int(image.header["intent_code"]) == 0
        np.testing.assert_array_equal(np.asarray(image.dataobj), scan.array)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16, np.uint8])
def test_what_is_compressed_is_what_nibabel_writes(tmp_path: Path, kind: type) -> None:
    """Maps are compressed another way, so that it takes half the time; every reader finds the same file in it."""
    values = np.zeros((40, 30, 20), dtype=kind)
    values[10:30, 5:25, 4:16] = np.random.default_rng(0).normal(100, 30, (20, 20, 12)).astype(kind)
    image = nifti_image(Volume(values, np.diag([-1.0, 1, 1, 1])), exact=True)
    write_image(image, tmp_path / "map.nii.gz")
    nibabel.save(image, tmp_path / "other.nii.gz")
    ours, theirs = (tmp_path / "map.nii.gz").read_bytes(), (tmp_path / "other.nii.gz").read_bytes()
    assert gzip.decompress(ours) == gzip.decompress(theirs)
    assert len(ours) < 1.05 * len(theirs)
    write_image(image, tmp_path / "again.nii.gz")
    assert (tmp_path / "again.nii.gz").read_bytes() == ours
