"""What the volume methods need of this brain, and what they say of it: by structure, and as a deformed scan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..anatomy import freesurfer
from ..anatomy.atlas import Atlas
from ..anatomy.segmentation import Segmentation
from ..anatomy.structure_changes import (
    StructureChange,
    asked_changes,
    change_table,
    deformed_changes,
    effects,
    volumes_of,
)
from ..images.volume import Grid, Volume, resample
from ..preprocessing.model_grid import relevance_per_native_voxel, to_scan_grid
from ..preprocessing.pipeline import PreprocessedScan
from .counterfactual import Counterfactual, counterfactual_of
from .facts import MethodMap

if TYPE_CHECKING:
    import pandas as pd

    from ..attribution import Attribution, Attributions
    from ..attribution.deformation_result import Deformation

GRADIENT = "volume_gradient"
_FLUID = ("Left-Lateral-Ventricle", "Left-Inf-Lat-Vent", "3rd-Ventricle", "4th-Ventricle", "5th-Ventricle", "CSF")


def fluid_share(anatomy: Segmentation, grid: Grid, prepared: PreprocessedScan) -> Volume:
    """How much of each voxel of the network's grid is fluid of this brain: 0 to 1, float32."""
    one_side = [freesurfer.label_of(name) for name in _FLUID]
    labels = [*one_side, *filter(None, map(freesurfer.opposite_of, one_side))]
    wet = np.isin(anatomy.labels.array, labels).astype(np.float32)
    return resample(Volume(wet, anatomy.labels.affine), grid, np.linalg.inv(prepared.to_template))


def counterfactuals_of(prepared: PreprocessedScan, found: Attributions, grid: Grid) -> dict[str, Counterfactual]:
    """The counterfactual of each method that made one, by the method's key; ``grid`` is the network's."""
    return {
        name: counterfactual_of(name, deformation, prepared.scan, grid, prepared.to_template)
        for name, one in found.items()
        if (deformation := _deformation(one)) is not None
    }


def volume_changes(
    prepared: PreprocessedScan,
    found: Attributions,
    maps: Mapping[str, MethodMap],
    grid: Grid,
    regions: Atlas,
    anatomy: Segmentation,
    counterfactuals: Mapping[str, Counterfactual],
) -> pd.DataFrame | None:
    """What each volume method says of each region, see :func:`.structure_changes.change_table`; None without one.

    Parameters
    ----------
    prepared, found, maps
        The scan, what the methods found on the network's grid, and the same on both.
    grid
        The network's.
    regions
        On the scan's grid: this brain's structures, or the atlas.
    anatomy
        Whose volumes are taken where the regions are its structures.
    counterfactuals
        From :func:`counterfactuals_of`.
    """
    own = {one.label: one.ml for one in anatomy.structures} if regions.volume is anatomy.labels else {}
    ml = volumes_of(regions, own)
    said: dict[str, tuple[StructureChange, ...]] = {}
    for name, one in found.items():
        deformation = _deformation(one)
        if deformation is not None:
            measured = deformed_changes(regions, counterfactuals[name].displacement)
            starts = _starts(deformation, prepared, grid)
            said[name] = asked_changes(regions, ml, maps[name].native, starts, measured)
        elif name.partition("(")[0] == GRADIENT:
            factor = relevance_per_native_voxel(prepared.scan.grid, grid, prepared.to_template)
            said[name] = effects(regions, ml, maps[name].native, factor)
    return change_table(said) if said else None


def _deformation(found: Attribution) -> Deformation | None:
    """Of the one scan; None for a method that deforms nothing."""
    return found.deformations[0] if found.deformations else None


def _starts(found: Deformation, prepared: PreprocessedScan, grid: Grid) -> list[Volume]:
    """The changes of volume of the further starts, in per cent, on the scan's grid."""
    # The field lies on a grid of its own.
    placed = np.eye(4)
    placed[:3, :3], placed[:3, 3] = np.diag(np.asarray(found.step)), np.asarray(found.origin)
    changes = []
    for displacement in found.starts:
        log_volume = np.asarray(found.log_volume(displacement), dtype=np.float32)
        percent = Volume(100 * np.expm1(log_volume), grid.affine @ placed)
        changes.append(to_scan_grid(percent, prepared.scan.grid, prepared.to_template))
    return changes
