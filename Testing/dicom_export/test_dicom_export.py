"""A result as DICOM, read back by pydicom and highdicom: voxels, geometry, frame of reference, patient and study."""

from __future__ import annotations

import dataclasses
import importlib.util

import numpy as np
import pydicom
import pytest
from mri_interpret.dicom_export.content import content_of, read_content, write_content_steps
from mri_interpret.dicom_export.export import export_dicom, series_of, write_objects
from mri_interpret.dicom_export.source import read_source
from mri_interpret.errors import UserError
from mri_interpret.images.dicom import read_dicom
from mri_interpret.images.volume import Volume

from Testing.dicom_export.reading import on_grid
from Testing.images.dicom_series import ENHANCED_MR, rigid, write_enhanced, write_slices

highdicom = pytest.importorskip("highdicom")

PM, SEG, SR = "1.2.840.10008.5.1.4.1.1.30", "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.33"
KEPT = ("StudyInstanceUID", "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime")


def patient(header, _k):
    """As headers are: an umlaut, an odd sex, and an entry that is missing (there is no StudyID)."""
    header.SpecificCharacterSet = "ISO_IR 100"
    header.PatientName, header.PatientSex, header.PatientBirthDate = "Mu\u00dfter^J\u00f6rg", "U", "19400229"


@pytest.fixture(scope="module")
def series(small_explanation, tmp_path_factory):
    """The scan of the small explanation, oblique, as a DICOM series."""
    scan = small_explanation.scan
    return write_slices(tmp_path_factory.mktemp("dicom") / "t1", scan.array, scan.affine, edit=patient)


@pytest.fixture(scope="module")
def written(small_explanation, series, tmp_path_factory):
    """What was exported, by name."""
    return export_dicom(small_explanation, tmp_path_factory.mktemp("out") / "dicom", series)


def test_every_map_keeps_its_voxels_and_lies_on_the_scan(small_explanation, series, written):
    maps = {key: one.native for key, one in small_explanation.maps.items()}
    maps |= {key: getattr(small_explanation, key) for key in ("summary", "consensus", "spread")}
    assert {name.removeprefix("map_") for name in written} == {*maps, "segmentation", "measurements"}
    read = read_dicom(series)
    for key, expected in maps.items():
        image = highdicom.imread(written[f"map_{key}"])
        assert image.SOPClassUID == PM
        assert "FloatPixelData" in image
        volume = image.get_volume()
        assert volume.array.size == expected.array.size
        np.testing.assert_array_equal(on_grid(volume, read.affine, expected.shape), expected.array)
        np.testing.assert_allclose(read.affine, expected.affine, atol=1e-6)


def test_patient_study_and_frame_of_reference_are_kept(series, written):
    source = pydicom.dcmread(next(iter(sorted(series.iterdir()))))
    uids, numbers = set(), set()
    for name, path in written.items():
        made = pydicom.dcmread(path)
        for keyword in KEPT:
            assert made.get(keyword) == source.get(keyword), (name, keyword)
        assert str(made.PatientName) == "Mu\u00dfter^J\u00f6rg"
        assert made.StudyID == ""
        if name != "measurements":
            assert made.FrameOfReferenceUID == source.FrameOfReferenceUID
            assert "Research use only" in made.ImageComments
        assert "research use only" in made.SeriesDescription
        uids |= {made.SOPInstanceUID, made.SeriesInstanceUID}
        numbers.add(made.SeriesNumber)
    assert len(uids) == 2 * len(written)
    assert len(numbers) == len(written)
    assert min(numbers) > source.SeriesNumber


def test_maps_refer_to_the_slices_that_they_are_of(series, written):
    sources = {pydicom.dcmread(file).SOPInstanceUID for file in series.iterdir()}
    made = pydicom.dcmread(written["map_summary"])
    (referenced,) = made.ReferencedSeriesSequence
    assert {one.ReferencedSOPInstanceUID for one in referenced.ReferencedInstanceSequence} == sources
    mapping = made.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)
    assert mapping.LUTExplanation == "Summary score (0 to 1)"


def test_the_segmentation_has_every_region_with_its_code(small_explanation, series, written):
    read = highdicom.seg.segread(written["segmentation"])
    assert read.SOPClassUID == SEG
    labels = small_explanation.atlas_in_scan.array
    names = {one.label: one.name for one in small_explanation.regions}
    present = [label for label in np.unique(labels) if label]
    assert read.number_of_segments == len(present)
    by_name = {one.tracking_id: one for one in map(read.get_segment_description, read.segment_numbers)}
    volume = read.get_volume(combine_segments=True, skip_overlap_checks=True)
    placed = on_grid(volume, read_dicom(series).affine, labels.shape)
    for label in present:
        number = by_name[names[label]].segment_number
        np.testing.assert_array_equal(placed == number, labels == label)
    hippocampus = by_name["Left-Hippocampus"]
    assert hippocampus.segmented_property_type.value == "5366008"
    (side,) = hippocampus.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence
    assert side.CodeMeaning == "Left"


