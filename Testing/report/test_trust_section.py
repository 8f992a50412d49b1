"""Verdicts on the page: one cell for each method and check, sentences with numbers, and a plain word on failures."""

from __future__ import annotations

import math
import re

from mri_interpret.checks.verdict import Verdict, not_applicable
from mri_interpret.report.trust_section import sentences, trust

TITLES = {"lrp": "LRP", "guided_backprop": "Guided <backprop>", "unchecked": "Unchecked", "summary": "Summary score"}
VERDICTS = (
    Verdict("guided_backprop", "randomisation", 0.913, 0.5, "fail", "It stays the same."),
    Verdict("lrp", "conservation", 4e-7, 0.05, "pass", "It adds up <well>."),
    Verdict("lrp", "randomisation", -0.1234, 0.5, "pass", "It depends on the model."),
    not_applicable("guided_backprop", "conservation", "No promise was made."),
    Verdict("summary", "faithfulness", 0.41, math.nan, "pass", "It matters."),
)


def _cells(row: str) -> list[str]:
    return [re.sub(r"<[^>]+>", " ", cell).split() for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)]  # type: ignore[misc]


def test_the_matrix_has_a_row_for_each_checked_method_and_a_column_for_each_check() -> None:
    page = trust(VERDICTS, TITLES)
    heads = re.findall(r"<th scope=\"col\"[^>]*>(.*?)</th>", page)
    assert heads == ["Method", "randomisation", "conservation", "faithfulness"]
    rows = [_cells(row) for row in re.findall(r"<tr>(<td.*?)</tr>", page)]
    assert rows == [
        [["LRP"], ["pass", "−0.12"], ["pass", "≈", "0"], []],
        [["Guided", "&lt;backprop&gt;"], ["fail", "0.91"], ["n/a"], []],
        [["Summary", "score"], [], [], ["pass", "0.41"]],
    ]


def test_methods_that_fail_randomisation_are_named_in_words() -> None:
    assert "hardly depend on what it learned: <b>Guided &lt;backprop&gt;</b>" in trust(VERDICTS, TITLES)
    assert "hardly depend" not in trust(VERDICTS[1:], TITLES)


def test_sentences_carry_number_and_threshold_and_are_escaped() -> None:
    told = sentences(VERDICTS, "lrp")
    assert told.count("<li>") == 2
    assert "It adds up &lt;well&gt;." in told
    assert "(−0.123; threshold 0.5)" in told
    assert "threshold" not in sentences(VERDICTS, "summary")
    assert "No promise" not in sentences(VERDICTS, "guided_backprop")


def test_nothing_checked_is_nothing_shown() -> None:
    assert trust((), TITLES) == ""
    assert sentences(VERDICTS, "unchecked") == ""
