"""Atrophy reaches its target, keeps the topology, and is where the disease is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mri_interpret.deformation.construction import random_diffeomorphism
from mri_interpret.deformation.displacement import COARSE, log_jacobian, resized
from mri_interpret.simulation.anatomy import FINE_GRID, Anatomy
from mri_interpret.simulation.atrophy import Fractions, drive, hippocampal_volume, intracranial_volume
from mri_interpret.simulation.groups import Subject
from mri_interpret.simulation.structures import INTRACRANIAL, NAMES, member
from mri_interpret.simulation.subject import SimulatedBrain, hippocampal_fraction, simulate_brain, warp_labels
from scipy import ndimage

pytestmark = pytest.mark.slow


def test_volumes_are_counts_of_fine_voxels(anatomy: Anatomy, fractions: Fractions) -> None:
    rest = torch.zeros(3, *COARSE)
    counted = np.bincount(anatomy.labels.ravel(), minlength=len(NAMES))
    assert hippocampal_volume(fractions, rest) == pytest.approx(counted[member("Hippocampus")].sum(), rel=1e-3)
    assert intracranial_volume(fractions, rest) == pytest.approx(counted[INTRACRANIAL].sum(), rel=1e-3)


@pytest.mark.parametrize("factor", [0.55, 1.1])
def test_hippocampi_reach_their_target_within_5_percent_without_folding(
    anatomy: Anatomy, fractions: Fractions, factor: float
) -> None:
    # From a deformed brain: right on the voxel grid, nearest-neighbour labels would not feel a quarter of a voxel.
    start = random_diffeomorphism(torch.Generator().manual_seed(0), {30.0: 2.0})
    target = factor * hippocampal_volume(fractions, start)
    reached = drive(fractions, start, target, {"lateral ventricle": 0.3})
    ventricles = member("Lateral-Ventricle", "choroid-plexus")
    before, after = (np.bincount(warp_labels(anatomy, u).ravel(), minlength=len(NAMES)) for u in (start, reached.u))
    assert after[member("Hippocampus")].sum() == pytest.approx(target, rel=0.05)
    assert np.log(after[ventricles].sum() / before[ventricles].sum()) == pytest.approx(0.3, abs=0.1)
    assert torch.isfinite(log_jacobian(reached.u)).all()


def test_the_skull_keeps_its_size(diseased: SimulatedBrain) -> None:
    assert diseased.healthy_labels is not None
    healthy, ill = (INTRACRANIAL[labels].sum() for labels in (diseased.healthy_labels, diseased.labels))
    assert ill == pytest.approx(healthy, rel=0.01)


def test_a_patient_reaches_the_drawn_fraction(diseased: SimulatedBrain, patient: Subject) -> None:
    assert diseased.healthy_labels is not None
    assert diseased.fraction == pytest.approx(patient.fraction, rel=0.05)
    assert hippocampal_fraction(diseased.healthy_labels) == pytest.approx(patient.healthy_fraction, rel=0.05)


def test_the_effect_shrinks_the_hippocampi_and_widens_the_csf_beside_them(diseased: SimulatedBrain) -> None:
    effect = resized(diseased.effect[None], FINE_GRID.shape)[0].numpy()
    hippocampus = member("Hippocampus")[diseased.labels]
    beside = ndimage.distance_transform_edt(~hippocampus) < 12
    assert effect[hippocampus].mean() < -0.15
    assert effect[beside & member("CSF")[diseased.labels]].mean() > 0.05
    assert effect[member("Lateral-Ventricle")[diseased.labels]].mean() > 0.1
    cerebellum = effect[member("Cerebellum-Cortex")[diseased.labels]]
    assert np.abs(cerebellum).mean() < 0.1 * abs(effect[hippocampus].mean())


def test_the_effect_integrates_to_the_volume_that_was_lost(diseased: SimulatedBrain) -> None:
    # The healthy volume of what is hippocampus now is the sum of exp(-effect) over it.
    assert diseased.healthy_labels is not None
    effect = resized(diseased.effect[None], FINE_GRID.shape)[0].numpy()
    hippocampus = member("Hippocampus")
    healthy = float(hippocampus[diseased.healthy_labels].sum())
    assert np.exp(-effect[hippocampus[diseased.labels]]).sum() == pytest.approx(healthy, rel=0.08)


def test_every_structure_survives(anatomy: Anatomy, diseased: SimulatedBrain) -> None:
    big = np.bincount(anatomy.labels.ravel(), minlength=len(NAMES)) > 300
    assert (np.bincount(diseased.labels.ravel(), minlength=len(NAMES))[big] > 0).all()


def test_without_disease_the_effect_is_zero_and_a_seed_repeats(anatomy: Anatomy, fractions: Fractions) -> None:
    subject = Subject("CN", 70.0, 5.0, 5.0, 0.0, {"lateral ventricle": 0.1})
    one = simulate_brain(anatomy, fractions, subject, seed=9)
    two = simulate_brain(anatomy, fractions, subject, seed=9)
    other = simulate_brain(anatomy, fractions, subject, seed=10)
    assert float(one.effect.abs().max()) == 0.0
    assert np.array_equal(one.labels, two.labels)
    assert not np.array_equal(one.labels, other.labels)
