"""A DICOM series that is not whole is refused in one sentence that names what is missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mri_interpret.errors import UserError
from mri_interpret.images.reading import check_header, read_volume
from pydicom.dataset import Dataset

from Testing.images.dicom_series import (
    ARRAY,
    SERIES,
    SHUFFLED,
    read_back,
    rigid,
    setting,
    write_enhanced,
    write_slices,
)


def _without(folder: Path, *numbers: int) -> Path:
    for number, file in enumerate(sorted(folder.iterdir())):
        if number in numbers:
            file.unlink()
    return folder


def _twice(folder: Path, **second: object) -> Path:
    """Every position twice, in one series; the second time with other values of some elements."""
    write_slices(folder, ARRAY, rigid())
    return write_slices(folder, ARRAY + 1, rigid(), edit=setting(**second))


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
        folder, ARRAY[:, :, :5], rigid(), series=SERIES + "9", edit=setting(SeriesNumber=7, SeriesDescription="FLAIR")
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
        lambda f: write_slices(f, ARRAY, rigid(), edit=setting(PixelSpacing=lambda k: ["5", "4" if k < 9 else "2"])),
        ["different voxel sizes", "4 x 5, 2 x 5 mm"],
    ),
    "several series": (_two_series, ["2 DICOM series", "series 3 'T1 MPRAGE', 18 files", "series 7 'FLAIR', 5 files"]),
    "colour": (lambda f: write_slices(f, ARRAY, rigid(), edit=_colour), ["colour"]),
    "mosaic": (
        lambda f: write_slices(f, ARRAY, rigid(), edit=setting(ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"])),
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
    folder = write_slices(tmp_path / "series", ARRAY, rigid(), edit=setting(ImagesInAcquisition=20))
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
