"""Can VTK render off-screen here?"""

from __future__ import annotations

import numpy as np

from ..errors import UserError


def rendering_backend() -> str:
    """Render a white sphere off-screen, and name the window that did it.

    Raises
    ------
    UserError
        If VTK is missing, or the picture does not show the sphere.
    """
    try:
        import vtk
        from vtk.util.numpy_support import vtk_to_numpy
    except ImportError as error:
        raise UserError("VTK, which draws the 3D pictures, is missing: pip install vtk") from error
    vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_ERROR)  # that there is no X server is no news here
    sphere = vtk.vtkSphereSource()
    mapper = vtk.vtkPolyDataMapper()
    mapper.SetInputConnection(sphere.GetOutputPort())
    actor = vtk.vtkActor()
    actor.SetMapper(mapper)
    renderer = vtk.vtkRenderer()
    renderer.AddActor(actor)
    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetSize(64, 64)
    window.AddRenderer(renderer)
    window.Render()
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    grab.Update()
    picture = vtk_to_numpy(grab.GetOutput().GetPointData().GetScalars()).reshape(64, 64, -1)
    if int(picture[32, 32].max()) < 100 or int(np.max(picture[0, 0])) > 50:
        raise UserError(
            "Off-screen rendering gives an empty picture: install Mesa's EGL (Debian: apt-get install libegl1), or "
            "expect reports without 3D pictures."
        )
    return f"{window.GetClassName()}, VTK {vtk.vtkVersion.GetVTKVersion()}"
