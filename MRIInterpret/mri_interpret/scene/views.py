"""The slice and 3D views: which layers they show, where they cut, where the camera looks from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from ..scene_content.vtk_images import voxels
from .geometry import affine_of

Point = NDArray[np.float64]

_SLICES = (  # layout name, orientation, label, colour: Slicer's own
    ("Red", "Axial", "R", (0.953, 0.290, 0.200)),
    ("Yellow", "Sagittal", "Y", (0.929, 0.835, 0.298)),
    ("Green", "Coronal", "G", (0.431, 0.690, 0.294)),
)
COMPARED = tuple(f"MRIInterpretMap{number}" for number in (1, 2, 3, 4))  # views of the light-box
# In-plane world axes (RAS index) of each orientation: to the right of the screen and up.
_IN_PLANE = {"Axial": (0, 1), "Sagittal": (1, 2), "Coronal": (0, 2)}


def to_world(node: Any) -> NDArray[np.float64]:
    """4 x 4 from a node's own RAS to the world's, through its linear parent transforms."""
    parent = node.GetParentTransformNode()
    result = vtkMatrix4x4()
    if parent is not None:
        parent.GetMatrixTransformToWorld(result)
    return np.array([[result.GetElement(row, column) for column in range(4)] for row in range(4)])


def world_bounds(node: Any) -> tuple[Point, Point]:
    """Lowest and highest RAS mm of a volume node's voxel centres, in the world."""
    last = np.array(node.GetImageData().GetDimensions()) - 1
    corners = np.array([[i, j, k, 1.0] for i in (0, last[0]) for j in (0, last[1]) for k in (0, last[2])])
    world = (to_world(node) @ affine_of(node) @ corners.T)[:3]
    return world.min(axis=1), world.max(axis=1)


def peak(node: Any) -> Point:
    """RAS mm, in the world, of the voxel with the largest magnitude."""
    values = voxels(node.GetImageData()).T  # as VTK has it in memory: indexed (k, j, i)
    highest, lowest = int(values.argmax()), int(values.argmin())
    largest = highest if values.flat[highest] >= -float(values.flat[lowest]) else lowest
    k, j, i = np.unravel_index(largest, values.shape)
    return world_of(node, (int(i), int(j), int(k)))


def world_of(node: Any, voxel: tuple[int, int, int]) -> Point:
    """RAS mm, in the world, of a volume node's voxel."""
    return (to_world(node) @ affine_of(node) @ np.array([*voxel, 1.0]))[:3]


def add_views(scene: Any) -> None:
    """The views of Slicer's four-up layout, for a scene without a window, which would add them."""
    for name, orientation, label, colour in _SLICES:
        node = add_slice_view(scene, name, orientation)
        node.SetLayoutLabel(label)
        node.SetLayoutColor(*colour)
    view = scene.CreateNodeByClass("vtkMRMLViewNode")
    view.SetName("View1")
    view.SetLayoutName("1")
    view.SetSingletonTag("1")
    view.SetLayoutLabel("1")
    view = scene.AddNode(view)
    view.SetBackgroundColor(0.0, 0.0, 0.0)
    view.SetBackgroundColor2(0.0, 0.0, 0.0)
    view.SetBoxVisible(False)
    view.SetAxisLabelsVisible(False)
    view.SetOrientationMarkerType(view.OrientationMarkerTypeAxes)
    camera = scene.CreateNodeByClass("vtkMRMLCameraNode")
    camera.SetName("Camera")
    camera.SetLayoutName("1")
    scene.AddNode(camera)
    layout = scene.CreateNodeByClass("vtkMRMLLayoutNode")
    layout.SetSingletonTag("vtkMRMLLayoutNode")
    layout = scene.AddNode(layout)
    # Slicer has its own description of this layout; the node only needs some description to accept it.
    layout.AddLayoutDescription(layout.SlicerLayoutFourUpView, "<layout/>")
    layout.SetViewArrangement(layout.SlicerLayoutFourUpView)


def add_slice_view(scene: Any, name: str, orientation: str, saved: bool = True) -> Any:
    """A slice view's node, and the one that says what it shows.

    Parameters
    ----------
    scene
        vtkMRMLScene.
    name
        Its layout name.
    orientation
        "Axial", "Sagittal" or "Coronal".
    saved
        Whether both are saved with the scene.

    Returns
    -------
    vtkMRMLSliceNode
    """
    node = scene.CreateNodeByClass("vtkMRMLSliceNode")
    composite = scene.CreateNodeByClass("vtkMRMLSliceCompositeNode")
    for one in (node, composite):
        one.SetName(name)
        one.SetLayoutName(name)
        one.SetSingletonTag(name)
        one.SetSaveWithScene(saved)
    node = scene.AddNode(node)
    node.SetOrientation(orientation)
    node.SetOrientationMarkerType(node.OrientationMarkerTypeAxes)  # which side is right
    node.SetOrientationMarkerSize(node.OrientationMarkerSizeSmall)
    scene.AddNode(composite)
    return node


