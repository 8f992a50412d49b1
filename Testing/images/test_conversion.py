"""Images of every kind in memory become the same Volume as their file, and go out again."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from mri_interpret.errors import UserError
from mri_interpret.images.conversion import as_scan, as_volume
from mri_interpret.images.volume import Volume
from PIL import Image

SHAPE = (20, 24, 18)
# Rotated by 90 degrees about R and mirrored: axes L, S, A with 5, 6 and 7 mm.
AFFINE = np.array([[-5.0, 0, 0, 50], [0, 0, 7, -60], [0, 6, 0, -70], [0, 0, 0, 1]])


@pytest.fixture
def array() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 900, SHAPE).astype(np.float32)


def _itk(array: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(array.T)
    # The columns of AFFINE, by hand: x and y change their sign from RAS to LPS.
    image.SetDirection([1, 0, 0, 0, 0, -1, 0, 1, 0])
    image.SetSpacing([5, 6, 7])
    image.SetOrigin([-50, 60, -70])
    return image


def _kinds(array: np.ndarray, folder: Path) -> dict[str, Any]:
    nib.save(nib.Nifti1Image(array, AFFINE), folder / "scan.nii")
    return {
        "path": folder / "scan.nii",
        "text path": str(folder / "scan.nii"),
        "nibabel": nib.Nifti1Image(array, AFFINE),
        "nibabel file": nib.load(folder / "scan.nii"),
        "nibabel MGH": nib.MGHImage(array, AFFINE),
        "nibabel 4-D of one volume": nib.Nifti1Image(array[..., None], AFFINE),
        "SimpleITK": _itk(array),
        "pair": (array, AFFINE),
        "affine as lists": (array, AFFINE.tolist()),
        "tensors": (torch.from_numpy(array), torch.from_numpy(AFFINE)),
        "float64": (array.astype(np.float64), AFFINE),
        "volume": Volume(array, AFFINE),
    }


@pytest.mark.parametrize(
    "kind",
    [
        "path", "text path", "nibabel", "nibabel file", "nibabel MGH", "nibabel 4-D of one volume", "SimpleITK",
        "pair", "affine as lists", "tensors", "float64", "volume",
    ],
)  # fmt: skip
def test_every_kind_is_the_same_volume(array: np.ndarray, tmp_path: Path, kind: str) -> None:
    volume = as_volume(_kinds(array, tmp_path)[kind])
    assert np.array_equal(volume.array, array)
    assert volume.array.dtype == np.float32
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-4)
    assert volume.notes == ()


def test_an_array_with_its_affine_beside(array: np.ndarray) -> None:
    volume = as_volume(array.astype(np.int16), AFFINE, "my scan")
    assert np.array_equal(volume.array, array)
    assert np.array_equal(volume.affine, AFFINE)
    assert volume.name == "my scan"


def test_the_input_is_not_changed(array: np.ndarray) -> None:
    before = array.copy()
    as_volume((array, AFFINE))
    as_volume(nib.Nifti1Image(array, AFFINE))
    assert np.array_equal(array, before)


def _refused() -> dict[str, tuple[Any, str]]:
    array = np.ones(SHAPE, np.float32)
    singular = AFFINE.copy()
    singular[:, 0] = singular[:, 1]
    codes = nib.Nifti1Image(array, None)
    colour = np.zeros(SHAPE, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    return {
        "array alone": (array, "no orientation"),
        "SimpleITK without geometry": (sitk.GetImageFromArray(array), "no orientation"),
        "nibabel without affine": (codes, "no orientation"),
        "Analyze": (nib.AnalyzeImage(array, AFFINE), "no orientation"),
        "singular": ((array, singular), "singular"),
        "3 x 3 affine": ((array, np.eye(3)), "4 x 4"),
        "affine of words": ((array, "affine"), "affine"),
        "NaN in the affine": ((array, AFFINE * np.nan), "missing or infinite"),
        "transposed affine": ((array, AFFINE.T), "last row"),
        "complex": ((array * 1j, AFFINE), "complex"),
        "complex nibabel": (nib.Nifti1Image((array * 1j).astype(np.complex64), AFFINE), "complex"),
        "complex SimpleITK": (sitk.RealAndImaginaryToComplex(_itk(array), _itk(array)), "complex"),
        "colour": (nib.Nifti1Image(colour, AFFINE), "colour"),
        "vector SimpleITK": (sitk.Compose(_itk(array), _itk(array)), "vector"),
        "4-D": ((np.ones((9, 9, 9, 3)), AFFINE), "4-dimensional"),
        "vector": (nib.Nifti1Image(np.ones((9, 9, 9, 1, 3)), AFFINE), "vector"),
        "2-D": ((np.ones((9, 9)), AFFINE), "2-dimensional"),
        "words": ((np.full((9, 9, 9), "a"), AFFINE), "no numbers"),
        "nothing": (None, "not understood"),
        "a list of paths": (["a.nii", "b.nii"], "not understood"),
    }


@pytest.mark.parametrize("kind", list(_refused()))
def test_what_cannot_be_a_volume_is_refused_in_one_sentence(kind: str) -> None:
    image, word = _refused()[kind]
    with pytest.raises(UserError, match=word) as caught:
        as_volume(image)
    assert "\n" not in str(caught.value)


def test_an_affine_beside_an_image_that_has_one_is_refused(array: np.ndarray) -> None:
    for image in (nib.Nifti1Image(array, AFFINE), _itk(array), Volume(array), "scan.nii"):
        with pytest.raises(UserError, match="affine of its own"):
            as_volume(image, np.eye(4))


def test_a_scan_is_checked_as_a_file_is(array: np.ndarray) -> None:
    assert as_scan((array, AFFINE)).shape == SHAPE
    with pytest.raises(UserError, match="constant"):
        as_scan((np.ones(SHAPE), AFFINE), name="flat")


def test_out_to_nibabel_and_back(array: np.ndarray) -> None:
    image = Volume(array, AFFINE, "scan").to_nibabel()
    assert isinstance(image, nib.Nifti1Image)
    assert np.array_equal(np.asarray(image.dataobj), array)
    for affine, code in (image.get_sform(coded=True), image.get_qform(coded=True)):
        np.testing.assert_allclose(affine, AFFINE, atol=1e-5)
        assert code == 1
    labels = Volume((array > 400).astype(np.int64) * 2035, AFFINE).to_nibabel()
    assert labels.get_data_dtype() == np.uint16
    assert np.array_equal(np.asarray(labels.dataobj), (array > 400) * 2035)
    signed = Volume(np.array(array - 400, np.int16), AFFINE).to_nibabel()
    assert np.array_equal(np.asarray(signed.dataobj), array - 400)


def test_a_notebook_shows_the_numbers_and_three_slices_the_right_way_round() -> None:
    # Bright in the right, upper, front octant of space; the affine flips and permutes the axes.
    index = np.indices(SHAPE).reshape(3, -1)
    world = (AFFINE[:3, :3] @ index + AFFINE[:3, 3:]).reshape(3, *SHAPE)
    centre = (AFFINE @ np.append((np.array(SHAPE) - 1) / 2, 1))[:3]
    bright = np.all(world > (centre - 4)[:, None, None, None], axis=0).astype(np.float32)
    page = Volume(bright, AFFINE, "a <b> & c", ("qform and sform disagree",))._repr_html_()
    assert "20 × 24 × 18" in page
    assert "5 × 6 × 7 mm" in page
    assert "axes LSA" in page
    assert "a &lt;b&gt; &amp; c" in page
    assert "qform and sform disagree" in page
    found = re.findall(r'alt="(\w+) slice".*?base64,([^"]+)"', page)
    assert [name for name, _ in found] == ["Sagittal", "Coronal", "Axial"]
    sizes = {"Sagittal": (18, 24 * 6 / 7), "Coronal": (20, 24 * 6 / 5), "Axial": (20, 18 * 7 / 5)}
    for name, data in found:
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        assert picture.shape[1] == sizes[name][0]
        assert picture.shape[0] == pytest.approx(sizes[name][1], abs=1)
        # Right is on the left of the picture, front on the left of the sagittal one, up is up.
        half = (np.array(picture.shape) * 0.4).astype(int)
        assert picture[: half[0], : half[1]].mean() > 250, name
        assert picture[-half[0] :, -half[1] :].mean() < 5, name
