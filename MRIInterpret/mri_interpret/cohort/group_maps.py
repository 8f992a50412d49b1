"""Mean and median maps of groups of subjects, with memory that does not grow with the subjects.

The mean is a running sum in float64, exact to rounding. The median is exact too: each map is written once as a row of a
scratch file, and the file is then read in blocks of voxels small enough to hold all subjects at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..images.reading import read_volume
from ..images.volume import Array, Grid, Volume, resample
from ..preprocessing.template import load_template
from .bids import label
from .disk_matrix import BLOCK_BYTES, DiskMatrix, Rows

ALL = "all"  # the set of every subject


@dataclass(frozen=True)
class GroupMap:
    """One set of subjects' mean and median, inside the brain."""

    n: int
    mean: NDArray[np.float32]  # (voxels,)
    median: NDArray[np.float32]


def memberships(groups: Sequence[str], predicted: Sequence[str], classes: Sequence[str]) -> dict[str, list[int]]:
    """Which subjects belong to which set; empty sets are dropped.

    Parameters
    ----------
    groups
        Of each subject, "" where it is not known.
    predicted
        The class that the model predicts for each; empty for a model that returns a quantity.
    classes
        The model's classes, or the table's groups.

    Returns
    -------
    dict
        "true-AD", "predicted-AD", and "true-AD_predicted-CN" for each cell of the confusion matrix (Boehle 2019 looks
        at true and false positives apart), each with the subjects' positions. For a model that returns a quantity,
        "all" and "true-AD".
    """
    if not predicted:
        sets = {ALL: list(range(len(groups)))}
        sets |= {set_name(true=name): [n for n, group in enumerate(groups) if group == name] for name in classes}
        return {name: members for name, members in sets.items() if members}
    sets = {set_name(true=name): [] for name in classes}
    sets |= {set_name(predicted=name): [] for name in classes}
    sets |= {set_name(true, name): [] for true in classes for name in classes}
    for place, (true, answer) in enumerate(zip(groups, predicted, strict=True)):
        sets[set_name(predicted=answer)].append(place)
        if true:
            sets[set_name(true=true)].append(place)
            sets[set_name(true, answer)].append(place)
    return {name: members for name, members in sets.items() if members}


def set_name(true: str = "", predicted: str = "") -> str:
    """The name of a set of subjects, in files and records: "true-AD", "predicted-AD", "true-AD_predicted-CN"."""
    parts = (("true", true), ("predicted", predicted))
    return "_".join(f"{word}-{label(name)}" for word, name in parts if name)


def template_brain(grid: Grid) -> NDArray[np.bool_]:
    """The template's brain on the model's grid: where group maps are made."""
    _, mask = load_template(2)
    inside: NDArray[np.bool_] = resample(mask, grid, order=0).array > 0
    return inside


def masked_reader(
    paths: Sequence[Path], grid: Grid, inside: NDArray[np.bool_], own_grids: bool = False
) -> Callable[[int], Rows]:
    """A function that reads subject ``i``'s map from disk: (voxels inside the brain,).

    With ``own_grids`` the network's grid depends on the scan, and maps are sampled on ``grid``.
    """

    def read(index: int) -> Rows:
        volume = read_volume(paths[index])
        if volume.shape != grid.shape or not np.allclose(volume.affine, grid.affine, atol=1e-3):
            if not own_grids:
                raise UserError(
                    f"{paths[index]} is not on the model's grid: explain its subject again.", option="force"
                )
            volume = resample(volume, grid)
        return np.asarray(volume.array[inside], dtype=np.float32)

    return read


def group_maps(
    read: Callable[[int], Rows],
    members: Mapping[str, Sequence[int]],
    subjects: int,
    folder: Path,
    *,
    block_bytes: int = BLOCK_BYTES,
    on_subject: Callable[[int], None] = lambda done: None,
) -> dict[str, GroupMap]:
    """Mean and median of each set of subjects.

    Parameters
    ----------
    read
        Subject's position to its map, (voxels,); called once for each subject, and no map is kept.
    members
        Set to its subjects' positions.
    subjects
        How many there are.
    folder
        For the scratch file: subjects x voxels x 4 bytes while this runs.
    block_bytes
        Memory for the median.
    on_subject
        Told how many maps were read; may raise to cancel.
    """
    if subjects < 1:
        raise ValueError("there is no subject")
    belongs: dict[int, list[str]] = {}
    for name, places in members.items():
        for place in places:
            belongs.setdefault(place, []).append(name)
    first = read(0)
    sums = {name: np.zeros(first.size, dtype=np.float64) for name in members}
    medians = {name: np.empty(first.size, dtype=np.float32) for name in members}
    with DiskMatrix(first.size, folder) as matrix:
        for place in range(subjects):
            row = first if place == 0 else read(place)
            matrix.append(row)
            for name in belongs.get(place, ()):
                sums[name] += row
            on_subject(place + 1)
        for name, places in members.items():
            for start, stop, block in matrix.blocks(list(places), block_bytes):
                medians[name][start:stop] = np.median(block, axis=0)
    return {
        name: GroupMap(len(places), (sums[name] / len(places)).astype(np.float32), medians[name])
        for name, places in members.items()
    }


def on_grid(values: Array, inside: NDArray[np.bool_], grid: Grid, name: str = "") -> Volume:
    """Values inside the brain as a volume, 0 elsewhere."""
    array = np.zeros(grid.shape, dtype=np.float32)
    array[inside] = values
    return Volume(array, grid.affine, name)
