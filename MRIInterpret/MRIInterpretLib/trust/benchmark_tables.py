"""Tables of the benchmark: intervals over subjects, ranks with their uncertainty, and the biology check."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from .localisation import bootstrap_interval

# What tables show, in this order; the sign says whether high or low is good.
MEASURES: dict[str, int] = {
    "mass": 1,
    "times chance": 1,
    "rank": 1,
    "pointing": 1,
    "auprc": 1,
    "recall": 1,
    "faithfulness": 1,
    "randomised": -1,
    "icc": 1,
}
GROUPS = ("CN", "MCI", "AD")
RANKED = ("times chance", "faithfulness")


def interval_table(rows: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Mean and 95 % bootstrap interval over subjects of each method and measure.

    A subject that several networks explained counts once, with the mean of its values.

    Parameters
    ----------
    rows
        From :func:`measure_subject`, of many subjects.

    Returns
    -------
    Columns: method, measure, mean, low, high, n (subjects).
    """
    found = []
    for (method, measure), group in rows.groupby(["method", "measure"], sort=False):
        values = group.groupby("subject")["value"].mean().dropna()
        mean, low, high = bootstrap_interval(values.tolist(), seed=seed)
        found.append((method, measure, mean, low, high, len(values)))
    return pd.DataFrame(found, columns=["method", "measure", "mean", "low", "high", "n"])


def ranking(rows: pd.DataFrame, measure: str, repeats: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Methods by their mean of a measure, with the range of ranks over bootstrap samples of the subjects.

    Returns
    -------
    Columns: method, mean, rank (1 is best), low, high (2.5th and 97.5th percentile of the rank). Baselines take part.
    """
    sign = MEASURES.get(measure, 1)
    table = rows[rows["measure"] == measure].pivot_table(index="subject", columns="method", values="value")
    # A method that has no answer for a subject gets the worst that any method got there.
    filled = (sign * table).apply(lambda row: row.fillna(row.min()), axis=1).dropna()
    values = filled.to_numpy()
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(values), (repeats, len(values)))
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


def biology_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Correlation over subjects of hippocampal relevance density with the hippocampal fraction, by method.

    The anchor on real data is Dyrba et al. 2021, "Improving 3D convolutional neural network comprehensibility via
    interactive visualization of relevance maps", about -0.86 for relevance against volume.
    """
    chosen = rows[rows["measure"] == "hippocampal density"]
    found = []
    for method, group in chosen.groupby("method", sort=False):
        kept = group.groupby("subject")[["value", "fraction"]].mean().dropna()
        usable = len(kept) > 2 and kept["value"].nunique() > 1 and kept["fraction"].nunique() > 1
        found.append(
            (method, float(np.corrcoef(kept["value"], kept["fraction"])[0, 1]) if usable else math.nan, len(kept))
        )
    return pd.DataFrame(found, columns=["method", "correlation", "n"])


def volume_alone(rows: pd.DataFrame, positive: str = "AD", negative: str = "CN") -> tuple[float, float]:
    """Areas under the ROC curve for AD against CN: of the hippocampal fraction alone, and of the network's contrast."""
    subjects = rows.groupby("subject")[["group", "fraction", "contrast"]].agg(
        {"group": "first", "fraction": "mean", "contrast": "mean"}
    )
    ill, well = subjects[subjects["group"] == positive], subjects[subjects["group"] == negative]
    return _auc(-ill["fraction"], -well["fraction"]), _auc(ill["contrast"], well["contrast"])


def _auc(ill: pd.Series, well: pd.Series) -> float:
    if ill.empty or well.empty:
        return math.nan
    a, b = ill.to_numpy()[:, None], well.to_numpy()[None]
    return float((a > b).mean() + 0.5 * (a == b).mean())


def markdown(intervals: pd.DataFrame, titles: Mapping[str, str] | None = None) -> str:
    """Methods as rows, measures as columns, "mean [low, high]" in the cells."""
    measures = [name for name in MEASURES if (intervals["measure"] == name).any()]
    names = list(dict.fromkeys(intervals["method"]))
    columns = (intervals[name] for name in ("method", "measure", "mean", "low", "high"))
    found = {(row[0], row[1]): row[2:] for row in zip(*columns, strict=True)}
    lines = ["| Method | " + " | ".join(measures) + " |", "|---" * (len(measures) + 1) + "|"]
    for name in names:
        cells = []
        for measure in measures:
            mean, low, high = found.get((name, measure), (math.nan,) * 3)
            cells.append("" if math.isnan(mean) else f"{mean:.2f} [{low:.2f}, {high:.2f}]")
        lines.append(f"| {(titles or {}).get(name, name)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def correctly_classified(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of AD subjects that the network calls AD; of all AD subjects if it calls none so."""
    ill = rows[rows["group"] == "AD"]
    right = ill[ill["predicted"] == GROUPS.index("AD")]
    return ill if right.empty else right


def result_page(rows: pd.DataFrame, titles: Mapping[str, str]) -> str:
    """All tables as Markdown.

    Parameters
    ----------
    rows
        From :func:`.benchmark.measure_subject`, of many subjects; a column "network" tells networks apart.
    titles
        Methods' titles by name.
    """
    right = correctly_classified(rows)
    subjects = rows.drop_duplicates("subject")
    counts = ", ".join(f"{(subjects['group'] == group).sum()} {group}" for group in GROUPS)
    networks = rows["network"].nunique() if "network" in rows else 1
    volume, model = volume_alone(rows)
    explained = right["subject"].nunique()
    parts = [
        f"{len(subjects)} simulated subjects ({counts}), networks: {networks}, explained contrast: AD - CN.",
        f"AUC of AD against CN: hippocampal fraction alone {volume:.3f}, the network's contrast {model:.3f}.",
        f"## AD subjects that the network calls AD ({explained})\n\nMean over subjects [95 % bootstrap interval].",
        markdown(interval_table(right), titles),
    ]
    for measure in RANKED:
        if (right["measure"] == measure).any():
            parts.append(f"## Ranking by {measure}\n\n{_ranking_lines(ranking(right, measure), titles)}")
    parts.append("## Hippocampal relevance density against hippocampal fraction, all subjects")
    lines = ["| Method | r | n |", "|---|---|---|"]
    for row in biology_table(rows).to_dict("records"):
        lines.append(f"| {titles.get(row['method'], row['method'])} | {row['correlation']:.2f} | {row['n']} |")
    parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _ranking_lines(order: pd.DataFrame, titles: Mapping[str, str]) -> str:
    lines = ["| Rank | Method | Mean | Rank over bootstrap samples |", "|---|---|---|---|"]
    for row in order.to_dict("records"):
        title = titles.get(row["method"], row["method"])
        lines.append(f"| {row['rank']:g} | {title} | {row['mean']:.2f} | {row['low']:g} to {row['high']:g} |")
    return "\n".join(lines)
