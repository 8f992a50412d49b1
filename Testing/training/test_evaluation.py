"""The numbers of an evaluation and the card that reports them, from scores whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from MRIInterpretLib.simulation.groups import FRACTION, GROUPS, group_posterior
from MRIInterpretLib.training.card import FIRST_LINE, TrainingStory, reliability_picture, verdicts, write_card
from MRIInterpretLib.training.conditions import CONDITIONS, Scores
from MRIInterpretLib.training.evaluation import COHORT, Evaluation, assess, metrics_of

STORY = TrainingStory("mri-interpret train ...", 1, 12000, 1.2, "2 CPU cores", "a, b", "c, d", ("A note.",))


def _scores(noise: float, seed: int = 0, number: int = 600) -> Scores:
    """What a network would say that knows the fraction up to ``noise``."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, number)
    means, sds = np.array([FRACTION[group] for group in GROUPS]).T
    fractions = rng.normal(means[labels], sds[labels])
    disturb = np.random.default_rng(seed + 1)

    def logits() -> np.ndarray:
        return np.log(group_posterior(fractions + noise * disturb.normal(size=number)))

    return Scores(logits(), labels, fractions, logits())


@pytest.fixture(scope="module")
def perfect() -> Evaluation:
    return assess({name: _scores(0.0) for name in CONDITIONS}, 1.0)


@pytest.fixture(scope="module")
def noisy() -> Evaluation:
    scores = {name: _scores(1.2, seed) for seed, name in enumerate(CONDITIONS)}
    return assess(scores, 1.0)


def test_knowing_the_fraction_is_as_good_as_volume_alone(perfect: Evaluation) -> None:
    for group in ("AD", "MCI"):
        gap = perfect.aucs["volume alone"][group].value - perfect.aucs["plain"][group].value
        assert abs(gap) < 0.01
    assert perfect.flip_change.value == 0.0
    assert perfect.calibration_error.value < 0.06
    assert perfect.correlation.value < -0.95


def test_a_perfect_network_meets_every_goal_and_a_noisy_one_does_not(perfect: Evaluation, noisy: Evaluation) -> None:
    assert all(met for _, _, met in verdicts(perfect))
    failed = [goal for goal, _, met in verdicts(noisy) if not met]
    assert any("AUC AD vs CN at least" in goal for goal in failed)
    assert any("correlation" in goal for goal in failed)
    assert any("flip" in goal for goal in failed)


def test_the_confusion_matrix_is_of_133_subjects(perfect: Evaluation) -> None:
    assert perfect.confusion.sum() == COHORT == 133
    labels = perfect.plain.labels[:COHORT]
    assert perfect.confusion.sum(1).tolist() == np.bincount(labels, minlength=3).tolist()


def test_intervals_hold_their_value(noisy: Evaluation) -> None:
    for metric in metrics_of(noisy).values():
        low, high = metric["ci95"]
        assert low <= metric["value"] <= high
        assert metric["n"] > 0


def test_the_card_says_first_what_it_was_trained_on_and_reports_failures(noisy: Evaluation) -> None:
    card = write_card("atrophy_cnn", noisy, STORY, "| a scan |")
    assert card.splitlines()[0] == FIRST_LINE
    assert "simulated atrophy" in FIRST_LINE
    assert "not for diagnosis" in FIRST_LINE
    assert "**no**" in card
    assert "mri-interpret train ..." in card
    assert "A note." in card
    assert str(noisy.aucs["plain"]["AD"]) in card
    for name in CONDITIONS:
        assert f"| {name} |" in card


def test_the_reliability_diagram_is_a_picture(perfect: Evaluation) -> None:
    assert reliability_picture(perfect).startswith(b"\x89PNG")
