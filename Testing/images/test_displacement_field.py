"""A displacement field moves a volume as it says, and ITK reads it from the file and does the same."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
import SimpleITK
from mri_interpret.images.displacement_field import DisplacementField, read_displacement
from mri_interpret.images.volume import Volume
from mri_interpret.images.writing import save_nifti
from scipy import ndimage

AFFINE = np.array([[-1.1, 0.1, 0, 30], [0.1, 1.1, 0, -20], [0, 0, 1.5, -15], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def scan() -> Volume:
    """Noise on an oblique grid whose first axis points left."""
    return Volume(np.random.default_rng(0).random((40, 42, 30)).astype(np.float32), AFFINE)


@pytest.fixture(scope="module")
def field() -> DisplacementField:
    """Up to 4 mm, zero at its edge; it covers a part of the scan."""
    noise = np.random.default_rng(1).standard_normal((12, 12, 10, 3))
    smooth = 8 * ndimage.gaussian_filter(noise, (1.5, 1.5, 1.5, 0))
    smooth[[0, -1]] = smooth[:, [0, -1]] = smooth[:, :, [0, -1]] = 0
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = (-14, -10, -8)
    return DisplacementField(smooth.astype(np.float32), affine)


def test_a_constant_field_shows_at_x_what_came_from_x_plus_u(scan):
    """Of a volume that is its own world coordinate, the field can be read off."""
    index = np.moveaxis(np.indices(scan.shape, dtype=float), 0, -1)
    world = index @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    affine = np.diag([20.0, 20.0, 20.0, 1.0])
    affine[:3, 3] = -60
    shift = np.array([2.0, -1.0, 3.0])
    field = DisplacementField(np.tile(shift.astype(np.float32), (7, 7, 7, 1)), affine)
    inner = (slice(5, -5), slice(5, -5), slice(5, -5))
    for axis in range(3):
        for share in (0.0, 0.5, 1.0):
            moved = field.warp(Volume(world[..., axis], AFFINE), share=share).array - world[..., axis]
            np.testing.assert_allclose(moved[inner], share * shift[axis], atol=1e-4)


def test_what_is_not_displaced_keeps_its_value_to_the_last_bit(scan, field):
    moved = field.warp(scan).array
    still = (field.at(scan.grid) == 0).all(-1)
    assert 0.2 < still.mean() < 0.9
    np.testing.assert_array_equal(moved[still], scan.array[still])
    assert np.abs(moved - scan.array).max() > 0.3


def test_itk_reads_the_file_and_warps_the_scan_alike(scan, field, tmp_path):
    nibabel.save(field.to_nibabel(), tmp_path / "displacement.nii.gz")
    save_nifti(scan, tmp_path / "scan.nii.gz")
    vectors = SimpleITK.ReadImage(str(tmp_path / "displacement.nii.gz"), SimpleITK.sitkVectorFloat64)
    image = SimpleITK.ReadImage(str(tmp_path / "scan.nii.gz"))
    inner = (slice(3, -3), slice(3, -3), slice(3, -3))  # ITK puts 0 where a displacement leads out of the scan
    wanted = field.warp(scan).array[inner]
    for transform in (SimpleITK.DisplacementFieldTransform(vectors), field.to_itk()):
        moved = SimpleITK.Resample(image, image, transform, SimpleITK.sitkLinear, 0.0)
        np.testing.assert_allclose(SimpleITK.GetArrayFromImage(moved).T[inner], wanted, atol=1e-5)
    back = read_displacement(tmp_path / "displacement.nii.gz")
    np.testing.assert_array_equal(back.array, field.array)
    np.testing.assert_array_equal(back.affine, field.affine)


def test_a_field_needs_three_components():
    with pytest.raises(ValueError, match="shape"):
        DisplacementField(np.zeros((3, 4, 4, 4), dtype=np.float32), np.eye(4))
