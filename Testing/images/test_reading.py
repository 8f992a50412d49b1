"""Every format comes in with the same voxels in the same place; every bad file is one clear sentence."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from mri_interpret.errors import UserError
from mri_interpret.images.reading import read_scan, read_volume
from numpy.typing import NDArray

SHAPE = (40, 44, 36)
AFFINE = np.array([[-3.0, 0.2, 0, 60], [0.1, 3.2, 0.3, -70], [0, -0.2, 4, -50], [0, 0, 0, 1.0]])


@pytest.fixture
def head() -> NDArray[np.float32]:
    return np.random.default_rng(3).integers(0, 1000, SHAPE).astype(np.float32)


def _rigid() -> NDArray[np.float64]:
    """An oblique affine without shear, which ITK can hold."""
    q, _ = np.linalg.qr(AFFINE[:3, :3])
    affine = AFFINE.copy()
    affine[:3, :3] = q * [3.0, 3.2, 4.0]
    return affine


def _write_itk(array: NDArray[np.float32], affine: NDArray[np.float64], path: Path) -> None:
    lps = np.diag([-1.0, -1, 1, 1]) @ affine
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    sitk.WriteImage(image, str(path))


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz", "Müller scan 1.nii.gz", "scan.mgz"])
def test_nibabel_formats(tmp_path: Path, head: NDArray[np.float32], name: str) -> None:
    affine = AFFINE if "nii" in name else _rigid()
    image = nib.MGHImage(head, affine) if name.endswith("mgz") else nib.Nifti1Image(head, affine)
    nib.save(image, tmp_path / name)
    volume = read_scan(tmp_path / name)
    assert np.array_equal(volume.array, head)
    assert np.allclose(volume.affine, affine, atol=1e-4)


@pytest.mark.parametrize("name", ["scan.nrrd", "scan.nhdr", "scan.mha"])
def test_itk_formats_come_in_as_ras(tmp_path: Path, head: NDArray[np.float32], name: str) -> None:
    _write_itk(head, _rigid(), tmp_path / name)
    volume = read_scan(tmp_path / name)
    assert np.array_equal(volume.array, head)
    assert np.allclose(volume.affine, _rigid(), atol=1e-4)


def _write_dicom(folder: Path, array: NDArray[np.float32], affine: NDArray[np.float64], uid: str) -> None:
    folder.mkdir(exist_ok=True)
    lps = np.diag([-1.0, -1, 1, 1]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    direction = lps[:3, :3] / spacing
    orientation = "\\".join(f"{value:.8f}" for value in [*direction[:, 0], *direction[:, 1]])
    for k in range(array.shape[2]):
        image = sitk.GetImageFromArray(array[:, :, k].T.astype(np.int16)[None])
        image.SetSpacing(spacing.tolist())
        position = lps[:3, 3] + lps[:3, 2] * k
        tags = {
            "0008|0060": "MR",
            "0020|000e": uid,
            "0020|000d": uid + ".1",
            "0020|0013": str(k + 1),
            "0020|0032": "\\".join(f"{value:.6f}" for value in position),
            "0020|0037": orientation,
            "0018|0050": f"{spacing[2]:.4f}",
            "0018|0088": f"{spacing[2]:.4f}",
        }
        for tag, value in tags.items():
            image.SetMetaData(tag, value)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(folder / f"{uid[-1]}_{k:03d}.dcm"))
        writer.Execute(image)


def _right_handed() -> NDArray[np.float64]:
    """DICOM stacks along the cross product of its rows and columns, so the axes must be right-handed in LPS."""
    affine = _rigid()
    if np.linalg.det(affine[:3, :3]) < 0:
        affine[:3, 0] *= -1
    return affine


def test_a_dicom_folder(tmp_path: Path, head: NDArray[np.float32]) -> None:
    affine = _right_handed()
    _write_dicom(tmp_path / "series", head, affine, "1.2.3.4")
    volume = read_scan(tmp_path / "series")
    assert np.array_equal(volume.array, head)
    assert np.allclose(volume.affine, affine, atol=1e-3)


def test_two_dicom_series_are_not_mixed(tmp_path: Path, head: NDArray[np.float32]) -> None:
    for uid in ("1.2.3.4", "1.2.3.5"):
        _write_dicom(tmp_path / "series", head[:, :, :20], _right_handed(), uid)
    with pytest.raises(UserError, match="2 DICOM series"):
        read_scan(tmp_path / "series")


def _save(path: Path, array: NDArray[np.generic], affine: NDArray[np.float64] = AFFINE) -> Path:
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def _bad_files(folder: Path, head: NDArray[np.float32]) -> dict[str, tuple[Path, str]]:
    """What can be wrong with a file -> the file, and a word of the sentence that must say so."""
    rng = np.random.default_rng(0)
    files = {
        "missing": (folder / "none.nii.gz", "does not exist"),
        "empty": (folder / "empty.nii.gz", "empty"),
        "text": (folder / "text.nii.gz", "not a readable image"),
        "other format": (folder / "scan.jpg", "not in an image format"),
        "truncated": (folder / "cut.nii.gz", "breaks off|damaged"),
        "empty folder": (folder / "folder", "no DICOM series"),
        "text as nrrd": (folder / "text.nrrd", "not a readable image"),
    }
    (folder / "empty.nii.gz").write_bytes(b"")
    (folder / "text.nii.gz").write_bytes(gzip.compress(b"hello, I am no image" * 40))
    (folder / "scan.jpg").write_bytes(b"\xff\xd8\xff")
    (folder / "folder").mkdir()
    (folder / "text.nrrd").write_text("hello")
    whole = _save(folder / "whole.nii.gz", head).read_bytes()
    (folder / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])

    arrays: dict[str, tuple[NDArray[np.generic], str]] = {
        "zero": (np.zeros(SHAPE, np.float32), "all zero"),
        "constant": (np.full(SHAPE, 7, np.int16), "constant"),
        "2D": (head[:, :, 0], "2-dimensional"),
        "single slice": (head[:, :, :1], "single slice"),
        "4D": (np.stack([head] * 3, -1), "4-dimensional"),
        "one voxel": (np.ones((1, 1, 1), np.float32), "single slice"),
        "five voxels": (rng.random((5, 5, 5)).astype(np.float32), "too small"),
        "NaN": (np.where(rng.random(SHAPE) < 0.01, np.nan, head).astype(np.float32), "NaN or infinite"),
        "infinite": (np.where(rng.random(SHAPE) < 0.01, np.inf, head).astype(np.float32), "NaN or infinite"),
        "CT": (
            np.where(rng.random(SHAPE) < 0.5, -1000, rng.integers(-50, 900, SHAPE)).astype(np.int16),
            "looks like a CT",
        ),
    }
    for number, (name, (array, word)) in enumerate(arrays.items()):
        files[name] = (_save(folder / f"bad{number}.nii.gz", array), word)
    colour = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    files["RGB"] = (_save(folder / "rgb.nii.gz", colour), "colour")
    itk = sitk.GetImageFromArray(np.zeros((20, 20, 20, 3), np.uint8), isVector=True)
    sitk.WriteImage(itk, str(folder / "rgb.nrrd"))
    files["RGB nrrd"] = (folder / "rgb.nrrd", "colour")
    no_affine = nib.Nifti1Image(head, None)
    no_affine.header["qform_code"] = no_affine.header["sform_code"] = 0
    nib.save(no_affine, folder / "noaffine.nii.gz")
    files["no affine"] = (folder / "noaffine.nii.gz", "no orientation")
    singular = nib.Nifti1Image(head, AFFINE)
    singular.header["qform_code"], singular.header["sform_code"] = 0, 2
    singular.header["srow_x"], singular.header["srow_y"] = [3, 0, 0, 0], [3, 0, 0, 0]
    singular.header["srow_z"] = [0, 0, 3, 0]
    nib.save(nib.Nifti1Image(head, None, singular.header), folder / "singular.nii.gz")
    files["singular affine"] = (folder / "singular.nii.gz", "singular")
    files["tiny voxels"] = (_save(folder / "tiny.nii.gz", head, np.diag([0.1, 0.1, 0.1, 1])), "too small")
    files["huge voxels"] = (_save(folder / "coarse.nii.gz", head, np.diag([3, 3, 12.0, 1])), "voxels of 12.0 mm")
    return files


_NAMES = [
    "missing", "empty", "text", "other format", "truncated", "empty folder", "text as nrrd", "zero", "constant", "2D",
    "single slice", "4D", "one voxel", "five voxels", "NaN", "infinite", "CT", "RGB", "RGB nrrd", "no affine",
    "singular affine", "tiny voxels", "huge voxels",
]  # fmt: skip


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    head = np.random.default_rng(3).integers(0, 1000, SHAPE).astype(np.float32)
    return _bad_files(tmp_path_factory.mktemp("bad"), head)


def test_the_list_of_bad_files_is_whole(bad_files: dict[str, tuple[Path, str]]) -> None:
    assert sorted(bad_files) == sorted(_NAMES)


@pytest.mark.parametrize("name", _NAMES)
def test_a_bad_file_is_one_clear_sentence(bad_files: dict[str, tuple[Path, str]], name: str) -> None:
    path, word = bad_files[name]
    with pytest.raises(UserError, match=word) as caught:
        read_scan(path)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message, "the sentence must name the file"


def test_a_single_volume_of_a_4d_file_is_taken(tmp_path: Path, head: NDArray[np.float32]) -> None:
    assert read_scan(_save(tmp_path / "one.nii.gz", head[..., None])).shape == SHAPE


def test_a_huge_16_bit_range_is_read_exactly(tmp_path: Path, head: NDArray[np.float32]) -> None:
    array = (head * 65).astype(np.uint16)
    array[0, 0, 0] = 65535
    assert np.array_equal(read_scan(_save(tmp_path / "wide.nii.gz", array)).array, array)


def test_scaling_in_the_header_is_applied(tmp_path: Path, head: NDArray[np.float32]) -> None:
    image = nib.Nifti1Image(head.astype(np.int16), AFFINE)
    image.header.set_slope_inter(2.0, 10.0)
    nib.save(image, tmp_path / "scaled.nii.gz")
    stored = np.asarray(nib.load(tmp_path / "scaled.nii.gz").dataobj)
    assert np.allclose(read_volume(tmp_path / "scaled.nii.gz").array, stored)
