"""Another class must have another map."""

from __future__ import annotations

import numpy as np
import pytest
from mri_interpret.checks.random_logit import check_random_logit, other_target

from Testing.checks.small_networks import SHAPE, Linear3d, brightness, image, linear_case


@pytest.mark.parametrize(
    ("target", "expected"),
    [([0, 0, 1], [1, 0, 0]), ([1, 0, 0], [0, 1, 0]), ([-1, 0, 1], [1, 0, 0]), ([0.5, 1, -2], [0, 0, 1]), ([1], None)],
)
def test_the_other_class_is_one_that_was_not_explained(target: list[float], expected: list[float] | None) -> None:
    assert other_target(target) == expected


def test_a_map_for_every_class_fails_and_a_map_of_its_own_passes() -> None:
    own, _ = linear_case()
    assert check_random_logit(own)[0].verdict == "pass"
    same, _ = linear_case(explain=brightness, maps={"bright": image()[0, 0].numpy()})
    verdict = check_random_logit(same)[0]
    assert verdict.verdict == "fail"
    assert verdict.value == pytest.approx(1)


def test_opposite_maps_are_different_maps() -> None:
    weights = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    network = Linear3d(np.stack([-weights, weights]))
    explained, _ = linear_case(network=network, target=[0.0, 1.0], maps={"map": weights * image()[0, 0].numpy()})
    verdict = check_random_logit(explained)[0]
    assert verdict.value == pytest.approx(-1)
    assert verdict.verdict == "pass"


def test_one_class_has_no_other() -> None:
    network = Linear3d(np.ones((1, *SHAPE), np.float32))
    explained, _ = linear_case(network=network, target=[1.0])
    assert check_random_logit(explained)[0].verdict == "not applicable"
