"""Steps that change the grid: orientation, registration, spacing, zoom, crop and pad."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ...images.smoothing import box_around
from ...images.volume import Grid
from .partial_input import PartialInput, ScanInTemplate
from .step import Step, StepError, choice, positive

Integers = NDArray[np.intp]


@dataclass(frozen=True)
class Orientation(Step):
    """Axes flipped and exchanged, without interpolation, so that they point to ``axes``, such as "RAS" or "LPS"."""

    name: ClassVar[str] = "orientation"
    axes: str = "RAS"

    def __post_init__(self) -> None:
        letters = {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}
        if len(self.axes) != 3 or sorted(letters.get(letter, -1) for letter in self.axes.upper()) != [0, 1, 2]:
            raise StepError(self, f"the axes '{self.axes}' are none: give three letters such as RAS or LPS")

    def apply(self, current: PartialInput, scan: ScanInTemplate) -> PartialInput:
        import nibabel  # not on top: Slicer's panel reads models' metadata before it is installed

        wanted = nibabel.orientations.axcodes2ornt(tuple(self.axes.upper()))
        turn = nibabel.orientations.ornt_transform(nibabel.io_orientation(current.to_scan), wanted)
        shift = nibabel.orientations.inv_ornt_aff(turn, current.image.shape)
        return replace(
            current,
            image=np.ascontiguousarray(nibabel.apply_orientation(current.image, turn)),
            inside=np.ascontiguousarray(nibabel.apply_orientation(current.inside, turn)),
            to_scan=current.to_scan @ shift,
        )


@dataclass(frozen=True)
class Registration(Step):
    """Onto a grid in the template's space: ``kind`` "affine" or "rigid"; shape, spacing and origin (mm) of the grid."""

    name: ClassVar[str] = "registration"
    shape: tuple[int, int, int] = (182, 218, 182)
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin: tuple[float, float, float] = (-90.0, -126.0, -72.0)
    kind: str = "affine"
    template: str = "ICBM152"
    antialias: bool = True

    def __post_init__(self) -> None:
        positive(self, "shape", self.shape)
        positive(self, "spacing", self.spacing)
        choice(self, "kind", self.kind, ("affine", "rigid"))
        choice(self, "template", self.template, ("ICBM152", "MNI152"))

    @property
    def grid(self) -> Grid:
        """The grid in the template's world (RAS mm)."""
        affine = np.diag([*map(float, self.spacing), 1.0])
        affine[:3, 3] = self.origin
        return Grid(self.shape, affine)

    def apply(self, current: PartialInput, scan: ScanInTemplate) -> PartialInput:
        to_template = scan.to_template(self.kind)
        spacing = np.linalg.norm((to_template @ current.to_scan)[:3, :3], axis=0)  # of the scan, in the template's mm
        coarsening = float(self.grid.spacing.mean()) / spacing if self.antialias else None
        return current.moved_to(Grid(self.shape, np.linalg.inv(to_template) @ self.grid.affine), coarsening)


@dataclass(frozen=True)
class Spacing(Step):
    """Other voxel sizes (mm) over the same field of view."""

    name: ClassVar[str] = "spacing"
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    antialias: bool = True

    def __post_init__(self) -> None:
        positive(self, "spacing", self.spacing)

    def apply(self, current: PartialInput, scan: ScanInTemplate) -> PartialInput:
        extent = np.array(current.image.shape) * current.grid.spacing
        shape = np.maximum(1, np.rint(extent / self.spacing).astype(int))
        factor = np.array(self.spacing) / current.grid.spacing
        # The centre of the field of view stays where it is.
        shift = (np.array(current.image.shape) - 1) / 2 - factor * (shape - 1) / 2
        return current.moved_to(_scaled(current, shape, factor, shift), factor if self.antialias else None)


