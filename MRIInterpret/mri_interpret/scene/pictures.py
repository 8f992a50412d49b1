"""Pictures of a scene, drawn off-screen by Slicer's own displayable managers: slices and the 3D view.

Slicer's window puts each slice image on the screen with a Qt-side helper that slicer-core does not have; here a plain
image actor does that. All else (colours, overlays, legends, outlines, models, volume rendering) is Slicer's code.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import slicer
import vtkmodules.vtkRenderingContextOpenGL2
import vtkmodules.vtkRenderingFreeType
import vtkmodules.vtkRenderingOpenGL2
import vtkmodules.vtkRenderingVolumeOpenGL2  # noqa: F401 - these register the renderers
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkRenderingCore import (
    vtkActor2D,
    vtkImageMapper,
    vtkRenderer,
    vtkRenderWindow,
    vtkRenderWindowInteractor,
    vtkWindowToImageFilter,
)

from ..drawing.rendering import load_triton_first
from .headless import HeadlessScene
from .views import COMPARED, fit_slices, nodes_of

Picture = NDArray[np.uint8]  # (height, width, 3), the first row at the top

SLICE_MANAGERS = (
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLColorLegendDisplayableManager",
)
_3D_MANAGERS = (
    "vtkMRMLVolumeRenderingDisplayableManager",
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLColorLegendDisplayableManager",
)


class OffscreenView:
    """A render window without a screen, and the displayable managers that fill it.

    Parameters
    ----------
    headless
        The scene.
    size
        Width and height in pixels.
    factory_class
        Slicer's factory for the managers of this kind of view.
    managers
        Class names.
    """

    def __init__(self, headless: HeadlessScene, size: tuple[int, int], factory_class: Any, managers: tuple[str, ...]):
        load_triton_first()
        self.renderer = vtkRenderer()
        self.window = vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.SetMultiSamples(0)
        self.window.SetSize(*size)
        self.window.AddRenderer(self.renderer)
        self.interactor = vtkRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self.interactor.Initialize()
        factory = factory_class.GetInstance()
        factory.SetMRMLApplicationLogic(headless.application_logic)
        for name in managers:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self.group = slicer.vtkMRMLDisplayableManagerGroup()
        self.group.SetRenderer(self.renderer)
        self.group.Initialize(factory, self.renderer)

    def picture(self) -> Picture:
        """What it shows now."""
        self.window.Render()
        grab = vtkWindowToImageFilter()
        grab.SetInput(self.window)
        grab.SetInputBufferTypeToRGB()
        grab.ReadFrontBufferOff()
        grab.Update()
        image = grab.GetOutput()
        width, height, _ = image.GetDimensions()
        return np.flipud(vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, 3)).copy()

    def close(self) -> None:
        """Free the window; nodes stay."""
        self.group.SetMRMLDisplayableNode(None)
        self.window.Finalize()


def _show_legends(composite: Any) -> None:
    """Legends appear when a layer changes. Here the view is made after the layers were set, so set them once more."""
    foreground = composite.GetForegroundVolumeID()
    for volume in (None, foreground):
        composite.SetInteractionFlags(composite.ForegroundVolumeFlag)
        composite.SetForegroundVolumeID(volume)
        composite.Modified()
    composite.SetInteractionFlags(0)


class SliceView:
    """A slice view that stays open, as those of Slicer's window: it follows what happens to its nodes.

    Parameters
    ----------
    headless
        The scene. The view's node must be in it, see :func:`views.add_views`.
    name
        Layout name: "Red" (axial), "Yellow" (sagittal) or "Green" (coronal).
    size
        Width and height in pixels.
    managers
        Class names of the displayable managers that fill it.

    Attributes
    ----------
    view
        Its window and renderer.
    logic, node
        vtkMRMLSliceLogic and vtkMRMLSliceNode.
    """

    def __init__(
        self,
        headless: HeadlessScene,
        name: str = "Red",
        size: tuple[int, int] = (400, 400),
        managers: tuple[str, ...] = SLICE_MANAGERS,
    ) -> None:
        self._headless = headless
        self.view = OffscreenView(headless, size, slicer.vtkMRMLSliceViewDisplayableManagerFactory, managers)
        self.view.renderer.GetActiveCamera().ParallelProjectionOn()
        overlay = vtkRenderer()
        overlay.GetActiveCamera().ParallelProjectionOn()
        overlay.SetLayer(1)
        self.view.window.SetNumberOfLayers(2)
        self.view.window.AddRenderer(overlay)
        self._actor: Any = None
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(headless.application_logic)
        headless.application_logic.GetSliceLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(headless.scene)
        self.node = next(n for n in nodes_of(headless.scene, "vtkMRMLSliceNode") if n.GetLayoutName() == name)
        self.logic.SetSliceNode(self.node)
        self.node.SetDimensions(size[0], size[1], 1)
        self.view.group.SetMRMLDisplayableNode(self.node)

    @property
    def composite(self) -> Any:
        """The node that says which volumes are shown."""
        return self.logic.GetSliceCompositeNode()

    def picture(self) -> Picture:
        """What it shows now."""
        self.logic.UpdatePipeline()
        if self._actor is not None:
            self.view.renderer.RemoveViewProp(self._actor)
            self._actor = None
        if self.logic.GetImageDataConnection() is not None:
            mapper = vtkImageMapper()
            mapper.SetColorWindow(255)
            mapper.SetColorLevel(127.5)
            mapper.SetInputConnection(self.logic.GetImageDataConnection())
            self._actor = vtkActor2D()
            self._actor.SetMapper(mapper)
            self._actor.GetProperty().SetDisplayLocationToBackground()
            self.view.renderer.AddViewProp(self._actor)
        return self.view.picture()

    def close(self) -> None:
        """Free the view; its nodes stay."""
        self.view.close()
        self._headless.application_logic.GetSliceLogics().RemoveItem(self.logic)
        self.logic.SetMRMLScene(None)

    def __enter__(self) -> SliceView:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def slice_picture(headless: HeadlessScene, name: str = "Red", size: tuple[int, int] = (400, 400)) -> Picture:
    """What a slice view shows, the whole of the volume behind in it.

    Parameters
    ----------
    headless, name, size
        As of :class:`SliceView`.
    """
    with SliceView(headless, name, size) as view:
        background = headless.scene.GetNodeByID(view.composite.GetBackgroundVolumeID() or "")
        if background is not None:
            centre = [view.node.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
            fit_slices(headless.scene, background, [view.node])
            view.node.JumpSliceByOffsetting(*centre)
        _show_legends(view.composite)
        return view.picture()


def three_d_view(headless: HeadlessScene, size: tuple[int, int]) -> OffscreenView:
    """An empty 3D view that draws translucent surfaces and volumes in the right order."""
    view = OffscreenView(headless, size, slicer.vtkMRMLThreeDViewDisplayableManagerFactory, _3D_MANAGERS)
    view.renderer.SetUseDepthPeeling(True)
    view.renderer.SetUseDepthPeelingForVolumes(True)
    view.renderer.SetMaximumNumberOfPeels(50)
    view.renderer.SetOcclusionRatio(0.0)
    return view


def view_picture(headless: HeadlessScene, size: tuple[int, int] = (400, 400)) -> Picture:
    """What the 3D view shows: the brain surface, and volume rendering where it is switched on."""
    view = three_d_view(headless, size)
    try:
        node = nodes_of(headless.scene, "vtkMRMLViewNode")[0]
        view.group.SetMRMLDisplayableNode(node)
        view.renderer.ResetCameraClippingRange()
        return view.picture()
    finally:
        view.close()


def four_up(headless: HeadlessScene, size: tuple[int, int] = (400, 400)) -> Picture:
    """Axial, 3D, coronal and sagittal view in one picture, as in Slicer's four-up layout."""
    top = [slice_picture(headless, "Red", size), view_picture(headless, size)]
    bottom = [slice_picture(headless, "Green", size), slice_picture(headless, "Yellow", size)]
    return np.vstack([np.hstack(top), np.hstack(bottom)])


def compared(headless: HeadlessScene, size: tuple[int, int] = (400, 400)) -> Picture:
    """The four views in which maps are compared, see :mod:`.light_box`, in one picture."""
    tiles = [slice_picture(headless, name, size) for name in COMPARED]
    return np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])])


def save_png(picture: Picture, path: str | Path) -> None:
    """Write a picture as PNG, aside and renamed."""
    from matplotlib import image

    from ..atomic import replacing

    with replacing(path) as aside:
        image.imsave(str(aside), picture, format="png")


__all__ = [
    "OffscreenView",
    "SliceView",
    "compared",
    "four_up",
    "save_png",
    "slice_picture",
    "three_d_view",
    "view_picture",
]
