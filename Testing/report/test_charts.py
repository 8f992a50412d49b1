"""Charts show the right rows, and nothing where there is nothing to show."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from mri_interpret.drawing.canvas import Picture
from mri_interpret.explanation.explanation import Explanation
from mri_interpret.report.answer_chart import answer_chart
from mri_interpret.report.charts import agreement_chart, agreement_matrix, region_chart, region_rows


def test_the_agreement_matrix_is_symmetric_and_knows_what_it_does_not_know() -> None:
    table = pd.DataFrame(
        [("a", "b", 0.3), ("c", "a", -0.2), ("a", "other", 0.9)], columns=["method_a", "method_b", "spearman"]
    )
    matrix = agreement_matrix(table, "spearman", ["a", "b", "c"])
    expected = np.array([[1.0, 0.3, -0.2], [0.3, 1.0, np.nan], [-0.2, np.nan, 1.0]])
    np.testing.assert_array_equal(matrix, expected)


def test_one_method_has_no_agreement_chart(small_explanation: Explanation) -> None:
    assert agreement_chart(small_explanation.agreement, {"lrp": "LRP"}) is None
    assert agreement_chart(small_explanation.agreement.iloc[:0], {"lrp": "LRP", "b": "B"}) is None


def test_region_rows_are_the_summarys_in_native_space(small_explanation: Explanation) -> None:
    table = small_explanation.region_table
    background = table.iloc[[0]].assign(label=0, method="summary", region="background")
    name, rows = region_rows(pd.concat([table, background]))
    assert name == "summary"
    assert set(rows["space"]) == {"native"}
    assert len(rows) == len(small_explanation.regions)


def test_region_rows_fall_back_to_what_there_is(small_explanation: Explanation) -> None:
    table = small_explanation.region_table
    name, rows = region_rows(table[(table["method"] == "lrp") & (table["space"] == "template")])
    assert name == "lrp"
    assert set(rows["space"]) == {"template"}
    assert region_chart(table.iloc[:0]) is None


def answer_of(explanation: Explanation) -> Picture:
    return answer_chart(explanation.prediction, explanation.target, explanation.model.output)


def test_charts_are_svg_and_say_in_words_what_they_show(small_explanation: Explanation) -> None:
    titles = {name: method.title for name, method in small_explanation.maps.items()}
    pictures = [
        answer_of(small_explanation),
        region_chart(small_explanation.region_table),
        agreement_chart(small_explanation.agreement, titles),
    ]
    for picture in pictures:
        assert picture is not None
        assert picture.mime == "image/svg+xml"
        assert ElementTree.fromstring(picture.data).tag.endswith("svg")
    best = small_explanation.region_table.query("method == 'summary' and space == 'native'").nlargest(1, "gain")
    assert pictures[0] is not None
    assert f"AD {small_explanation.prediction.probabilities['AD']:.1%}" in pictures[0].alt
    assert pictures[1] is not None
    assert best["region"].iloc[0] in pictures[1].alt
    assert pictures[2] is not None
    assert f"{small_explanation.agreement['spearman'].median():.2f}" in pictures[2].alt


def test_the_same_figures_give_the_same_bytes(small_explanation: Explanation) -> None:
    first, second = (answer_of(small_explanation) for _ in range(2))
    assert first.data == second.data


@pytest.mark.parametrize("gain", [0.0, np.nan])
def test_a_map_of_zeros_still_has_a_region_chart(small_explanation: Explanation, gain: float) -> None:
    table = small_explanation.region_table.assign(share=gain, gain=gain)
    assert region_chart(table) is not None
