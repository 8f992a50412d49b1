"""Simulated brains whose disease is known voxel by voxel: the ground truth that real data never offers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..images.volume import Grid, resample
from ..simulation.anatomy import PUBLISHED, STYLISED
from .volume_truth import change_to_healthy, structure_shares

if TYPE_CHECKING:
    import torch

    from ..simulation.acquisition import Scan
    from ..simulation.anatomy import Anatomy
    from ..simulation.atrophy import Fractions
    from ..simulation.subject import SimulatedBrain

TRUTH_SHARE = 0.4
GROUPS = ("CN", "MCI", "AD")
# Names (ends of them) of the five structures of the atlas that each simulated disease changes most.
AFFECTED = {
    STYLISED: ("Hippocampus", "Amygdala", "entorhinal", "parahippocampal", "Inf-Lat-Vent"),
    PUBLISHED: ("Hippocampus", "Amygdala", "entorhinal", "Lateral-Ventricle", "Inf-Lat-Vent"),
}


@dataclass(frozen=True)
class SimulatedSubject:
    """One simulated scan on the model's grid, and what was done to it.

    Attributes
    ----------
    name
        Group and number.
    group
        CN, MCI or AD.
    anatomy
        Name of the base anatomy.
    image
        (1, 1, I, J, K) float32, as the network gets it.
    mask
        (I, J, K) bool, the brain.
    effect
        (I, J, K): change of log-volume by the disease at each place; negative where tissue shrank, positive where
        fluid took its place, 0 for CN.
    truth
        (I, J, K) bool: brain voxels whose change is at least 40 % of this brain's strongest change; empty for CN.
    hippocampus
        (I, J, K) bool: this brain's own hippocampi.
    fraction
        Hippocampal share of the intracranial volume, per mille.
    shares
        By name of :data:`.volume_truth.STRUCTURES`, and "fluid": (I, J, K), share of each voxel of this brain, 0 to 1.
    undoing
        By structure: log of the volume without the disease over the volume with it; 0 for CN.
    """

    name: str
    group: str
    anatomy: str
    image: torch.Tensor
    mask: NDArray[np.bool_]
    effect: NDArray[np.float32]
    truth: NDArray[np.bool_]
    hippocampus: NDArray[np.bool_]
    fraction: float
    shares: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    undoing: dict[str, float] = field(default_factory=dict)


def simulated_subjects(
    anatomies: Sequence[Anatomy],
    number: int,
    seed: int,
    groups: Sequence[str] = GROUPS,
    first: int = 0,
    disease: str = STYLISED,
) -> Iterator[SimulatedSubject]:
    """Simulate subjects one by one; seed and number alone decide each, so a stream resumes anywhere.

    Parameters
    ----------
    anatomies
        Base anatomies, used in turn; for a benchmark, ones that the network was not trained on.
    number
        How many subjects; groups in turn.
    seed
        Random seed.
    groups
        Groups to simulate.
    first
        Number of the first one, to resume.
    disease
        "published" or "stylised".
    """
    from ..simulation.disease import fractions_for

    fractions = {anatomy.name: fractions_for(anatomy, disease) for anatomy in anatomies[: -(-number // len(groups))]}
    for index in range(first, number):
        # Every anatomy meets every group, whatever the two counts have in common.
        anatomy = anatomies[(index // len(groups)) % len(anatomies)]
        yield simulate_subject(
            anatomy, fractions[anatomy.name], groups[index % len(groups)], seed, index, disease=disease
        )


def simulate_subject(
    anatomy: Anatomy, fractions: Fractions, group: str, seed: int, index: int, *, disease: str = STYLISED
) -> SimulatedSubject:
    """Simulate subject number ``index`` of a stream: brain, scan and truth, all on the model's grid.

    The scan lies where the template lies (no misregistration, no mirroring), so that effect and image fit.
    ``fractions`` are the anatomy's for this disease (:func:`..simulation.disease.fractions_for`).
    """
    from ..deformation.displacement import resized
    from ..simulation.anatomy import MODEL_GRID

    brain, scan_of = _drawn(anatomy, fractions, group, seed, index, disease)
    scan = scan_of(brain.labels)
    mask = scan.mask.numpy()
    effect = resized(brain.effect[None], MODEL_GRID.shape)[0].numpy()
    shares = structure_shares(brain.labels)
    healthy = brain.labels if brain.healthy_labels is None else brain.healthy_labels
    return SimulatedSubject(
        name=f"{group} {index}",
        group=group,
        anatomy=anatomy.name,
        image=scan.image[None],
        mask=mask,
        effect=effect,
        truth=strong_effect(effect, mask),
        hippocampus=shares["hippocampus"] >= 0.5,
        fraction=brain.fraction,
        shares=shares,
        undoing=change_to_healthy(brain.labels, healthy),
    )


def simulate_twin(
    anatomy: Anatomy, fractions: Fractions, group: str, seed: int, index: int, *, disease: str = STYLISED
) -> torch.Tensor:
    """The scan, (1, 1, I, J, K), of the same brain without the disease, as subject number ``index`` is scanned:
    with its contrast, bias and noise; the tissue's texture is drawn anew. For CN it is the subject's own scan."""
    brain, scan_of = _drawn(anatomy, fractions, group, seed, index, disease)
    return scan_of(brain.labels if brain.healthy_labels is None else brain.healthy_labels).image[None]


def _drawn(
    anatomy: Anatomy, fractions: Fractions, group: str, seed: int, index: int, disease: str
) -> tuple[SimulatedBrain, Callable[[NDArray[np.uint8]], Scan]]:
    """The brain of a subject, and what scans it, or its labels as they were without the disease, always alike."""
    import torch

    from ..simulation.acquisition import acquire
    from ..simulation.acquisition_ranges import AS_PREPROCESSED, AcquisitionRange
    from ..simulation.bank import pack
    from ..simulation.disease import draw
    from ..simulation.subject import simulate_brain

    rng = np.random.default_rng([seed, index])
    drawn = draw(rng, group, disease)
    brain_seed = int(rng.integers(2**31))
    brain = simulate_brain(anatomy, fractions, drawn, brain_seed, with_healthy=True)
    acquisition_seed = int(rng.integers(2**31))

    def scan_of(labels: NDArray[np.uint8]) -> Scan:
        ranges = replace(AS_PREPROCESSED, left_by_alignment=None) if disease == PUBLISHED else AcquisitionRange()
        ranges = replace(ranges, shift_mm=0.0, angle_deg=0.0, scale=0.0, flip=0.0)
        generator = torch.Generator().manual_seed(acquisition_seed)
        return acquire(pack(replace(brain, labels=labels), anatomy.name, brain_seed), generator, ranges)

    return brain, scan_of


def strong_effect(
    effect: NDArray[np.float32], mask: NDArray[np.bool_], share: float = TRUTH_SHARE
) -> NDArray[np.bool_]:
    """Brain voxels whose change is at least ``share`` of the strongest one in the brain; none without disease."""
    magnitude = np.where(mask, np.abs(effect), 0)
    top = float(magnitude.max(initial=0))
    return (magnitude >= share * top) & mask if top > 1e-3 else np.zeros(mask.shape, dtype=bool)


def atlas_on_grid(grid: Grid) -> tuple[NDArray[np.int64], dict[int, str]]:
    """Labels of the default atlas on a grid in template space, and their names."""
    from ..anatomy.atlas import load_default_atlas

    atlas = load_default_atlas()
    labels = np.asarray(resample(atlas.volume, grid, order=0).array, dtype=np.int64)
    return labels, {region.label: region.name for region in atlas.regions}


@cache
def atlas_on_model_grid() -> tuple[NDArray[np.int64], dict[int, str]]:
    """The same on the grid of the simulated subjects."""
    from ..simulation.anatomy import MODEL_GRID

    return atlas_on_grid(MODEL_GRID)
