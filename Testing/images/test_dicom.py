"""A whole DICOM series is read as dcm2niix reads it; any other is refused, with the series and the numbers."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from mri_interpret.errors import UserError
from mri_interpret.images.reading import check_header, read_volume
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEG2000Lossless, generate_uid

from Testing.images.dicom_series import SERIES, read_back, rigid, write_enhanced, write_slices

SHAPE = (24, 20, 18)
ARRAY = np.random.default_rng(0).integers(0, 3000, SHAPE).astype(np.int16)
SHUFFLED = np.random.default_rng(1).permutation(SHAPE[2]).tolist()


def _set(**values: object) -> Callable[[Dataset, int], None]:
    def edit(header: Dataset, k: int) -> None:
        for name, value in values.items():
            setattr(header, name, value(k) if callable(value) else value)

    return edit


def _jpeg(folder: Path, multi_frame: bool) -> Path:
    """The same series compressed as JPEG 2000, by another program than the one under test."""
    write_slices(folder, ARRAY, rigid(degrees=9))
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.SetImageIO("GDCMImageIO")
    writer.UseCompressionOn()
    writer.SetCompressor("JPEG2000")
    frames = []
    for file in sorted(folder.iterdir()):
        header, image = pydicom.dcmread(file), sitk.ReadImage(str(file))
        writer.SetFileName(str(file))
        writer.Execute(image)
        compressed = pydicom.dcmread(file)
        assert compressed.file_meta.TransferSyntaxUID == JPEG2000Lossless
        frames += list(generate_frames(compressed.PixelData, number_of_frames=1))
        header.file_meta.TransferSyntaxUID = JPEG2000Lossless
        header.PixelData = encapsulate(frames[-1:])
        header["PixelData"].VR = "OB"
        header.save_as(file, enforce_file_format=True)
    if not multi_frame:
        return folder
    write_enhanced(folder / "enhanced", ARRAY, rigid(degrees=9), SHUFFLED)
    (enhanced,) = read_back(folder / "enhanced")
    enhanced.file_meta.TransferSyntaxUID = JPEG2000Lossless
    enhanced.PixelData = encapsulate([frames[k] for k in SHUFFLED])
    enhanced["PixelData"].VR = "OB"
    enhanced.save_as(folder / "enhanced" / "enhanced.dcm", enforce_file_format=True)
    return folder / "enhanced"


def _run_length(folder: Path) -> Path:
    write_slices(folder, ARRAY, rigid())
    for file in folder.iterdir():
        header = pydicom.dcmread(file)
        header.compress(pydicom.uid.RLELossless)
        header.save_as(file)
    return folder


def _deflated(folder: Path) -> Path:
    write_slices(folder, np.tile(ARRAY, (3, 3, 1)), rigid())
    for file in folder.iterdir():
        header = pydicom.dcmread(file)
        header.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
        header.save_as(file)
    return folder


WHOLE: dict[str, Callable[[Path], Path]] = {
    "axial": lambda f: write_slices(f, ARRAY, rigid()),
    "oblique": lambda f: write_slices(f, ARRAY, rigid(degrees=17)),
    "sagittal": lambda f: write_slices(f, ARRAY, rigid("sagittal")),
    "sagittal, oblique": lambda f: write_slices(f, ARRAY, rigid("sagittal", degrees=-14)),
    "coronal, oblique": lambda f: write_slices(f, ARRAY, rigid("coronal", degrees=8)),
    "numbered backwards": lambda f: write_slices(f, ARRAY, rigid(), edit=_set(InstanceNumber=lambda k: 18 - k)),
    "all numbered alike": lambda f: write_slices(f, ARRAY, rigid(), edit=_set(InstanceNumber=1)),
    "thicker slices than their distance": lambda f: write_slices(f, ARRAY, rigid(), edit=_set(SliceThickness="9")),
    "rescaled": lambda f: write_slices(f, ARRAY, rigid(), edit=_set(RescaleSlope="2.5", RescaleIntercept="-100")),
    "rescaled slice by slice": lambda f: write_slices(
        f, ARRAY, rigid(), edit=_set(RescaleSlope=lambda k: str(1 + k / 8), RescaleIntercept="7")
    ),
    "MONOCHROME1": lambda f: write_slices(f, ARRAY, rigid(), edit=_set(PhotometricInterpretation="MONOCHROME1")),
    "negative values": lambda f: write_slices(f, ARRAY - 1000, rigid()),
    "JPEG 2000": lambda f: _jpeg(f, False),
    "enhanced": lambda f: write_enhanced(f, ARRAY, rigid(degrees=11), range(18)),
    "enhanced, frames in any order": lambda f: write_enhanced(f, ARRAY, rigid("sagittal", degrees=11), SHUFFLED),
    "run length": _run_length,
}


@pytest.mark.parametrize("kind", list(WHOLE))
def test_what_is_whole_is_read_as_dcm2niix_reads_it(tmp_path: Path, kind: str) -> None:
    dcm2niix = pytest.importorskip("dcm2niix")
    folder = WHOLE[kind](tmp_path / "series")
    (tmp_path / "oracle").mkdir()
    command = [dcm2niix.bin, "-z", "n", "-b", "n", "-f", "x", "-o", str(tmp_path / "oracle"), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    (file,) = (tmp_path / "oracle").glob("*.nii")
    theirs = nib.as_closest_canonical(nib.load(file))
    volume = read_volume(folder)
    ours = nib.as_closest_canonical(nib.Nifti1Image(volume.array, volume.affine))
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours.affine, theirs.affine, atol=1e-3)
    np.testing.assert_allclose(np.asarray(ours.dataobj), np.asarray(theirs.dataobj), rtol=1e-6, atol=1e-3)
    assert volume.notes == ()


def test_axes_are_column_row_slice(tmp_path: Path) -> None:
    affine = rigid("sagittal", degrees=5)
    volume = read_volume(write_slices(tmp_path / "series", ARRAY, affine))
    assert np.array_equal(volume.array, ARRAY)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-5)


def test_an_enhanced_file_can_be_named_itself(tmp_path: Path) -> None:
    folder = write_enhanced(tmp_path / "series", ARRAY, rigid(), SHUFFLED)
    assert np.array_equal(read_volume(folder / "enhanced.dcm").array, ARRAY)


def test_an_enhanced_file_in_jpeg_2000(tmp_path: Path) -> None:
    """dcm2niix says of itself that it cannot do these reliably, so the stored array is the right value."""
    volume = read_volume(_jpeg(tmp_path / "series", True))
    assert np.array_equal(volume.array, ARRAY)
    np.testing.assert_allclose(volume.affine, rigid(degrees=9), atol=1e-5)


def test_deflated_files_are_read(tmp_path: Path) -> None:
    assert np.array_equal(read_volume(_deflated(tmp_path / "series")).array, np.tile(ARRAY, (3, 3, 1)))


def test_what_is_no_image_is_passed_over(tmp_path: Path) -> None:
    folder = write_slices(tmp_path / "series", ARRAY, rigid())
    (folder / "notes.txt").write_text("MPRAGE")
    (folder / ".DS_Store").write_bytes(b"\0" * 200)
    (folder / "empty").write_bytes(b"")
    report = Dataset()
    report.file_meta = pydicom.dataset.FileMetaDataset()
    report.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    report.SOPInstanceUID = report.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    report.SeriesInstanceUID = "1.2.3"
    report.save_as(folder / "report.dcm", enforce_file_format=True)
    assert np.array_equal(read_volume(folder).array, ARRAY)


def test_files_without_a_preamble_are_read(tmp_path: Path) -> None:
    folder = write_slices(tmp_path / "series", ARRAY, rigid())
    for file in folder.iterdir():
        header = pydicom.dcmread(file)
        bare = Dataset({element.tag: element for element in header})
        pydicom.dcmwrite(file.with_suffix(""), bare, implicit_vr=True, little_endian=True)
        file.unlink()
    assert np.array_equal(read_volume(folder).array, ARRAY)


def _without(folder: Path, *numbers: int) -> Path:
    for number, file in enumerate(sorted(folder.iterdir())):
        if number in numbers:
            file.unlink()
    return folder


def _twice(folder: Path, **second: object) -> Path:
    """Every position twice, in one series; the second time with other values of some elements."""
    write_slices(folder, ARRAY, rigid())
    return write_slices(folder, ARRAY + 1, rigid(), edit=_set(**second))


def _copied(folder: Path) -> Path:
    write_slices(folder, ARRAY, rigid())
    file = sorted(folder.iterdir())[4]
    (folder / "copy of a slice.dcm").write_bytes(file.read_bytes())
    return folder


def _cut(folder: Path, bytes_left: Callable[[int], int]) -> Path:
    file = sorted(write_slices(folder, ARRAY, rigid()).iterdir())[7]
    data = file.read_bytes()
    file.rename(file.with_name("cut.dcm")).write_bytes(data[: bytes_left(len(data))])
    return folder


def _shift(amount: Callable[[int], float], axis: int = 2) -> Callable[[Dataset, int], None]:
    """Move slices along an axis of LPS."""

    def edit(header: Dataset, k: int) -> None:
        position = [float(value) for value in header.ImagePositionPatient]
        position[axis] += amount(k)
        header.ImagePositionPatient = [f"{value:.6f}" for value in position]

    return edit


def _delete(name: str, which: Callable[[int], bool]) -> Callable[[Dataset, int], None]:
    def edit(header: Dataset, k: int) -> None:
        if which(k):
            delattr(header, name)

    return edit


def _localiser(folder: Path) -> Path:
    for axes in ("axial", "sagittal", "coronal"):
        write_slices(folder, ARRAY[:, :, :5], rigid(axes))
    return folder


def _enhanced_echoes(group: Dataset, number: int) -> None:
    group.MREchoSequence[0].EffectiveEchoTime = 2.5 if number < 18 else 7.5


def _colour(header: Dataset, k: int) -> None:
    header.SamplesPerPixel, header.PhotometricInterpretation, header.PlanarConfiguration = 3, "RGB", 0
    header.BitsAllocated = header.BitsStored = 8
    header.HighBit = 7
    header.PixelData = bytes(24 * 20 * 3)


def _frames_without_positions(folder: Path) -> Path:
    write_enhanced(folder, ARRAY, rigid(), range(18))
    (header,) = read_back(folder)
    del header.PerFrameFunctionalGroupsSequence
    header.save_as(folder / "enhanced.dcm")
    return folder


def _frames_not_described(folder: Path) -> Path:
    write_enhanced(folder, ARRAY, rigid(), range(18))
    (header,) = read_back(folder)
    del header.PerFrameFunctionalGroupsSequence[-1]
    header.save_as(folder / "enhanced.dcm")
    return folder


def _in_a_subfolder(folder: Path) -> Path:
    folder.mkdir()
    write_slices(folder / "SE000001", ARRAY, rigid())
    return folder


def _text(folder: Path) -> Path:
    write_slices(folder, ARRAY, rigid())
    (folder / "IM07.dcm").write_text("hello")
    return folder


def _not_fetched(folder: Path) -> Path:
    write_slices(folder, ARRAY, rigid())
    (folder / "IM07").symlink_to(folder / "annex" / "objects" / "key")
    return folder


def _two_series(folder: Path) -> Path:
    write_slices(folder, ARRAY, rigid())
    return write_slices(
        folder, ARRAY[:, :, :5], rigid(), series=SERIES + "9", edit=_set(SeriesNumber=7, SeriesDescription="FLAIR")
    )


INCOMPLETE: dict[str, tuple[Callable[[Path], Path], list[str]]] = {
    "one slice missing": (
        lambda f: _without(write_slices(f, ARRAY, rigid()), 5),
        ["series 3 'T1 MPRAGE'", "lacks 1 slice", "_0004_", "_0006_", "17 of 18"],
    ),
    "slices missing in two places": (
        lambda f: _without(write_slices(f, ARRAY, rigid("coronal", degrees=9)), 3, 4, 11),
        ["lacks 3 slices", "_0002_", "_0005_", "_0010_", "_0012_", "15 of 18"],
    ),
    "every second slice missing": (
        lambda f: _without(write_slices(f, ARRAY, rigid()), *range(1, 18, 2)),
        ["lacks slices", "9 slices", "12 mm apart", "2 times"],
    ),
    "two echoes": (lambda f: _twice(f, EchoTime="7.5"), ["36 slices at 18 positions", "2 echo times (ms): 2.5, 7.5"]),
    "two time points": (
        lambda f: _twice(f, AcquisitionTime="101530", AcquisitionNumber=2),
        ["36 slices at 18 positions", "2 acquisitions: 1, 2"],
    ),
    "temporal positions": (
        lambda f: _twice(f, TemporalPositionIdentifier="2"),
        ["36 slices at 18 positions", "time points"],
    ),
    "magnitude and phase": (
        lambda f: _twice(f, ImageType=["ORIGINAL", "PRIMARY", "P", "ND"]),
        ["36 slices at 18 positions", "2 kinds of image", "\\M\\", "\\P\\"],
    ),
    "a file copied": (_copied, ["19 slices at 18 positions", "the same image more than once", "copy of a slice.dcm"]),
    "localiser": (_localiser, ["slices of 3 orientations", "5, 5, 5", "localiser"]),
    "cut in the voxels": (lambda f: _cut(f, lambda size: size - 100), ["cut.dcm", "cut short"]),
    "cut in the header": (lambda f: _cut(f, lambda size: 700), ["cut.dcm", "cut short"]),
    "cut in the first element": (lambda f: _cut(f, lambda size: 140), ["cut.dcm"]),
    "cut to nothing": (lambda f: _cut(f, lambda size: 0), ["cut.dcm"]),
    "no position in some": (
        lambda f: write_slices(f, ARRAY, rigid(), edit=_delete("ImagePositionPatient", lambda k: k in (2, 9))),
        ["2 of 18 slices without a position", "_0002_", "_0009_"],
    ),
    "no orientation": (
        lambda f: write_slices(f, ARRAY, rigid(), edit=_delete("ImageOrientationPatient", lambda k: True)),
        ["no orientation", "18 of 18 slices have no ImageOrientationPatient"],
    ),
    "no voxel size": (
        lambda f: write_slices(f, ARRAY, rigid(), edit=_delete("PixelSpacing", lambda k: k == 0)),
        ["1 of 18 slices without a voxel size"],
    ),
    "gantry tilt": (
        lambda f: write_slices(f, ARRAY, rigid(), edit=_shift(lambda k: k * 6 * np.tan(np.radians(15)), 1)),
        ["gantry tilt of 15.0 degrees"],
    ),
    "one slice 3 % off": (
        lambda f: write_slices(f, ARRAY, rigid(), edit=_shift(lambda k: 0.18 * (k == 8))),
        ["uneven distances (5.82 to 6.18 mm, mostly 6)"],
    ),
    "distances that grow": (
        lambda f: write_slices(f, ARRAY, rigid(), edit=_shift(lambda k: 0.01 * k * k)),
        ["uneven distances"],
    ),
    "slices beside the line": (
        lambda f: write_slices(f, ARRAY, rigid(), edit=_shift(lambda k: 0.5 * (k == 8), 0)),
        ["0.5 mm off a straight line"],
    ),
    "two voxel sizes": (
        lambda f: write_slices(f, ARRAY, rigid(), edit=_set(PixelSpacing=lambda k: ["5", "4" if k < 9 else "2"])),
        ["different voxel sizes", "4 x 5, 2 x 5 mm"],
    ),
    "several series": (_two_series, ["2 DICOM series", "series 3 'T1 MPRAGE', 18 files", "series 7 'FLAIR', 5 files"]),
    "colour": (lambda f: write_slices(f, ARRAY, rigid(), edit=_colour), ["colour"]),
    "mosaic": (
        lambda f: write_slices(f, ARRAY, rigid(), edit=_set(ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"])),
        ["mosaic"],
    ),
    "a single slice": (lambda f: write_slices(f, ARRAY[:, :, :1], rigid()), ["single slice"]),
    "enhanced, two echoes": (
        lambda f: write_enhanced(f, ARRAY, rigid(), [*range(18), *SHUFFLED], edit=_enhanced_echoes),
        ["36 slices at 18 positions", "2 echo times (ms): 2.5, 7.5"],
    ),
    "enhanced, slices missing": (
        lambda f: write_enhanced(f, ARRAY, rigid(), [k for k in SHUFFLED if k not in (3, 4)]),
        ["lacks 2 slices", "16 of 18", "frame"],
    ),
    "enhanced, frames without positions": (_frames_without_positions, ["18 frames without positions"]),
    "enhanced, frames not described": (_frames_not_described, ["18 frames", "describes 17"]),
    "a slice that was not fetched": (_not_fetched, ["IM07", "is a link to", "which is not there"]),
    "no DICOM": (lambda f: (f.mkdir(), (f / "a.txt").write_text("x"), f)[2], ["no DICOM series"]),
    "an empty folder": (lambda f: (f.mkdir(), f)[1], ["no DICOM series"]),
    "DICOM in a subfolder": (_in_a_subfolder, ["no DICOM series", "SE000001"]),
    "a text file called .dcm": (_text, ["IM07.dcm", "not a DICOM file"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(INCOMPLETE))
def test_what_is_not_whole_is_named(tmp_path: Path, kind: str) -> None:
    make, words = INCOMPLETE[kind]
    folder = make(tmp_path / "series")
    for read in (check_header, read_volume):
        with pytest.raises(UserError) as caught:
            read(folder)
        sentence = str(caught.value)
        assert "\n" not in sentence
        assert str(folder) in sentence
        for word in words:
            assert word in sentence, sentence


def test_distances_that_differ_by_half_a_percent_are_a_rounding(tmp_path: Path) -> None:
    folder = write_slices(tmp_path / "series", ARRAY, rigid(), edit=_shift(lambda k: 0.015 * (-1) ** k))
    assert np.array_equal(read_volume(folder).array, ARRAY)


def test_fewer_images_than_announced_are_said(tmp_path: Path) -> None:
    folder = write_slices(tmp_path / "series", ARRAY, rigid(), edit=_set(ImagesInAcquisition=20))
    (note,) = read_volume(folder).notes
    assert "announces 20 images, and 18 are there" in note


def test_headers_with_random_damage(tmp_path: Path) -> None:
    """300 series in each of which one file has some bytes of its header changed at random."""
    folder = write_slices(tmp_path / "series", ARRAY[:, :, :4], rigid())
    file = sorted(folder.iterdir())[1]
    data = file.read_bytes()
    rng = np.random.default_rng(5)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(300):
        damaged = bytearray(data)
        for place in rng.choice(len(data) - 2 * 24 * 20, rng.integers(1, 9), replace=False):
            damaged[place] = rng.integers(256)
        file.write_bytes(damaged)
        try:
            volume = read_volume(folder)
        except UserError as error:
            outcomes["refused"] += 1
            sentence = str(error)
        else:
            outcomes["read"] += 1
            assert volume.shape == (24, 20, 4)
            assert np.isfinite(volume.affine).all()
            continue
        assert "\n" not in sentence
        assert re.search(r"series", sentence)
    assert min(outcomes.values()) > 30, outcomes
