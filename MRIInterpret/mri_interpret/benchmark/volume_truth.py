"""What the simulated disease did to each structure's volume, and how a map of volume changes compares with it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..checks.volume_maps import COUNTERFACTUAL, GRADIENT
from ..metrics.similarity import correlation

if TYPE_CHECKING:
    from .simulated_subjects import SimulatedSubject

# Structures (names as in simulation/structures.py, both sides together) whose volumes are compared.
STRUCTURES: dict[str, tuple[str, ...]] = {
    "hippocampus": ("Hippocampus",),
    "amygdala": ("Amygdala",),
    "inferior lateral ventricle": ("Inf-Lat-Vent",),
    "lateral ventricle": ("Lateral-Ventricle", "choroid-plexus"),
}
FLUID = "fluid"

CORRELATION = "correlation with the true change"
REACHED = "reached"


def structure_shares(labels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Share of each structure, and of fluid, in the voxels of the simulator's model grid.

    Parameters
    ----------
    labels
        Codes of the simulator's structures at 1 mm, (2 I, 2 J, 2 K).

    Returns
    -------
    By name of :data:`STRUCTURES` and "fluid" (ventricles, and the fluid around the brain): (I, J, K), 0 to 1.
    """
    from ..simulation.structures import TARGETS, member

    i, j, k = (size // 2 for size in labels.shape)
    tables = {name: member(*parts) for name, parts in STRUCTURES.items()}
    tables[FLUID] = TARGETS["CSF"] | TARGETS["lateral ventricle"] | TARGETS["inferior lateral ventricle"]
    blocks = labels.reshape(i, 2, j, 2, k, 2)
    return {name: table[blocks].mean(axis=(1, 3, 5), dtype=np.float32) for name, table in tables.items()}


def change_to_healthy(labels: NDArray[np.uint8], healthy: NDArray[np.uint8]) -> dict[str, float]:
    """Log of each structure's volume without the disease over its volume with it, by counting voxels of both label
    maps; NaN where one has none."""
    from ..simulation.structures import NAMES, member

    counts = [np.bincount(one.ravel(), minlength=len(NAMES)) for one in (labels, healthy)]
    found = {}
    for name, parts in STRUCTURES.items():
        now, before = (int(count[member(*parts)].sum()) for count in counts)
        found[name] = math.log(before / now) if now > 0 and before > 0 else math.nan
    return found


def asked_change(percent: NDArray[Any], share: NDArray[Any]) -> float:
    """Change of a structure's log-volume in a map of volume changes.

    Parameters
    ----------
    percent
        Change of volume at each place of the scan in per cent, (I, J, K).
    share
        Share of each voxel that belongs to the structure.

    Returns
    -------
    float
        Log of the volume that is asked for over the volume that is there; NaN without the structure.
    """
    whole = float(share.sum())
    if whole <= 0:
        return math.nan
    factor = 1 + float((np.asarray(percent, dtype=np.float64) * share).sum()) / whole / 100
    return math.log(factor) if factor > 0 else math.nan


def volume_rows(given: SimulatedSubject, key: str, values: NDArray[Any]) -> list[tuple[str, str, float]]:
    """Method, measure and value of one volume map of a subject with disease; nothing for any other map.

    The correlation (Pearson's, over the brain's voxels) is with the log-volume change that the disease made, for the
    gradient, which says what speaks for the disease, and with the change that undoes it for the counterfactual. For
    each structure the counterfactual asks for a change of log-volume; the disease "made" one that has to be undone.
    """
    sign = {GRADIENT: 1.0, COUNTERFACTUAL: -1.0}.get(key)
    if sign is None:
        return []
    found = [(key, CORRELATION, correlation(values[given.mask], sign * given.effect[given.mask]))]
    if key == COUNTERFACTUAL:
        for name in STRUCTURES:
            found += structure_rows(key, name, asked_change(values, given.shares[name]), given.undoing)
    return found


def boundary_rows(given: SimulatedSubject, key: str, values: NDArray[Any]) -> list[tuple[str, str, float]]:
    """What a counterfactual to the boundary of AD and CN should ask of the hippocampi, and how far it is from that.

    An observer who knew the hippocampal share of the intracranial volume and the simulated groups would put the
    boundary where both are as likely (:func:`..simulation.groups.even_fraction`). To get there, the log of the
    hippocampi's volume has to change by that share's log less the subject's own.
    """
    from ..simulation.groups import even_fraction

    if key != COUNTERFACTUAL or not given.fraction > 0:
        return []
    right = math.log(even_fraction("CN", "AD") / given.fraction)
    asked = asked_change(values, given.shares["hippocampus"])
    return [
        (key, "hippocampus: to even odds", right),
        (key, "hippocampus: error to even odds", abs(asked - right)),
    ]


def structure_rows(key: str, name: str, asked: float, undoing: Mapping[str, float]) -> list[tuple[str, str, float]]:
    """What was asked of one structure, what would undo the disease, and the absolute error, all in log-volume."""
    return [
        (key, f"{name}: asked", asked),
        (key, f"{name}: would undo", undoing[name]),
        (key, f"{name}: error", abs(asked - undoing[name])),
    ]
