"""The summary score in a translucent brain, rendered off-screen by VTK."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..images.volume import Grid, Volume, resample
from ..planes.slices import Box, as_float, brain_box
from .canvas import Picture, encode_webp
from .rendering import NoRendering, import_vtk, offscreen_window, rendered_pixels

_SIZE = (520, 480)
_INK = (0.11, 0.14, 0.17)
_LEVELS = ((95.0, (0.93, 0.42, 0.10), 0.30), (99.0, (0.74, 0.07, 0.10), 1.0))  # percentile, colour, opacity
# Name, direction from the head's centre to the eye, up; all RAS.
_VIEWS = (
    ("from the patient's left front", (-0.85, 0.75, 0.35), (0.0, 0.0, 1.0)),
    ("from the patient's right front", (0.85, 0.75, 0.35), (0.0, 0.0, 1.0)),
    ("from below, the patient's right on the left", (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)),
)


@dataclass(frozen=True)
class _Surface:
    mesh: Any
    colour: tuple[float, float, float]
    opacity: float


def summary_picture(summary: Volume, mask: Volume, scan: Volume) -> Picture:
    """Three views of the summary score's highest voxels inside the brain and, for a whole-head scan, the head.

    Parameters
    ----------
    summary
        0..1, on the scan's grid.
    mask
        Brain, on the same grid.
    scan
        Intensities, for the head's surface.

    Returns
    -------
    Picture
        WebP, the views side by side.

    Raises
    ------
    NoRendering
        If VTK is missing or this machine has no off-screen rendering; the text is a sentence for the reader.
    """
    vtk = import_vtk()
    box = brain_box(mask)
    surfaces, drawn = _surfaces(vtk, as_float(summary), mask, as_float(scan), box)
    try:
        views = _render(vtk, surfaces, box)
    except (RuntimeError, AttributeError) as error:
        raise NoRendering(f"No 3D picture: this machine cannot render off-screen ({error}).") from error
    from PIL import Image

    strip = Image.fromarray(np.concatenate(views, axis=1))
    names = "; ".join(name for name, _, _ in _VIEWS)
    alt = f"Three 3D views of the summary score inside the brain: {names}."
    caption = f"Left to right: {names}. {drawn}"
    return Picture(encode_webp(strip, 85), "image/webp", alt, caption)


def _surfaces(vtk: Any, summary: Volume, mask: Volume, scan: Volume, box: Box) -> tuple[list[_Surface], str]:
    grid = box.grid(1.5 * box.spacing)
    brain = resample(Volume(mask.array.astype(np.float32), mask.affine), grid).array
    surfaces = [_Surface(_isosurface(vtk, ndimage.gaussian_filter(brain, 0.8), grid, 0.5), (0.80, 0.78, 0.76), 0.16)]
    head = _head(scan, mask, box)
    if head is not None:
        array, head_grid = head
        surfaces.append(_Surface(_isosurface(vtk, array, head_grid, 0.5), (0.86, 0.74, 0.66), 0.10))
    inside = summary.array[mask.array > 0]
    if inside.size == 0 or float(inside.max(initial=0)) <= 0:
        return surfaces, "The summary score is zero everywhere in the brain, so nothing is drawn inside it."
    values = np.where(brain > 0.5, resample(summary, grid).array, 0).astype(np.float32)
    values = ndimage.gaussian_filter(values, 0.7)
    for percentile, colour, opacity in _LEVELS:
        level = float(np.percentile(inside, percentile))
        if 0 < level < values.max():
            surfaces.append(_Surface(_isosurface(vtk, values, grid, level), colour, opacity))
    return surfaces, "Orange: the 5 % of the brain's voxels with the highest summary score; red: the highest 1 %."


def _head(scan: Volume, mask: Volume, box: Box) -> tuple[NDArray[np.float32], Grid] | None:
    """The head as a filled 0..1 volume; None for a scan without one (skull-stripped)."""
    brain = mask.array > 0
    if not brain.any():
        return None
    threshold = 0.3 * float(np.median(scan.array[brain]))
    outside = np.count_nonzero((scan.array > threshold) & ~brain)
    if threshold <= 0 or outside < 0.25 * np.count_nonzero(brain):
        return None
    corners = np.array([[i, j, k, 1] for i in (0, 1) for j in (0, 1) for k in (0, 1)], dtype=float)
    corners[:, :3] *= np.array(scan.shape) - 1
    world = (corners @ scan.affine.T)[:, :3]
    low, high = world.min(axis=0), world.max(axis=0)
    whole = Box(low - box.spacing, high + box.spacing, low, high, box.spacing)
    grid = whole.grid(2.5 * box.spacing)
    bright = ndimage.gaussian_filter(resample(scan, grid).array, 0.6) > threshold
    bright = ndimage.binary_closing(bright, iterations=2)
    labels, count = ndimage.label(bright)
    if count == 0:
        return None
    largest = 1 + int(np.argmax(ndimage.sum_labels(bright, labels, np.arange(1, count + 1))))
    filled = ndimage.binary_fill_holes(labels == largest)
    return ndimage.gaussian_filter(np.asarray(filled, dtype=np.float32), 0.8), grid


def _isosurface(vtk: Any, array: NDArray[np.float32], grid: Grid, level: float) -> Any:
    """A smooth mesh in RAS mm where the array crosses the level; the grid's axes point R, A, S."""
    from vtkmodules.util.numpy_support import numpy_to_vtk

    padded = np.pad(array, 1)  # closes surfaces at the border
    image = vtk.vtkImageData()
    image.SetDimensions(*padded.shape)
    image.SetSpacing(*grid.spacing)
    image.SetOrigin(*(grid.affine[:3, 3] - grid.spacing))
    scalars = np.ascontiguousarray(padded.ravel(order="F"), dtype=np.float32)
    image.GetPointData().SetScalars(numpy_to_vtk(scalars, deep=True))
    contour = vtk.vtkFlyingEdges3D()
    contour.SetInputData(image)
    contour.SetValue(0, level)
    contour.ComputeNormalsOff()
    smooth = vtk.vtkWindowedSincPolyDataFilter()
    smooth.SetInputConnection(contour.GetOutputPort())
    smooth.SetNumberOfIterations(12)
    smooth.SetPassBand(0.08)
    smooth.NormalizeCoordinatesOn()
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputConnection(smooth.GetOutputPort())
    normals.SplittingOff()
    normals.Update()
    return normals.GetOutput()


