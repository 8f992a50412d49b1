"""Files with random damage: each comes in as a sound Volume or is refused in one sentence, whatever is raised."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from mri_interpret.errors import UserError
from mri_interpret.images.reading import check_header, read_scan
from mri_interpret.images.volume import Volume

SHAPE = (20, 18, 22)
AFFINE = np.array([[-5.0, 0, 0, 50], [0, 5, 0, -60], [0, 0, 5, -70], [0, 0, 0, 1]])


def _array() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 900, SHAPE).astype(np.int16)


def _outcome(path: Path) -> str:
    """ "read" or "refused"; anything else is an error of the test."""
    refusals = []
    for read in (check_header, read_scan):
        try:
            volume = read(path)
        except UserError as error:
            refusals.append(str(error))
    for sentence in refusals:
        assert "\n" not in sentence
        assert path.name in sentence
        assert sentence.endswith((".", "needed")), sentence
    if refusals:
        return "refused"
    assert isinstance(volume, Volume)
    assert volume.array.ndim == 3
    assert volume.array.dtype == np.float32
    assert np.isfinite(volume.array).all()
    assert np.isfinite(volume.affine).all()
    assert abs(np.linalg.det(volume.affine[:3, :3])) > 0
    return "read"


def _damage(data: bytes, header: range, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for place in rng.choice(header, size=rng.integers(1, 9), replace=False):
        changed[place] = rng.integers(256)
    return bytes(changed)


def _fuzz(folder: Path, name: str, data: bytes, header: range, number: int) -> Counter[str]:
    """Read ``number`` files whose header bytes were changed at random; how many came in and how many were refused."""
    rng = np.random.default_rng(2026)
    outcomes: Counter[str] = Counter()
    for _ in range(number):
        damaged = _damage(data, header, rng)
        path = folder / name
        path.write_bytes(gzip.compress(damaged, 1) if name.endswith(("gz", "mgz")) else damaged)
        outcomes[_outcome(path)] += 1
    return outcomes


@pytest.mark.parametrize(
    ("name", "image_class", "number"),
    [("a.nii", nib.Nifti1Image, 1000), ("a.nii.gz", nib.Nifti1Image, 300), ("b.nii", nib.Nifti2Image, 300)],
)
def test_nifti_headers(tmp_path: Path, name: str, image_class: type, number: int) -> None:
    data = image_class(_array(), AFFINE).to_bytes()
    outcomes = _fuzz(tmp_path, name, data, range(len(data) - _array().nbytes), number)
    assert min(outcomes["read"], outcomes["refused"]) > 0.1 * number, outcomes


@pytest.mark.parametrize("name", ["a.mgh", "a.mgz"])
def test_mgh_headers(tmp_path: Path, name: str) -> None:
    data = nib.MGHImage(_array(), AFFINE).to_bytes()
    outcomes = _fuzz(tmp_path, name, data, range(90), 300)
    assert min(outcomes["read"], outcomes["refused"]) > 30, outcomes


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_headers_in_words(tmp_path: Path, name: str) -> None:
    image = sitk.GetImageFromArray(_array().T)
    image.SetSpacing([5, 5, 5])
    sitk.WriteImage(image, str(tmp_path / name))
    data = (tmp_path / name).read_bytes()
    outcomes = _fuzz(tmp_path, name, data, range(len(data) - _array().nbytes), 300)
    assert min(outcomes["read"], outcomes["refused"]) > 10, outcomes


def _whole_files(folder: Path) -> list[Path]:
    folder.mkdir()
    nib.save(nib.Nifti1Image(_array(), AFFINE), folder / "a.nii")
    nib.save(nib.Nifti1Image(_array(), AFFINE), folder / "a.nii.gz")
    nib.save(nib.MGHImage(_array(), AFFINE), folder / "a.mgz")
    image = sitk.GetImageFromArray(_array().T)
    image.SetSpacing([5, 5, 5])
    for name, compressed in (("raw.nrrd", False), ("gz.nrrd", True), ("raw.mha", False), ("zlib.mha", True)):
        sitk.WriteImage(image, str(folder / name), compressed)
    return sorted(folder.iterdir())


NAMES = ["a.mgz", "a.nii", "a.nii.gz", "gz.nrrd", "raw.mha", "raw.nrrd", "zlib.mha"]


def test_the_whole_files_are_read(tmp_path: Path) -> None:
    files = _whole_files(tmp_path / "whole")
    assert [file.name for file in files] == NAMES
    for file in files:
        assert np.array_equal(read_scan(file).array, _array()), file.name


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_breaks_off_anywhere_is_refused(tmp_path: Path, name: str) -> None:
    (data,) = [file.read_bytes() for file in _whole_files(tmp_path / "whole") if file.name == name]
    # FreeSurfer's footer, 20 bytes behind the voxels, is not needed; compressed with them it is.
    places = [*np.random.default_rng(3).integers(1, len(data), 25), *(len(data) - np.arange(1, 9))]
    for place in places:
        (tmp_path / name).write_bytes(data[:place])
        assert _outcome(tmp_path / name) == "refused", f"cut at {place} of {len(data)}"


@pytest.mark.parametrize("name", ["a.mgz", "a.nii.gz", "gz.nrrd", "zlib.mha"])
def test_one_wrong_bit_inside_a_compression_is_refused(tmp_path: Path, name: str) -> None:
    """The readers stop before the checksum, so that most such files used to come in with other voxels."""
    (data,) = [file.read_bytes() for file in _whole_files(tmp_path / "whole") if file.name == name]
    rng = np.random.default_rng(4)
    for place in rng.integers(len(data) // 2, len(data) - 10, 40):
        changed = bytearray(data)
        changed[place] ^= 1 << int(rng.integers(8))
        (tmp_path / name).write_bytes(changed)
        assert _outcome(tmp_path / name) == "refused", f"bit of byte {place}"


def test_a_compressed_file_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    data = nib.Nifti1Image(_array(), AFFINE).to_bytes()
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(data + bytes(80_000_000), 1))
    with pytest.raises(UserError, match="far more data than its header says"):
        read_scan(tmp_path / "bomb.nii.gz")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_header_of_more_voxels_than_memory_is_refused(tmp_path: Path, name: str) -> None:
    image = nib.Nifti1Image(_array(), AFFINE)
    image.header["dim"][1:4] = 32767
    image.header["vox_offset"] = 352
    data = image.header.binaryblock + bytes(4) + _array().tobytes(order="F")
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    with pytest.raises(UserError, match="too many to explain"):
        read_scan(tmp_path / name)


@pytest.mark.parametrize(
    ("offset", "words"), [(0, "inside its header"), (100, "not a readable image"), (348, "not a readable image")]
)
def test_voxels_inside_the_header_are_refused(tmp_path: Path, offset: int, words: str) -> None:
    image = nib.Nifti1Image(_array(), AFFINE)
    image.header["vox_offset"] = offset
    (tmp_path / "a.nii").write_bytes(image.header.binaryblock + bytes(4) + _array().tobytes(order="F"))
    with pytest.raises(UserError, match=words):
        read_scan(tmp_path / "a.nii")
