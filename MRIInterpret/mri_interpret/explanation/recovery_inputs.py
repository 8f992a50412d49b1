"""What the recovery check needs: this brain's structures on the network's grid, and the answer that should rise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..anatomy import freesurfer
from ..checks.recovery import STRUCTURES
from ..errors import UserError
from ..images.volume import Volume, resample
from ..models.outputs import OutputMeaning
from ..models.targets import output_weights, read_target

if TYPE_CHECKING:
    from ..anatomy.segmentation import Segmentation
    from ..images.volume import Grid
    from ..preprocessing.pipeline import PreprocessedScan

DISEASE_TARGET = "AD-CN"
_TEMPORAL = (
    *("bankssts", "entorhinal", "fusiform", "inferiortemporal", "middletemporal", "parahippocampal"),
    *("superiortemporal", "temporalpole", "transversetemporal"),
)
#: FreeSurfer's names of the left side, by the names of :data:`.recovery.STRUCTURES`.
_LEFT = dict(
    zip(
        STRUCTURES,
        (
            ("Left-Hippocampus",),
            ("Left-Amygdala",),
            tuple(f"ctx-lh-{name}" for name in _TEMPORAL),
            ("Left-Lateral-Ventricle", "Left-Inf-Lat-Vent", "Left-choroid-plexus"),
        ),
        strict=True,
    )
)


def structures_on_grid(anatomy: Segmentation, grid: Grid, prepared: PreprocessedScan) -> dict[str, NDArray[np.float32]]:
    """How much of each voxel of the network's grid each structure of :data:`.recovery.STRUCTURES` fills, both sides.

    Structures that the segmentation does not have are left out.
    """
    to_scan = np.linalg.inv(prepared.to_template)
    found = {}
    for name, left in _LEFT.items():
        labels = [freesurfer.label_of(one) for one in left]
        labels += [other for one in labels if (other := freesurfer.opposite_of(one)) is not None]
        where = np.isin(anatomy.labels.array, labels).astype(np.float32)
        if where.any():
            found[name] = resample(Volume(where, anatomy.labels.affine), grid, to_scan).array
    return found


def towards_disease(meaning: OutputMeaning) -> list[float] | None:
    """Weights of the model's outputs that rise from healthy to Alzheimer's disease; None if it has no such classes."""
    if meaning.is_quantity:
        return None
    try:
        return output_weights(read_target(DISEASE_TARGET, meaning).weights, meaning)
    except UserError:
        return None