def _render(vtk: Any, surfaces: list[_Surface], box: Box) -> list[NDArray[np.uint8]]:
    window = offscreen_window(vtk, *_SIZE)
    window.SetMultiSamples(0)
    window.SetAlphaBitPlanes(1)
    renderer = vtk.vtkRenderer()
    renderer.SetBackground(1, 1, 1)
    renderer.SetUseDepthPeeling(1)  # several translucent surfaces, in the right order
    renderer.SetMaximumNumberOfPeels(12)
    renderer.SetOcclusionRatio(0.0)
    window.AddRenderer(renderer)
    if not window.SupportsOpenGL():
        raise NoRendering("No 3D picture: this machine has no OpenGL for off-screen rendering (EGL or OSMesa).")
    for surface in surfaces:
        renderer.AddActor(_actor(vtk, surface))
    centre = (box.low + box.high) / 2
    letters = _letters(vtk, renderer, box, centre)
    frames = []
    for _, direction, up in _VIEWS:
        toward = np.array(direction) / np.linalg.norm(direction)
        camera = renderer.GetActiveCamera()
        camera.SetFocalPoint(*centre)
        camera.SetPosition(*(centre + 4 * float(np.linalg.norm(box.extent)) * toward))
        camera.SetViewUp(*up)
        camera.SetViewAngle(18)
        renderer.ResetCamera()
        camera.Zoom(1.35)
        for actor, axis in letters:
            actor.SetVisibility(abs(float(axis @ toward)) < 0.9)  # a letter in line with the eye would cover the brain
        frames.append(rendered_pixels(vtk, window))
    window.Finalize()
    return frames


def _actor(vtk: Any, surface: _Surface) -> Any:
    mapper = vtk.vtkPolyDataMapper()
    mapper.SetInputData(surface.mesh)
    mapper.ScalarVisibilityOff()
    actor = vtk.vtkActor()
    actor.SetMapper(mapper)
    look = actor.GetProperty()
    look.SetColor(*surface.colour)
    look.SetOpacity(surface.opacity)
    look.SetSpecular(0.15)
    look.SetSpecularPower(20)
    return actor


def _letters(vtk: Any, renderer: Any, box: Box, centre: NDArray[np.floating]) -> list[tuple[Any, NDArray[np.float64]]]:
    """R, L, A, P, S, I just beyond the brain, facing the camera."""
    placed = []
    for axis, pair in enumerate((("R", "L"), ("A", "P"), ("S", "I"))):
        for letter, sign in zip(pair, (1.0, -1.0), strict=True):
            direction = np.zeros(3)
            direction[axis] = sign
            text = vtk.vtkBillboardTextActor3D()
            text.SetInput(letter)
            text.SetPosition(*(centre + direction * (0.5 * box.extent[axis] + 0.04 * float(box.extent.max()))))
            look = text.GetTextProperty()
            look.SetFontSize(24)
            look.BoldOn()
            look.SetColor(*_INK)
            look.SetJustificationToCentered()
            look.SetVerticalJustificationToCentered()
            renderer.AddActor(text)
            placed.append((text, direction))
    return placed
