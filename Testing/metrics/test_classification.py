"""Metrics against independent computation."""

from __future__ import annotations

import numpy as np
import pytest
from mri_interpret.metrics.classification import (
    auc,
    auc_estimate,
    brier_score,
    confusion,
    expected_calibration_error,
    fit_temperature,
    reliability,
    roc_points,
    softmax,
)
from scipy import stats
from sklearn import metrics


def test_auc_is_the_share_of_ordered_pairs_ties_half() -> None:
    scores = np.array([0.1, 0.4, 0.4, 0.8, 0.3, 0.4])
    positive = np.array([False, True, False, True, False, True])
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in scores[positive] for b in scores[~positive]]
    assert auc(scores, positive) == pytest.approx(np.mean(pairs))


def test_auc_of_two_normals_is_known() -> None:
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(1.0, 1, 20000), rng.normal(0, 1, 20000)])
    assert auc(scores, np.repeat([True, False], 20000)) == pytest.approx(stats.norm.cdf(1 / 2**0.5), abs=0.01)


def test_auc_needs_both_classes() -> None:
    with pytest.raises(ValueError, match="both classes"):
        auc([1.0, 2.0], [True, True])


def test_auc_estimate_looks_at_two_classes_only() -> None:
    labels = np.array([0, 0, 1, 1, 2, 2])
    scores = np.array([0.0, 1.0, 0.5, 2.0, 9.0, -9.0])
    assert auc_estimate(scores, labels, 1, 0).value == pytest.approx(0.75)


def test_temperature_undoes_a_scaling_of_calibrated_logits() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 1.5, (6000, 3))
    labels = np.array([rng.choice(3, p=row) for row in softmax(logits)])
    assert fit_temperature(3.0 * logits, labels) == pytest.approx(3.0, rel=0.06)


def test_calibrated_probabilities_have_a_small_error_and_overconfident_ones_a_large_one() -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 1.5, (6000, 3))
    labels = np.array([rng.choice(3, p=row) for row in softmax(logits)])
    assert expected_calibration_error(softmax(logits), labels) < 0.03
    assert expected_calibration_error(softmax(6 * logits), labels) > 0.15


def test_reliability_by_hand() -> None:
    probabilities = np.array([[0.95, 0.05], [0.91, 0.09], [0.4, 0.6], [0.35, 0.65]])
    confidence, accuracy, counts = reliability(probabilities, [0, 1, 1, 1])
    assert counts.tolist() == [0, 0, 0, 0, 0, 0, 2, 0, 0, 2]
    assert confidence[6] == pytest.approx(0.625)
    assert accuracy[[6, 9]].tolist() == [1.0, 0.5]
    assert expected_calibration_error(probabilities, [0, 1, 1, 1]) == pytest.approx((0.375 + 0.43) / 2)


def test_confusion_counts_truth_in_rows() -> None:
    assert confusion([0, 0, 1, 2], [0, 1, 1, 0]).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_auc_is_scikit_learns_and_that_under_its_curve() -> None:
    rng = np.random.default_rng(5)
    scores, positive = rng.integers(0, 9, 60).astype(float), rng.random(60) < 0.4
    assert auc(scores, positive) == pytest.approx(metrics.roc_auc_score(positive, scores))
    false_rate, true_rate = roc_points(scores, positive)
    assert np.trapezoid(true_rate, false_rate) == pytest.approx(auc(scores, positive))
    assert (false_rate[0], true_rate[0], false_rate[-1], true_rate[-1]) == (0, 0, 1, 1)
    assert len(false_rate) == len(np.unique(scores)) + 1


def test_brier_score_by_hand() -> None:
    assert brier_score([[0.8, 0.1, 0.1], [0.0, 0.0, 1.0]], [0, 0]) == pytest.approx((0.06 + 2.0) / 2)
