"""The model's performance on the cohort: confusion matrix, accuracy, ROC curves with intervals, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ..metrics.bootstrap import Estimate
from ..metrics.classification import (
    Floats,
    auc_interval,
    brier_score,
    confusion,
    expected_calibration_error,
    reliability,
    roc_points,
)
from .subject_result import SubjectResult

BINS = 10


@dataclass(frozen=True)
class RocCurve:
    """One class against all others, by its probability."""

    name: str
    false_positive_rate: Floats
    true_positive_rate: Floats
    area: Estimate


@dataclass(frozen=True)
class Performance:
    """Of the subjects whose group is known; ``counts`` rows are true, columns predicted."""

    classes: tuple[str, ...]
    n: int
    counts: NDArray[np.intp]
    accuracy: Estimate  # Wilson's interval
    balanced_accuracy: Estimate  # mean of the groups' accuracies, over groups that occur
    curves: tuple[RocCurve, ...]  # for classes with subjects inside and outside
    pairs: dict[str, Estimate] = field(default_factory=dict)  # "AD vs CN" -> AUC of p(AD) / (p(AD) + p(CN))
    calibration: pd.DataFrame = field(default_factory=pd.DataFrame)  # confidence, accuracy, n per bin
    calibration_error: float = float("nan")
    brier: float = float("nan")  # mean over subjects of the summed squared error of the probabilities, 0..2

    @property
    def rates(self) -> Floats:
        """Shares of each true group; rows of groups without subjects are NaN."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.counts / self.counts.sum(1, keepdims=True))


def predictions_table(results: Sequence[SubjectResult], classes: Sequence[str]) -> pd.DataFrame:
    """One row per subject: names, group, prediction, probability and logit of each class, target, registration.

    Of a model of several networks, also the standard deviation of each probability over them.
    """
    rows = []
    deviating = any(result.members_sd for result in results)
    for result in results:
        found = result.record["prediction"]
        group = result.subject.group
        rows.append(
            {
                "participant_id": f"sub-{result.subject.id}",
                "session_id": f"ses-{result.subject.session}" if result.subject.session else None,
                "group": group or None,
                "predicted": found["predicted"],
                "right": found["predicted"] == group if group else None,
                **{f"p_{name}": found["probabilities"][name] for name in classes},
                **{f"sd_{name}": result.members_sd.get(name, np.nan) for name in classes if deviating},
                **{f"logit_{name}": found["logits"][name] for name in classes},
                "target": result.record["target"]["name"],
                "target_value": result.record["target"]["value"],
                "alignment": result.record["registration"],
                "seconds": sum(result.record["seconds"].values()),
            }
        )
    return pd.DataFrame(rows)


def measure(table: pd.DataFrame, classes: Sequence[str], seed: int = 0) -> Performance | None:
    """Measure predictions against the known groups; None if no subject has one.

    Parameters
    ----------
    table
        From :func:`predictions_table`.
    classes
        In the order of the model.
    seed
        Of the bootstrap, which draws subjects within each true group (stratified), 2000 times, and of the posterior of
        the balanced accuracy.
    """
    known = table[table["group"].notna()]
    if known.empty:
        return None
    order = {name: number for number, name in enumerate(classes)}
    labels = known["group"].map(order).to_numpy(dtype=np.intp)
    predicted = known["predicted"].map(order).to_numpy(dtype=np.intp)
    probabilities = known[[f"p_{name}" for name in classes]].to_numpy(dtype=np.float64)
    right = predicted == labels

    curves = [
        _curve(name, probabilities[:, number], labels == number, seed)
        for number, name in enumerate(classes)
        if 0 < (labels == number).sum() < len(labels)
    ]
    confidence, accuracy, counts = reliability(probabilities, labels, BINS)
    edges = np.linspace(0, 1, BINS + 1)
    calibration = pd.DataFrame(
        {"from": edges[:-1], "to": edges[1:], "confidence": confidence, "accuracy": accuracy, "n": counts}
    )
    return Performance(
        classes=tuple(classes),
        n=len(labels),
        counts=confusion(labels, predicted, len(classes)),
        accuracy=share_estimate(right),
        balanced_accuracy=_balanced([right[labels == group] for group in np.unique(labels)], seed),
        curves=tuple(curves),
        pairs=_pairs(probabilities, labels, classes, seed),
        calibration=calibration,
        calibration_error=expected_calibration_error(probabilities, labels, BINS),
        brier=brier_score(probabilities, labels),
    )


def share_estimate(right: NDArray[np.bool_]) -> Estimate:
    """The share of true entries with Wilson's interval."""
    interval = stats.binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    return Estimate(float(right.mean()), float(interval.low), float(interval.high), len(right))


def _balanced(groups: Sequence[NDArray[np.bool_]], seed: int, draws: int = 20_000) -> Estimate:
    """Balanced accuracy with the interval of its posterior under flat priors (Brodersen 2010).

    A bootstrap within groups would give an interval of width zero where all or none of a group are correct.
    """
    rng = np.random.default_rng(seed)
    value = float(np.mean([group.mean() for group in groups]))
    rates = [rng.beta(1 + group.sum(), 1 + (~group).sum(), draws) for group in groups]
    low, high = np.percentile(np.mean(rates, axis=0), [2.5, 97.5])
    return Estimate(value, min(float(low), value), max(float(high), value), sum(map(len, groups)))


def _curve(name: str, scores: Floats, positive: NDArray[np.bool_], seed: int) -> RocCurve:
    false_rate, true_rate = roc_points(scores, positive)
    return RocCurve(name, false_rate, true_rate, auc_interval(scores, positive, seed=seed))


def _pairs(probabilities: Floats, labels: NDArray[np.intp], classes: Sequence[str], seed: int) -> dict[str, Estimate]:
    """AUC of each pair of groups, without the others, as studies usually report it."""
    found = {}
    for low in range(len(classes)):
        for high in range(low + 1, len(classes)):
            chosen = np.isin(labels, (low, high))
            flags = labels[chosen] == high
            if not 0 < flags.sum() < len(flags):
                continue
            total = probabilities[chosen][:, [low, high]].sum(1)
            share = np.divide(probabilities[chosen, high], total, out=np.full(len(flags), 0.5), where=total > 0)
            found[f"{classes[high]} vs {classes[low]}"] = auc_interval(share, flags, seed=seed)
    return found


def performance_table(found: Performance) -> pd.DataFrame:
    """Every number with its interval, as rows: measure, value, low, high, n."""
    rows: list[dict[str, object]] = []

    def add(measure: str, estimate: Estimate) -> None:
        rows.append(
            {"measure": measure, "value": estimate.value, "low": estimate.low, "high": estimate.high, "n": estimate.n}
        )

    add("accuracy", found.accuracy)
    add("balanced accuracy", found.balanced_accuracy)
    for curve in found.curves:
        add(f"AUC {curve.name} vs all others", curve.area)
    for name, estimate in found.pairs.items():
        add(f"AUC {name}", estimate)
    rows.append({"measure": "expected calibration error", "value": found.calibration_error, "n": found.n})
    rows.append({"measure": "Brier score", "value": found.brier, "n": found.n})
    return pd.DataFrame(rows)


def confusion_table(found: Performance) -> pd.DataFrame:
    """Counts and shares: true, predicted, count, rate."""
    return pd.DataFrame(
        [
            {"true": true, "predicted": predicted, "count": int(found.counts[i, j]), "rate": found.rates[i, j]}
            for i, true in enumerate(found.classes)
            for j, predicted in enumerate(found.classes)
        ]
    )