def nodes_of(scene: Any, class_name: str) -> list[Any]:
    """All nodes of a class."""
    return [scene.GetNthNodeByClass(n, class_name) for n in range(scene.GetNumberOfNodesByClass(class_name))]


def show_over_scan(scene: Any, scan: Any, foreground: Any, opacity: float = 0.75) -> None:
    """Scan behind, map in front, with its colour bar, in every slice view, all linked.

    The views in which maps are compared have a map each, see :mod:`.light_box`.
    """
    for composite in nodes_of(scene, "vtkMRMLSliceCompositeNode"):
        if composite.GetLayoutName() not in COMPARED:
            set_layers(composite, scan, foreground, opacity)


def set_layers(composite: Any, scan: Any, foreground: Any, opacity: float, linked: bool = True) -> None:
    """The same in one view. A view that is ``linked`` hands on what the user changes in it.

    The colour bars' manager follows a view's layers only when the view says that a layer was changed, by flags that
    Slicer's own selectors set.
    """
    with slicer.util.NodeModify(composite):
        composite.SetInteractionFlags(composite.BackgroundVolumeFlag | composite.ForegroundVolumeFlag)
        composite.SetBackgroundVolumeID(scan.GetID() if scan is not None else None)
        composite.SetForegroundVolumeID(foreground.GetID() if foreground is not None else None)
        composite.SetForegroundOpacity(opacity)
        composite.SetLinkedControl(linked)
        composite.Modified()
    composite.SetInteractionFlags(0)


def layers(scene: Any) -> set[str]:
    """IDs of the volumes that the slice views show, behind or in front."""
    shown = [
        node_id
        for composite in nodes_of(scene, "vtkMRMLSliceCompositeNode")
        for node_id in (composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID())
    ]
    return {node_id for node_id in shown if node_id}


def fit_slices(scene: Any, scan: Any, slice_nodes: Sequence[Any] | None = None) -> None:
    """Each slice view (or each of ``slice_nodes``) shows the whole scan, whatever the shape of its window."""
    low, high = world_bounds(scan)
    centre = (low + high) / 2
    for node in nodes_of(scene, "vtkMRMLSliceNode") if slice_nodes is None else slice_nodes:
        axes = _IN_PLANE.get(node.GetOrientation())
        width, height, _ = node.GetDimensions()
        if axes is None or not width or not height:
            continue
        pixel = 1.02 * max((high - low)[axes[0]] / width, (high - low)[axes[1]] / height)
        with slicer.util.NodeModify(node):  # else it is resliced at each change
            node.SetFieldOfView(pixel * width, pixel * height, node.GetFieldOfView()[2])
            node.JumpSliceByCentering(*centre)
            node.UpdateMatrices()


def jump_to(scene: Any, point: Sequence[float] | Point, slice_nodes: Sequence[Any] | None = None) -> None:
    """Move every slice view (or each of ``slice_nodes``) through a world point (RAS mm), without panning."""
    for node in nodes_of(scene, "vtkMRMLSliceNode") if slice_nodes is None else slice_nodes:
        node.JumpSliceByOffsetting(float(point[0]), float(point[1]), float(point[2]))


def aim_camera(scene: Any, scan: Any) -> None:
    """Look at the head from the front, right and above, from far enough to see all of it."""
    low, high = world_bounds(scan)
    centre, size = (low + high) / 2, float(np.linalg.norm(high - low))
    direction = np.array([0.75, 0.9, 0.4])
    for camera in nodes_of(scene, "vtkMRMLCameraNode"):
        with slicer.util.NodeModify(camera):
            camera.SetFocalPoint(*centre)
            camera.SetPosition(*(centre + direction / np.linalg.norm(direction) * size * 1.25))
            camera.SetViewUp(0.0, 0.0, 1.0)
            camera.SetViewAngle(30.0)
        camera.ResetClippingRange()


def select_active(scene: Any, scan: Any, table: Any, chart: Any) -> None:
    """Choose the volume, table and chart that Slicer's toolbars and views start with."""
    selection = scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    if selection is None:
        return
    selection.SetActiveVolumeID(scan.GetID())
    selection.SetActiveTableID(table.GetID())
    selection.SetActivePlotChartID(chart.GetID())
