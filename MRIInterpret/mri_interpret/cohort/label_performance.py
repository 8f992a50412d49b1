"""The performance of a model whose labels may hold together: each label by itself, against the table's column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ..metrics.bootstrap import Estimate
from ..metrics.classification import auc_interval, roc_points
from .performance import RocCurve, share_estimate
from .subject_result import SubjectResult

CUT = 0.5  # the probability from which a label is said to hold


@dataclass(frozen=True)
class LabelResult:
    """One label, over the subjects for which the table says whether it holds."""

    name: str
    positives: int  # subjects that have it
    accuracy: Estimate  # at a probability of 0.5; Wilson's interval
    sensitivity: Estimate | None  # None without a subject that has it
    specificity: Estimate | None  # None without a subject that has it not
    curve: RocCurve | None  # None unless there are both


@dataclass(frozen=True)
class LabelPerformance:
    """Every label of the model that the table tells of."""

    classes: tuple[str, ...]  # of the model
    labels: tuple[LabelResult, ...]
    n: int  # subjects for which the table tells of one label or more

    @property
    def curves(self) -> tuple[RocCurve, ...]:
        """Of the labels that have one."""
        return tuple(one.curve for one in self.labels if one.curve is not None)


def add_true_labels(table: pd.DataFrame, results: Sequence[SubjectResult], classes: Sequence[str]) -> pd.DataFrame:
    """The predictions with a column "true_NAME" for each label that is known of any subject: 1, 0 or missing."""
    known = [name for name in classes if any(name in one.subject.labels for one in results)]
    columns = {
        f"true_{name}": pd.array(
            [None if name not in one.subject.labels else int(one.subject.labels[name]) for one in results],
            dtype="Int64",
        )
        for name in known
    }
    return table.assign(**columns)


def measure_labels(table: pd.DataFrame, classes: Sequence[str], seed: int = 0) -> LabelPerformance | None:
    """Measure each label by itself; None if nothing is known of any.

    Parameters
    ----------
    table
        From :func:`add_true_labels`, with a column "p_NAME" for each label.
    classes
        The model's labels.
    seed
        Of the bootstrap over subjects (stratified by whether the label holds, 2000 draws).
    """
    found = []
    for name in classes:
        if f"true_{name}" not in table or table[f"true_{name}"].notna().sum() == 0:
            continue
        known = table[table[f"true_{name}"].notna()]
        true = known[f"true_{name}"].to_numpy(dtype=bool)
        scores = known[f"p_{name}"].to_numpy(dtype=float)
        said = scores >= CUT
        both = 0 < true.sum() < len(true)
        curve = RocCurve(name, *roc_points(scores, true), auc_interval(scores, true, seed=seed)) if both else None
        found.append(
            LabelResult(
                name,
                int(true.sum()),
                share_estimate(said == true),
                share_estimate(said[true]) if true.any() else None,
                share_estimate(~said[~true]) if not true.all() else None,
                curve,
            )
        )
    if not found:
        return None
    told = table[[f"true_{one.name}" for one in found]].notna().any(axis=1)
    return LabelPerformance(tuple(classes), tuple(found), int(told.sum()))


def label_performance_table(found: LabelPerformance) -> pd.DataFrame:
    """Every number with its interval, as rows: measure, value, low, high, n; "n" are the subjects behind it."""
    rows = []
    for one in found.labels:
        measures = (
            ("AUC", None if one.curve is None else one.curve.area), ("accuracy", one.accuracy),
            ("sensitivity", one.sensitivity), ("specificity", one.specificity),
        )  # fmt: skip
        rows += [{"measure": f"{what} {one.name}", **vars(value)} for what, value in measures if value is not None]
    return pd.DataFrame(rows, columns=["measure", "value", "low", "high", "n"])
