"""A true minus stands before numbers only."""

from __future__ import annotations

import pytest
from mri_interpret.minus_sign import true_minus


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("0.2, -0.12 (-.5 to -inf)", "0.2, −0.12 (−.5 to −inf)"),
        ("-2.5e-05", "−2.5e-05"),
        ("tissue changes by -74% to +37%", "tissue changes by −74% to +37%"),
    ],
)
def test_numbers_get_a_true_minus(text: str, read: str) -> None:
    assert true_minus(text) == read


@pytest.mark.parametrize("name", ["T1-3", "scan_-1", "sub-01", "AD - CN", "2-3 mm", "guided Grad-CAM", "--2"])
def test_names_and_ranges_keep_their_hyphens(name: str) -> None:
    assert true_minus(name) == name
