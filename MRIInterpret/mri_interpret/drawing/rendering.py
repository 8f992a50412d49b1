"""VTK without a window: whether it can render here, and the pixels of what it renders."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError


class NoRendering(RuntimeError):
    """This machine cannot draw in 3D."""


def import_vtk() -> Any:
    """The vtk module.

    Raises
    ------
    NoRendering
        If it is not installed; the text is a sentence for the reader of the picture's place.
    """
    load_triton_first()
    try:
        import vtk
    except ImportError as error:
        raise NoRendering("No 3D picture: the vtk package is not installed.") from error
    # Before it falls back to EGL or OSMesa, VTK tells on stderr that there is no X server; readers need not know.
    vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_ERROR)
    return vtk


def load_triton_first() -> None:
    """Load Triton, if it is there, unless Mesa is loaded already. Call it before the first OpenGL window is made.

    Triton (which comes with torch on Linux) and Mesa each bring an LLVM. Loading Triton's after Mesa's crashes the
    process; the other way round both work.
    """
    if not _mesa_is_loaded():
        with contextlib.suppress(ImportError):
            import triton._C.libtriton  # noqa: F401


def _mesa_is_loaded() -> bool:
    try:
        loaded = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux: no Triton either
        return False
    return "libLLVM" in loaded or "libgallium" in loaded or "_dri.so" in loaded


def offscreen_window(vtk: Any, width: int, height: int) -> Any:
    """A render window of this many pixels that appears on no screen."""
    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetSize(width, height)
    return window


def rendered_pixels(vtk: Any, window: Any) -> NDArray[np.uint8]:
    """Render a window: shape (rows, columns, 3), the first row at the top."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    window.Render()
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.SetInputBufferTypeToRGB()
    grab.ReadFrontBufferOff()
    grab.ShouldRerenderOff()  # the frame is drawn already
    grab.Update()
    image = grab.GetOutput()
    columns, rows, _ = image.GetDimensions()
    pixels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)[::-1, :, :3]
    return np.ascontiguousarray(pixels)


def rendering_backend() -> str:
    """Render a white sphere off-screen, and name the window that did it.

    Raises
    ------
    UserError
        If VTK is missing, or the picture does not show the sphere.
    """
    try:
        vtk = import_vtk()
    except NoRendering as error:
        raise UserError("VTK, which draws the 3D pictures, is missing: pip install vtk") from error
    mapper = vtk.vtkPolyDataMapper()
    sphere = vtk.vtkSphereSource()
    mapper.SetInputConnection(sphere.GetOutputPort())
    actor = vtk.vtkActor()
    actor.SetMapper(mapper)
    renderer = vtk.vtkRenderer()
    renderer.AddActor(actor)
    window = offscreen_window(vtk, 64, 64)
    window.AddRenderer(renderer)
    picture = rendered_pixels(vtk, window)
    if int(picture[32, 32].max()) < 100 or int(picture[0, 0].max()) > 50:
        raise UserError(
            "Off-screen rendering gives an empty picture: install Mesa's EGL (Debian: apt-get install libegl1), or "
            "expect reports without 3D pictures."
        )
    return f"{window.GetClassName()}, VTK {vtk.vtkVersion.GetVTKVersion()}"
