"""Evaluate a network on anatomies it has not seen, and compare it with hippocampal volume alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ..metrics.bootstrap import Estimate, bootstrap
from ..metrics.classification import (
    auc_estimate,
    confusion,
    expected_calibration_error,
    fit_temperature,
    reliability,
    softmax,
)
from ..metrics.similarity import correlation
from ..progress import ProgressCallback, silent
from ..simulation.anatomy import STYLISED
from ..simulation.groups import group_posterior
from .conditions import Scores, conditions_for, score
from .samples import BankSamples

YOUNG_AD = 0.05  # an AD probability below it calls a young adult healthy
COHORT = 133  # subjects of the confusion matrix: as many as in the published validation cohort that we follow
EVALUATION_SEED = 2026


@dataclass(frozen=True)
class Evaluation:
    """The numbers that the card reports.

    The temperature that ships is fitted on all subjects, because those over held-out anatomies are what a user's scans
    are like. Its calibration error is measured without it: the subjects of each held-out anatomy are judged with the
    temperature that the subjects of all other anatomies give.
    """

    temperature: float
    plain: Scores
    aucs: dict[str, dict[str, Estimate]]  # condition -> {"AD", "MCI"}; and "volume alone"
    accuracy: Estimate
    confusion: NDArray[np.intp]
    calibration_error: Estimate
    correlation: Estimate
    flip_change: Estimate
    least_calibration_error: float  # of the true fraction's posterior on the same subjects: what chance leaves
    bins: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]
    young: tuple[int, int] | None = (
        None  # of the subjects younger than patients, how many have AD below 0.05, and how many there are
    )


def evaluate_bank(
    network: nn.Module,
    calibration: tuple[Path, int],
    test: tuple[Path, int],
    *,
    disease: str = STYLISED,
    progress: ProgressCallback = silent,
) -> Evaluation:
    """Calibrate on one bank, evaluate on another.

    Parameters
    ----------
    network
        Returns logits (N, 3).
    calibration
        Folder and number of items of a bank over training anatomies, with subjects that were not trained on.
    test
        The same over held-out anatomies.
    disease
        Of the banks' subjects.
    progress
        Called with the condition and the fraction done.
    """
    conditions = conditions_for(disease)
    folder, number = calibration
    known = score(
        network,
        BankSamples(folder, number, number, EVALUATION_SEED, conditions["plain"], True),
        progress=progress,
        name="Calibrating",
    )
    folder, number = test
    scores = {
        name: score(
            network,
            BankSamples(folder, number, number, EVALUATION_SEED + 1, ranges, True),
            flipped=name == "plain",
            progress=progress,
            name=f"Evaluating: {name}",
        )
        for name, ranges in conditions.items()
    }
    return assess(scores, known)


def assess(scores: dict[str, Scores], known: Scores) -> Evaluation:
    """The numbers from the scores of each condition; "plain" must be among them, with flipped logits and anatomies.

    ``known`` are further subjects over the training anatomies, which also help to fit the temperature. Where ages are
    known, the young are told apart: all other numbers are of people of the patients' ages.
    """
    everybody = scores["plain"]
    scores = {name: found.chosen(~found.young) for name, found in scores.items()}
    plain = scores["plain"]
    everyone = np.concatenate((known.logits, plain.logits)), np.concatenate((known.labels, plain.labels))
    temperatures = _cross_fitted(plain, known)
    labels = plain.labels
    aucs = {"volume alone": _aucs(-plain.fractions, -plain.fractions, labels)}
    expected = group_posterior(plain.fractions)
    if len(plain.chances):
        expected = plain.chances
        odds = np.log(np.clip(expected, 1e-12, None))
        aucs["all volumes"] = _aucs(odds[:, 2] - odds[:, 0], odds[:, 1] - odds[:, 0], labels)
    for name, found in scores.items():
        aucs[name] = _aucs(found.ad_minus_cn, found.mci_minus_cn, labels)
    probabilities = softmax(plain.logits / temperatures[:, None])
    mirrored = softmax(plain.flipped / temperatures[:, None])
    right = probabilities.argmax(1) == labels
    changes = np.abs(probabilities[:, -1] - mirrored[:, -1])

    def correlate(index: NDArray[np.intp]) -> float:
        return correlation(plain.ad_minus_cn[index], plain.fractions[index])

    return Evaluation(
        temperature=fit_temperature(*everyone),
        plain=plain,
        aucs=aucs,
        accuracy=bootstrap(lambda index: float(right[index].mean()), labels),
        confusion=confusion(labels[:COHORT], probabilities[:COHORT].argmax(1)),
        calibration_error=bootstrap(
            lambda index: expected_calibration_error(probabilities[index], labels[index]), labels, repeats=500
        ),
        correlation=bootstrap(correlate, labels),
        flip_change=bootstrap(lambda index: float(changes[index].mean()), labels),
        least_calibration_error=expected_calibration_error(expected, labels),
        bins=reliability(probabilities, labels),
        young=_young(everybody, fit_temperature(*everyone)),
    )


def _young(everybody: Scores, temperature: float) -> tuple[int, int] | None:
    """How many of the young have AD below 0.05, and how many there are."""
    there = everybody.chosen(everybody.young)
    if not there.labels.size:
        return None
    chances = softmax(there.logits, temperature)[:, -1]
    return int((chances < YOUNG_AD).sum()), len(chances)


def _cross_fitted(plain: Scores, known: Scores) -> NDArray[np.float64]:
    """For each subject, the temperature that subjects over other anatomies give."""
    temperatures = np.ones(len(plain.labels))
    for base in np.unique(plain.bases):
        here = plain.bases == base
        logits = np.concatenate((known.logits, plain.logits[~here]))
        temperatures[here] = fit_temperature(logits, np.concatenate((known.labels, plain.labels[~here])))
    return temperatures


def _aucs(ad: NDArray[np.float64], mci: NDArray[np.float64], labels: NDArray[np.int64]) -> dict[str, Estimate]:
    return {"AD": auc_estimate(ad, labels, 2, 0), "MCI": auc_estimate(mci, labels, 1, 0)}


def metrics_of(evaluation: Evaluation) -> dict[str, dict[str, Any]]:
    """For a bundle's metadata."""
    plain, volume = evaluation.aucs["plain"], evaluation.aucs["volume alone"]
    return {
        "AUC AD vs CN": plain["AD"].as_metric(),
        "AUC MCI vs CN": plain["MCI"].as_metric(),
        "AUC AD vs CN, hippocampal volume alone": volume["AD"].as_metric(),
        "AUC MCI vs CN, hippocampal volume alone": volume["MCI"].as_metric(),
        "accuracy, three classes": evaluation.accuracy.as_metric(),
        "expected calibration error": evaluation.calibration_error.as_metric(),
        "correlation of the AD - CN logit with the hippocampal fraction": evaluation.correlation.as_metric(),
        "change of the AD probability by a left-right flip": evaluation.flip_change.as_metric(),
    }