@dataclass(frozen=True)
class Zoom(Step):
    """Stretched to ``shape`` voxels over the same field of view, whatever the voxels' sizes become.

    With ``align_corners`` the outermost voxel centres stay in place (as scipy.ndimage.zoom does), without it the
    outermost voxel edges do (as torch's interpolate does by default).
    """

    name: ClassVar[str] = "zoom"
    shape: tuple[int, int, int] = (96, 96, 96)
    align_corners: bool = False
    antialias: bool = False

    def __post_init__(self) -> None:
        positive(self, "shape", self.shape)

    def apply(self, current: PartialInput, scan: ScanInTemplate) -> PartialInput:
        before, after = np.array(current.image.shape, dtype=float), np.array(self.shape, dtype=float)
        if self.align_corners:
            factor = np.where(after > 1, (before - 1) / np.maximum(after - 1, 1), 1.0)
            shift = np.where(after > 1, 0.0, (before - 1) / 2)
        else:
            factor = before / after
            shift = (factor - 1) / 2
        return current.moved_to(
            _scaled(current, np.array(self.shape), factor, shift), factor if self.antialias else None
        )


@dataclass(frozen=True)
class Fit(Step):
    """Cropped or padded along each axis to ``shape``, without interpolation.

    ``centre`` says what stays in the middle: "image", "foreground" (what is not 0) or "brain". ``shift`` moves the
    middle by whole voxels: where sizes are odd and even, pipelines differ in what they call the middle.
    """

    name: ClassVar[str] = "fit"
    shape: tuple[int, int, int] = (96, 96, 96)
    centre: str = "image"
    shift: tuple[int, int, int] = (0, 0, 0)

    def __post_init__(self) -> None:
        positive(self, "shape", self.shape)
        choice(self, "centre", self.centre, ("image", "foreground", "brain"))
        if len(self.shift) != 3:
            raise StepError(self, "'shift' must hold three whole numbers of voxels")

    def apply(self, current: PartialInput, scan: ScanInTemplate) -> PartialInput:
        box = _box(self, current, self.centre)
        middle = np.array([(edge.start + edge.stop) // 2 for edge in box])
        start = middle - np.array(self.shape) // 2 + np.array(self.shift)
        return _cut(current, start, np.array(self.shape))


@dataclass(frozen=True)
class CropForeground(Step):
    """Cropped to the box around "foreground" (what is not 0) or the "brain", with ``margin`` voxels around it."""

    name: ClassVar[str] = "crop_foreground"
    around: str = "foreground"
    margin: int = 0

    def __post_init__(self) -> None:
        choice(self, "around", self.around, ("foreground", "brain"))
        if self.margin < 0:
            raise StepError(self, "the margin must not be negative")

    def apply(self, current: PartialInput, scan: ScanInTemplate) -> PartialInput:
        box = _box(self, current, self.around)
        start = np.array([edge.start for edge in box]) - self.margin
        stop = np.array([edge.stop for edge in box]) + self.margin
        return _cut(current, start, stop - start)


def _box(step: Step, current: PartialInput, what: str) -> tuple[slice, ...]:
    if what == "image":
        return tuple(slice(0, size) for size in current.image.shape)
    chosen = current.inside if what == "brain" else current.image != 0
    if not chosen.any():
        raise StepError(step, f"the image holds no {what}")
    return box_around(chosen)


def _cut(current: PartialInput, start: Integers, shape: Integers) -> PartialInput:
    """The box of ``shape`` that begins at voxel ``start``, which may lie beyond the image; beyond it is the fill."""
    size = np.array(current.image.shape)
    low, high = np.clip(start, 0, size), np.clip(start + shape, 0, size)
    take = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    put = tuple(slice(int(a), int(b)) for a, b in zip(low - start, high - start, strict=True))
    image = np.full(tuple(shape), 0.0 if current.fill is None else current.fill, dtype=np.float32)
    inside = np.zeros(tuple(shape), dtype=bool)
    image[put], inside[put] = current.image[take], current.inside[take]
    to_scan = current.to_scan.copy()
    to_scan[:3, 3] = current.to_scan[:3, :3] @ start + current.to_scan[:3, 3]
    return replace(current, image=image, inside=inside, to_scan=to_scan)


def _scaled(current: PartialInput, shape: Integers, factor: NDArray[np.float64], shift: NDArray[np.float64]) -> Grid:
    """The grid whose voxel x lies at voxel ``factor * x + shift`` of the image."""
    change = np.diag([*factor, 1.0])
    change[:3, 3] = shift
    i, j, k = (int(number) for number in shape)
    return Grid((i, j, k), current.to_scan @ change)
