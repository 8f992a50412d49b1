"""One simulated brain: a base anatomy deformed at random, aged, and driven to its subject's hippocampal fraction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..deformation.construction import random_diffeomorphism
from ..deformation.displacement import COARSE, log_jacobian, resized, warp
from .anatomy import FINE_GRID, Anatomy
from .atrophy import Fractions, drive, intracranial_volume
from .groups import Subject
from .structures import INTRACRANIAL, NAMES, member

# Gaussian sigma (mm) to root-mean-square displacement (mm) of the random deformation, at strength 1.
VARIABILITY = {30.0: 2.5, 15.0: 1.5, 8.0: 0.4}


@dataclass(frozen=True)
class SimulatedBrain:
    """The result, in template space.

    Attributes
    ----------
    labels, healthy_labels
        Codes of :mod:`.structures` on ``FINE_GRID``, with the disease and, of the same brain, without.
    deformation
        (3, i, j, k) in mm on the coarse grid, backwards: x + u(x) is where x came from in the base anatomy.
    effect
        (i, j, k) on the coarse grid: change of log-volume by the disease alone, at each place of the diseased brain.
        Negative where tissue shrank, positive where CSF took its place, zero everywhere without disease.
    fraction
        Hippocampal share of the intracranial volume reached, per mille, counted from ``labels``.
    """

    subject: Subject
    labels: NDArray[np.uint8]
    healthy_labels: NDArray[np.uint8] | None
    deformation: Tensor
    effect: Tensor
    fraction: float


def simulate_brain(
    anatomy: Anatomy,
    fractions: Fractions,
    subject: Subject,
    seed: int,
    *,
    strength: float | None = None,
    with_healthy: bool = False,
) -> SimulatedBrain:
    """Deform an anatomy into a subject.

    Parameters
    ----------
    anatomy, fractions
        The base and its partial volumes (:func:`.atrophy.fractions_of`).
    subject
        The subject to simulate.
    seed
        Random seed of the deformation.
    strength
        Scale of the random deformation; drawn between 0.5 and 1.3 by default. 0 keeps the base anatomy's shape.
    with_healthy
        Also return the labels of the same brain without disease.
    """
    generator = torch.Generator().manual_seed(seed)
    if strength is None:
        strength = 0.5 + 0.8 * float(torch.rand((), generator=generator))
    u = torch.zeros(3, *COARSE)
    if strength > 0:
        u = random_diffeomorphism(generator, {sigma: strength * rms for sigma, rms in VARIABILITY.items()})
    healthy_mm3 = subject.healthy_fraction * 1e-3 * intracranial_volume(fractions, u)
    healthy = drive(fractions, u, healthy_mm3, subject.variation)
    u, added = healthy.u, torch.zeros_like(u)
    if subject.severity > 0:
        target_mm3 = subject.fraction * 1e-3 * intracranial_volume(fractions, u)
        diseased = drive(fractions, u, target_mm3, subject.disease)
        u, added = diseased.u, diseased.added
    labels = warp_labels(anatomy, u)
    return SimulatedBrain(
        subject=subject,
        labels=labels,
        healthy_labels=warp_labels(anatomy, healthy.u) if with_healthy else None,
        deformation=u,
        effect=-log_jacobian(added),
        fraction=hippocampal_fraction(labels),
    )


def warp_labels(anatomy: Anatomy, u: Tensor) -> NDArray[np.uint8]:
    """The anatomy's labels after deformation, nearest neighbour, on ``FINE_GRID``."""
    labels = torch.from_numpy(anatomy.labels)[None].float()
    return warp(labels, resized(u, FINE_GRID.shape), "nearest")[0].to(torch.uint8).numpy()


def structure_volumes(labels: NDArray[np.uint8], scale: float = 1.0) -> dict[str, float]:
    """Volume of each structure in mm^3, divided by ``scale`` (template space over the subject's own)."""
    counts = np.bincount(labels.ravel(), minlength=len(NAMES))
    return {name: float(count) / scale for name, count in zip(NAMES, counts, strict=True)}


def hippocampal_fraction(labels: NDArray[np.uint8]) -> float:
    """Both hippocampi over everything inside the skull, per mille."""
    counts = np.bincount(labels.ravel(), minlength=len(NAMES))
    return 1e3 * float(counts[member("Hippocampus")].sum()) / float(counts[INTRACRANIAL].sum())
