"""Fixtures for all rooms."""

from __future__ import annotations

import pytest
from mri_interpret.explanation.explanation import Explanation

from Testing.fixtures_explanation import make_explanation


@pytest.fixture(scope="session")
def small_explanation() -> Explanation:
    """A finished explanation of a small, oblique, anisotropic phantom head: three methods, eight regions."""
    return make_explanation()
