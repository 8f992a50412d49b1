"""Of a result in the scene, what its export as DICOM needs: the scan's files, and the regions as labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import slicer

from ..images.volume import Volume
from .atlas import LABEL_TAG
from .geometry import volume_of
from .segmentation_input import labels_on_grid, segment_tag

_INSTANCES = "DICOM.instanceUIDs"  # Slicer's DICOM module writes them on the volumes that it loads


def series_files(scan_node: Any) -> list[Path]:
    """The files that a volume was loaded from by Slicer's DICOM module; empty for any other volume.

    A scan whose files have left the database, or were moved since, has none.
    """
    instances = str(scan_node.GetAttribute(_INSTANCES) or "").split() if scan_node is not None else []
    database = getattr(slicer, "dicomDatabase", None)
    if database is None:
        return []
    files = [str(database.fileForInstance(uid) or "") for uid in instances]
    return [Path(file) for file in files] if all(files) and all(Path(file).is_file() for file in files) else []


def region_labels(atlas: Any, grid_node: Any) -> tuple[Volume, dict[int, tuple[float, float, float]]]:
    """The regions of a result as labels on the grid of one of its maps, and each label's colour (0 to 1).

    Parameters
    ----------
    atlas
        The result's vtkMRMLSegmentationNode.
    grid_node
        A volume node of the result.
    """
    segmentation = atlas.GetSegmentation()
    segments = {
        segmentation.GetNthSegmentID(n): segmentation.GetNthSegment(n)
        for n in range(segmentation.GetNumberOfSegments())
    }
    tagged = {key: segment_tag(segment, LABEL_TAG) for key, segment in segments.items()}
    own = {key: int(label) for key, label in tagged.items() if label}  # the user may have drawn others since
    grid = volume_of(grid_node, copy=False)
    names = {key: (own.get(key, 0), str(segment.GetName())) for key, segment in segments.items()}
    labels = labels_on_grid(atlas, grid, names) if names else np.zeros(grid.shape, np.int32)
    return grid.with_array(labels, atlas.GetName()), {own[key]: segments[key].GetColor() for key in own}
