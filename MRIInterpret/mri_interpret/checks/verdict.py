"""Verdict: what one check found about one map; and a list of them that shows itself as a table."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Literal

from ..minus_sign import true_minus

if TYPE_CHECKING:
    import pandas as pd

Outcome = Literal["pass", "fail", "not applicable"]
#: The ``method`` of a verdict that is on the model and this scan, whatever the maps say.
MODEL = "model"
OUTCOMES: tuple[Outcome, ...] = ("pass", "fail", "not applicable")
_COLOURS = {"pass": "#1a7f37", "fail": "#b42318", "not applicable": "#667085"}


@dataclass(frozen=True)
class Verdict:
    """One row of the table of checks.

    Attributes
    ----------
    method
        The attribution method's registry name, "summary", or the name that the user gave the map; "model" for what
        is said of the model and this scan, whatever the maps say.
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
    verdict: Outcome
    sentence: str

    def __post_init__(self) -> None:
        if self.verdict not in OUTCOMES:
            raise ValueError(f"verdict must be one of {OUTCOMES}, not {self.verdict!r}")


def pass_or_fail(method: str, check: str, value: float, threshold: float, passed: bool, sentence: str) -> Verdict:
    """A pass or a fail; "not applicable" if the value is not finite, because then nothing was measured."""
    if not math.isfinite(value):
        return Verdict(method, check, math.nan, threshold, "not applicable", true_minus(sentence))
    return Verdict(method, check, float(value), float(threshold), "pass" if passed else "fail", true_minus(sentence))


def not_applicable(method: str, check: str, sentence: str) -> Verdict:
    """A check that cannot be run on this map or model; the sentence says why."""
    return Verdict(method, check, math.nan, math.nan, "not applicable", true_minus(sentence))


class Verdicts(tuple[Verdict, ...]):
    """Verdicts in the order of the checks; shows itself as a table in a notebook."""

    __slots__ = ()

    def __new__(cls, verdicts: Iterable[Verdict] = ()) -> Verdicts:
        return super().__new__(cls, verdicts)

    @property
    def failed(self) -> Verdicts:
        """Those that fail."""
        return Verdicts(verdict for verdict in self if verdict.verdict == "fail")

    def of(self, check: str) -> Verdict:
        """The verdict of one check.

        Raises
        ------
        KeyError
            If that check was not run.
        """
        for verdict in self:
            if verdict.check == check:
                return verdict
        raise KeyError(f"no check '{check}' was run: {', '.join(verdict.check for verdict in self)}")

    def to_dataframe(self) -> pd.DataFrame:
        """One row per verdict, columns as in :class:`Verdict`."""
        return as_table(self)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(v.method)}</td><td>{html.escape(v.check)}</td>"
            f'<td style="color:{_COLOURS[v.verdict]};font-weight:600">{v.verdict}</td>'
            f"<td>{_number(v.value)}</td><td>{_number(v.threshold)}</td>"
            f'<td style="text-align:left">{html.escape(v.sentence)}</td></tr>'
            for v in self
        )
        head = "".join(f"<th>{title}</th>" for title in ("Map", "Check", "Verdict", "Value", "Threshold", "Meaning"))
        counts = ", ".join(f"{sum(v.verdict == outcome for v in self)} {outcome}" for outcome in OUTCOMES)
        return f"<div><b>Checks: {counts}</b><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"


def _number(value: float) -> str:
    return true_minus(f"{value:.3g}") if math.isfinite(value) else ""


def as_table(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """One row per verdict, columns as in :class:`Verdict`."""
    import pandas as pd

    columns = [column.name for column in fields(Verdict)]
    return pd.DataFrame([asdict(verdict) for verdict in verdicts], columns=columns)
