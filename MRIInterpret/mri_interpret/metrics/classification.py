"""How good predictions are: area under the ROC curve, confusion, calibration."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

from .bootstrap import REPEATS, Estimate, bootstrap

Floats = NDArray[np.float64]


def auc(scores: ArrayLike, positive: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting half.

    From ranks (Mann & Whitney 1947). ``sklearn.metrics.roc_auc_score`` gives the same number and takes 25 times as
    long, which counts in 2,000 resamples.

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


def auc_interval(scores: ArrayLike, positive: ArrayLike, repeats: int = REPEATS, seed: int = 0) -> Estimate:
    """AUC with its bootstrap interval; each resample keeps the number of positives and negatives."""
    values, flags = np.asarray(scores, dtype=float), np.asarray(positive, dtype=bool)
    return bootstrap(lambda index: auc(values[index], flags[index]), flags, repeats, seed)


def auc_estimate(scores: ArrayLike, labels: ArrayLike, positive: int, negative: int, seed: int = 0) -> Estimate:
    """AUC of two of several classes, with its interval; subjects of other classes do not count."""
    values, classes = np.asarray(scores, dtype=float), np.asarray(labels)
    chosen = np.isin(classes, (positive, negative))
    return auc_interval(values[chosen], classes[chosen] == positive, seed=seed)


def roc_points(scores: ArrayLike, positive: ArrayLike) -> tuple[Floats, Floats]:
    """False and true positive rates from (0, 0) to (1, 1), one point per distinct score."""
    from sklearn.metrics import roc_curve

    false_rate, true_rate, _ = roc_curve(np.asarray(positive), np.asarray(scores), drop_intermediate=False)
    return np.asarray(false_rate, dtype=np.float64), np.asarray(true_rate, dtype=np.float64)


def confusion(labels: ArrayLike, predicted: ArrayLike, classes: int = 3) -> NDArray[np.intp]:
    """Counts: rows the truth, columns the prediction, (classes, classes)."""
    from sklearn.metrics import confusion_matrix

    return np.asarray(confusion_matrix(np.asarray(labels), np.asarray(predicted), labels=range(classes)), dtype=np.intp)


def softmax(logits: ArrayLike, temperature: float = 1.0) -> Floats:
    """Probabilities (N, C)."""
    result: Floats = special.softmax(np.asarray(logits, dtype=float) / temperature, axis=1)
    return result


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """The temperature, between 0.05 and 20, that maximises the likelihood of held-out labels (Guo et al. 2017)."""
    values, classes = np.asarray(logits, dtype=float), np.asarray(labels, dtype=int)

    def cost(log_temperature: float) -> float:
        log_probability = special.log_softmax(values / np.exp(log_temperature), axis=1)
        return -float(log_probability[np.arange(len(classes)), classes].mean())

    best = optimize.minimize_scalar(cost, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
    return float(np.exp(best.x))


def reliability(probabilities: ArrayLike, labels: ArrayLike, bins: int = 10) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Mean confidence, accuracy and count of the predicted class in equal bins of confidence; empty bins are NaN.

    ``sklearn.calibration.calibration_curve`` takes two classes only and drops empty bins.
    """
    values, classes = np.asarray(probabilities, dtype=float), np.asarray(labels)
    confidence, right = values.max(1), values.argmax(1) == classes
    place = np.clip((confidence * bins).astype(int), 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(place, confidence, bins) / counts
        accuracy = np.bincount(place, right, bins) / counts
    return mean_confidence, accuracy, counts


def expected_calibration_error(probabilities: ArrayLike, labels: ArrayLike, bins: int = 10) -> float:
    """Mean gap between confidence and accuracy, weighted by the scans in each bin (Guo et al. 2017, eq. 3)."""
    confidence, accuracy, counts = reliability(probabilities, labels, bins)
    filled = counts > 0
    return float((np.abs(confidence - accuracy)[filled] * counts[filled]).sum() / counts.sum())


def brier_score(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Mean over scans of the summed squared error of the probabilities, 0 to 2 (Brier 1950).

    Own code: scikit-learn has the sum over several classes from version 1.7 on only.
    """
    values, classes = np.asarray(probabilities, dtype=float), np.asarray(labels, dtype=int)
    return float(((values - np.eye(values.shape[1])[classes]) ** 2).sum(1).mean())
