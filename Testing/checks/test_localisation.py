"""Localisation measures, by hand and against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mri_interpret.checks.localisation import (
    average_precision,
    bootstrap_interval,
    check_localisation,
    edge_detector,
    localise,
    uniform_map,
)
from sklearn.metrics import average_precision_score

from Testing.checks.small_networks import SHAPE, atlas, brain, linear_subject


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
def test_average_precision_is_scikit_learns_ties_included(seed: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    hit = rng.random(40) < 0.3
    hit[0] = True
    values = rng.integers(0, levels, 40).astype(float)
    assert average_precision(values, hit) == pytest.approx(average_precision_score(hit, values))


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


def test_an_edge_detector_finds_edges_inside_the_brain() -> None:
    step = np.zeros(SHAPE)
    step[6:] = 1.0
    edges = edge_detector(step, brain())
    assert not edges[~brain()].any()
    assert set(np.argwhere(edges > 0.9 * edges.max())[:, 0]) <= {5, 6}


def test_the_bootstrap_interval_holds_the_mean_and_shrinks() -> None:
    rng = np.random.default_rng(0)
    few, many = rng.normal(5, 1, 20), rng.normal(5, 1, 2000)
    mean, low, high = bootstrap_interval([*few, math.nan])
    assert mean == pytest.approx(few.mean())
    assert low < mean < high
    _, narrow_low, narrow_high = bootstrap_interval(many)
    # For 2000 normal values the interval is close to mean +- 1.96 standard errors.
    assert narrow_high - narrow_low == pytest.approx(2 * 1.96 * many.std() / math.sqrt(2000), rel=0.1)
    assert all(math.isnan(value) for value in bootstrap_interval([math.nan]))


def test_verdicts_need_a_truth_and_beat_the_edge_detector() -> None:
    real, _ = linear_subject()
    assert check_localisation(real) == []
    truth = _truth()
    maps = {"good": truth + 0.001, "bad": uniform_map(brain()), "none": np.zeros(SHAPE)}
    simulated, _ = linear_subject(truth=truth, maps=maps)
    verdicts = [row.verdict for row in check_localisation(simulated)]
    assert verdicts == ["pass", "fail", "not applicable"]
