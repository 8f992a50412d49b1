"""Stability: changes are undone exactly enough, and only unstable maps fail."""

from __future__ import annotations

import numpy as np
import pytest
from mri_interpret.checks.stability import (
    check_stability,
    compare,
    default_perturbations,
    noise,
    rotation,
    shift,
    stability,
)
from scipy import ndimage

from Testing.checks.small_networks import SHAPE, atlas, brain, brightness, image, linear_case


def _smooth(seed: int = 0) -> np.ndarray:
    values = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), 2.0)
    return values / values.std()


@pytest.mark.parametrize("change", [shift(), rotation()], ids=["shift", "rotation"])
def test_what_is_applied_is_undone(change) -> None:  # type: ignore[no-untyped-def]
    values = _smooth()
    moved = change.apply(values)
    back = change.undo(moved)
    core = (slice(3, -3),) * 3
    assert np.abs(moved - values)[core].max() > 0.05  # it does something
    assert np.abs(back - values)[core].max() < 0.35 * np.abs(values)[core].max()
    assert np.corrcoef(back[core].ravel(), values[core].ravel())[0, 1] > 0.99


def test_a_shift_moves_half_a_voxel_towards_higher_indices() -> None:
    spot = np.zeros((9, 9, 9))
    spot[4, 4, 4] = 1.0
    centre = ndimage.center_of_mass(shift((0.5, 0, 0)).apply(spot))
    assert centre == pytest.approx((4.5, 4, 4))


def test_a_turn_is_two_degrees() -> None:
    spot = np.zeros((61, 61, 3))
    spot[50, 30, 1] = 1.0
    i, j, _ = ndimage.center_of_mass(rotation().apply(spot))
    assert abs(np.degrees(np.arctan2(j - 30, i - 30))) == pytest.approx(2.0, abs=0.15)


def test_noise_leaves_the_empty_outside_empty_and_is_seeded() -> None:
    x = image()[0, 0].numpy()
    changed = noise(3).apply(x)
    assert not changed[~brain()].any()
    assert (changed - x)[brain()].std() == pytest.approx(0.02, rel=0.1)
    np.testing.assert_array_equal(changed, noise(3).apply(x))
    assert not np.array_equal(changed, noise(4).apply(x))
    # Scans that are not scaled to 0..1 get noise in proportion.
    np.testing.assert_allclose(noise(3).apply(1000 * x), 1000 * changed, rtol=1e-4)


def test_the_same_map_is_perfectly_stable_and_another_is_not() -> None:
    values = _smooth()
    same = compare(values, {"copy": values, "copy again": values}, brain(), atlas())
    assert same.spearman == {"copy": pytest.approx(1), "copy again": pytest.approx(1)}
    assert same.icc == pytest.approx(1)
    other = compare(values, {"other": _smooth(8)}, brain(), atlas())
    assert abs(other.spearman["other"]) < 0.5
    assert other.icc < 0.75


def test_a_linear_networks_map_is_stable_under_noise() -> None:
    explained, _ = linear_case()
    found = stability(explained, [noise()])["exact"]
    assert found.spearman["noise"] > 0.99
    assert found.icc > 0.99


def test_a_map_that_changes_at_every_call_fails() -> None:
    calls = []

    def moody(network, x, target, names):  # type: ignore[no-untyped-def]
        calls.append(x.shape)
        labels = atlas()
        gains = np.random.default_rng(len(calls)).uniform(0, 1, labels.max() + 1)
        return dict.fromkeys(names, gains[labels])

    explained, _ = linear_case(explain=moody, maps={"moody": np.random.default_rng(50).uniform(0, 1, 9)[atlas()]})
    steady, _ = linear_case(explain=brightness, maps={"steady": image()[0, 0].numpy()})
    assert check_stability(explained)[0].verdict == "fail"
    assert len(calls) == len(default_perturbations())
    assert calls[0] == (1, 1, *SHAPE)
    assert check_stability(steady)[0].value > 0.0


def test_without_an_explainer_it_does_not_apply() -> None:
    explained, _ = linear_case(explain=None)
    assert check_stability(explained)[0].verdict == "not applicable"
    with pytest.raises(ValueError, match="no function"):
        stability(explained)
