"""The deformed scan as a volume node, and its displacement as a grid transform: to flicker between, and to look at."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import slicer
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from ..images.grid import Grid
from ..scene_content.counterfactual_content import CounterfactualContent
from ..scene_content.vtk_images import matrix
from . import views
from .geometry import fill_steps
from .nodes import METHOD, ROLE, NodeMaker, nodes_of_run
from .result_nodes import COUNTERFACTUAL as SCAN
from .result_nodes import ResultNodes

DISPLACEMENT = "displacement"  # role
_GRID_MM = 8.0  # between the lines of the grid that is drawn


def add_counterfactual(
    make: NodeMaker, one: CounterfactualContent, window: tuple[float, float] | None
) -> Generator[None, None, tuple[Any, Any]]:
    """The two nodes, in steps: the deformed scan, shown as the scan is, and the transform, with nothing under it yet.

    A scan that is put under the transform looks as the counterfactual does, and hardening it makes its voxels so.

    Parameters
    ----------
    make
        Where the nodes are added.
    one
        The counterfactual.
    window
        Grey values from black to white, those of the scan.
    """
    volume = make.add("vtkMRMLScalarVolumeNode", one.title, SCAN, one.method)
    yield from fill_steps(volume, one.scan)
    volume.CreateDefaultDisplayNodes()
    display = volume.GetDisplayNode()
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
    if window is not None:
        display.SetAutoWindowLevel(0)
        display.SetWindowLevelMinMax(*window)
    yield
    transform = make.add(
        "vtkMRMLGridTransformNode", one.title.replace("Counterfactual", "Displacement", 1), DISPLACEMENT, one.method
    )
    # "From parent" leads from where something is seen to where it came from, as the field does.
    transform.SetAndObserveTransformFromParent(grid_transform(one))
    yield
    return volume, transform


def grid_transform(one: CounterfactualContent) -> Any:
    """The field as vtkOrientedGridTransform: x goes to x + u(x)."""
    vectors = one.vectors
    k, j, i, _ = vectors.shape
    image = vtkImageData()
    image.SetDimensions(i, j, k)
    spacing = Grid((i, j, k), one.affine).spacing
    image.SetSpacing(*spacing.tolist())
    image.SetOrigin(*one.affine[:3, 3].tolist())
    image.GetPointData().SetScalars(numpy_to_vtk(vectors.reshape(-1, 3), deep=True))
    direction = vtkMatrix4x4()
    turned = matrix(one.affine)
    for column in range(3):
        for row in range(3):
            direction.SetElement(row, column, turned.GetElement(row, column) / float(spacing[column]))
    transform = slicer.vtkOrientedGridTransform()
    transform.SetDisplacementGridData(image)
    transform.SetGridDirectionMatrix(direction)
    transform.SetInterpolationModeToLinear()
    return transform


def counterfactuals_of(nodes: ResultNodes) -> dict[str, tuple[Any, Any]]:
    """The deformed scan and the transform of each counterfactual of a result, by the key of its map."""
    found: dict[str, dict[str, Any]] = {}
    for node in nodes_of_run(nodes.summary.GetScene(), nodes.run):
        if node.GetAttribute(ROLE) in (SCAN, DISPLACEMENT):
            found.setdefault(node.GetAttribute(METHOD), {})[node.GetAttribute(ROLE)] = node
    return {
        method: (pair[SCAN], pair[DISPLACEMENT])
        for method, pair in found.items()
        if SCAN in pair and DISPLACEMENT in pair
    }


def show_counterfactual(nodes: ResultNodes, method: str, wanted: bool) -> None:
    """Put the deformed scan, or the scan itself, behind the map in every slice view."""
    from .map_display import scan_under

    volume, _ = counterfactuals_of(nodes)[method]
    behind = volume if wanted else nodes.scan or scan_under(nodes)
    for composite in views.nodes_of(nodes.summary.GetScene(), "vtkMRMLSliceCompositeNode"):
        composite.SetBackgroundVolumeID(behind.GetID())


def counterfactual_is_shown(nodes: ResultNodes, method: str) -> bool:
    """Whether it is behind the map in a slice view."""
    pair = counterfactuals_of(nodes).get(method)
    composites = views.nodes_of(nodes.summary.GetScene(), "vtkMRMLSliceCompositeNode")
    return pair is not None and any(one.GetBackgroundVolumeID() == pair[0].GetID() for one in composites)


def show_grid(nodes: ResultNodes, method: str, wanted: bool) -> None:
    """Draw the deformation as a bent grid over the slices, or do not."""
    _, transform = counterfactuals_of(nodes)[method]
    if wanted and transform.GetDisplayNode() is None:
        transform.CreateDefaultDisplayNodes()
        display = transform.GetDisplayNode()
        display.SetVisualizationMode(display.VIS_MODE_GRID)
        display.SetGridSpacingMm(_GRID_MM)
        display.SetVisibility3D(False)
    display = transform.GetDisplayNode()
    if display is not None:
        display.SetVisibility2D(wanted)
        display.SetVisibility(wanted)


def grid_is_shown(nodes: ResultNodes, method: str) -> bool:
    """Whether the grid is drawn."""
    pair = counterfactuals_of(nodes).get(method)
    display = None if pair is None else pair[1].GetDisplayNode()
    return display is not None and bool(display.GetVisibility()) and bool(display.GetVisibility2D())
