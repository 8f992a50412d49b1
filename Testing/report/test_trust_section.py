"""Verdicts on the page: one cell for each method and check, sentences with numbers, and a plain word on failures."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from mri_interpret.checks.verdict import MODEL, Verdict, not_applicable
from mri_interpret.explanation.explanation import Explanation
from mri_interpret.report.page import page_with
from mri_interpret.report.pictures import ReportPictures

VERDICTS = (
    Verdict("guided_backprop", "randomisation", 0.913, 0.5, "fail", "It stays the same."),
    Verdict("lrp", "conservation", 4e-7, 0.05, "pass", "It adds up <well>."),
    Verdict("lrp", "randomisation", -0.1234, 0.5, "pass", "It depends on the model."),
    not_applicable("guided_backprop", "conservation", "No promise was made."),
    Verdict("summary", "faithfulness", 0.41, math.nan, "pass", "It matters."),
)


@pytest.fixture
def explanation(small_explanation: Explanation) -> Explanation:
    maps = dict(small_explanation.maps)
    maps["guided_backprop"] = replace(maps["guided_backprop"], title="Guided <backprop>")
    return replace(small_explanation, maps=maps, verdicts=VERDICTS)


def _page(explanation: Explanation, pictures: ReportPictures) -> str:
    return page_with(explanation, pictures)


def _cells(row: str) -> list[list[str]]:
    return [re.sub(r"<[^>]+>", " ", cell).split() for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)]


def test_the_matrix_has_a_row_for_each_checked_method_and_a_column_for_each_check(
    explanation: Explanation, pictures: ReportPictures
) -> None:
    found = re.search(r'<div class="matrix">(.*?)</table>', _page(explanation, pictures), re.DOTALL)
    assert found is not None
    heads = re.findall(r"<th scope=\"col\"[^>]*>(.*?)</th>", found.group(1))
    assert heads == ["Method", "randomisation", "conservation", "faithfulness"]
    rows = [_cells(row) for row in re.findall(r"<tr>(<td.*?)</tr>", found.group(1), re.DOTALL)]
    assert rows == [
        [["LRP"], ["pass", "−0.12"], ["pass", "≈", "0"], []],
        [["Guided", "&lt;backprop&gt;"], ["fail", "0.91"], ["n/a"], []],
        [["Summary", "score"], [], [], ["pass", "0.41"]],
    ]


def test_methods_that_fail_randomisation_are_named_in_words(explanation: Explanation, pictures: ReportPictures) -> None:
    said = r"hardly depend on what it learned:\s+<b>Guided &lt;backprop&gt;</b>"
    assert re.search(said, _page(explanation, pictures))
    assert "hardly depend" not in _page(replace(explanation, verdicts=VERDICTS[1:]), pictures)


def test_sentences_carry_number_and_threshold_and_are_escaped(
    explanation: Explanation, pictures: ReportPictures
) -> None:
    lists = re.findall(r'<ul class="verdicts">(.*?)</ul>', _page(explanation, pictures), re.DOTALL)
    assert len(lists) == 3  # the summary's, LRP's, guided backpropagation's; Grad-CAM++ was not checked
    (lrp,) = (text for text in lists if "It adds up" in text)
    assert lrp.count("<li>") == 2
    assert "It adds up &lt;well&gt;." in lrp
    assert "(−0.123; threshold 0.5)" in lrp
    (summary,) = (text for text in lists if "It matters." in text)
    assert "threshold" not in summary
    assert not any("No promise" in text for text in lists)


def test_nothing_checked_is_nothing_shown(explanation: Explanation, pictures: ReportPictures) -> None:
    page = _page(replace(explanation, verdicts=()), pictures)
    assert 'id="trust"' not in page
    assert "#trust" not in page
    assert 'class="verdicts"' not in page


def test_what_is_said_of_the_model_has_badges_with_numbers_and_is_no_column(
    explanation: Explanation, pictures: ReportPictures
) -> None:
    of_model = (
        Verdict(MODEL, "silhouette", 0.2, 0.5, "pass", "The tissue counts <more>."),
        Verdict(MODEL, "recovery (hippocampi)", 12.3, 30.0, "pass", "It would have."),
        Verdict(MODEL, "recovery (ventricles)", 100.0, 30.0, "fail", "It would not."),
        not_applicable(MODEL, "recovery (amygdalae)", "The deformation failed."),
    )
    page = _page(replace(explanation, verdicts=(*VERDICTS, *of_model)), pictures)
    (section,) = re.findall(r"The model on this scan</h3>(.*?)</ul>", page, re.DOTALL)
    badges = re.findall(r'<span class="verdict (\w+)">([^<]*\([^<]*)</span>', section)
    assert badges == [
        ("pass", "would have noticed a loss of 12 % (hippocampi)"),
        ("fail", "would not have noticed a widening of 30 % (ventricles)"),
    ]
    assert "counts &lt;more&gt;" in section
    assert "The deformation failed." in section
    heads = re.findall(r"<th scope=\"col\"[^>]*>(.*?)</th>", page)
    assert not {"silhouette", "recovery (hippocampi)"} & set(heads)
    assert "The model on this scan" not in _page(explanation, pictures)
