"""Counterfactuals continued from the boundary to a typical healthy answer, from the rows of the study.

The boundary asks for less than the disease did. What a user wants to know is rather what would make this brain look
healthy: the counterfactual whose goal is the network's answer for a typical healthy brain, its median over healthy
brains of the choosing anatomies. That way was gone for some subjects ("typical: " rows). Along it the answer
changes in proportion to what is asked of a structure, so for the others that is reckoned: what the boundary asks, times
(answer - typical) / answer. How near this comes to whole ways is told beside it, for all that were gone: to a typical
healthy answer, and to that of the same brain without the disease.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from mri_interpret.benchmark.volume_truth import REACHED, STRUCTURES
from mri_interpret.checks.volume_maps import COUNTERFACTUAL
from mri_interpret.metrics.bootstrap import Estimate, mean_estimate

from Testing.benchmarks.volume_measurements import TWIN, TYPICAL

CONTINUED = "continued: "  # before measures that are reckoned so
TYPICAL_ANSWERS = "typical.json"  # in the results' folder


def typical_answers(results: Path) -> dict[str, float]:
    """By network, as ``volume_methods.py`` left them; none if it did not."""
    path = results / TYPICAL_ANSWERS
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def with_continued(rows: pd.DataFrame, levels: Mapping[str, float]) -> pd.DataFrame:
    """The rows, and those of :func:`continued`."""
    return pd.concat([rows, continued(rows, levels)], ignore_index=True)


def continued(rows: pd.DataFrame, levels: Mapping[str, float]) -> pd.DataFrame:
    """Rows as they are in ``rows``, of what each structure is asked for on the way to a typical healthy answer.

    Of counterfactuals that reached the boundary, by networks whose typical answer is in ``levels``; the others leave
    none.
    """
    wide = _wide(rows)
    found = []
    for (network, subject), one in wide.iterrows():
        if network not in levels or not one.get(REACHED, 0.0) > 0:
            continue
        factor = _factor(one["contrast"], levels[network])
        for name in (name for name in STRUCTURES if f"{name}: asked" in wide):
            asked, right = one.get(f"{TYPICAL}{name}: asked", math.nan), one[f"{name}: would undo"]
            asked = factor * one[f"{name}: asked"] if math.isnan(asked) else asked
            values = {"asked": asked, "would undo": right, "error": abs(asked - right)}
            found += [(network, subject, f"{CONTINUED}{name}: {what}", value) for what, value in values.items()]
    facts = rows.drop_duplicates(["network", "subject"]).drop(columns=["method", "measure", "value"])
    made = pd.DataFrame(found, columns=["network", "subject", "measure", "value"]).assign(method=COUNTERFACTUAL)
    return made.merge(facts, on=["network", "subject"])[list(rows.columns)]


def reckoned(rows: pd.DataFrame, prefix: str) -> Estimate:
    """Mean absolute difference of the hippocampus' change, reckoned from the boundary, from that of the whole way."""
    wide = _wide(rows)
    if prefix + "contrast" not in wide:
        return mean_estimate([])
    gone = wide[(wide[prefix + REACHED] > 0) & (wide[REACHED] > 0)]
    guess = _factor(gone["contrast"], gone[prefix + "contrast"]) * gone["hippocampus: asked"]
    return mean_estimate((guess - gone[prefix + "hippocampus: asked"]).abs().groupby("subject").mean())


def check(rows: pd.DataFrame) -> str:
    """Both in words."""
    parts = {TYPICAL: "a typical healthy answer", TWIN: "the answer without the disease"}
    found = {words: reckoned(rows, prefix) for prefix, words in parts.items()}
    said = [
        f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}] on {one.n} ways to {words}"
        for words, one in found.items()
        if one.n
    ]
    if not said:
        return "No whole way was gone to compare with."
    return f"Reckoned and gone differ in the hippocampus by {', and by '.join(said)} (mean absolute difference)."


def _wide(rows: pd.DataFrame) -> pd.DataFrame:
    """A row per network and subject, a column per measure of the counterfactual, and "contrast"."""
    own = rows[rows["method"] == COUNTERFACTUAL]
    wide = own.pivot_table(index=["network", "subject"], columns="measure", values="value")
    return wide.assign(contrast=own.groupby(["network", "subject"])["contrast"].first())


def _factor(contrast: Any, level: Any) -> Any:
    """How much further the level is than the boundary, where the contrast is 0; numbers or columns of them."""
    return (contrast - level) / contrast
