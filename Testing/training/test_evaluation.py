"""The numbers of an evaluation and the card that reports them, from scores whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mri_interpret.simulation.anatomy import PUBLISHED
from mri_interpret.simulation.groups import FRACTION, GROUPS, group_posterior
from mri_interpret.training.card import FIRST_LINE, TrainingStory, reliability_picture, verdicts, write_card
from mri_interpret.training.conditions import CONDITIONS, Scores
from mri_interpret.training.evaluation import COHORT, Evaluation, assess, metrics_of

pytestmark = pytest.mark.slow

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

    bases = np.array(["a", "b", "c", "d"])[np.arange(number) % 4]
    return Scores(logits(), labels, fractions, bases, logits())


@pytest.fixture(scope="module")
def perfect() -> Evaluation:
    return assess({name: _scores(0.0) for name in CONDITIONS}, _scores(0.0))


@pytest.fixture(scope="module")
def noisy() -> Evaluation:
    scores = {name: _scores(1.2, seed) for seed, name in enumerate(CONDITIONS)}
    return assess(scores, _scores(1.2, 50))


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


def test_temperature_is_that_of_calibrated_logits_and_undoes_a_scaling(perfect: Evaluation) -> None:
    assert perfect.temperature == pytest.approx(1.0, abs=0.15)
    sharp = _scores(0.0)
    sharp = Scores(3 * sharp.logits, sharp.labels, sharp.fractions, sharp.bases, 3 * sharp.flipped)
    again = assess(dict.fromkeys(CONDITIONS, sharp), sharp)
    assert again.temperature == pytest.approx(3 * perfect.temperature, rel=0.01)
    assert again.calibration_error.value == pytest.approx(perfect.calibration_error.value, abs=0.01)


@pytest.mark.slow
def test_an_anatomy_s_own_subjects_do_not_set_its_temperature() -> None:
    scores = _scores(0.0)
    odd = scores.bases == "a"
    logits = np.where(odd[:, None], 10 * scores.logits, scores.logits)
    wild = Scores(logits, scores.labels, scores.fractions, scores.bases, logits)
    fair = assess(dict.fromkeys(CONDITIONS, scores), scores)
    # With its own temperature, an overconfident anatomy would look calibrated; judged by the others', it does not.
    assert assess(dict.fromkeys(CONDITIONS, wild), scores).calibration_error.value > fair.calibration_error.value + 0.03


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


def test_the_card_tells_which_network_learned_which_disease(noisy: Evaluation) -> None:
    card = write_card("m", noisy, replace(STORY, disease=PUBLISHED, network="EvidenceCNN3d"))
    assert "has no biases" in card
    assert "table of published" in card
    assert "one network of one seed" in card
    several = write_card("m", noisy, replace(STORY, disease=PUBLISHED, network="EvidenceEnsemble3d", members=3))
    assert "has no biases" in several
    assert "(`EvidenceEnsemble3d`)" in several
    assert "3 networks of that kind" in several
    assert "one network of one seed" not in several
    assert f"each of seeds {STORY.seed} to {STORY.seed + 2}." in several
    committee = replace(STORY, disease=PUBLISHED, network="EvidenceCommittee3d", further=4, resumes=False)
    said = write_card("m", noisy, committee)
    assert "4 further networks" in said
    assert "one network of one seed" not in said
    assert "resumes after a kill" not in said
    assert "training_log.csv" in said
    stylised = write_card("m", noisy, STORY)
    assert "plain stack" in stylised
    assert "per mille of the intracranial volume, were not trained on" in stylised
    assert "plain stack" not in card
    assert "per mille of the intracranial volume, were not trained on" not in card


def test_the_reliability_diagram_is_a_picture(perfect: Evaluation) -> None:
    assert reliability_picture(perfect).startswith(b"\x89PNG")
