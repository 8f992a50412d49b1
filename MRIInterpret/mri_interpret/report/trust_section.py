"""Trust on the page: a matrix of methods and checks, and each method's verdicts in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..checks.verdict import Verdict
from ..drawing.markup import escape, number, table, verdict_badge

_BADGES = {"pass": "pass", "fail": "fail", "not applicable": "n/a"}
_INTRO = (
    "A heatmap always looks like an answer. These checks ask of each map whether it depends on what the model "
    "learned, adds up to the model's output, and marks voxels that matter to the model. Each cell gives the verdict "
    "and the number behind it; what it means, and the threshold, stand with each method below."
)


def trust(verdicts: Sequence[Verdict], titles: dict[str, str]) -> str:
    """The section of the trust checks, or nothing if none were run.

    Parameters
    ----------
    verdicts
        Rows of the checks.
    titles
        The methods' titles by name, "summary" included, in the order of the rows.
    """
    if not verdicts:
        return ""
    checks = list(dict.fromkeys(verdict.check for verdict in verdicts))
    methods = [name for name in titles if any(verdict.method == name for verdict in verdicts)]
    found = {(verdict.method, verdict.check): verdict for verdict in verdicts}
    rows = [[escape(titles[name]), *(_cell(found.get((name, check))) for check in checks)] for name in methods]
    heads = [("Method", False), *((check, False) for check in checks)]
    failed = [escape(titles[name]) for name in methods if _fails(verdicts, name, "randomisation")]
    told = ""
    if failed:
        told = (
            f"<p>Not to be read as reasons of the model, because they hardly depend on what it learned: "
            f"<b>{', '.join(failed)}</b>.</p>"
        )
    matrix = f'<div class="matrix">{table(heads, rows)}</div>'
    summary = sentences(verdicts, "summary")
    own = f"<h3>Of the summary score</h3>{summary}" if summary else ""
    return f'<h2 id="trust">Can the maps be believed</h2><p>{_INTRO}</p>{told}{matrix}{own}'


def _fails(verdicts: Sequence[Verdict], method: str, check: str) -> bool:
    return any((row.method, row.check, row.verdict) == (method, check, "fail") for row in verdicts)


def _cell(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    badge = verdict_badge(verdict.verdict, _BADGES[verdict.verdict])
    if math.isnan(verdict.value):
        return badge
    tiny = 0 < abs(verdict.value) < 0.001
    return f"{badge}<br><small>{'≈ 0' if tiny else number(verdict.value, 2)}</small>"


def sentences(verdicts: Sequence[Verdict], method: str) -> str:
    """What each check found out about one method, in words; nothing if none was run on it."""
    items = []
    for row in verdicts:
        if row.method != method or row.verdict == "not applicable":
            continue
        limit = (
            ""
            if math.isnan(row.threshold)
            else f" <small>({number(row.value)}; threshold {number(row.threshold)})</small>"
        )
        items.append(f"<li>{verdict_badge(row.verdict)} <b>{escape(row.check)}</b>: {escape(row.sentence)}{limit}</li>")
    return f'<ul class="verdicts">{"".join(items)}</ul>' if items else ""
