"""Volumes measured in each subject's own brain: one long table, one row per subject for spreadsheets, group means."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from ..anatomy.paired_volumes import paired_volumes
from ..anatomy.volumes import structures_of
from .subject_result import SubjectResult

INTRACRANIAL = "intracranial"


def volume_long(results: Sequence[SubjectResult]) -> pd.DataFrame:
    """Subject x structure: subject, group, label, region, ml, share (of the intracranial volume), sure, too_small.

    Empty if no subject's brain was segmented; subjects without a segmentation have no rows.
    """
    frames = []
    for result in results:
        if "volumes" not in result.record["files"]:
            continue
        table = _volumes_of(result).rename(columns={"structure": "region"})
        own = table[["label", "region", "ml", "share", "sure", "too_small"]].copy()
        own.insert(0, "group", result.subject.group or None)
        own.insert(0, "subject", result.subject.name)
        frames.append(own)
    columns = ["subject", "group", "label", "region", "ml", "share", "sure", "too_small"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def volume_wide(results: Sequence[SubjectResult]) -> pd.DataFrame:
    """One row per subject: subject, group, predicted, the intracranial volume, and each structure, all in ml."""
    rows = []
    for result in results:
        if "volumes" not in result.record["files"]:
            continue
        record = json.loads(result.file("provenance").read_text(encoding="utf-8"))
        who = {"subject": result.subject.name, "group": result.subject.group or None, "predicted": result.answer}
        table = _volumes_of(result)
        measured = dict(zip(table["structure"], table["ml"], strict=True))
        rows.append(who | {INTRACRANIAL: float(record["anatomy"]["intracranial_ml"])} | measured)
    return pd.DataFrame(rows)


def share_matrix(long: pd.DataFrame, results: Sequence[SubjectResult], regions: Sequence[str]) -> pd.DataFrame:
    """Subjects x regions: each region's share of the subject's intracranial volume, NaN where it was not measured."""
    wide = long.pivot(index="subject", columns="region", values="share") if len(long) else pd.DataFrame()
    return wide.reindex(index=[result.subject.name for result in results], columns=list(regions))


def paired_shares(results: Sequence[SubjectResult]) -> dict[str, list[float | None]]:
    """Each structure's share of the intracranial volume, both sides together, by subject; None where not measured.

    Parcels of the cortex are left out.
    """
    found = [
        {row.name: row.share for row in paired_volumes(structures_of(_volumes_of(result))) if not row.is_parcel}
        if "volumes" in result.record["files"]
        else {}
        for result in results
    ]
    names = dict.fromkeys(name for row in found for name in row)
    return {name: [row.get(name) for row in found] for name in names}


def group_volumes(results: Sequence[SubjectResult]) -> pd.DataFrame:
    """Each structure's volume, both sides together, in each group: structure, group, n, mean, low, high, mean_share.

    ``mean`` is in ml with its 95 % interval (Student's t); ``mean_share`` is of the intracranial volume, 0 to 1.
    Parcels of the cortex are left out; :func:`volume_long` has them.
    """
    rows = [
        {"structure": row.name, "group": result.subject.group, "ml": row.ml, "share": row.share}
        for result in results
        if "volumes" in result.record["files"] and result.subject.group
        for row in paired_volumes(structures_of(_volumes_of(result)))
        if not row.is_parcel
    ]
    columns = ["structure", "group", "n", "mean", "low", "high", "mean_share"]
    if not rows:
        return pd.DataFrame(columns=columns)
    grouped = pd.DataFrame(rows).groupby(["structure", "group"], sort=False)
    table = grouped.agg(n=("ml", "count"), mean=("ml", "mean"), sd=("ml", "std"), mean_share=("share", "mean"))
    table = table.reset_index()
    half = stats.t.ppf(0.975, table["n"].to_numpy() - 1) * table["sd"] / np.sqrt(table["n"])
    table["low"], table["high"] = table["mean"] - half, table["mean"] + half
    return table[columns]


def _volumes_of(result: SubjectResult) -> pd.DataFrame:
    return pd.read_csv(result.file("volumes"), sep="\t", keep_default_na=False, na_values=["n/a"])
