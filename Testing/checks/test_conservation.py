"""Conservation: the sum of the map against what it should distribute."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mri_interpret.checks.conservation import check_conservation, relative_error

from Testing.checks.small_networks import linear_case


def test_the_error_is_relative_to_what_was_expected() -> None:
    assert relative_error(np.array([1.0, 2.0]), 4.0) == pytest.approx(0.25)
    assert relative_error(np.array([-3.0]), -3.0) == 0
    assert math.isnan(relative_error(np.array([1.0]), 0.0))


def test_a_map_that_adds_up_passes_and_one_that_does_not_fails() -> None:
    explained, _ = linear_case()
    exact = explained.maps["exact"]
    explained, _ = linear_case(maps={"lrp": exact, "lrp(composite=zero)": 1.2 * exact, "gradient": exact})
    lrp, scaled, gradient = check_conservation(explained)
    assert (lrp.verdict, scaled.verdict, gradient.verdict) == ("pass", "fail", "not applicable")
    assert lrp.value < 1e-5
    assert scaled.value == pytest.approx(0.2, abs=1e-4)


def test_a_baseline_is_taken_off() -> None:
    """Integrated gradients of a linear network from a grey baseline: W * (x - baseline)."""
    explained, weights = linear_case()
    x = explained.image[0, 0].numpy()
    maps = {"integrated_gradients": weights * (x - 0.25)}
    details = {"integrated_gradients": {"baseline": 0.25}}
    right, _ = linear_case(maps=maps, details=details)
    wrong, _ = linear_case(maps=maps, details={})  # as if from a black one
    assert check_conservation(right)[0].verdict == "pass"
    assert check_conservation(wrong)[0].verdict == "fail"


def test_nothing_to_distribute_is_not_a_failure() -> None:
    explained, _ = linear_case(maps={"lrp": np.zeros((12, 14, 10))})
    with_zero = type(explained)(**{**vars(explained), "image": 0 * explained.image})
    assert check_conservation(with_zero)[0].verdict == "not applicable"
