"""Does a region's relevance correlate with its volume, age, sex or site? With the false-discovery rate controlled."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ..metrics.similarity import rank_correlations
from .bids import label
from .regions import VALUE, value_matrix
from .subject_result import SubjectResult

OWN_VOLUME, ALIGNED_VOLUME = "region volume", "region volume by alignment"
MEASURED_SHARE = "measured share of intracranial volume"
LEAST = 8  # subjects; with fewer, no correlation is computed
Floats = NDArray[np.float64]


def covariate_correlations(
    long: pd.DataFrame,
    results: Sequence[SubjectResult],
    names: Sequence[str],
    shares: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Every method and region against every covariate, and against the region's volume.

    Numbers, and categories with two values (such as F and M, coded 0 and 1 in alphabetical order), by Spearman's rank
    correlation; categories with more values (such as sites) by the Kruskal-Wallis test, with epsilon squared as effect
    size.

    Three kinds of volume are distinguished: "region volume" is the participants table's own (see
    :func:`volume_column`); "measured share of intracranial volume" is that of the segmentation of the subject's brain;
    "region volume by alignment" is what the atlas region covers in the scan after affine registration, which follows
    the head's size and the registration, not atrophy, and is only used where brains were not segmented.

    Parameters
    ----------
    long
        From :func:`regions.long_table`.
    results
        The subjects in the same order.
    names
        Columns of the participants table to test.
    shares
        From :func:`volumes.share_matrix`; None or all NaN where brains were not segmented.

    Returns
    -------
    method, region, covariate, statistic ("spearman" or "epsilon squared"), value, n, p, q. q is p after Benjamini and
    Hochberg's correction over all methods and regions of one covariate.
    """
    frames = []
    covariates = {name: _column(results, name) for name in names}
    methods = list(dict.fromkeys(long["method"]))
    matrices = {method: value_matrix(long, method) for method in methods}
    for name, values in covariates.items():
        found = [_against(matrices[method], values, method, name) for method in methods]
        frames.append(_corrected(pd.concat(found, ignore_index=True)))
    measured = shares is not None and bool(shares.notna().to_numpy().any())
    for name, volumes in (
        (OWN_VOLUME, region_volumes(long, results)),
        (MEASURED_SHARE, shares) if measured else
        (ALIGNED_VOLUME, value_matrix(long, methods[0], "native_volume_mm3")),
    ):  # fmt: skip
        assert volumes is not None
        found = [_paired(matrices[method], volumes, method, name) for method in methods]
        frames.append(_corrected(pd.concat(found, ignore_index=True)))
    table = pd.concat([frame for frame in frames if not frame.empty] or frames[:1], ignore_index=True)
    return table


def region_volumes(long: pd.DataFrame, results: Sequence[SubjectResult]) -> pd.DataFrame:
    """Subjects x regions, mm^3, as the participants table gives them; NaN where it does not."""
    volumes = value_matrix(long, long["method"].iloc[0], "native_volume_mm3") * np.nan
    columns = list(dict.fromkeys(name for result in results for name in result.subject.covariates))
    for region in volumes.columns:
        column = volume_column(columns, region)
        if column:
            volumes[region] = [_number(result.subject.covariates.get(column)) for result in results]
    return volumes


def volume_column(columns: Iterable[str], region: str) -> str:
    """The column that holds a region's volume, "" if there is none.

    It has the region's name, with or without "volume" or "mm3"; else the region's name without its side
    ("amygdala_mm3", "lateral_ventricles"), which then holds both sides' volume.
    """
    wanted = label(region).lower()
    plain = {column: label(column).lower().replace("volume", "").replace("mm3", "") for column in columns}
    without_side = re.sub(r"^(left|right|lh|rh)", "", label(re.sub(r"^ctx-", "", region)).lower())
    for name in (wanted, without_side, f"{without_side}s"):
        for column, text in plain.items():
            if text == name:
                return column
    return ""


def _number(value: float | str | None) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def _column(results: Sequence[SubjectResult], name: str) -> list[float | str | None]:
    return [result.subject.covariates.get(name) for result in results]


def _against(matrix: pd.DataFrame, values: Sequence[float | str | None], method: str, name: str) -> pd.DataFrame:
    there = np.array([value is not None for value in values])
    kept = [value for value in values if value is not None]
    words = any(isinstance(value, str) for value in kept)
    kinds = sorted({str(value) for value in kept}) if words else []
    data = matrix.to_numpy(dtype=np.float64)[there]
    if len(kept) < LEAST or len(set(map(str, kept))) < 2 or (words and len(kinds) > len(kept) // 2):
        return pd.DataFrame()  # too few, all the same, or names of subjects rather than categories
    if words and len(kinds) > 2:
        return _kruskal(matrix, data, np.array([str(value) for value in kept]), method, name)
    numbers = np.array([kinds.index(str(value)) if words else float(value) for value in kept], dtype=np.float64)
    r, p = rank_correlations(data, numbers)
    return _frame(matrix, method, name, "spearman", r, p, len(kept))


def _kruskal(matrix: pd.DataFrame, data: Floats, kinds: NDArray[np.str_], method: str, name: str) -> pd.DataFrame:
    sizes, chances = np.full(data.shape[1], np.nan), np.full(data.shape[1], np.nan)
    for column, values in enumerate(data.T):
        if np.ptp(values) > 0:
            h, chances[column] = stats.kruskal(*[values[kinds == kind] for kind in np.unique(kinds)])
            sizes[column] = h * (len(values) + 1) / (len(values) ** 2 - 1)
    return _frame(matrix, method, name, "epsilon squared", sizes, chances, len(data))


def _paired(matrix: pd.DataFrame, volumes: pd.DataFrame, method: str, name: str) -> pd.DataFrame:
    """Each region against its own volume."""
    rows = []
    for region in matrix.columns:
        relevance, volume = matrix[region].to_numpy(np.float64), volumes[region].to_numpy(np.float64)
        there = np.isfinite(volume)
        if there.sum() < LEAST:
            continue
        r, p = rank_correlations(relevance[there, None], volume[there])
        rows.append(_frame(matrix[[region]], method, name, "spearman", r, p, int(there.sum())))
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()


def _frame(
    matrix: pd.DataFrame, method: str, name: str, statistic: str, values: Floats, p: Floats, n: int
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "method": method,
            "region": list(matrix.columns),
            "covariate": name,
            "statistic": statistic,
            "value": values,
            "n": n,
            "p": p,
        }
    )


def _corrected(frame: pd.DataFrame) -> pd.DataFrame:
    if frame.empty:
        return frame
    q = np.full(len(frame), np.nan)
    known = np.isfinite(frame["p"].to_numpy())
    if known.any():
        q[known] = stats.false_discovery_control(frame["p"].to_numpy()[known], method="bh")
    return frame.assign(q=q)


__all__ = [
    "ALIGNED_VOLUME",
    "LEAST",
    "MEASURED_SHARE",
    "OWN_VOLUME",
    "VALUE",
    "covariate_correlations",
    "region_volumes",
    "volume_column",
]
