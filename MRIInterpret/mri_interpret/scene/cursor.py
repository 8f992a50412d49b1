"""What lies under the mouse: every map's value, the region, and how much of the brain has as much relevance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer

from ..scene_content.vtk_images import voxels
from .atlas import LABEL_TAG
from .geometry import affine_of
from .result_nodes import ResultNodes
from .segmentation_input import segment_tag
from .views import to_world


@dataclass(frozen=True)
class Reading:
    """What is at a place. ``values`` are of the maps by key, in their units."""

    values: dict[str, float]
    region: str  # as the segmentation calls it; empty outside every region
    label: int  # the region's, 0 outside and in segments that the user added


def read_at(nodes: ResultNodes, point: Sequence[float]) -> Reading | None:
    """The maps' values and the region at a place in the world.

    Parameters
    ----------
    nodes
        The result. Its maps share one grid.
    point
        RAS mm, in the world.

    Returns
    -------
    Reading or None
        None outside the maps' grid.
    """
    to_voxels = np.linalg.inv(to_world(nodes.summary) @ affine_of(nodes.summary))
    i, j, k = (int(n) for n in np.rint((to_voxels @ np.array([*point, 1.0]))[:3]))
    index = (i, j, k)
    shape = nodes.summary.GetImageData().GetDimensions()
    if not all(0 <= i < length for i, length in zip(index, shape, strict=True)):
        return None
    keys = [key for key in nodes.volumes if key != "consensus"]
    values = {key: float(voxels(nodes.volumes[key].GetImageData())[index]) for key in keys}
    segment = _segment_at(nodes.atlas, index)
    if segment is None:
        return Reading(values, "", 0)
    return Reading(values, str(segment.GetName()), int(segment_tag(segment, LABEL_TAG) or 0))


def _segment_at(atlas: Any, index: tuple[int, int, int]) -> Any:
    """The segment that a voxel is in, or None.

    The segments share one label volume on the maps' grid, until somebody edits them: then there may be several, and
    the values in them are others than the regions' labels.
    """
    kind = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    segmentation = atlas.GetSegmentation()
    for layer in range(segmentation.GetNumberOfLayers(kind)):
        image = segmentation.GetLayerDataObject(layer, kind)
        i, j, k = (n - first for n, first in zip(index, image.GetExtent()[::2], strict=True))
        size = image.GetDimensions()
        inside = all(0 <= n < length for n, length in zip((i, j, k), size, strict=True))
        value = int(voxels(image)[i, j, k]) if inside else 0
        for key in segmentation.GetSegmentIDsForLayer(layer, kind) if value else ():
            segment = segmentation.GetSegment(key)
            if segment.GetLabelValue() == value:
                return segment
    return None
