"""Localisation measures, by hand and against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mri_interpret.checks.localisation import (
    check_localisation,
    localise,
)
from mri_interpret.metrics.reference_maps import uniform_map

from Testing.checks.small_networks import SHAPE, atlas, brain, linear_case


def _truth() -> np.ndarray:
    truth = np.zeros(SHAPE, bool)
    truth[3:6, 3:7, 2:5] = True
    return truth


def test_a_map_of_the_truth_is_perfect_and_its_opposite_is_not_judged() -> None:
    truth = _truth()
    found = localise(truth.astype(float), truth, brain(), atlas(), (1,))
    assert (found.mass, found.rank, found.pointing, found.auprc) == (1, 1, 1, 1)
    assert found.chance == truth.sum() / brain().sum()
    assert math.isnan(localise(-truth.astype(float), truth, brain()).mass)


def test_a_uniform_map_reaches_chance() -> None:
    found = localise(uniform_map(brain()), _truth(), brain())
    assert found.mass == pytest.approx(found.chance)
    assert found.rank == pytest.approx(found.chance)
    assert found.auprc == pytest.approx(found.chance)


def test_measures_by_hand() -> None:
    truth = np.array([1, 1, 0, 0, 0, 0])[:, None, None]
    relevance = np.array([3.0, 1.0, 2.0, 0.0, -5.0, 100.0])[:, None, None]
    inside = np.array([1, 1, 1, 1, 1, 0])[:, None, None]
    found = localise(relevance, truth, inside)
    assert found.mass == pytest.approx(4 / 6)
    assert found.rank == pytest.approx(1 / 2)
    assert found.pointing == 1
    assert found.auprc == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert found.chance == pytest.approx(2 / 5)


def test_the_pointing_game_has_a_tolerance_in_millimetres() -> None:
    truth = np.zeros((10, 1, 1))
    truth[2] = 1
    relevance = np.zeros((10, 1, 1))
    relevance[5] = 1.0
    inside = np.ones((10, 1, 1))
    reach = [localise(relevance, truth, inside, tolerance=t, spacing=(2, 2, 2)).pointing for t in (0, 5.9, 6.1)]
    assert reach == [0, 0, 1]


@given(st.integers(0, 1000), st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_average_precision_passes_equal_values_together(seed: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    hit = rng.random((40, 1, 1)) < 0.3
    hit[0], hit[1] = True, False
    values = rng.integers(0, levels, hit.shape) + 1.0
    area, recall = 0.0, 0.0
    for threshold in np.unique(values)[::-1]:
        chosen = values >= threshold
        now = hit[chosen].sum() / hit.sum()
        area += (now - recall) * hit[chosen].mean()
        recall = now
    assert localise(values, hit, np.ones(hit.shape)).auprc == pytest.approx(area)


@given(st.integers(0, 100), st.floats(0.01, 1000))
@settings(max_examples=20, deadline=None)
def test_a_positive_factor_and_what_lies_outside_do_not_matter(seed: int, factor: float) -> None:
    relevance = np.random.default_rng(seed).normal(size=SHAPE)
    other = np.where(brain(), factor * relevance, 77.0)
    first, second = (localise(values, _truth(), brain(), atlas(), (1, 2)) for values in (relevance, other))
    for name, value in first.as_dict().items():
        assert second.as_dict()[name] == pytest.approx(value), name


def test_recall_counts_affected_regions_among_the_top_ones() -> None:
    labels = atlas()
    relevance = np.where(labels == 3, 2.0, np.where(labels == 5, 1.0, 0.1))
    for top, expected in ((1, 0.5), (2, 1.0)):
        found = localise(relevance, _truth(), brain(), labels, (3, 5), top_regions=top)
        assert found.recall == expected
    assert localise(np.zeros(SHAPE), _truth(), brain(), labels, (3,)).recall == 0
    assert math.isnan(localise(relevance, _truth(), brain()).recall)


def test_shapes_must_fit() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        localise(np.zeros((3, 3, 3)), _truth(), brain())


def test_verdicts_need_a_truth_and_beat_the_edge_detector() -> None:
    real, _ = linear_case()
    assert check_localisation(real) == []
    truth = _truth()
    maps = {"good": truth + 0.001, "bad": uniform_map(brain()), "none": np.zeros(SHAPE)}
    simulated, _ = linear_case(truth=truth, maps=maps)
    verdicts = [row.verdict for row in check_localisation(simulated)]
    assert verdicts == ["pass", "fail", "not applicable"]