def test_the_report_measures_the_segments(small_explanation, written):
    report = highdicom.sr.srread(written["measurements"])
    assert report.SOPClassUID == SR
    segmentation = pydicom.dcmread(written["segmentation"])
    groups = report.content.get_volumetric_roi_measurement_groups()
    table = small_explanation.region_table
    rows = table[(table["method"] == "summary") & (table["space"] == "native")].set_index("region")
    assert len(groups) == len(segmentation.SegmentSequence)
    for group in groups:
        found = {one.name.meaning: one.value for one in group.get_measurements()}
        row = rows.loc[str(group.tracking_identifier)]
        assert found["Volume"] == pytest.approx(row["volume_mm3"] / 1000)
        assert found["Relevance density over that of the brain"] == pytest.approx(row["gain"])
        assert found["Share of the brain's relevance"] == pytest.approx(100 * row["share"])
        items = [item.ReferencedSOPSequence[0] for item in group[0].ContentSequence if "ReferencedSOPSequence" in item]
        (referenced,) = [item for item in items if "ReferencedSegmentNumber" in item]
        assert referenced.ReferencedSOPInstanceUID == segmentation.SOPInstanceUID
        segment = segmentation.SegmentSequence[referenced.ReferencedSegmentNumber - 1]
        assert segment.TrackingID == group.tracking_identifier
    (answer,) = report.content.get_image_measurement_groups()
    odds = {one.name.meaning: one.value for one in answer.get_measurements()}
    expected = {f"Probability of {key}": value for key, value in small_explanation.prediction.probabilities.items()}
    assert odds == pytest.approx(expected)
    said = {one.name.meaning: one.value.meaning for one in answer.get_qualitative_evaluations()}
    assert said["Intended use"] == "Research use only, not for diagnosis"
    assert said["Warnings"].startswith(str(len(small_explanation.warnings)))


@pytest.mark.parametrize("axes", [(2, 0, 1), (0, 1, 2)])
@pytest.mark.parametrize("flips", [(True, False, True), (False, True, False)])
def test_a_grid_that_is_turned_or_flipped_comes_back_on_the_series_planes(tmp_path, axes, flips):
    """Slicer and other programs order the axes of a DICOM volume in their own way."""
    rng = np.random.default_rng(1)
    array = rng.integers(0, 900, (5, 6, 4)).astype(np.int16)
    source = read_source(write_slices(tmp_path / "t1", array, rigid("sagittal", degrees=12)))
    read = read_dicom(tmp_path / "t1")
    turned, affine = np.transpose(read.array, axes), read.affine[:, [*axes, 3]].copy()
    for axis, flip in enumerate(flips):
        if flip:
            affine[:, 3] += affine[:, axis] * (turned.shape[axis] - 1)
            affine[:, axis] *= -1
            turned = np.flip(turned, axis)
    np.testing.assert_array_equal(source.planes(Volume(turned, affine)), read.array.transpose(2, 1, 0))
    for other in (Volume(turned[:-1], affine), Volume(turned, affine @ np.diag([1.1, 1, 1, 1]))):
        with pytest.raises(UserError, match=r"does not lie on the voxels of .*series 3 'T1 MPRAGE'"):
            source.planes(other)
    moved = affine.copy()
    moved[0, 3] += 1.0
    with pytest.raises(UserError, match="does not lie"):
        source.planes(Volume(turned, moved))


def tiny(small_explanation, array, affine):
    """A content with one map, without regions."""
    content = content_of(small_explanation)
    one = dataclasses.replace(content.maps[0], volume=Volume(array.astype(np.float32), affine))
    return dataclasses.replace(content, maps=(one,), labels=None, regions=())


def test_an_enhanced_file_whose_frames_are_shuffled(small_explanation, tmp_path):
    array = np.arange(5 * 6 * 4).reshape(5, 6, 4).astype(np.int16)
    folder = write_enhanced(tmp_path / "t1", array, rigid("coronal", degrees=7), (2, 0, 3, 1))
    read = read_dicom(folder)
    written = write_objects(tiny(small_explanation, read.array, read.affine), read_source(folder), tmp_path / "out")
    assert set(written) == {"map_summary", "measurements"}  # no region, no segmentation
    image = highdicom.imread(written["map_summary"])
    assert image.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPClassUID == ENHANCED_MR
    volume = image.get_volume()
    np.testing.assert_array_equal(on_grid(volume, read.affine, read.shape), read.array)


def test_what_cannot_be_exported_is_refused_in_one_sentence(small_explanation, series, tmp_path, monkeypatch):
    nifti = tmp_path / "scan.nii.gz"
    nifti.write_bytes(b"x" * 400)
    with pytest.raises(UserError, match=r"scan\.nii\.gz is not DICOM, so there is no study"):
        series_of(nifti)
    with pytest.raises(UserError, match="which came from no file, is not there: name the DICOM series"):
        export_dicom(small_explanation, tmp_path / "out")

    def nameless(header, _k):
        del header.FrameOfReferenceUID

    array = np.zeros((5, 6, 4), np.int16)
    with pytest.raises(UserError, match=r"names no frame of reference \(FrameOfReferenceUID\)"):
        read_source(write_slices(tmp_path / "bare", array, rigid(), edit=nameless))
    with pytest.raises(UserError, match="does not lie on the voxels"):
        export_dicom(small_explanation, tmp_path / "out", write_slices(tmp_path / "other", array, rigid()))
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "highdicom" else find(name))
    with pytest.raises(UserError, match=r"needs the package highdicom: pip install 'mri-interpret\[dicom\]'"):
        export_dicom(small_explanation, tmp_path / "out", series)
    assert not (tmp_path / "out").exists()


def test_a_content_passes_through_files(small_explanation, tmp_path):
    content = content_of(small_explanation)
    for _ in write_content_steps(content, tmp_path):
        pass
    again = read_content(tmp_path)
    for one, two in zip(content.maps, again.maps, strict=True):
        np.testing.assert_array_equal(one.volume.array, two.volume.array)
    assert dataclasses.replace(again, maps=(), labels=None) == dataclasses.replace(content, maps=(), labels=None)
    np.testing.assert_array_equal(again.labels.array, content.labels.array)
