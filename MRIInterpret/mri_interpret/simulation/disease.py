"""The two simulated diseases by name, and what each needs: how subjects are drawn, and an anatomy's partial volumes."""

from __future__ import annotations

import numpy as np

from ..errors import UserError
from .anatomy import DISEASES, PUBLISHED, STYLISED, Anatomy
from .atrophy import Fractions, fractions_of
from .groups import Subject, draw_subject
from .published import draw_published
from .regions import regional_fractions

__all__ = ["DISEASES", "PUBLISHED", "STYLISED", "check_disease", "draw", "fractions_for"]


def check_disease(disease: str) -> None:
    """Raise a UserError unless ``disease`` is one of ``DISEASES``."""
    if disease not in DISEASES:
        raise UserError(f"The disease '{disease}' is not known: give one of {', '.join(DISEASES)}.")


def draw(rng: np.random.Generator, group: str, disease: str) -> Subject:
    """One subject of a group with a disease of either name."""
    return draw_published(rng, group) if disease == PUBLISHED else draw_subject(rng, group)


def fractions_for(anatomy: Anatomy, disease: str) -> Fractions:
    """The partial volumes of an anatomy that the disease's regions need."""
    return regional_fractions(anatomy) if disease == PUBLISHED else fractions_of(anatomy)
