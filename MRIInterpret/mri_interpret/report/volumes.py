"""The section "Volumes of this brain": what it says, and the picture of the segmentation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..anatomy import freesurfer
from ..anatomy.paired_volumes import PairedVolume, paired_volumes, volumes_sentence
from ..anatomy.segmentation import Segmentation
from ..anatomy.structures_as_regions import as_regions
from ..drawing.canvas import Picture
from ..drawing.label_montage import label_montage
from ..drawing.montage import Backdrop
from ..planes.slices import Floats
from ..thresholds import SMALLEST_REGION_ML

_LARGE = (2, 41, 7, 46, 24)  # white matter, and the fluid around the brain: outlined only
_SOURCES = {"network": "Segmented by the network {}.", "user": "Your own segmentation, {}."}


@dataclass(frozen=True)
class VolumesContent:
    """What the section says.

    Attributes
    ----------
    sentence
        Where the structures come from, and the volumes that readers look for first.
    of_probabilities
        Whether volumes are the network's, and not counts of voxels.
    measured
        Whether Dice and volume errors are known.
    structures, parcels
        Rows of the two tables.
    """

    sentence: str
    of_probabilities: bool
    measured: bool
    structures: list[PairedVolume]
    parcels: list[PairedVolume]
    smallest: float = SMALLEST_REGION_ML

    @classmethod
    def of(cls, segmentation: Segmentation | None) -> VolumesContent | None:
        """None for a result without a segmentation of its brain."""
        if segmentation is None:
            return None
        rows = paired_volumes(segmentation.structures)
        return cls(
            f"{_SOURCES[segmentation.source].format(segmentation.made_by)} {volumes_sentence(segmentation)}",
            segmentation.source == "network",
            any(np.isfinite(row.dice) for row in rows),
            [row for row in rows if not row.is_parcel],
            [row for row in rows if row.is_parcel],
        )


def anatomy_montage(segmentation: Segmentation, backdrop: Backdrop) -> Picture:
    """The structures' outlines over the scan, in FreeSurfer's colours, also through the hippocampus."""
    regions = as_regions(segmentation)
    through = _centre(segmentation, "Left-Hippocampus")
    caption = (
        "Outlines of the structures in FreeSurfer's colours: where the segmentation is good, they follow the edges in "
        "the scan."
    )
    if through is not None:
        caption += " Slices marked ▲ pass through the left hippocampus."
    return label_montage(
        backdrop,
        regions.volume,
        {region.label: region.colour for region in regions.regions},
        f"The scan with the outlines of {len(regions.regions)} structures of this brain.",
        caption,
        only_outlined=_LARGE,
        through=through,
    )


def _centre(segmentation: Segmentation, name: str) -> Floats | None:
    places = np.argwhere(np.asarray(segmentation.labels.array) == freesurfer.label_of(name))
    if not len(places):
        return None
    affine = segmentation.labels.affine
    return np.asarray(affine[:3, :3] @ np.median(places, axis=0) + affine[:3, 3])
