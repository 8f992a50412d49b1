"""Verdict: what one check found out about one method's map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

Judgement = Literal["pass", "fail", "not applicable"]
JUDGEMENTS: tuple[Judgement, ...] = ("pass", "fail", "not applicable")


@dataclass(frozen=True)
class Verdict:
    """One row of the trust table.

    Attributes
    ----------
    method
        The attribution method's registry name, or "summary".
    check
        The check's name, for instance "randomisation".
    value, threshold
        What was measured, and the value that separates pass from fail. NaN where the check does not apply.
    verdict
        "pass", "fail" or "not applicable".
    sentence
        What the number means, for a reader who does not know the check.
    """

    method: str
    check: str
    value: float
    threshold: float
    verdict: Judgement
    sentence: str

    def __post_init__(self) -> None:
        if self.verdict not in JUDGEMENTS:
            raise ValueError(f"verdict must be one of {JUDGEMENTS}, not {self.verdict!r}")


def judge(method: str, check: str, value: float, threshold: float, passed: bool, sentence: str) -> Verdict:
    """A pass or a fail; a value that is not finite was not measurable, so it is neither."""
    if not math.isfinite(value):
        return Verdict(method, check, math.nan, threshold, "not applicable", sentence)
    return Verdict(method, check, float(value), float(threshold), "pass" if passed else "fail", sentence)


def not_applicable(method: str, check: str, sentence: str) -> Verdict:
    """A check that cannot be run on this method or model; the sentence says why."""
    return Verdict(method, check, math.nan, math.nan, "not applicable", sentence)


def as_table(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """One row per verdict, columns as in :class:`Verdict`."""
    import pandas as pd

    columns = [column.name for column in fields(Verdict)]
    return pd.DataFrame([asdict(verdict) for verdict in verdicts], columns=columns)
