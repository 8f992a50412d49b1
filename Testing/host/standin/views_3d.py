"""A 3D view off-screen that draws when Slicer's would (ctkVTKAbstractView), and counts its frames."""

from __future__ import annotations

import time
from typing import Any

import slicer
from mri_interpret.scene.pictures import _3D_MANAGERS, OffscreenView
from mri_interpret.scene.views import nodes_of
from PySide6 import QtCore
from vtkmodules.vtkCommonCore import vtkCommand

_SECONDS_PER_FRAME = 1 / 60  # its maximumUpdateRate


class View3D:
    """Draws what its displayable managers ask for: soon; or at once, if that was due already. Not while it is paused.

    Attributes
    ----------
    frames
        Seconds that each frame took.
    own
        Processor time of this thread in each frame.
    """

    def __init__(self, headless: Any, size: tuple[int, int] = (200, 200)) -> None:
        self.frames: list[float] = []
        self.own: list[float] = []
        self._asked: float | None = None
        self._waiting = False
        self._view = OffscreenView(headless, size, slicer.vtkMRMLThreeDViewDisplayableManagerFactory, _3D_MANAGERS)
        self._view.renderer.SetUseDepthPeeling(True)
        self._view.renderer.SetUseDepthPeelingForVolumes(True)
        self._view.group.SetMRMLDisplayableNode(nodes_of(headless.scene, "vtkMRMLViewNode")[0])
        self._tag = self._view.group.AddObserver(vtkCommand.UpdateEvent, lambda *_: self._ask())
        self._timer = QtCore.QTimer()
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._draw)
        slicer.app.resumed.append(self._resume)

    def _ask(self) -> None:
        if slicer.app.paused:
            self._waiting = True
        elif self._asked is None:
            self._asked = time.perf_counter()
            self._timer.start(round(1000 * _SECONDS_PER_FRAME))
        elif time.perf_counter() - self._asked > _SECONDS_PER_FRAME:
            self._draw()

    def _resume(self) -> None:
        if self._waiting:
            self._waiting = False
            self._ask()

    def _draw(self) -> None:
        if slicer.app.paused:
            self._waiting, self._asked = True, None
            return
        self._timer.stop()
        self._asked = None
        began, own = time.perf_counter(), time.thread_time()
        self._view.window.Render()
        self.frames.append(time.perf_counter() - began)
        self.own.append(time.thread_time() - own)

    def close(self) -> None:
        """Free the view."""
        slicer.app.resumed.remove(self._resume)
        self._timer.stop()
        self._view.group.RemoveObserver(self._tag)
        self._view.close()
