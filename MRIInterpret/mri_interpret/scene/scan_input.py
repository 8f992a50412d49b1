"""From nodes to what the main job takes: the scan's volume, the model's further inputs, the mask on the scan's grid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import slicer

from ..errors import UserError
from ..images.volume import Volume
from ..scene_content.vtk_images import voxels
from .geometry import oriented_image, volume_of
from .nodes import ROLE, RUN


def first_scan(scene: Any) -> Any:
    """The first volume node of a scene that may be a scan, or None.

    It is of the class of scans itself, not of label maps or colour images, and no map of a result; what nobody put
    there but the user goes before the scans of results.
    """
    count = scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
    volumes = [scene.GetNthNodeByClass(number, "vtkMRMLScalarVolumeNode") for number in range(count)]
    scans = [
        node
        for node in volumes
        if node.GetClassName() == "vtkMRMLScalarVolumeNode" and node.GetAttribute(ROLE) in (None, "scan")
    ]
    return min(scans, key=lambda node: bool(node.GetAttribute(RUN)), default=None)


def scan_of(node: Any, copy: bool = True) -> Volume:
    """The voxels and geometry of a scan's node, in the node's own coordinates.

    Results go under the scan's parent transform, so it is not applied here.

    Parameters
    ----------
    node
        vtkMRMLScalarVolumeNode.
    copy
        If false, the voxels are the node's own: they stay valid when the node goes away, but follow its changes.

    Raises
    ------
    UserError
        If the node holds no image, or lies under a transform that is not linear.
    """
    if node is None or not node.IsA("vtkMRMLScalarVolumeNode"):
        raise UserError("No scan is chosen: choose a volume.")
    parent = node.GetParentTransformNode()
    if parent is not None and not parent.IsTransformToWorldLinear():
        raise UserError(
            f"The volume {node.GetName()} is under the non-linear transform {parent.GetName()}: "
            "harden the transform, or take the volume out of it."
        )
    try:
        return volume_of(node, copy)
    except ValueError as error:
        raise UserError(f"The volume {node.GetName()} cannot be explained: {error}.") from error


def inputs_of(nodes: Mapping[str, Any], scan_node: Any, copy: bool = True) -> dict[str, Volume]:
    """The model's further inputs by channel, each on its own grid in the scan's world.

    Parameters
    ----------
    nodes
        Channel to vtkMRMLScalarVolumeNode.
    scan_node
        The scan: they must lie under the same transform, because it is not applied.
    copy
        As of :func:`scan_of`.

    Raises
    ------
    UserError
        If a node is none, is the scan itself, or lies under another transform.
    """
    found = {}
    for channel, node in nodes.items():
        if node is None or not node.IsA("vtkMRMLScalarVolumeNode"):
            raise UserError(f"No volume is chosen for the model's further input '{channel}': choose one.")
        if node.GetID() == scan_node.GetID():
            raise UserError(
                f"The volume {node.GetName()} is chosen as the scan and as the further input '{channel}': choose the "
                "other image for one of them."
            )
        if node.GetTransformNodeID() != scan_node.GetTransformNodeID():
            raise UserError(
                f"The volume {node.GetName()} and the scan {scan_node.GetName()} are not under the same transform: "
                "put both under the same one."
            )
        found[channel] = scan_of(node, copy)
    return found


def mask_of(node: Any, scan_node: Any) -> Volume | None:
    """The brain mask on the scan's grid, from a label volume or from all segments of a segmentation.

    Returns
    -------
    Volume or None
        uint8, 0 or 1, shape (I, J, K) of the scan; None without a node.

    Raises
    ------
    UserError
        If the label volume has another grid than the scan, the two lie under different transforms, or the mask is
        empty.
    """
    if node is None:
        return None
    if node.GetTransformNodeID() != scan_node.GetTransformNodeID():
        raise UserError(
            f"The mask {node.GetName()} and the volume {scan_node.GetName()} are not under the same transform: "
            "put both under the same one."
        )
    scan = volume_of(scan_node, copy=False)
    if node.IsA("vtkMRMLSegmentationNode"):
        array = _segments_on_grid(node, scan)
    else:
        labels = volume_of(node, copy=False)
        if not labels.grid.same_as(scan.grid, 1e-3):
            raise UserError(
                f"The mask {node.GetName()} does not lie on the voxel grid of {scan_node.GetName()}: "
                "resample it, or choose a segmentation."
            )
        array = labels.array > 0
    if not array.any():
        raise UserError(f"The mask {node.GetName()} is empty: draw the brain, or choose no mask.")
    return scan.with_array(np.asarray(array, np.uint8), node.GetName())


def _segments_on_grid(segmentation: Any, scan: Volume) -> Any:
    """Voxels of the scan that are in any segment; bool, shape (I, J, K)."""
    merged = slicer.vtkOrientedImageData()
    reference = oriented_image(scan.with_array(np.zeros(scan.shape, np.uint8)))
    whole = slicer.vtkSegmentation.EXTENT_REFERENCE_GEOMETRY
    if not segmentation.GenerateMergedLabelmapForAllSegments(merged, whole, reference):
        raise UserError(
            f"The segmentation {segmentation.GetName()} has no segments: draw the brain, or choose no mask."
        )
    return voxels(merged) > 0
