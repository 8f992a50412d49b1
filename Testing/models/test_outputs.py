"""What a network's numbers mean: prediction and probabilities in each case, against values worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from mri_interpret.errors import UserError
from mri_interpret.models.metadata import read_metadata
from mri_interpret.models.outputs import OutputMeaning, read_answer
from mri_interpret.models.targets import output_weights, read_target

from Testing.models.bundles import write_small_bundle

TWO, THREE = ("CN", "AD"), ("CN", "MCI", "AD")
# exp(0), exp(1), exp(2) and their sum, by hand
E0, E1, E2 = 1.0, 2.718281828459045, 7.38905609893065
SUM = E0 + E1 + E2
AGE = OutputMeaning("regression", ("brain age",), True, "years", value_range=(40.0, 90.0))
COG = {"kind": "regression", "name": "COG", "unit": "1", "range": [0, 2], "anchors": [[2, "dementia"], [0, "CN"]]}
COG_SCORE = OutputMeaning(
    "regression", ("COG",), True, "1", value_range=(0.0, 2.0), anchors=((0.0, "CN"), (2.0, "dementia"))
)
ORDERED = OutputMeaning("ordinal", THREE)


def test_logits_of_classes() -> None:
    answer = read_answer([0, 2, 1], OutputMeaning("logits", THREE))
    assert answer.values == {"CN": 0, "MCI": 2, "AD": 1}
    assert answer.predicted == "MCI"
    assert answer.probabilities == pytest.approx({"CN": E0 / SUM, "MCI": E2 / SUM, "AD": E1 / SUM})
    softer = read_answer([0, 4, 2], OutputMeaning("logits", THREE, temperature=2.0))
    assert softer.probabilities == pytest.approx(answer.probabilities)


@pytest.mark.parametrize("kind", ["logits", "softmax"])
def test_a_network_that_ends_in_a_softmax_is_not_squashed_twice(kind: str) -> None:
    wanted = {"CN": E0 / SUM, "MCI": E2 / SUM, "AD": E1 / SUM}
    meaning = OutputMeaning(kind, THREE)
    for activation in ("softmax", "log_softmax"):  # the logits before it were reached
        assert read_answer([0, 2, 1], meaning, activation).probabilities == pytest.approx(wanted)
    shares = [E0 / SUM, E2 / SUM, E1 / SUM]  # they were not
    assert read_answer(shares, meaning, "", "probability").probabilities == pytest.approx(wanted)
    logs = [math.log(share) for share in shares]
    assert read_answer(logs, meaning, "", "log-probability").probabilities == pytest.approx(wanted)
    assert read_answer([0, 1, 0], meaning, "", "probability").probabilities == pytest.approx(
        {"CN": 0, "MCI": 1, "AD": 0}
    )


@pytest.mark.parametrize(("kind", "activation"), [("sigmoid", "sigmoid"), ("logits", "sigmoid"), ("sigmoid", "")])
def test_classes_that_do_not_exclude_each_other(kind: str, activation: str) -> None:
    outputs = [math.log(9), -math.log(4), 0] if activation else [0.9, 0.2, 0.5]
    answer = read_answer(outputs, OutputMeaning(kind, THREE), activation)
    assert answer.probabilities == pytest.approx({"CN": 0.9, "MCI": 0.2, "AD": 0.5})
    assert answer.predicted == "CN"


@pytest.mark.parametrize(("logit", "share"), [(math.log(3), 0.75), (-math.log(3), 0.25), (800.0, 1.0), (-800.0, 0.0)])
def test_one_logit(logit: float, share: float) -> None:
    answer = read_answer([logit], OutputMeaning("logit", TWO, single=True))
    assert answer.probabilities == pytest.approx({"CN": 1 - share, "AD": share})
    assert answer.predicted == ("AD" if logit > 0 else "CN")
    assert answer.values == {"CN": 0.0, "AD": logit}
    warm = read_answer([2 * logit], OutputMeaning("logit", TWO, single=True, temperature=2.0))
    assert warm.probabilities == pytest.approx(answer.probabilities)


@pytest.mark.parametrize(("output", "share"), [(0.8, 0.8), (0.1, 0.1)])
def test_one_probability(output: float, share: float) -> None:
    answer = read_answer([output], OutputMeaning("sigmoid", TWO, single=True))
    assert answer.probabilities == pytest.approx({"CN": 1 - share, "AD": share})
    assert answer.predicted == ("AD" if share > 0.5 else "CN")


def test_a_quantity_has_no_probabilities() -> None:
    answer = read_answer([71.264], OutputMeaning("regression", ("age",), True, "years"))
    assert answer.values == {"age": 71.264}
    assert answer.probabilities == {}
    assert answer.predicted == "age 71.26 years"


def test_a_quantity_is_worded_with_its_unit_and_its_scale() -> None:
    assert read_answer([71.264], AGE).predicted == "brain age 71.3 years"
    assert read_answer([0.8712], COG_SCORE).predicted == "COG 0.87"
    assert (AGE.scale_words(), COG_SCORE.scale_words()) == ("40 .. 90 years", "0 CN .. 2 dementia")
    assert OutputMeaning("regression", ("age",), True, "years").scale_words() == ""
    assert (AGE.scale, COG_SCORE.scale, ORDERED.scale) == ("years", "COG", "logit")
    assert AGE.amount(6.25, sign=True) == "+6.2 years"
    assert AGE.outside(90.1)
    assert not AGE.outside(90.0)
    assert not OutputMeaning("regression", ("age",), True, "years").outside(1e9)


def test_labels_by_their_log_odds() -> None:
    answer = read_answer([math.log(9), -math.log(4), 0], OutputMeaning("labels", THREE))
    assert answer.probabilities == pytest.approx({"CN": 0.9, "MCI": 0.2, "AD": 0.5})
    assert answer.values == {"CN": math.log(9), "MCI": -math.log(4), "AD": 0}


@pytest.mark.parametrize(
    ("above", "shares", "predicted"),
    [
        ((0.9, 0.2), (0.1, 0.7, 0.2), "MCI"),
        ((0.4, 0.1), (0.6, 0.3, 0.1), "CN"),
        ((0.95, 0.6), (0.05, 0.35, 0.6), "AD"),
        ((0.3, 0.8), (0.7, 0.0, 0.3), "CN"),  # contradicts itself: above AD's limit implies above MCI's
    ],
)
def test_ordered_classes(above: tuple[float, float], shares: tuple[float, ...], predicted: str) -> None:
    logits = [math.log(p / (1 - p)) for p in above]
    answer = read_answer(logits, ORDERED)
    assert list(answer.probabilities.values()) == pytest.approx(shares)
    assert answer.predicted == predicted
    assert answer.values == pytest.approx({"CN": 0, "MCI": logits[0], "AD": sum(logits)})


@pytest.mark.parametrize(
    ("text", "outputs"),
    [
        ("CN", [-1, 0]),  # not above the limit to MCI
        ("MCI", [1, -1]),  # above that one, not above the limit to AD
        ("AD", [0, 1]),
        ("AD-CN", [1, 1]),
        ("value", [1, 1]),
        ("MCI-CN", [1, 0]),
        ("predicted", [1, -1]),
    ],
)
def test_targets_of_ordered_classes(text: str, outputs: list[float]) -> None:
    contrast = read_target(text, ORDERED, predicted="MCI")
    assert output_weights(contrast.weights, ORDERED) == outputs
    values = read_answer([0.5, -2.0], ORDERED).values
    assert contrast.of(values) == pytest.approx(outputs[0] * 0.5 - outputs[1] * 2.0)


@pytest.mark.parametrize(
    ("text", "meaning", "name", "value"),
    [
        ("predicted", AGE, "brain age", 72.3),
        (" Value ", AGE, "brain age", 72.3),
        ("brain age", AGE, "brain age", 72.3),
        ("value-65", AGE, "brain age - 65 years", 7.3),
        ("value − 65.5 years", AGE, "brain age - 65.5 years", 6.8),
        ("brain age-65", AGE, "brain age - 65 years", 7.3),
        ("value-1", COG_SCORE, "COG - 1", 71.3),
        ("value--3", OutputMeaning("regression", ("z",), True, "1"), "z - -3", 75.3),
    ],
)
def test_targets_of_a_quantity(text: str, meaning: OutputMeaning, name: str, value: float) -> None:
    contrast = read_target(text, meaning)
    assert contrast.name == name
    assert contrast.of({meaning.classes[0]: 72.3}) == pytest.approx(value)
    assert output_weights(contrast.weights, meaning) == [1.0]


@pytest.mark.parametrize("text", ["AD", "value-", "value-old", "value-nan", "65", "value+65", "value 65", "-65", ""])
def test_a_target_that_a_quantity_does_not_have(text: str) -> None:
    with pytest.raises(UserError, match=r"give predicted, value, brain age, or its difference .* value-40\.$"):
        read_target(text, AGE)


def test_a_reference_out_of_range_is_refused() -> None:
    with pytest.raises(UserError, match=r"15 lies outside of the model's range \(40 \.\. 90 years\)"):
        read_target("value-15", AGE)


@pytest.mark.parametrize(
    ("outputs", "meaning", "word"),
    [
        ([1, 2], OutputMeaning("logits", THREE), r"returned 2 values, .* 3 classes \(CN, MCI, AD\)\.$"),
        ([1], OutputMeaning("logits", TWO), "returned 1 value, .*say 'logit'"),
        ([1, 2], OutputMeaning("logit", TWO, True), "returned 2 values, but its metadata names 1 value"),
        ([1, 2], OutputMeaning("regression", ("age",), True), "names 1 value"),
        ([1, 2, 3], ORDERED, r"returned 3 values, .* 2 limits between ordered classes"),
        ([3, 2], OutputMeaning("softmax", TWO), "3, 2, which do not add up to 1"),
        ([0.5, 1.2], OutputMeaning("sigmoid", TWO), "returned 0.5, 1.2"),
    ],
)
def test_outputs_that_the_metadata_does_not_describe(outputs: list[float], meaning: OutputMeaning, word: str) -> None:
    with pytest.raises(UserError, match=word):
        read_answer(outputs, meaning)


@pytest.mark.parametrize(
    ("change", "meaning"),
    [
        ({}, OutputMeaning("logits", THREE, temperature=2.0)),
        ({"output": "softmax"}, OutputMeaning("softmax", THREE, temperature=2.0)),
        ({"classes": ["AD"]}, OutputMeaning("logit", ("not AD", "AD"), True, temperature=2.0)),
        ({"classes": ["AD"], "output": "sigmoid"}, OutputMeaning("sigmoid", ("not AD", "AD"), True, temperature=2.0)),
        ({"classes": ["CN", "AD"], "output": "logit"}, OutputMeaning("logit", TWO, True, temperature=2.0)),
        (
            {"classes": None, "output": {"kind": "regression", "name": "age", "unit": "years"}},
            OutputMeaning("regression", ("age",), True, "years"),
        ),
        ({"classes": None, "output": COG}, COG_SCORE),
        ({"output": "labels"}, OutputMeaning("labels", THREE, temperature=2.0)),
        ({"output": "ordinal"}, OutputMeaning("ordinal", THREE, temperature=2.0)),
    ],
)
def test_what_the_metadata_says(tmp_path: Path, change: dict[str, Any], meaning: OutputMeaning) -> None:
    changes = {f"mri_interpret.{key}": value for key, value in change.items()}
    if "classes" in change:
        changes["network_data_format"] = None
    assert read_metadata(write_small_bundle(tmp_path / "small", changes)).output == meaning


def test_targets_of_a_single_logit_are_differences() -> None:
    meaning = OutputMeaning("logit", TWO, True)
    for text, name, weights, output in (
        ("AD", "AD - CN", {"CN": -1.0, "AD": 1.0}, [1.0]),
        ("CN", "CN - AD", {"CN": 1.0, "AD": -1.0}, [-1.0]),
        ("AD-CN", "AD - CN", {"CN": -1.0, "AD": 1.0}, [1.0]),
        ("predicted", "CN - AD", {"CN": 1.0, "AD": -1.0}, [-1.0]),
    ):
        found = read_target(text, meaning, predicted="CN")
        assert (found.name, found.weights, found.reference) == (name, weights, None)
        assert output_weights(found.weights, meaning) == output
    assert output_weights({"CN": -1.0, "MCI": 0.0, "AD": 1.0}, OutputMeaning("logits", THREE)) == [-1.0, 0.0, 1.0]
