"""One simulated brain: a base anatomy deformed at random, aged, and driven to its subject's hippocampal fraction."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..deformation.construction import random_diffeomorphism
from ..deformation.displacement import COARSE, log_jacobian, resized, warp
from .anatomy import FINE_GRID, Anatomy
from .atrophy import Fractions, drive, intracranial_volume
from .groups import Subject
from .norms import healthy_changes, volumes_against_norm
from .regional_drive import counted_volumes, drive_regions
from .structures import INTRACRANIAL, NAMES, member
from .template_alignment import affine_part, carried_by, followed_by
from .vessels import with_vessel_disease

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
        (3, i, j, k) in mm, backwards: x + u(x) is where x came from in the base anatomy. On the coarse grid, or, where
        the brain was aligned after it, on ``FINE_GRID``.
    effect
        (i, j, k) on the coarse grid: change of log-volume by the disease alone, at each place of the diseased brain.
        Negative where tissue shrank, positive where CSF took its place, zero everywhere without disease.
    fraction
        Hippocampal share of the intracranial volume reached, per mille, counted from ``labels``.
    scale
        Volume here over volume in the anatomy's place in template space: alignment scales a shrunken brain up.
    changes
        Of the published disease: change of each region's log-volume that the disease made.
    volumes
        Of the published disease: log of each region's volume over the healthy mean at 73 years, as the brain has it.
        It is what was drawn, but for regions that an anatomy nearly lacks.
    """

    subject: Subject
    labels: NDArray[np.uint8]
    healthy_labels: NDArray[np.uint8] | None
    deformation: Tensor
    effect: Tensor
    fraction: float
    scale: float = 1.0
    changes: dict[str, float] = field(default_factory=dict)
    volumes: dict[str, float] = field(default_factory=dict)


def simulate_brain(
    anatomy: Anatomy,
    fractions: Fractions,
    subject: Subject,
    seed: int,
    *,
    strength: float | None = None,
    with_healthy: bool = False,
    align: bool = True,
) -> SimulatedBrain:
    """Deform an anatomy into a subject.

    Parameters
    ----------
    anatomy, fractions
        The base and its partial volumes (:func:`.groups.Subject.is_published` says which kind: those of
        :func:`.regions.regional_fractions` for the published disease, else of :func:`.atrophy.fractions_of`).
    subject
        The subject to simulate.
    seed
        Random seed of the deformation.
    strength
        Scale of the random deformation; drawn between 0.5 and 1.3 by default. 0 keeps the base anatomy's shape.
    with_healthy
        Also return the labels of the same brain without disease.
    align
        Of the published disease: lay the brain as the affine registration would, which sees the brain and not the
        skull. False leaves the skull where the anatomy has it.
    """
    generator = torch.Generator().manual_seed(seed)
    if strength is None:
        strength = 0.5 + 0.8 * float(torch.rand((), generator=generator))
    u = torch.zeros(3, *COARSE)
    if strength > 0:
        u = random_diffeomorphism(generator, {sigma: strength * rms for sigma, rms in VARIABILITY.items()})
    if subject.is_published:
        return _published_brain(anatomy, fractions, subject, seed, u, with_healthy, align)
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


def _published_brain(
    anatomy: Anatomy,
    fractions: Fractions,
    subject: Subject,
    seed: int,
    start: Tensor,
    with_healthy: bool,
    align: bool,
) -> SimulatedBrain:
    """Chance and age, then the disease, then the alignment that this brain would get."""
    counted = counted_volumes(fractions, start)
    healthy = drive_regions(fractions, start, healthy_changes(subject, fractions, counted), counted=counted)
    u, added, changes, counted = healthy.u, torch.zeros_like(start), dict[str, float](), healthy.counted
    if subject.disease:
        diseased = drive_regions(fractions, u, subject.disease, counted=counted)
        u, added, changes, counted = diseased.u, diseased.added, diseased.changes, diseased.counted
    effect = -log_jacobian(added)
    volumes = volumes_against_norm(fractions, counted)
    matrix, scale = None, 1.0
    if align:
        matrix = affine_part(u, warp(fractions.intracranial[None], u)[0])
        effect = carried_by(effect, matrix)
        scale = 1.0 / float(torch.linalg.det(matrix[:, :3]))

    def seen(displacement: Tensor) -> Tensor:
        return displacement if matrix is None else followed_by(displacement, matrix, FINE_GRID.shape)

    def labels_of(displacement: Tensor) -> NDArray[np.uint8]:
        return with_vessel_disease(warp_labels(anatomy, displacement), subject.age, subject.vessels, seed)

    deformation = seen(u)
    labels = labels_of(deformation)
    return SimulatedBrain(
        subject=subject,
        labels=labels,
        healthy_labels=labels_of(seen(healthy.u)) if with_healthy else None,
        deformation=deformation,
        effect=effect,
        fraction=hippocampal_fraction(labels),
        scale=scale,
        changes=changes,
        volumes=volumes,
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
