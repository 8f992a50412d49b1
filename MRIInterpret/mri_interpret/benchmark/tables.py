"""Tables of the benchmark: intervals over subjects, ranges over networks, ranks with their uncertainty, biology."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ..metrics.bootstrap import mean_estimate, resamples
from ..metrics.classification import auc
from ..metrics.similarity import correlation

# Measures for which low is good; of all others high is.
LOW_IS_GOOD = ("randomised",)
REPEATS = 1000


def interval_table(rows: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Mean and 95 % bootstrap interval over subjects of each method and measure, and the range over networks.

    A subject that several networks explained counts once, with the mean of its values.

    Parameters
    ----------
    rows
        From :func:`.measurements.measure_subject`, of many subjects; a column "network" tells networks apart.

    Returns
    -------
    Columns: method, measure, mean, low, high, least, most (of the networks' means), n (subjects).
    """
    found = []
    for (method, measure), group in rows.groupby(["method", "measure"], sort=False):
        values = group.groupby("subject")["value"].mean().dropna()
        mean = mean_estimate(values, seed=seed)
        means = group.groupby("network")["value"].mean()
        found.append((method, measure, mean.value, mean.low, mean.high, means.min(), means.max(), len(values)))
    return pd.DataFrame(found, columns=["method", "measure", "mean", "low", "high", "least", "most", "n"])


def ranking(rows: pd.DataFrame, measure: str, repeats: int = REPEATS, seed: int = 0) -> pd.DataFrame:
    """Methods by their mean of a measure, with the range of ranks over bootstrap samples of the subjects.

    Methods that were measured on fewer than half of the subjects are excluded: they cannot be compared.

    Returns
    -------
    Columns: method, mean, rank (1 is best), low, high (2.5th and 97.5th percentile of the rank). Baselines are
    ranked too.
    """
    sign = -1 if measure in LOW_IS_GOOD else 1
    chosen = rows[rows["measure"] == measure]
    table = chosen.pivot_table(index="subject", columns="method", values="value", dropna=False)
    measured = chosen.groupby("method")["subject"].nunique()
    table = table[[name for name in table.columns if 2 * measured[name] >= len(table)]]
    # A method that has no answer for a subject gets the worst that any method got there.
    filled = (sign * table).apply(lambda row: row.fillna(row.min()), axis=1).dropna()
    values = filled.to_numpy()
    draws = resamples(np.zeros(len(values)), repeats, seed)
    ranks = np.stack([_ranks(values[draw].mean(axis=0)) for draw in draws])
    low, high = np.percentile(ranks, [2.5, 97.5], axis=0)
    frame = pd.DataFrame(
        {
            "method": filled.columns,
            "mean": sign * values.mean(axis=0),
            "rank": _ranks(values.mean(axis=0)),
            "low": low,
            "high": high,
        }
    )
    return frame.sort_values("rank", kind="stable").reset_index(drop=True)


def _ranks(means: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(stats.rankdata(-means), dtype=np.float64)


def biology_table(rows: pd.DataFrame, measure: str = "hippocampal relevance") -> pd.DataFrame:
    """Correlation over subjects of hippocampal relevance with the hippocampal fraction, by method, for each network.

    The anchor on real data is Dyrba et al. 2021, "Improving 3D convolutional neural network comprehensibility via
    interactive visualization of relevance maps", about -0.86 for relevance against volume.

    Returns
    -------
    Columns: method, mean, least, most (over networks), n (subjects).
    """
    found = []
    for method, group in rows[rows["measure"] == measure].groupby("method", sort=False):
        by_network = [_correlation(one) for _, one in group.groupby("network")]
        known = [value for value in by_network if math.isfinite(value)] or [math.nan]
        number = group.dropna(subset=["value"])["subject"].nunique()
        found.append((method, float(np.mean(known)), min(known), max(known), number))
    return pd.DataFrame(found, columns=["method", "mean", "least", "most", "n"])


def _correlation(group: pd.DataFrame) -> float:
    kept = group[["value", "fraction"]].dropna()
    return correlation(kept["value"], kept["fraction"]) if len(kept) >= 3 else math.nan


def volume_alone(rows: pd.DataFrame, positive: str = "AD", negative: str = "CN") -> tuple[float, list[float]]:
    """Areas under the ROC curve, AD against CN: of the hippocampal fraction alone, and of each network's contrast."""
    subjects = rows.drop_duplicates("subject")
    ill, well = subjects[subjects["group"] == positive], subjects[subjects["group"] == negative]
    networks = []
    for _, own in rows.groupby("network"):
        one = own.drop_duplicates("subject")
        networks.append(_auc(one[one["group"] == positive]["contrast"], one[one["group"] == negative]["contrast"]))
    return _auc(-ill["fraction"], -well["fraction"]), networks


def _auc(ill: pd.Series, well: pd.Series) -> float:
    if ill.empty or well.empty:
        return math.nan
    return auc(pd.concat([ill, well]), np.repeat([True, False], [len(ill), len(well)]))


def correctly_classified(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of AD subjects, of the networks that call them AD; of all AD subjects if none does so."""
    ill = rows[rows["group"] == "AD"]
    right = ill[ill["called_ill"]]
    return ill if right.empty else right
