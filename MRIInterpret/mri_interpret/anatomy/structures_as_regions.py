"""A segmentation as what statistics per region take: regions with names and colours, and the labels on a grid."""

from __future__ import annotations

import numpy as np

from . import freesurfer
from .atlas import Atlas, Region
from .segmentation import Segmentation

BRAIN = "structures of this brain"
_GREY = (0.6, 0.6, 0.6)


def as_regions(segmentation: Segmentation) -> Atlas:
    """The structures that have voxels of their own, as regions on the scan's grid.

    The whole cortex is no region where its parcels are, since each voxel belongs to one region.
    """
    present = {int(label) for label in np.unique(segmentation.labels.array) if label}
    regions = tuple(
        Region(one.label, one.name, freesurfer.colour_of(one.label) if freesurfer.is_known(one.label) else _GREY)
        for one in segmentation.structures
        if one.label in present
    )
    return Atlas(BRAIN, segmentation.labels, regions)
