"""The DICOM series that was explained: its headers, which the new objects refer to, and its planes."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..images.dicom import read_stack
from ..images.dicom_files import quiet_pydicom
from ..images.dicom_geometry import SliceStack
from ..images.dicom_slices import Numbers
from ..images.refusals import one_sentence
from ..images.volume import Volume

if TYPE_CHECKING:
    from pydicom import Dataset

_NEEDED = {
    "StudyInstanceUID": "study",
    "FrameOfReferenceUID": "frame of reference",
    "SOPInstanceUID": "SOP instance",
    "SOPClassUID": "SOP class",
}
# Of the patient and the study (PS3.3, C.7.1.1, C.7.2.1, C.7.2.2): kept as they are, whatever their values.
_REQUIRED = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
    "StudyTime", "ReferringPhysicianName",
)  # fmt: skip
_OPTIONAL = (
    "IssuerOfPatientID", "OtherPatientIDs", "PatientIdentityRemoved", "DeidentificationMethod", "StudyDescription",
    "PatientAge", "PatientSize", "PatientWeight", "PatientComments",
)  # fmt: skip
_OFF_VOXELS = 0.1  # how far voxels may lie from the series': positions are written with few decimals


@dataclass(frozen=True)
class SourceSeries:
    """The series, its slices in spatial order.

    Attributes
    ----------
    stack
        Slices and affine.
    headers
        What highdicom takes as source images: one for each slice in spatial order, or the one of a multi-frame file.
        Patient and study are left blank there, because it refuses odd values; :meth:`keep_patient` copies them.
    where
        How messages call it.
    """

    stack: SliceStack
    headers: tuple[Dataset, ...]
    where: str

    @property
    def header(self) -> Dataset:
        """The first slice's header as it was read."""
        header: Dataset = self.stack.slices[0].image.header
        return header

    @property
    def order(self) -> tuple[int, ...]:
        """Which plane in spatial order each source frame is: highdicom numbers planes as the source does."""
        if len(self.headers) > 1:
            return tuple(range(len(self.stack.slices)))
        return tuple(int(k) for k in np.argsort([each.frame for each in self.stack.slices]))

    def planes(self, volume: Volume) -> NDArray[Any]:
        """The voxels of a volume on the series' own planes: turned and flipped, never resampled.

        Parameters
        ----------
        volume
            On the scan's grid, axes in any order; shape (I, J, K).

        Returns
        -------
        numpy.ndarray
            Shape (planes, rows, columns), planes in the order of the source's frames.

        Raises
        ------
        UserError
            If its voxels are not those of the series.
        """
        to_series = np.linalg.inv(self.stack.affine) @ volume.affine
        turn = np.round(to_series[:3, :3])
        shape = (int(self.header.Columns), int(self.header.Rows), len(self.stack.slices))
        if not np.array_equal(np.abs(turn) @ np.abs(turn).T, np.eye(3)):
            raise self._other_grid(volume)
        axes = [int(np.flatnonzero(row)[0]) for row in turn]
        placed = np.transpose(volume.array, axes)
        backwards = [int(row[axis]) < 0 for row, axis in zip(turn, axes, strict=True)]
        if placed.shape != shape:
            raise self._other_grid(volume)
        last = np.array(volume.shape) - 1
        for corner in np.ndindex(2, 2, 2):
            index = np.array(corner) * last
            found = (to_series @ [*index, 1])[:3]
            meant = [shape[n] - 1 - index[axes[n]] if backwards[n] else index[axes[n]] for n in range(3)]
            if np.abs(found - meant).max() > _OFF_VOXELS:
                raise self._other_grid(volume)
        placed = placed[tuple(slice(None, None, -1) if flip else slice(None) for flip in backwards)]
        return np.ascontiguousarray(placed.transpose(2, 1, 0)[list(self.order)])

    def _other_grid(self, volume: Volume) -> UserError:
        shape = " x ".join(map(str, volume.shape))
        return UserError(
            f"The result ({shape} voxels) does not lie on the voxels of {self.where}: explain the series itself, not a "
            "cropped or resampled copy, to export it as DICOM."
        )

    def keep_patient(self, made: Dataset) -> None:
        """Give an object the patient and the study of the series, as they stand there."""
        kept: dict[str, Any] = {"SpecificCharacterSet": "ISO_IR 192"}
        for keyword in (*_REQUIRED, *_OPTIONAL):
            value = self.header.get(keyword)
            if value is not None or keyword in _REQUIRED:
                kept[keyword] = "" if value is None else str(value) if keyword.endswith("Name") else value
        for keyword, value in kept.items():
            if keyword in made:
                del made[keyword]  # highdicom may share the element with its source images, which stay blank
            setattr(made, keyword, value)

    def geometry(self) -> dict[str, Any]:
        """Plane positions, orientation and spacings for highdicom, as the series' headers give them."""
        import highdicom

        slices = [self.stack.slices[k] for k in self.order]
        # A stack has no slice without position, orientation and spacing: see dicom_geometry.stack_slices.
        positions = [cast(Numbers, each.position) for each in slices]
        orientation, (rows, columns) = cast(Numbers, slices[0].orientation), cast(Numbers, slices[0].spacing)
        distance = float(np.linalg.norm(self.stack.affine[:3, 2]))
        return {
            "plane_positions": [
                highdicom.PlanePositionSequence(highdicom.CoordinateSystemNames.PATIENT, position)
                for position in positions
            ],
            "plane_orientation": highdicom.PlaneOrientationSequence(
                highdicom.CoordinateSystemNames.PATIENT, orientation
            ),
            "pixel_measures": highdicom.PixelMeasuresSequence(
                pixel_spacing=(rows, columns), slice_thickness=distance, spacing_between_slices=distance
            ),
        }


def read_source(source: Path | Sequence[Path]) -> SourceSeries:
    """The series in a folder, in an enhanced file, or in a list of files.

    Raises
    ------
    UserError
        If that is no whole series, or it names no study or frame of reference.
    """
    stack, where = read_stack(source)
    with one_sentence(where, "has a header that cannot be read"), quiet_pydicom():
        first = stack.slices[0].image.header
        for keyword, meaning in _NEEDED.items():
            if not first.get(keyword):
                raise UserError(
                    f"{where} names no {meaning} ({keyword}), without which nothing can be put beside it: export it "
                    "again."
                )
        paths = list(dict.fromkeys(each.image.path for each in stack.slices))
        headers = tuple(_source_image(path) for path in paths)
    return SourceSeries(stack, headers, where)


def _source_image(path: Path) -> Dataset:
    """A header as highdicom expects it: without voxels, patient and study blank, geometry of all frames shared."""
    import pydicom

    header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
    for keyword in _REQUIRED:
        setattr(header, keyword, "")
    if "PerFrameFunctionalGroupsSequence" in header:
        _share(header)
    return header


def _share(header: Dataset) -> None:
    """Orientation and spacings among the shared groups of an enhanced image, where some scanners repeat them."""
    import pydicom

    if not header.get("SharedFunctionalGroupsSequence"):
        header.SharedFunctionalGroupsSequence = [pydicom.Dataset()]
    shared, first = header.SharedFunctionalGroupsSequence[0], header.PerFrameFunctionalGroupsSequence[0]
    for keyword in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
        if keyword not in shared and keyword in first:
            setattr(shared, keyword, deepcopy(first.get(keyword)))
