"""Slicer's views without its window, alive: they are resized, and mouse and keyboard reach Slicer's own interaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from vtkmodules.vtkCommonCore import reference, vtkCommand
from vtkmodules.vtkInteractionStyle import vtkInteractorStyleUser
from vtkmodules.vtkRenderingCore import vtkInteractorStyle3D

from .headless import HeadlessScene
from .pictures import SLICE_MANAGERS, OffscreenView, Picture, SliceView, three_d_view
from .views import nodes_of

_FRAMES_PER_SECOND = 8.0  # that a 3D view aims at while it is turned: it samples the volume less densely then


def add_crosshair(scene: Any) -> Any:
    """The node that knows where the mouse is; Slicer's window adds it, a scene without one lacks it."""
    node = slicer.vtkMRMLCrosshairNode()
    node.SetCrosshairName("default")
    return scene.AddNode(node)


class LiveSliceView(SliceView):
    """A slice view that takes mouse and keyboard: wheel and arrow keys scroll, drags zoom, pan and set the window.

    Parameters
    ----------
    headless, name
        As of :class:`~.pictures.SliceView`.
    """

    def __init__(self, headless: HeadlessScene, name: str) -> None:
        super().__init__(headless, name, managers=(*SLICE_MANAGERS, "vtkMRMLCrosshairDisplayableManager"))
        self.interactor = self.view.interactor
        self._style = slicer.vtkMRMLSliceViewInteractorStyle()
        self._style.SetSliceLogic(self.logic)
        self._style.SetDisplayableManagers(self.view.group)
        self.interactor.SetInteractorStyle(vtkInteractorStyleUser())
        self._style.SetInteractor(self.interactor)

    def resize(self, width: int, height: int) -> None:
        """Give it another size, in pixels; a voxel keeps its size on the screen."""
        self.interactor.UpdateSize(width, height)
        self.logic.ResizeSliceNode(width, height)

    def on_change(self, call: Callable[[], None]) -> None:
        """Call when it has something new to draw."""
        self.view.group.AddObserver(vtkCommand.UpdateEvent, lambda *_: call())
        self.logic.AddObserver(vtkCommand.ModifiedEvent, lambda *_: call())

    @property
    def range(self) -> tuple[float, float, float]:
        """Lowest and highest offset, and the distance of slices, in mm; 0, 1, 1 without a volume."""
        limits = [0.0, 0.0]
        step: Any = reference(1.0)
        if not self.logic.GetSliceOffsetRangeResolution(limits, step) or limits[1] <= limits[0]:
            return 0.0, 1.0, 1.0
        return limits[0], limits[1], float(step.get())


class LiveView3D:
    """A 3D view that is turned and zoomed with the mouse."""

    def __init__(self, headless: HeadlessScene) -> None:
        self.view: OffscreenView = three_d_view(headless, (400, 400))
        self.interactor = self.view.interactor
        self._style = slicer.vtkMRMLThreeDViewInteractorStyle()
        self._style.SetDisplayableManagers(self.view.group)
        self._style.SetInteractor(self.interactor)
        self.interactor.SetInteractorStyle(vtkInteractorStyle3D())
        self.node = nodes_of(headless.scene, "vtkMRMLViewNode")[0]
        self.node.SetVolumeRenderingQuality(self.node.Adaptive)
        self.node.SetExpectedFPS(_FRAMES_PER_SECOND)
        self.view.group.SetMRMLDisplayableNode(self.node)

    def resize(self, width: int, height: int) -> None:
        """Give it another size, in pixels."""
        self.interactor.UpdateSize(width, height)

    def on_change(self, call: Callable[[], None]) -> None:
        """Call when it has something new to draw."""
        self.view.group.AddObserver(vtkCommand.UpdateEvent, lambda *_: call())

    def picture(self) -> Picture:
        """What it shows now."""
        self.view.renderer.ResetCameraClippingRange()
        return self.view.picture()

    def close(self) -> None:
        """Free the view; its nodes stay."""
        self.view.close()


LiveView = LiveSliceView | LiveView3D

__all__ = ["LiveSliceView", "LiveView", "LiveView3D", "add_crosshair"]
