"""A model that returns a quantity, through everything that shows its answer."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mri_interpret.command_line.explain import _print_summary
from mri_interpret.explanation.answer_words import answer_words, contrast_formula, explained_value
from mri_interpret.explanation.explanation import Explanation, Prediction, Target
from mri_interpret.explanation.job import _out_of_range
from mri_interpret.explanation.saving import load
from mri_interpret.models.outputs import OutputMeaning
from mri_interpret.report.page import page_with
from mri_interpret.report.pictures import draw_pictures

from Testing.explanation.test_saving import same

NUMBER = r"[\d.]+ years"
LABELS = OutputMeaning("labels", ("atrophy", "lesions", "infarct"))
SCORE = OutputMeaning(
    "regression", ("COG",), True, "1", value_range=(0.0, 2.0), anchors=((0.0, "CN"), (2.0, "dementia"))
)


@pytest.fixture(scope="module")
def page(age_explanation: Explanation) -> str:
    return page_with(age_explanation, draw_pictures(age_explanation, in_3d=False))


def prose(page: str) -> str:
    """What the page says, without pictures and marks."""
    page = re.sub(r"<style>.*?</style>", " ", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def test_the_number_and_its_difference(age_explanation: Explanation) -> None:
    value = age_explanation.prediction.logits["brain age"]
    assert 60 < value < 80
    assert age_explanation.prediction.probabilities == {}
    assert age_explanation.prediction.predicted == f"brain age {value:.1f} years"
    assert age_explanation.target == Target("brain age - 65 years", {"brain age": 1.0}, value - 65, 65.0)
    assert age_explanation.maps["lrp"].units == "years"
    assert not any("range" in warning for warning in age_explanation.warnings)


def test_trust_checks_judge_its_maps(age_explanation: Explanation) -> None:
    judged = {verdict.check for verdict in age_explanation.verdicts if verdict.verdict != "not applicable"}
    assert {"conservation", "randomisation", "faithfulness"} <= judged
    (conservation,) = (v for v in age_explanation.verdicts if (v.method, v.check) == ("lrp", "conservation"))
    total = float(np.asarray(age_explanation.maps["lrp"].template.array, np.float64).sum())
    value = age_explanation.prediction.logits["brain age"]
    assert conservation.value == pytest.approx(abs(total - value) / value, rel=1e-3)


def test_an_answer_out_of_range_is_a_warning() -> None:
    (sentence,) = _out_of_range(SCORE, Prediction({"COG": 2.4}, {}, "COG 2.40"))
    assert (
        sentence == "The model's answer, COG 2.40, lies outside of the range that it was made for (0 CN .. 2 dementia)."
    )
    assert _out_of_range(SCORE, Prediction({"COG": 1.4}, {}, "COG 1.40")) == ()


def test_it_opens_again_as_it_was_saved(age_explanation: Explanation, tmp_path: Path) -> None:
    age_explanation.save(tmp_path / "saved")
    same(age_explanation, load(tmp_path / "saved"))
    answer = json.loads((tmp_path / "saved" / "prediction.json").read_text())
    assert answer["kind"] == "regression"
    assert (answer["quantity"], answer["unit"], answer["range"]) == ("brain age", "years", [40, 90])
    assert answer["value"] == age_explanation.prediction.logits["brain age"]
    assert answer["target"]["reference"] == 65
    assert "probabilities" not in answer
    provenance = json.loads((tmp_path / "saved" / "provenance.json").read_text())
    assert provenance["model"]["output"]["unit"] == "years"


def test_a_result_of_an_earlier_version_is_one_of_classes(small_explanation: Explanation, tmp_path: Path) -> None:
    small_explanation.save(tmp_path / "saved")
    index = tmp_path / "saved" / "explanation.json"
    record = json.loads(index.read_text("utf-8"))
    del record["facts"]["model"]["output"]
    del record["facts"]["target"]["reference"]
    index.write_text(json.dumps(record), "utf-8")
    opened = load(tmp_path / "saved")
    assert opened.model.output.classes == ("CN", "MCI", "AD")
    assert not opened.model.output.is_quantity


def test_the_report_speaks_of_years(page: str, age_explanation: Explanation) -> None:
    text = prose(page)
    assert re.search(rf"Predicted brain age {NUMBER} On a scale of 40 \.\. 90 years", text)
    assert re.search(rf"brain age − 65 years = \+{NUMBER}", text)
    assert "red raises the brain age and blue lowers it" in text
    assert "units: years" in text
    assert age_explanation.model.banner in text
    for word in ("probabilit", "logit", "class "):
        assert word not in text.partition("Full record")[0].lower(), word
    assert re.search(rf"<title>.*why brain age {NUMBER}\?", page)


def test_the_command_line_says_it_in_one_line(
    age_explanation: Explanation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _print_summary(age_explanation, tmp_path, {})
    out = capsys.readouterr().out
    assert re.match(rf"Predicted brain age {NUMBER} \(40 \.\. 90 years\); explained: brain age - 65 years", out)
    assert age_explanation.model.banner in out


def test_a_notebook_shows_it(age_explanation: Explanation) -> None:
    html = age_explanation._repr_html_()
    assert re.search(rf"brain age {NUMBER} \(40 \.\. 90 years\)", html)
    assert re.search(rf"brain age - 65 years = \+{NUMBER}", html)


def test_the_scene_and_what_the_panel_reads_of_it(age_explanation: Explanation, tmp_path: Path) -> None:
    pytest.importorskip("slicer")
    from mri_interpret.doors.result import MRIInterpretResult
    from mri_interpret.doors.result_tables import prediction_text
    from mri_interpret.scene import find_result, write_mrb
    from mri_interpret.scene.headless import HeadlessScene
    from mri_interpret.scene.nodes import runs

    value = age_explanation.prediction.logits["brain age"]
    path = write_mrb(age_explanation, tmp_path / "scene.mrb")
    with HeadlessScene() as scene:
        scene.read(path)
        (run,) = runs(scene.scene)
        nodes = find_result(scene.scene, run)
        assert nodes is not None
        assert f"Prediction: brain age {value:.1f} years (40 .. 90 years)" in nodes.note.GetText()
        text = prediction_text(nodes)
        assert text.sentence.startswith(f"The model says brain age {value:.1f} years (40 .. 90 years). ")
        assert age_explanation.model.banner in text.sentence
        (bar,) = text.bars
        assert bar.share == pytest.approx((value - 40) / 50)
        result = MRIInterpretResult(nodes)
        assert result.value == pytest.approx(value)
        assert result.probabilities == {}
        assert result.predicted == f"brain age {value:.1f} years (40 .. 90 years)"
        assert nodes.answer_chart.GetTitle() == "brain age in years (research use only)"


def test_the_workers_content_arrives_in_the_window(age_explanation: Explanation, tmp_path: Path) -> None:
    pytest.importorskip("vtkmodules")
    from mri_interpret.scene_content.content import content_of
    from mri_interpret.scene_content.content_files import read_content, write_content

    content = content_of(age_explanation)
    write_content(content, tmp_path)
    read = read_content(tmp_path)
    assert read.answer == content.answer
    assert [chart.table.columns for chart in read.charts] == [chart.table.columns for chart in content.charts]


# ---------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("values", "headline"),
    [((0.9, 0.2, 0.6), "atrophy, infarct"), ((0.1, 0.2, 0.5), "none of atrophy, lesions, infarct")],
)
def test_labels_are_all_named_that_are_present(values: tuple[float, ...], headline: str) -> None:
    odds = dict(zip(LABELS.classes, values, strict=True))
    words = answer_words(Prediction(odds, odds, "atrophy"), LABELS)
    assert words.headline == headline
    assert words.details == ", ".join(f"{name} {value:.0%}" for name, value in odds.items())
    assert words.share is None


def test_a_score_without_a_unit() -> None:
    words = answer_words(Prediction({"COG": 0.8712}, {}, "COG 0.87"), SCORE)
    assert words.sentence == "COG 0.87 (0 CN .. 2 dementia)"
    target = Target("COG - 1", {"COG": 1.0}, -0.1288, 1.0)
    assert contrast_formula(target, SCORE) == "COG − 1"
    assert explained_value(target, SCORE) == "-0.13"


@pytest.mark.parametrize(
    ("weights", "formula"),
    [
        ({"CN": 0, "MCI": -1, "AD": 1}, "log-odds of at least AD"),
        ({"CN": -1, "MCI": 2, "AD": -1}, "log-odds of at least MCI − log-odds of at least AD"),
        ({"CN": 1, "MCI": -1, "AD": 0}, "−log-odds of at least MCI"),
    ],
)
def test_contrasts_of_ordered_classes_as_formulas(weights: dict[str, float], formula: str) -> None:
    ordered = OutputMeaning("ordinal", ("CN", "MCI", "AD"))
    assert contrast_formula(Target("x", weights, 0.0), ordered) == formula


def test_labels_in_the_scene(small_explanation: Explanation) -> None:
    """The note, the panel's sentence and the chart name what is present, not just the likeliest."""
    from mri_interpret.scene_content.content import content_of

    output = OutputMeaning("sigmoid", ("CN", "MCI", "AD"))
    odds = {"CN": 0.7, "MCI": 0.1, "AD": 0.8}
    several = replace(
        small_explanation,
        model=replace(small_explanation.model, output=output),
        prediction=Prediction(odds, odds, "AD"),
    )
    content = content_of(several)
    assert content.answer == "CN, AD"
    assert "Prediction: CN, AD (probabilities: CN 0.70, MCI 0.10, AD 0.80)" in content.note
    assert content.charts[0].table.title == "Label probabilities (research use only)"
