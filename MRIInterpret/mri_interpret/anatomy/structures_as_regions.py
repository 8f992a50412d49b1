"""A segmentation as what statistics per region take: regions with names and colours, and the labels on a grid."""

from __future__ import annotations

from . import freesurfer
from .atlas import Atlas, Region
from .segmentation import Segmentation

BRAIN = "structures of this brain"
_GREY = (0.6, 0.6, 0.6)


def as_regions(segmentation: Segmentation) -> Atlas:
    """The structures as regions on the scan's grid, those without a voxel included, with their measured volumes.

    The whole cortex is no region where its parcels are, since each voxel belongs to one region.
    """
    given = {one.label for one in segmentation.structures}
    divided = {
        cortex
        for cortex, base in ((freesurfer.LEFT_CORTEX, 1000), (freesurfer.RIGHT_CORTEX, 2000))
        if any(base < label < base + 1000 for label in given)
    }
    regions = tuple(
        Region(one.label, one.name, freesurfer.colour_of(one.label) if freesurfer.is_known(one.label) else _GREY)
        for one in segmentation.structures
        if one.label not in divided
    )
    measured = {one.label: 1000 * one.ml for one in segmentation.structures}
    return Atlas(BRAIN, segmentation.labels, regions, measured)
