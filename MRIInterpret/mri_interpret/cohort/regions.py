"""Relevance per region over a cohort: long and wide tables, group means, top regions, consistency."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ..metrics.agreement import intraclass_correlations, kendall_w
from ..thresholds import SMALLEST_REGION_ML, STANDING_OUT_GAIN
from .subject_result import SubjectResult

TOP = 5
VALUE = "gain"  # density relative to the brain's mean: comparable between regions of any size, and between subjects
KEPT = ["method", "label", "region", "volume_mm3", "sum", "mean", "positive_share", "share", "gain", "asymmetry"]


def long_table(results: Sequence[SubjectResult], space: str = "template") -> pd.DataFrame:
    """Subject x method x region; ``native_volume_mm3`` is the region's size in the scan.

    Only rows of regions; none for the rest of the brain, or for outside the brain.

    Parameters
    ----------
    results
        The subjects.
    space
        Where relevance is measured: "native", in the structures of each subject's own brain, or "template", in the
        atlas.
    """
    frames = []
    for result in results:
        table = pd.read_csv(result.file("regions"), sep="\t", keep_default_na=False, na_values=["n/a"])
        table = table[table["label"] > 0]
        own = table[table["space"] == space][KEPT].copy()
        native = table[(table["space"] == "native") & (table["method"] == table["method"].iloc[0])]
        own["native_volume_mm3"] = own["label"].map(dict(zip(native["label"], native["volume_mm3"], strict=True)))
        own.insert(0, "predicted", result.answer)
        own.insert(0, "group", result.subject.group or None)
        own.insert(0, "subject", result.subject.name)
        frames.append(own)
    return pd.concat(frames, ignore_index=True)


def unranked(long: pd.DataFrame) -> list[str]:
    """Regions for which a group statistic would not hold: not every subject has them, or they are mostly too small."""
    first = long[long["method"] == long["method"].iloc[0]]
    volumes = first.groupby("region", sort=False)["native_volume_mm3"]
    scarce = (volumes.count() < first["subject"].nunique()) | (volumes.median() < 1000 * SMALLEST_REGION_ML)
    return [str(region) for region in scarce.index[scarce]]


def without(long: pd.DataFrame, names: Collection[str]) -> pd.DataFrame:
    """The table without some regions."""
    return long[~long["region"].isin(list(names))].reset_index(drop=True)


def wide_table(long: pd.DataFrame, value: str = VALUE) -> pd.DataFrame:
    """One row per subject, one column per method and region: "lrp: Left-Hippocampus"."""
    # Order as in the long table, which is the atlas's, not the alphabet's.
    columns = long["method"] + ": " + long["region"]
    wide = long.assign(column=columns).pivot(index="subject", columns="column", values=value)
    wide = wide.loc[list(dict.fromkeys(long["subject"])), list(dict.fromkeys(columns))]
    who = long.drop_duplicates("subject").set_index("subject")[["group", "predicted"]]
    return pd.concat([who, wide], axis=1).rename_axis("subject").reset_index()


def group_means(long: pd.DataFrame, value: str = VALUE) -> pd.DataFrame:
    """Mean of each group with its 95 % interval (Student's t): method, region, group, n, mean, low, high, sd."""
    known = long[long["group"].notna()]
    if known.empty:
        return pd.DataFrame(columns=["method", "label", "region", "group", "n", "mean", "low", "high", "sd"])
    grouped = known.groupby(["method", "label", "region", "group"], sort=False)[value]
    table = grouped.agg(n="count", mean="mean", sd="std").reset_index()
    half = stats.t.ppf(0.975, table["n"].to_numpy() - 1) * table["sd"] / np.sqrt(table["n"])
    table["low"], table["high"] = table["mean"] - half, table["mean"] + half
    return table[["method", "label", "region", "group", "n", "mean", "low", "high", "sd"]]


def value_matrix(long: pd.DataFrame, method: str, value: str = VALUE) -> pd.DataFrame:
    """One method's values, subjects x regions, in the table's order."""
    rows = long[long["method"] == method]
    matrix = rows.pivot(index="subject", columns="region", values=value)
    return matrix.loc[list(dict.fromkeys(rows["subject"])), list(dict.fromkeys(rows["region"]))]


def selection(long: pd.DataFrame, excluded: Collection[str] = (), top: int = TOP, value: str = VALUE) -> pd.DataFrame:
    """How often a region is among a map's ``top``: method, group, region, times, n, frequency.

    The group "all" holds every subject; the method "all methods" counts each method's map of each subject, without
    methods that are ``excluded`` from the summary score (unless all are). The score itself, which is made from the
    others, is not counted again.
    """
    rank = long.groupby(["subject", "method"], sort=False)[value].rank(ascending=False, method="first")
    # In a map of zeros, or one without preference, no region is relevant, whatever their order.
    chosen = (rank <= top) & (long[value] >= STANDING_OUT_GAIN) if value == VALUE else rank <= top
    rows = long[["subject", "method", "group", "region"]].assign(chosen=chosen.astype(int))
    counted = [name for name in rows["method"].unique() if name not in ("summary", *excluded)]
    methods = rows[rows["method"].isin(counted) if counted else rows["method"] != "summary"].assign(
        method="all methods"
    )
    rows = pd.concat([methods, rows])
    rows = pd.concat([rows.assign(group="all"), rows[rows["group"].notna()]])
    grouped = rows.groupby(["method", "group", "region"], sort=False)["chosen"]
    table = grouped.agg(times="sum", n="count").reset_index()
    table["frequency"] = table["times"] / table["n"]
    return table


def most_named(chosen: pd.DataFrame, top: int = TOP) -> pd.DataFrame:
    """For each group the ``top`` regions that are most often among a map's top ones, with their place."""
    rows = chosen[(chosen["method"] == "all methods") & (chosen["times"] > 0)]
    rows = rows.sort_values("frequency", ascending=False, kind="stable").groupby("group", sort=False).head(top)
    rows = rows.assign(place=rows.groupby("group").cumcount() + 1)
    return rows[["group", "place", "region", "times", "n", "frequency"]].reset_index(drop=True)


def consistency(long: pd.DataFrame, value: str = VALUE) -> pd.DataFrame:
    """Do subjects, and do methods, rank the regions alike?

    Returns
    -------
    One row for each method (raters are the subjects) and one for "methods" (raters are the methods, each by its mean
    over subjects): raters, regions, kendall_w with its chi-squared p (Kendall & Babington Smith 1939), and the
    intraclass correlations ICC(2,1) and ICC(3,1) (Shrout & Fleiss 1979).
    """
    methods = list(dict.fromkeys(long["method"]))
    rows, profiles = [], []
    for method in methods:
        matrix = value_matrix(long, method, value).to_numpy(dtype=np.float64)
        rows.append(_concordance(method, "subjects", matrix))
        if method != "summary":
            profiles.append(matrix.mean(0))
    rows.append(_concordance("all methods", "methods", np.stack(profiles)))
    return pd.DataFrame(rows)


def _concordance(method: str, raters: str, matrix: NDArray[np.float64]) -> dict[str, object]:
    w, p = kendall_w(matrix)
    number, items = matrix.shape
    absolute, consistent = intraclass_correlations(matrix)
    return {
        "method": method,
        "raters": raters,
        "number_of_raters": number,
        "regions": items,
        "kendall_w": w,
        "p": p,
        "icc_2_1": absolute,
        "icc_3_1": consistent,
    }
