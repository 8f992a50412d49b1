"""The page in short: each number is that of the section it links to, and nothing is said of a patient."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd
import pytest
from mri_interpret.anatomy.top_regions import top_regions
from mri_interpret.checks.verdict import MODEL, Verdict
from mri_interpret.explanation.explanation import Explanation, Prediction
from mri_interpret.models.outputs import OutputMeaning
from mri_interpret.report.page import page_with
from mri_interpret.report.pictures import ReportPictures
from mri_interpret.report.plain_words import Part, plain_words, structures

HIPPOCAMPI = ("Left-Hippocampus", "Right-Hippocampus")


def said(sentences: list[list[Part]]) -> str:
    return " ".join("".join(part.text for part in sentence) for sentence in sentences)


def standing_out(table: pd.DataFrame, gains: dict[tuple[str, str], float]) -> pd.DataFrame:
    """The table with all gains 1 but those given by method and region."""
    keys = list(zip(table["method"], table["region"], strict=True))
    return table.assign(gain=[gains.get(key, 1.0) for key in keys])


@pytest.fixture
def explanation(small_explanation: Explanation) -> Explanation:
    """Both hippocampi stand out in the summary; the left one in one of the two methods that count."""
    gains = {("summary", name): gain for name, gain in zip(HIPPOCAMPI, (8.0, 6.5), strict=True)}
    gains["guided_backprop", "Left-Hippocampus"] = 5.0
    gains["lrp", "Left-Hippocampus"] = 9.0  # excluded: it does not count
    return replace(small_explanation, region_table=standing_out(small_explanation.region_table, gains))


def test_answer_places_and_agreement_in_two_sentences(explanation: Explanation) -> None:
    assert list(explanation.summary_details.excluded) == ["lrp"]
    share = explanation.prediction.probabilities[explanation.prediction.predicted]
    sentences = plain_words(explanation)
    assert said(sentences) == (
        f"The network calls this scan {explanation.prediction.predicted} ({share:.0%}). What this answer rests on lies "
        "most densely in the left and right hippocampus (6.5 to 8 times the brain's mean); 1 of the 2 methods that "
        "count has the left hippocampus among the five densest regions, and 1 more does not count."
    )
    top = top_regions(explanation.region_table)
    assert list(top.rows["gain"]) == [8.0, 6.5]


def test_each_number_leads_to_its_section(explanation: Explanation, pictures: ReportPictures) -> None:
    page = page_with(explanation, pictures)
    parts = [part for sentence in plain_words(explanation) for part in sentence]
    assert all(part.link for part in parts if re.search(r"\d", part.text))
    for part in parts:
        if part.link:
            assert f'id="{part.link}"' in page
            assert f'<a href="#{part.link}">' in page
    assert "it is no diagnosis" in page


def test_where_nothing_stands_out_it_says_so(small_explanation: Explanation) -> None:
    table = standing_out(small_explanation.region_table, {})
    assert "No region stands out" in said(plain_words(replace(small_explanation, region_table=table)))
    empty = replace(small_explanation, region_table=table.iloc[:0])
    assert len(plain_words(empty)) == 1


@pytest.mark.parametrize(
    ("value", "verdict", "words"),
    [
        (12.3, "pass", "It would have noticed a loss of about 12\u00a0% of the hippocampi's volume."),
        (100.0, "fail", "It would not have noticed a loss of 30\u00a0% of the hippocampi's volume."),
    ],
)
def test_which_loss_it_would_have_noticed(explanation: Explanation, value: float, verdict: str, words: str) -> None:
    asked = Verdict(MODEL, "recovery (hippocampi)", value, 30.0, verdict, "...")  # type: ignore[arg-type]
    sentences = plain_words(replace(explanation, verdicts=type(explanation.verdicts)([asked])))
    assert len(sentences) == 3
    assert said(sentences[2:]) == words


def test_of_a_quantity_it_says_the_value_and_of_labels_their_names(small_explanation: Explanation) -> None:
    model = replace(small_explanation.model, output=OutputMeaning("regression", ("brain age",), True, "years"))
    age = Prediction({"brain age": 71.34}, {}, "brain age 71.3 years")
    answer = said(plain_words(replace(small_explanation, model=model, prediction=age))[:1])
    assert answer == "The network puts the brain age of this scan at 71.3 years."
    model = replace(model, output=OutputMeaning("labels", ("atrophy", "lesions", "mass")))
    labels = Prediction({}, {"atrophy": 0.9, "lesions": 0.7, "mass": 0.1}, "atrophy")
    answer = said(plain_words(replace(small_explanation, model=model, prediction=labels))[:1])
    assert answer == "The network finds in this scan: atrophy, lesions."


def test_sides_are_said_together() -> None:
    assert structures(["Left-Hippocampus"]) == "left hippocampus"
    assert structures(["Right-Amygdala", "Left-Hippocampus", "Right-Hippocampus", "3rd-Ventricle"]) == (
        "right amygdala, left and right hippocampus and third ventricle"
    )
    assert structures(["Area-17"]) == "area 17"
