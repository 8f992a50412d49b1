"""No orientation, no answer, in every format; a header that contradicts itself is said; every unit becomes mm."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from mri_interpret.errors import UserError
from mri_interpret.images.reading import check_header, read_volume

SHAPE = (20, 18, 22)
AFFINE = np.array([[-5.0, 0, 0, 50], [0, 0, 7, -60], [0, 6, 0, -70], [0, 0, 0, 1]])
ARRAY = np.random.default_rng(1).integers(0, 900, SHAPE).astype(np.int16)

NRRD = """NRRD0005
type: int16
dimension: 3
space: {space}
sizes: 20 18 22
space directions: (5,0,0) (0,0,6) (0,-7,0)
kinds: domain domain domain
endian: little
encoding: raw
space origin: (10,20,30)
"""
META = """ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = False
CompressedData = False
TransformMatrix = 1 0 0 0 0 1 0 -1 0
Offset = 10 20 30
ElementSpacing = 5 6 7
DimSize = 20 18 22
ElementType = MET_SHORT
ElementDataFile = LOCAL
"""


def _words(path: Path, header: str) -> Path:
    path.write_bytes(header.encode() + (b"\n" if header.startswith("NRRD") else b"") + ARRAY.tobytes(order="F"))
    return path


def _without(header: str, name: str) -> str:
    kept = re.sub(rf"(?m)^{name}.*\n", "", header)
    assert kept != header
    return kept


def _analyze(folder: Path) -> Path:
    nib.save(nib.AnalyzeImage(ARRAY, AFFINE), folder / "a.img")
    return folder / "a.hdr"


def _spm(folder: Path) -> Path:
    nib.save(nib.Spm99AnalyzeImage(ARRAY, AFFINE), folder / "a.img")
    return folder / "a.img"


def _mgh(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        data = bytearray(nib.MGHImage(ARRAY, AFFINE).to_bytes())
        data[28:30] = b"\0\0"
        (folder / name).write_bytes(gzip.compress(bytes(data)) if name.endswith("mgz") else bytes(data))
        return folder / name

    return make


WITHOUT_ORIENTATION: dict[str, Callable[[Path], Path]] = {
    "NRRD without space": lambda f: _words(f / "a.nrrd", _without(NRRD, "space:")),
    "NRRD with space dimension only": lambda f: _words(
        f / "a.nrrd", NRRD.replace("space: {space}", "space dimension: 3")
    ),
    "NRRD in scanner-xyz": lambda f: _words(f / "a.nrrd", NRRD.format(space="scanner-xyz")),
    "NRRD in a right-handed space": lambda f: _words(f / "a.nrrd", NRRD.format(space="3D-right-handed")),
    "NRRD without directions": lambda f: _words(
        f / "a.nrrd", _without(NRRD, "space directions").format(space="RAS") + "spacings: 5 6 7\n"
    ),
    "MetaImage without matrix": lambda f: _words(f / "a.mha", _without(META, "TransformMatrix")),
    "Analyze": _analyze,
    "SPM99 Analyze": _spm,
    "NIfTI": lambda f: _nifti_without(f, "a.nii"),
    "NIfTI pair": lambda f: _nifti_without(f, "a.img"),
    "MGH": _mgh("a.mgh"),
    "MGZ": _mgh("a.mgz"),
}


def _nifti_without(folder: Path, name: str) -> Path:
    image = (nib.Nifti1Image if name.endswith("nii") else nib.Nifti1Pair)(ARRAY, None)
    nib.save(image, folder / name)
    assert int(nib.load(folder / name).header["sform_code"]) == 0
    return folder / name


@pytest.mark.parametrize("kind", list(WITHOUT_ORIENTATION))
def test_no_orientation_no_answer(tmp_path: Path, kind: str) -> None:
    path = WITHOUT_ORIENTATION[kind](tmp_path)
    for read in (read_volume, check_header):
        with pytest.raises(UserError, match="carries no orientation") as caught:
            read(path)
        assert path.name in str(caught.value)


LPS = np.array([[5.0, 0, 0, 10], [0, 0, -7, 20], [0, 6, 0, 30], [0, 0, 0, 1]])


@pytest.mark.parametrize(
    ("space", "to_ras"),
    [
        ("left-posterior-superior", [-1, -1, 1]),
        ("LPS", [-1, -1, 1]),
        ("right-anterior-superior", [1, 1, 1]),
        ("RAS", [1, 1, 1]),
        ("left-anterior-superior", [-1, 1, 1]),
        ("Left-Anterior-Superior", [-1, 1, 1]),
    ],
)
def test_nrrd_spaces(tmp_path: Path, space: str, to_ras: list[int]) -> None:
    volume = read_volume(_words(tmp_path / "a.nrrd", NRRD.format(space=space)))
    np.testing.assert_allclose(volume.affine, np.diag([*to_ras, 1]) @ LPS)
    assert np.array_equal(volume.array, ARRAY)
    assert volume.notes == ()


def test_metaimage_geometry(tmp_path: Path) -> None:
    volume = read_volume(_words(tmp_path / "a.mha", META))
    np.testing.assert_allclose(
        volume.affine, np.diag([-1, -1, 1, 1]) @ [[5, 0, 0, 10], [0, 0, -7, 20], [0, 6, 0, 30], [0, 0, 0, 1]]
    )
    assert np.array_equal(volume.array, ARRAY)
    with pytest.raises(UserError, match="no voxel size"):
        read_volume(_words(tmp_path / "b.mha", _without(META, "ElementSpacing")))


def test_nrrd_without_origin_says_what_was_taken(tmp_path: Path) -> None:
    volume = read_volume(_words(tmp_path / "a.nrrd", _without(NRRD, "space origin").format(space="RAS")))
    assert volume.affine[:3, 3].tolist() == [0, 0, 0]
    assert "no space origin" in volume.notes[0]


def test_a_nifti_pair_is_read_by_either_name(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Pair(ARRAY, AFFINE), tmp_path / "a.img")
    for name in ("a.img", "a.hdr"):
        volume = read_volume(tmp_path / name)
        assert np.array_equal(volume.array, ARRAY)
        np.testing.assert_allclose(volume.affine, AFFINE)
    (tmp_path / "a.img").unlink()
    with pytest.raises(UserError, match=r"a\.hdr"):
        read_volume(tmp_path / "a.hdr")


@pytest.mark.parametrize(("unit", "factor"), [("meter", 0.001), ("mm", 1.0), ("micron", 1000.0), ("unknown", 1.0)])
def test_nifti_units(tmp_path: Path, unit: str, factor: float) -> None:
    image = nib.Nifti1Image(ARRAY, np.diag([factor, factor, factor, 1]) @ AFFINE)
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "a.nii")
    volume = read_volume(tmp_path / "a.nii")
    np.testing.assert_allclose(volume.affine, AFFINE, rtol=1e-5)
    assert volume.notes == ()


@pytest.mark.parametrize(("unit", "factor"), [("m", 0.001), ("mm", 1.0), ("microns", 1000.0), ("um", 1000.0)])
def test_nrrd_units(tmp_path: Path, unit: str, factor: float) -> None:
    vectors = [f"({','.join(f'{value * factor:g}' for value in column)})" for column in LPS[:3, :3].T]
    header = NRRD.format(space="LPS").replace("(5,0,0) (0,0,6) (0,-7,0)", " ".join(vectors))
    header = header.replace("(10,20,30)", f"({10 * factor:g},{20 * factor:g},{30 * factor:g})")
    volume = read_volume(_words(tmp_path / "a.nrrd", header + f'space units: "{unit}" "{unit}" "{unit}"\n'))
    np.testing.assert_allclose(volume.affine, np.diag([-1, -1, 1, 1]) @ LPS, rtol=1e-6)


def test_metaimage_units(tmp_path: Path) -> None:
    header = META.replace("ElementSpacing = 5 6 7", "DistanceUnits = um\nElementSpacing = 5000 6000 7000")
    volume = read_volume(_words(tmp_path / "a.mha", header.replace("10 20 30", "10000 20000 30000")))
    np.testing.assert_allclose(volume.affine, read_volume(_words(tmp_path / "b.mha", META)).affine)


def test_units_that_are_not_understood_are_refused(tmp_path: Path) -> None:
    image = nib.Nifti1Image(ARRAY, AFFINE)
    image.header["xyzt_units"] = 5
    nib.save(image, tmp_path / "a.nii")
    with pytest.raises(UserError, match="unit that NIfTI does not know"):
        read_volume(tmp_path / "a.nii")
    header = NRRD.format(space="LPS") + 'space units: "inch" "inch" "inch"\n'
    with pytest.raises(UserError, match="inch"):
        read_volume(_words(tmp_path / "a.nrrd", header))


def _two_forms(folder: Path, qform: np.ndarray, sform: np.ndarray = AFFINE) -> Path:
    image = nib.Nifti1Image(ARRAY, None)
    image.set_sform(sform, 1)
    image.set_qform(qform, 1, strip_shears=True)
    nib.save(image, folder / "a.nii.gz")
    return folder / "a.nii.gz"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (np.diag([1.0, 1.02, 1.0, 1.0]), "voxels of 5 x 6.12 x 7 mm against 5 x 6 x 7 mm"),
        (np.diag([-1.0, 1.0, 1.0, 1.0]), "opposite handedness"),
        (np.array([[1.0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "up to 5.0 mm apart"),
    ],
    ids=["scale", "handedness", "translation by a voxel"],
)
def test_qform_and_sform_that_disagree_are_said(tmp_path: Path, change: np.ndarray, words: str) -> None:
    volume = read_volume(_two_forms(tmp_path, AFFINE @ change))
    np.testing.assert_allclose(volume.affine, AFFINE)
    (note,) = volume.notes
    assert "a.nii.gz" in note
    assert "qform and sform disagree" in note
    assert words in note
    assert "the sform (scanner space) is used" in note


def test_a_rounding_between_qform_and_sform_is_not_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        affine = np.eye(4)
        affine[:3, :3] = rotation * rng.uniform(0.7, 6, 3)
        affine[:3, 3] = rng.normal(scale=120, size=3)
        assert read_volume(_two_forms(tmp_path, affine, affine)).notes == ()


def test_a_qform_that_is_no_rotation_is_said(tmp_path: Path) -> None:
    image = nib.Nifti1Image(ARRAY, AFFINE)
    image.set_qform(AFFINE, 1)
    image.header["quatern_b"], image.header["quatern_c"] = 0.9, 0.9
    nib.save(image, tmp_path / "a.nii")
    data = bytearray((tmp_path / "a.nii").read_bytes())
    assert nib.Nifti1Header(bytes(data[:348]), check=False)["quatern_b"] == np.float32(0.9)
    assert "the qform in the header is invalid" in read_volume(tmp_path / "a.nii").notes[0]


def test_the_qform_alone_is_used_when_the_sform_has_no_code(tmp_path: Path) -> None:
    image = nib.Nifti1Image(ARRAY, None)
    image.set_qform(AFFINE, 1)
    nib.save(image, tmp_path / "a.nii")
    volume = read_volume(tmp_path / "a.nii")
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-4)
    assert volume.notes == ()


def test_colour_complex_and_vector_files_are_refused_by_name(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(ARRAY.astype(np.complex64), AFFINE), tmp_path / "complex.nii")
    nib.save(nib.Nifti1Image(np.zeros((*SHAPE, 1, 3), np.float32), AFFINE), tmp_path / "vector.nii")
    colour = np.zeros(SHAPE, [("R", "u1"), ("G", "u1"), ("B", "u1"), ("A", "u1")])
    nib.save(nib.Nifti1Image(colour, AFFINE), tmp_path / "rgba.nii")
    vectors = sitk.GetImageFromArray(np.zeros((22, 18, 20, 3), np.float32), isVector=True)
    for name in ("vector.mha", "vector.nrrd"):
        sitk.WriteImage(vectors, str(tmp_path / name))
    for name, word in [
        ("complex.nii", "complex"), ("vector.nii", "vector"), ("rgba.nii", "colour"), ("vector.mha", "vector"),
        ("vector.nrrd", "vector"),
    ]:  # fmt: skip
        with pytest.raises(UserError, match=word):
            read_volume(tmp_path / name)


def test_what_nibabel_repairs_in_a_header_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(nib.Nifti1Image(ARRAY, AFFINE).to_bytes())
    data[252:254] = (1).to_bytes(2, "little")  # qform_code
    data[254:256] = (512).to_bytes(2, "little")  # sform_code
    (tmp_path / "a.nii").write_bytes(data)
    (note,) = read_volume(tmp_path / "a.nii").notes
    assert "sform_code 512 not valid" in note
    assert capfd.readouterr().err == ""
