"""The performance of a model that returns a quantity: errors against the true values, and what else it goes with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..metrics.bootstrap import Estimate
from ..metrics.regression import estimate, mean_absolute_error, mean_error, pearson, r_squared
from ..metrics.similarity import rank_correlations
from ..models.outputs import OutputMeaning
from .subject_result import SubjectResult

Floats = NDArray[np.float64]
LEAST = 4  # subjects, for a correlation with a column


@dataclass(frozen=True)
class QuantityPerformance:
    """Of the subjects whose true value is known."""

    output: OutputMeaning
    truth: str  # the table's column
    true: Floats  # (subjects,)
    predicted: Floats
    groups: tuple[str, ...]  # "" where there is none
    r_squared: Estimate
    mean_absolute_error: Estimate
    mean_error: Estimate  # predicted less true
    pearson: Estimate

    @property
    def n(self) -> int:
        return len(self.true)


def quantity_table(results: Sequence[SubjectResult], output: OutputMeaning) -> pd.DataFrame:
    """One row per subject: names, group, the predicted and the true value, the error, the target, registration.

    Of a model of several networks, also the standard deviation of the value over them ("sd").
    """
    rows = []
    deviating = any(result.members_sd for result in results)
    for result in results:
        predicted = result.value(output.classes[0])
        true = result.subject.truth
        rows.append(
            {
                "participant_id": f"sub-{result.subject.id}",
                "session_id": f"ses-{result.subject.session}" if result.subject.session else None,
                "group": result.subject.group or None,
                "predicted": predicted,
                **({"sd": result.members_sd.get(output.classes[0], np.nan)} if deviating else {}),
                "true": np.nan if true is None else true,
                "error": np.nan if true is None else predicted - true,
                "target": result.record["target"]["name"],
                "target_value": result.record["target"]["value"],
                "alignment": result.record["registration"],
                "seconds": sum(result.record["seconds"].values()),
            }
        )
    return pd.DataFrame(rows)


def measure_quantity(
    table: pd.DataFrame, output: OutputMeaning, truth: str, seed: int = 0
) -> QuantityPerformance | None:
    """Measure predicted against true values; None if no subject has one.

    Parameters
    ----------
    table
        From :func:`quantity_table`.
    output
        What the quantity is.
    truth
        The column of the participants table that held the true values.
    seed
        Of the bootstrap over subjects.
    """
    known = table[table["true"].notna()]
    if known.empty:
        return None
    predicted, true = (known[name].to_numpy(dtype=np.float64) for name in ("predicted", "true"))
    return QuantityPerformance(
        output=output,
        truth=truth,
        true=true,
        predicted=predicted,
        groups=tuple("" if group is None or group != group else str(group) for group in known["group"]),
        r_squared=estimate(r_squared, predicted, true, seed=seed),
        mean_absolute_error=estimate(mean_absolute_error, predicted, true, seed=seed),
        mean_error=estimate(mean_error, predicted, true, seed=seed),
        pearson=estimate(pearson, predicted, true, seed=seed),
    )


def quantity_performance_table(found: QuantityPerformance) -> pd.DataFrame:
    """Every number with its interval, as rows: measure, value, low, high, n."""
    named = (
        ("R2", found.r_squared),
        ("mean absolute error", found.mean_absolute_error),
        ("mean error", found.mean_error),
        ("Pearson correlation", found.pearson),
    )
    return pd.DataFrame([{"measure": name, **vars(one)} for name, one in named])


def value_correlations(
    table: pd.DataFrame, columns: Mapping[str, Sequence[float | str | None]], seed: int = 0
) -> pd.DataFrame:
    """The predicted value against other numbers: columns of the participants table, measured volumes.

    Parameters
    ----------
    table
        From :func:`quantity_table`.
    columns
        By name, a value for each subject in the same order; columns that hold words are left out.

    Returns
    -------
    column, pearson with its 95 % bootstrap interval (low, high), spearman, n; one row per column that at least
    ``LEAST`` subjects have.
    """
    predicted = table["predicted"].to_numpy(dtype=np.float64)
    rows = []
    for name, values in columns.items():
        if any(isinstance(value, str) for value in values):
            continue
        numbers = np.array([np.nan if value is None else float(value) for value in values])
        there = np.isfinite(numbers)
        if there.sum() < LEAST:
            continue
        found = estimate(pearson, predicted[there], numbers[there], seed=seed)
        rank = rank_correlations(predicted[there, None], numbers[there])[0]
        rows.append(
            {
                "column": name, "pearson": found.value, "low": found.low, "high": found.high,
                "spearman": float(rank[0]), "n": found.n,
            }
        )  # fmt: skip
    return pd.DataFrame(rows, columns=["column", "pearson", "low", "high", "spearman", "n"])
