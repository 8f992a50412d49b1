"""What the volume methods say of each subject's structures: one long table, and the means of each group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ..anatomy.freesurfer import reader_name
from .subject_result import SubjectResult

FILE = "volume_changes"
_MEASURES = ("change", "effect")  # of the volume, 0.18 is +18 %; of the explained value per 1 % more volume
_LONG = ["subject", "group", "predicted", "method", "label", "structure", "ml", "too_small", "change", "low", "high"]
_SHOWN = 10


def changes_long(results: Sequence[SubjectResult]) -> pd.DataFrame:
    """Subject x method x structure, with the columns of the subjects' tables; empty if no volume method was run."""
    frames = []
    for result in results:
        if FILE not in result.record["files"]:
            continue
        table = pd.read_csv(result.file(FILE), sep="\t", keep_default_na=False, na_values=["n/a"])
        table.insert(0, "predicted", result.answer)
        table.insert(0, "group", result.subject.group or None)
        table.insert(0, "subject", result.subject.name)
        frames.append(table)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=[*_LONG, "effect"])


def group_changes(long: pd.DataFrame) -> pd.DataFrame:
    """Means of each group: method, structure, group, measure, n, mean, low, high (95 %, Student's t).

    ``measure`` is "change" (of the volume that a counterfactual asks for, 0.18 is +18 %) or "effect" (of 1 % more
    volume on the explained value). Subjects without a known group count in "all" only; a structure that is too small
    in a subject does not count there.
    """
    columns = ["method", "structure", "group", "measure", "n", "mean", "low", "high"]
    large = long[~long["too_small"].astype(bool)] if len(long) else long
    frames = []
    for measure in _MEASURES:
        known = large[large[measure].notna()] if len(large) else large
        if known.empty:
            continue
        rows = pd.concat([known.assign(group="all"), known[known["group"].notna()]])
        table = rows.groupby(["method", "structure", "group"], sort=False)[measure].agg(["count", "mean", "std"])
        table = table.reset_index().rename(columns={"count": "n", "std": "sd"})
        half = stats.t.ppf(0.975, table["n"].to_numpy() - 1) * table["sd"] / np.sqrt(table["n"])
        frames.append(table.assign(measure=measure, low=table["mean"] - half, high=table["mean"] + half)[columns])
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def reached(results: Sequence[SubjectResult]) -> dict[str, tuple[int, int, int]]:
    """By counterfactual: how many subjects have one, how many reached the goal, how many are plausible."""
    found: dict[str, tuple[int, int, int]] = {}
    for result in results:
        for method, one in result.record.get("counterfactuals", {}).items():
            number, there, likely = found.get(method, (0, 0, 0))
            found[method] = (number + 1, there + bool(one["reached"]), likely + bool(one["plausible"]))
    return found


def change_tables(table: pd.DataFrame, titles: dict[str, str], arrived: dict[str, tuple[int, int, int]]) -> list[Any]:
    """What the page shows of each method: the structures of the largest mean in any group, group by group.

    Returns
    -------
    list of dict
        ``title``, ``of_volume``, ``arrived`` (or None), ``columns`` (the groups), and ``rows``: the structure in words,
        and for each group (n, mean, low, high), None where there is none.
    """
    shown = []
    for (method, measure), own in table.groupby(["method", "measure"], sort=False):
        groups = list(dict.fromkeys(own["group"]))
        largest = own.assign(size=own["mean"].abs()).groupby("structure")["size"].max().nlargest(_SHOWN)
        cells = {(row.structure, row.group): (row.n, row.mean, row.low, row.high) for row in own.itertuples()}
        shown.append(
            {
                "title": titles.get(str(method), str(method)),
                "of_volume": measure == "change",
                "arrived": arrived.get(str(method)),
                "columns": [(group, True) for group in groups],
                "rows": [(reader_name(name), [cells.get((name, group)) for group in groups]) for name in largest.index],
            }
        )
    return shown
