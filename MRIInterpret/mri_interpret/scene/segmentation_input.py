"""The user's own segmentation from a node: labels on the scan's grid, and what each is called."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from ..anatomy import freesurfer
from ..anatomy.segment_names import FIRST_OWN, label_of_words, number_in
from ..errors import UserError
from ..images.volume import Array, Volume
from ..scene_content.terminology import name_of_code
from ..scene_content.vtk_images import voxels
from .atlas import LABEL_TAG
from .geometry import oriented_image, volume_of


def segmentation_of(node: Any, scan_node: Any) -> tuple[Volume, dict[int, str]] | None:
    """Labels on the scan's grid, and their names, from a segmentation or a label volume.

    A segment is the FreeSurfer structure of its name ("Left-Hippocampus", "hippocampus left"), else of its standard
    code, else of the label in its name ("Segment_17", as Slicer calls what it reads without names), else a region of
    its own. The values of a label volume are taken to be FreeSurfer's.

    Parameters
    ----------
    node
        vtkMRMLSegmentationNode or vtkMRMLLabelMapVolumeNode; None for none.
    scan_node
        vtkMRMLScalarVolumeNode.

    Returns
    -------
    tuple or None
        int32 labels, shape (I, J, K) of the scan, and label to name; None without a node.

    Raises
    ------
    UserError
        If the two lie under different transforms, the label volume has another grid, there is no label, or segments
        overlap.
    """
    if node is None:
        return None
    if node.GetTransformNodeID() != scan_node.GetTransformNodeID():
        raise UserError(
            f"The segmentation {node.GetName()} and the volume {scan_node.GetName()} are not under the same transform: "
            "put both under the same one."
        )
    scan = volume_of(scan_node, copy=False)
    if node.IsA("vtkMRMLSegmentationNode"):
        names = label_names(node)
        array = labels_on_grid(node, scan, names)
    else:
        names = {}
        labels = volume_of(node, copy=False)
        if not labels.grid.same_as(scan.grid, 1e-3):
            raise UserError(
                f"The segmentation {node.GetName()} does not lie on the voxel grid of {scan_node.GetName()}: "
                "resample it, or import it into a segmentation."
            )
        array = np.asarray(labels.array).astype(np.int32)
    if not array.any():
        raise UserError(f"The segmentation {node.GetName()} is empty within {scan_node.GetName()}: choose another one.")
    return scan.with_array(array, node.GetName()), {label: name for _segment, (label, name) in names.items()}


def label_names(node: Any) -> dict[str, tuple[int, str]]:
    """Each segment's label and name, by the segment's identifier; no two segments share a label."""
    segmentation = node.GetSegmentation()
    found: dict[str, tuple[int, str]] = {}
    for number in range(segmentation.GetNumberOfSegments()):
        segment, key = segmentation.GetNthSegment(number), segmentation.GetNthSegmentID(number)
        label = _label(segment)
        if label is None or label in {taken for taken, _ in found.values()}:
            label = FIRST_OWN + number
        name = freesurfer.name_of(label) if freesurfer.is_known(label) else str(segment.GetName())
        found[key] = (label, name)
    return found


def _label(segment: Any) -> int | None:
    """The FreeSurfer label of a segment, None if it is none of FreeSurfer's structures."""
    name = str(segment.GetName())
    known = label_of_words(name)
    if known is not None:
        return known
    code = segment.GetTerminology() if segment.HasTerminology() else ""
    coded = name_of_code(code)
    if coded:
        return freesurfer.label_of(coded)
    numbered = number_in(name)
    if numbered is not None:
        return numbered
    value = segment_tag(segment, LABEL_TAG)
    return int(value) if value and freesurfer.is_known(int(value)) else None


def segment_tag(segment: Any, name: str) -> str:
    """A tag of a segment, "" if it has none."""
    from vtkmodules.vtkCommonCore import reference

    value: Any = reference("")
    return str(value.get()) if segment.GetTag(name, value) else ""


def labels_on_grid(node: Any, scan: Volume, names: dict[str, tuple[int, str]]) -> Array:
    """Voxels of the scan with the labels of the segments, nearest neighbour; int32, shape (I, J, K).

    Parameters
    ----------
    node
        vtkMRMLSegmentationNode.
    scan
        Whose grid it is.
    names
        Label and name by the segment's identifier.

    Raises
    ------
    UserError
        If there is no segment, the segments are surfaces only, or they overlap.
    """
    segmentation = node.GetSegmentation()
    kind = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    if not names:
        raise UserError(f"The segmentation {node.GetName()} has no segments: choose another one.")
    if not segmentation.ContainsRepresentation(kind):
        raise UserError(
            f"The segmentation {node.GetName()} holds surfaces only: create its binary label map in the Segmentations "
            "module."
        )
    reference = oriented_image(scan.with_array(np.zeros(scan.shape, np.uint8)))
    labels = np.zeros(scan.shape, np.int32)
    for layer in range(segmentation.GetNumberOfLayers(kind)):
        placed = slicer.vtkOrientedImageData()
        image = segmentation.GetLayerDataObject(layer, kind)
        if not slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
            image, reference, placed, False
        ):
            continue
        values = voxels(placed).astype(np.int64)
        table = np.zeros(max(int(values.max(initial=0)), 0) + 1, np.int32)
        for key in segmentation.GetSegmentIDsForLayer(layer, kind):
            value = segmentation.GetSegment(key).GetLabelValue()
            if value < len(table):
                table[value] = names[key][0]
        own = table[values]
        if np.any((labels > 0) & (own > 0)):
            raise UserError(
                f"Segments of {node.GetName()} overlap, but a voxel belongs to one region: remove the overlap with "
                "the Segment Editor."
            )
        labels = np.where(own > 0, own, labels)
    return labels
