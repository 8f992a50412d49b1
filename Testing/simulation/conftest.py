"""A small population on the template's anatomy, made once."""

from __future__ import annotations

import numpy as np
import pytest
from mri_interpret.simulation.anatomy import Anatomy
from mri_interpret.simulation.atrophy import Fractions, fractions_of
from mri_interpret.simulation.groups import Subject, draw_subject
from mri_interpret.simulation.published import draw_published
from mri_interpret.simulation.regions import regional_fractions
from mri_interpret.simulation.subject import SimulatedBrain, simulate_brain
from mri_interpret.simulation.template_anatomy import template_anatomy


@pytest.fixture(scope="session")
def anatomy() -> Anatomy:
    return template_anatomy()


@pytest.fixture(scope="session")
def fractions(anatomy: Anatomy) -> Fractions:
    return fractions_of(anatomy)


@pytest.fixture(scope="session")
def patient() -> Subject:
    return draw_subject(np.random.default_rng(4), "AD")


@pytest.fixture(scope="session")
def diseased(anatomy: Anatomy, fractions: Fractions, patient: Subject) -> SimulatedBrain:
    return simulate_brain(anatomy, fractions, patient, seed=5, with_healthy=True)


@pytest.fixture(scope="session")
def regional(anatomy: Anatomy) -> Fractions:
    return regional_fractions(anatomy)


@pytest.fixture(scope="session")
def published_patient() -> Subject:
    return draw_published(np.random.default_rng(8), "AD", age=75.0, subtype="typical")


@pytest.fixture(scope="session")
def published_brain(anatomy: Anatomy, regional: Fractions, published_patient: Subject) -> SimulatedBrain:
    return simulate_brain(anatomy, regional, published_patient, seed=6, with_healthy=True)
