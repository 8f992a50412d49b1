"""Faithfulness on a linear network, where each voxel's contribution is known exactly."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise, permutations

import numpy as np
import pytest
from mri_interpret.checks.explained_image import explained_values
from mri_interpret.checks.faithfulness import (
    Curve,
    chance_correlation,
    curve_sets,
    deletion_curve,
    faithfulness_correlation,
    insertion_curve,
    order_by,
    random_sets,
    values_without,
)
from mri_interpret.checks.faithfulness_checks import SETS, check_correlation, check_curves, curve_gains
from mri_interpret.checks.imputation import blurred_brain, noisy_linear_imputation
from mri_interpret.checks.segments import blocks

from Testing.checks.small_networks import SHAPE, brain, linear_case


def _case(size: int = 4):  # type: ignore[no-untyped-def]
    explained, weights = linear_case()
    x = explained.image[0, 0].numpy()
    neutral = blurred_brain(x, brain(), 3.0)
    parts = blocks(brain(), size)
    values = values_without(explained.network, explained.image, explained.target, parts, neutral, batch=3)
    exact = weights * (x - neutral)  # what taking a voxel out costs
    return explained, parts, values, exact, neutral


def test_taking_out_costs_exactly_what_a_linear_network_says() -> None:
    explained, parts, values, exact, _ = _case()
    taken = random_sets(parts, 7, 3, np.random.default_rng(0))
    whole = explained_values(explained.network, explained.image, explained.target)[0]
    expected = [whole - exact[np.isin(parts, 1 + np.flatnonzero(row))].sum() for row in taken]
    np.testing.assert_allclose(values(taken), expected, atol=1e-4)


def test_random_sets_take_every_part_equally_often() -> None:
    parts = blocks(brain(), 2)
    taken = random_sets(parts, 50, 5, np.random.default_rng(0))
    sizes = np.bincount(parts.ravel())[1:]
    shares = taken @ sizes / sizes.sum()
    assert taken.shape == (50, parts.max())
    assert np.all(np.abs(shares - 0.2) < 0.02)
    assert np.all(taken.sum(axis=0) == 10)
    assert len({row.tobytes() for row in taken}) == 50


def test_the_exact_map_correlates_perfectly_and_its_opposite_the_other_way() -> None:
    explained, parts, values, exact, _ = _case()
    taken = random_sets(parts, 20, 3, np.random.default_rng(0))
    drops = explained_values(explained.network, explained.image, explained.target)[0] - values(taken)
    assert faithfulness_correlation(exact, parts, taken, drops) == pytest.approx(1, abs=1e-4)
    assert faithfulness_correlation(-3 * exact, parts, taken, drops) == pytest.approx(-1, abs=1e-4)
    assert math.isnan(faithfulness_correlation(np.zeros(SHAPE), parts, taken, drops))


def test_chance_is_what_shuffled_maps_reach() -> None:
    explained, parts, values, exact, _ = _case(size=3)
    taken = random_sets(parts, 24, 8, np.random.default_rng(0))
    drops = explained_values(explained.network, explained.image, explained.target)[0] - values(taken)
    chance = chance_correlation(exact, parts, taken, drops, np.random.default_rng(0))
    # By another way: shuffle the densities on the voxels and use the correlation itself.
    sizes = np.bincount(parts.ravel())[1:]
    density = np.bincount(parts.ravel(), exact.ravel())[1:] / sizes
    rng = np.random.default_rng(7)
    shuffled = [np.append(0, rng.permutation(density))[parts] for _ in range(300)]
    found = [faithfulness_correlation(values_, parts, taken, drops) for values_ in shuffled]
    assert chance == pytest.approx(np.quantile(found, 0.95), abs=0.07)
    assert 0.2 < chance < 0.9


def test_maps_without_knowledge_rarely_pass() -> None:
    explained, _ = linear_case()
    rng = np.random.default_rng(4)
    maps = {f"random {number}": rng.normal(size=SHAPE) for number in range(60)}
    explained, _ = linear_case(maps=maps)
    passed = [verdict.verdict == "pass" for verdict in check_correlation(explained)]
    assert sum(passed) <= 9  # 3 expected


def test_the_network_is_asked_once_for_all_maps_of_an_image() -> None:
    first, _ = linear_case(maps={"a": np.random.default_rng(1).normal(size=SHAPE)})
    asked: list[int] = []
    first.network.register_forward_hook(lambda network, given, answer: asked.append(len(given[0])))
    alone = check_correlation(first)
    count = len(asked)
    assert count > 0
    second = replace(first, maps={"b": first.maps["a"]})
    shared = check_correlation(second)
    assert len(asked) == count
    assert (shared[0].method, shared[0].value, shared[0].threshold) == ("b", alone[0].value, alone[0].threshold)


def test_an_order_is_by_density_highest_first() -> None:
    parts = np.array([[[1, 1, 1, 2, 3, 3]]])
    relevance = np.array([[[1.0, 1.0, 1.0, 2.5, 0.5, 0.0]]])
    assert order_by(relevance, parts).tolist() == [1, 0, 2]


def test_curves_run_from_the_image_to_the_neutral_brain_and_back() -> None:
    explained, parts, values, exact, neutral = _case()
    order = order_by(exact, parts)
    whole = explained_values(explained.network, explained.image, explained.target)[0]
    empty = explained_values(explained.network, explained.image * 0 + _tensor(neutral), explained.target)[0]
    deletion, insertion = deletion_curve(order, parts, values), insertion_curve(order, parts, values)
    assert deletion.share[[0, -1]].tolist() == insertion.share[[0, -1]].tolist() == [0, 1]
    np.testing.assert_allclose(deletion.value[[0, -1]], [whole, empty], atol=1e-4)
    np.testing.assert_allclose(insertion.value[[0, -1]], [empty, whole], atol=1e-4)
    assert np.all(np.diff(deletion.share) > 0)


def _tensor(array: np.ndarray):  # type: ignore[no-untyped-def]
    import torch

    return torch.as_tensor(array)[None, None]


def test_the_exact_order_has_the_smallest_area_of_all_orders() -> None:
    _, parts, values, exact, _ = _case(size=7)
    count = int(parts.max())
    assert 4 <= count <= 8
    best = deletion_curve(order_by(exact, parts), parts, values, steps=100).area()
    chosen = list(permutations(range(count)))
    picked = [chosen[i] for i in np.random.default_rng(0).choice(len(chosen), 60, replace=False)]
    others = [deletion_curve(np.array(order), parts, values, steps=100).area() for order in picked]
    assert best <= min(others) + 1e-6
    assert best < np.mean(others)


def test_the_area_is_that_of_the_trapezoids() -> None:
    assert Curve(np.array([0, 0.25, 1]), np.array([4.0, 2.0, 0.0])).area() == pytest.approx(0.75 + 0.75)


def test_growing_sets_grow_from_none_to_all() -> None:
    parts = blocks(brain(), 3)
    order = np.random.default_rng(0).permutation(int(parts.max()))
    taken, share = curve_sets(order, parts, 6)
    assert not taken[0].any()
    assert taken[-1].all()
    assert all(np.all(before <= after) for before, after in pairwise(taken))
    sizes = np.bincount(parts.ravel())[1:]
    np.testing.assert_allclose(share, taken @ sizes / sizes.sum())


@pytest.mark.parametrize("kind", ["deletion", "insertion"])
def test_the_gain_ranks_exact_before_random_before_opposite(kind: str) -> None:
    _, parts, _, exact, _ = _case()
    explained, _ = linear_case(
        maps={"exact": exact, "noise": np.random.default_rng(3).normal(size=SHAPE), "opposite": -exact}
    )
    found = curve_gains(explained, parts, kind)
    assert found.methods["exact"] > found.threshold > found.methods["opposite"]
    assert found.methods["exact"] > found.methods["noise"] > found.methods["opposite"]
    assert found.methods["opposite"] < 0


def test_imputation_can_take_the_place_of_the_blur() -> None:
    explained, parts, _, _, _ = _case()
    x = explained.image[0, 0].numpy()
    missing = np.isin(parts, (1, 3))

    def impute(gone: np.ndarray) -> np.ndarray:
        return noisy_linear_imputation(x, gone, brain(), np.random.default_rng(0))

    values = values_without(explained.network, explained.image, explained.target, parts, impute)
    taken = np.zeros((2, int(parts.max())), bool)
    taken[1, [0, 2]] = True
    expected = [
        explained_values(explained.network, _tensor(image), explained.target)[0] for image in (x, impute(missing))
    ]
    np.testing.assert_allclose(values(taken), expected, rtol=1e-5)
    found = curve_gains(explained, parts, "deletion", fill="road")
    assert found.methods["exact"] != curve_gains(explained, parts, "deletion").methods["exact"]
    with pytest.raises(ValueError, match="fill must be"):
        curve_gains(explained, parts, "deletion", fill="zeros")


def test_a_subjects_own_neutral_brain_is_used() -> None:
    explained, weights = linear_case()
    x = explained.image[0, 0].numpy()
    neutral = np.where(brain(), 0.5, 0).astype(np.float32)
    exact = weights * (x - neutral)
    explained, _ = linear_case(maps={"summary": np.abs(exact)}, imputed=neutral)
    blurred, _ = linear_case(maps={"summary": np.abs(exact)})
    check_correlation(explained)
    check_correlation(blurred)
    (own,), (other,) = explained.answers.values(), blurred.answers.values()
    parts = blocks(brain(), 8)
    taken = random_sets(parts, SETS, 8, np.random.default_rng(0))
    sums = np.bincount(parts.ravel(), exact.ravel())[1:]
    np.testing.assert_allclose(own, taken @ sums, atol=1e-4)
    assert not np.allclose(own, other, atol=1e-2)


def test_verdicts_on_curves_and_correlation() -> None:
    _, _, _, exact, _ = _case()
    explained, weights = linear_case()
    shares = weights * explained.image[0, 0].numpy()
    explained, _ = linear_case(maps={"exact": shares, "opposite": -shares, "summary": np.abs(exact)})
    verdicts = {(row.method, row.check): row for row in [*check_curves(explained), *check_correlation(explained)]}
    checks = {check for _, check in verdicts}
    assert checks == {"deletion (blocks)", "deletion (regions)", "insertion (blocks)", "faithfulness"}
    for check in checks:
        assert verdicts["exact", check].verdict == "pass", check
        assert verdicts["opposite", check].verdict == "fail", check
        assert ("summary", check) in verdicts
    assert "later" in verdicts["opposite", "deletion (blocks)"].sentence


def test_maps_without_signs_are_asked_how_far_the_value_moves() -> None:
    """A network that looks at one block, which speaks against the class: its size marks what moves the value."""
    weights = np.zeros((3, *SHAPE), np.float32)
    weights[2, 3:6, 4:7, 2:5] = -1.0
    explained, _ = linear_case()
    network = type(explained.network)(weights)  # type: ignore[call-arg]
    x = explained.image[0, 0].numpy()
    size = np.abs(weights[2] * x)
    explained, _ = linear_case(network=network, imputed=np.zeros(SHAPE, np.float32), maps={"summary": size})
    parts = blocks(brain(), 2)
    assert curve_gains(explained, parts, "deletion").methods["summary"] < 0, "taking it out raises the value"
    for kind in ("deletion", "insertion"):
        found = curve_gains(explained, parts, kind, unsigned=True)
        assert found.methods["summary"] > found.threshold
    (signed,) = check_correlation(replace(explained, unsigned=()))
    (unsigned,) = check_correlation(explained)
    assert signed.value < 0 < unsigned.value
    assert unsigned.value == pytest.approx(-signed.value, abs=1e-6), "every part moves the value one way here"
    assert {row.verdict for row in check_curves(explained) if "blocks" in row.check} == {"pass"}
    assert "many subjects" in unsigned.sentence


def test_a_model_that_does_not_care_is_not_judged() -> None:
    explained, _ = linear_case()
    network = type(explained.network)(np.zeros((3, *SHAPE), np.float32))  # type: ignore[call-arg]
    explained, _ = linear_case(network=network)
    assert {row.verdict for row in [*check_curves(explained), *check_correlation(explained)]} == {"not applicable"}
