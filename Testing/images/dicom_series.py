"""DICOM series as scanners write them, made from an array and an affine: single slices, or one enhanced file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

MR, ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1"
SERIES = "1.2.826.0.1.3680043.8.498.1"
Edit = Callable[[Dataset, int], None]
# A series to be written: 18 slices of 24 x 20, and an order in which no reader finds them.
SHAPE = (24, 20, 18)
ARRAY = np.random.default_rng(0).integers(0, 3000, SHAPE).astype(np.int16)
SHUFFLED = np.random.default_rng(1).permutation(SHAPE[2]).tolist()


def rigid(axes: str = "axial", spacing: Sequence[float] = (4.0, 5.0, 6.0), degrees: float = 0.0) -> np.ndarray:
    """An affine to RAS whose axes are right-handed in LPS, as a stack of DICOM slices is; turned about all axes."""
    directions = {  # column, row, slice in LPS
        "axial": np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]),
        "sagittal": np.array([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]]),
        "coronal": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
    }[axes]
    a, b, c = np.radians([degrees, -0.7 * degrees, 0.4 * degrees])
    about = [
        [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]],
        [[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]],
        [[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]],
    ]
    affine = np.eye(4)
    affine[:3, :3] = np.linalg.multi_dot(about) @ directions * np.array(spacing)
    affine[:3, 3] = [-41.0, 37.5, -60.25]
    assert np.linalg.det(affine[:3, :3]) > 0
    return np.diag([-1.0, -1, 1, 1]) @ affine


def _text(value: float) -> str:
    return f"{value:.10g}"[:16]


def _common(array: np.ndarray, series: str, sop_class: str) -> Dataset:
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = sop_class
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID = generate_uid()
    header.StudyInstanceUID, header.SeriesInstanceUID, header.FrameOfReferenceUID = series + ".0", series, series + ".2"
    header.Modality, header.Manufacturer = "MR", "Siemens"
    header.PatientName, header.PatientID, header.StudyDate, header.StudyTime = "Nobody", "1", "20200101", "101010"
    header.SeriesNumber, header.SeriesDescription = 3, "T1 MPRAGE"
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.Columns, header.Rows = array.shape[:2]
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit, header.PixelRepresentation = 15, int(array.min() < 0)
    header.EchoTime, header.RepetitionTime, header.MagneticFieldStrength = "2.5", "2300", "3"
    header.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
    return header


def _stored(plane: np.ndarray) -> bytes:
    return plane.T.astype("<i2" if plane.min() < 0 else "<u2").tobytes()


def write_slices(
    folder: Path, array: np.ndarray, affine: np.ndarray, *, series: str = SERIES, edit: Edit | None = None
) -> Path:
    """One file for each slice.

    Parameters
    ----------
    array
        Stored values, integer, shape (I, J, K).
    affine
        To RAS mm.
    edit
        Called with each data set and its k before it is written.
    """
    folder.mkdir(exist_ok=True)
    lps = np.diag([-1.0, -1, 1, 1]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    for k in range(array.shape[2]):
        header = _common(array, series, MR)
        header.InstanceNumber = k + 1
        header.ImagePositionPatient = [_text(value) for value in lps[:3, 3] + k * lps[:3, 2]]
        header.ImageOrientationPatient = [_text(value) for value in (lps[:3, :2] / spacing[:2]).T.ravel()]
        header.PixelSpacing = [_text(spacing[1]), _text(spacing[0])]
        header.SliceThickness = header.SpacingBetweenSlices = _text(spacing[2])
        header.AcquisitionTime, header.AcquisitionNumber = "101010", 1
        header.PixelData = _stored(array[:, :, k])
        if edit is not None:
            edit(header, k)
        name = f"{series.rsplit('.', 1)[-1]}_{k:04d}_{header.SOPInstanceUID[-4:]}.dcm"
        header.save_as(folder / name, enforce_file_format=True)
    return folder


def write_enhanced(
    folder: Path, array: np.ndarray, affine: np.ndarray, order: Sequence[int], *, edit: Edit | None = None
) -> Path:
    """One enhanced multi-frame file whose frames are the slices in ``order``; ``edit`` is called for each frame."""
    folder.mkdir(exist_ok=True)
    lps = np.diag([-1.0, -1, 1, 1]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    header = _common(array, SERIES, ENHANCED_MR)
    header.InstanceNumber, header.NumberOfFrames = 1, len(order)
    header.AcquisitionDateTime = "20200101101010"
    shared = Dataset()
    measures, orientation = Dataset(), Dataset()
    measures.PixelSpacing = [_text(spacing[1]), _text(spacing[0])]
    measures.SliceThickness = measures.SpacingBetweenSlices = _text(spacing[2])
    orientation.ImageOrientationPatient = [_text(value) for value in (lps[:3, :2] / spacing[:2]).T.ravel()]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Items([measures]), Items([orientation])
    header.SharedFunctionalGroupsSequence = Items([shared])
    groups = []
    for number, k in enumerate(order):
        group, position, content, rescale, echo = (Dataset() for _ in range(5))
        position.ImagePositionPatient = [_text(value) for value in lps[:3, 3] + k * lps[:3, 2]]
        content.StackID, content.InStackPositionNumber, content.TemporalPositionIndex = "1", k + 1, 1
        content.DimensionIndexValues = [1, k + 1]
        rescale.RescaleIntercept, rescale.RescaleSlope, rescale.RescaleType = "0", "1", "US"
        echo.EffectiveEchoTime = 2.5
        group.PlanePositionSequence, group.FrameContentSequence = Items([position]), Items([content])
        group.PixelValueTransformationSequence, group.MREchoSequence = Items([rescale]), Items([echo])
        if edit is not None:
            edit(group, number)
        groups.append(group)
    header.PerFrameFunctionalGroupsSequence = Items(groups)
    header.PixelData = b"".join(_stored(array[:, :, k]) for k in order)
    header.save_as(folder / "enhanced.dcm", enforce_file_format=True)
    return folder


def read_back(folder: Path) -> list[Dataset]:
    """The data sets of a folder, by file name."""
    return [pydicom.dcmread(file) for file in sorted(folder.iterdir())]


def setting(**values: object) -> Callable[[Dataset, int], None]:
    def edit(header: Dataset, k: int) -> None:
        for name, value in values.items():
            setattr(header, name, value(k) if callable(value) else value)

    return edit
