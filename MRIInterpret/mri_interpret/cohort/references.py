"""How alike the subjects' maps are to maps from elsewhere: one long table, and the means of each group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ..checks.reference_map import COLUMNS
from .subject_result import SubjectResult

FILE = "reference"
_MEASURES = ("correlation", "mirrored", "shifted", "random")


def references_long(results: Sequence[SubjectResult]) -> pd.DataFrame:
    """Subject x reference x map x level, with the columns of the subjects' tables; empty without a reference."""
    frames = []
    for result in results:
        if FILE not in result.record["files"]:
            continue
        table = pd.read_csv(result.file(FILE), sep="\t", keep_default_na=False, na_values=["n/a"])
        table.insert(0, "group", result.subject.group or None)
        table.insert(0, "subject", result.subject.name)
        frames.append(table)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["subject", "group", *COLUMNS])


def group_references(long: pd.DataFrame) -> pd.DataFrame:
    """Means over subjects: group, reference, method, level, n, and each measure; ``above_random`` is the share of
    subjects whose correlation lies above the 95th percentile of random maps.

    Subjects without a known group count in "all" only; a correlation that is not known does not count.
    """
    keys = ["group", "reference", "method", "level"]
    columns = [*keys, "n", *_MEASURES, "above_random"]
    known = long[long["correlation"].notna()] if len(long) else long
    if known.empty:
        return pd.DataFrame(columns=columns)
    known = known.assign(above_random=(known["correlation"] > known["random"]).astype(float))
    rows = pd.concat([known.assign(group="all"), known[known["group"].notna()]])
    grouped = rows.groupby(keys, sort=False)
    means = grouped[[*_MEASURES, "above_random"]].mean()
    return means.assign(n=grouped.size()).reset_index()[columns]


def reference_tables(means: pd.DataFrame, titles: Mapping[str, str]) -> list[dict[str, Any]]:
    """What the page shows: for each reference its name and its rows, of all subjects and of each group."""
    shown = means.assign(title=[titles.get(name, name) for name in means["method"]]) if len(means) else means
    return [
        {"name": str(name), "rows": part.to_dict("records")}
        for name, part in (shown.groupby("reference", sort=False) if len(shown) else ())
    ]
