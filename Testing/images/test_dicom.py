"""A whole DICOM series is read as dcm2niix reads it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from mri_interpret.images.reading import read_volume
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEG2000Lossless, generate_uid

from Testing.images.dicom_series import (
    ARRAY,
    SHUFFLED,
    read_back,
    rigid,
    setting,
    write_enhanced,
    write_slices,
)


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
    "numbered backwards": lambda f: write_slices(f, ARRAY, rigid(), edit=setting(InstanceNumber=lambda k: 18 - k)),
    "all numbered alike": lambda f: write_slices(f, ARRAY, rigid(), edit=setting(InstanceNumber=1)),
    "thicker slices than their distance": lambda f: write_slices(f, ARRAY, rigid(), edit=setting(SliceThickness="9")),
    "rescaled": lambda f: write_slices(f, ARRAY, rigid(), edit=setting(RescaleSlope="2.5", RescaleIntercept="-100")),
    "rescaled slice by slice": lambda f: write_slices(
        f, ARRAY, rigid(), edit=setting(RescaleSlope=lambda k: str(1 + k / 8), RescaleIntercept="7")
    ),
    "MONOCHROME1": lambda f: write_slices(f, ARRAY, rigid(), edit=setting(PhotometricInterpretation="MONOCHROME1")),
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
