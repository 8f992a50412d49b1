"""How good predictions are: AUC, its bootstrap interval, confusion, calibration. Plain NumPy, no model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

Floats = NDArray[np.float64]


def auc(scores: ArrayLike, positive: ArrayLike) -> float:
    """Area under the ROC curve: chance that a positive scores above a negative, ties counting half.

    Raises
    ------
    ValueError
        If one of the two classes is empty.
    """
    values, flags = np.asarray(scores, dtype=float), np.asarray(positive, dtype=bool)
    number, others = int(flags.sum()), int((~flags).sum())
    if number == 0 or others == 0:
        raise ValueError("the area under the curve needs both classes")
    ranks = stats.rankdata(values)
    return float((ranks[flags].sum() - number * (number + 1) / 2) / (number * others))


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval and the subjects that it comes from."""

    value: float
    low: float
    high: float
    n: int

    def as_metric(self) -> dict[str, object]:
        """As it stands in a bundle's metadata."""
        return {"value": round(self.value, 4), "ci95": [round(self.low, 4), round(self.high, 4)], "n": self.n}

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def bootstrap(
    statistic: Callable[[NDArray[np.intp]], float], strata: ArrayLike, repeats: int = 2000, seed: int = 0
) -> Estimate:
    """95 % percentile interval by drawing subjects with replacement within each stratum (group).

    Parameters
    ----------
    statistic
        Takes indices of subjects.
    strata
        Group of each subject; each resample keeps the groups' sizes.
    """
    groups = np.asarray(strata)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    rng = np.random.default_rng(seed)
    draws = [
        statistic(np.concatenate([rng.choice(indices, len(indices)) for indices in members])) for _ in range(repeats)
    ]
    low, high = np.percentile(draws, [2.5, 97.5])
    return Estimate(statistic(np.arange(len(groups))), float(low), float(high), len(groups))


def auc_estimate(scores: ArrayLike, labels: ArrayLike, positive: int, negative: int, seed: int = 0) -> Estimate:
    """AUC of two of several classes, with its interval."""
    values, classes = np.asarray(scores, dtype=float), np.asarray(labels)
    chosen = np.isin(classes, (positive, negative))
    values, flags = values[chosen], classes[chosen] == positive
    return bootstrap(lambda index: auc(values[index], flags[index]), flags, seed=seed)


def softmax(logits: ArrayLike, temperature: float = 1.0) -> Floats:
    """Probabilities (N, C)."""
    result: Floats = special.softmax(np.asarray(logits, dtype=float) / temperature, axis=1)
    return result


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """The temperature that makes held-out labels likeliest (Guo 2017), between 0.05 and 20."""
    values, classes = np.asarray(logits, dtype=float), np.asarray(labels, dtype=int)

    def cost(log_temperature: float) -> float:
        log_probability = special.log_softmax(values / np.exp(log_temperature), axis=1)
        return -float(log_probability[np.arange(len(classes)), classes].mean())

    found = optimize.minimize_scalar(cost, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
    return float(np.exp(found.x))


def reliability(probabilities: ArrayLike, labels: ArrayLike, bins: int = 10) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Mean confidence, accuracy and count of the predicted class in equal bins of confidence; empty bins are NaN."""
    values, classes = np.asarray(probabilities, dtype=float), np.asarray(labels)
    confidence, right = values.max(1), values.argmax(1) == classes
    place = np.clip((confidence * bins).astype(int), 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(place, confidence, bins) / counts
        accuracy = np.bincount(place, right, bins) / counts
    return mean_confidence, accuracy, counts


def expected_calibration_error(probabilities: ArrayLike, labels: ArrayLike, bins: int = 10) -> float:
    """Mean gap between confidence and accuracy, weighted by how many scans a bin holds (Guo 2017, eq. 3)."""
    confidence, accuracy, counts = reliability(probabilities, labels, bins)
    there = counts > 0
    return float((np.abs(confidence - accuracy)[there] * counts[there]).sum() / counts.sum())


def confusion(labels: ArrayLike, predicted: ArrayLike, classes: int = 3) -> NDArray[np.intp]:
    """Counts: rows the truth, columns the prediction."""
    table = np.zeros((classes, classes), dtype=np.intp)
    np.add.at(table, (np.asarray(labels), np.asarray(predicted)), 1)
    return table
