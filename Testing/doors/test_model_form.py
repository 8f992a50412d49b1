"""What the form Add model... asks of which source, and the request that comes of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from mri_interpret.doors.input_choices import InputChoices
from mri_interpret.doors.model_form import KIND_TITLES, OUTPUT_TITLES, ModelForm, options_text
from mri_interpret.errors import UserError
from mri_interpret.models.outputs import KINDS
from mri_interpret.models.recipes.table import RECIPES

ASKED = ("asks_code", "asks_options", "asks_classes", "asks_output", "asks_input")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net.pt2"
    path.write_bytes(b"")
    return path


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("bundle", ""),
        ("program", "asks_classes asks_output asks_input"),
        ("weights", "asks_code asks_classes asks_output asks_input"),
        ("qiu2022", "asks_options"),
        ("clinicadl", "asks_options asks_classes"),
        ("keras", "asks_options asks_classes asks_input"),
        ("monai", "asks_options asks_classes"),
    ],
)
def test_each_source_is_asked_what_it_does_not_say(kind, asked):
    form = ModelForm(kind=kind)
    assert [name for name in ASKED if getattr(form, name)] == asked.split()
    assert form.hint.endswith((".", ")."))


def test_every_kind_of_output_can_be_chosen():
    assert set(OUTPUT_TITLES) == set(KINDS)


def test_every_recipe_can_be_chosen():
    assert set(RECIPES) < set(KIND_TITLES)
    assert options_text(ModelForm(kind="clinicadl")) == "split=0; selection=best-loss"


def test_the_request_of_a_program(file):
    form = ModelForm(
        kind="program", path=f" {file} ", name="mine", classes="CN, AD", input=InputChoices(grid="fsl_2mm"),
        trusted_class="left.over.Class", options="left=over",
    )  # fmt: skip
    request = form.request()
    assert request.source == str(file)
    assert (request.name, request.recipe, request.trusted_class, request.options) == ("mine", "", "", {})
    assert request.answers["classes"] == ("CN", "AD")
    assert [step["step"] for step in request.answers["preprocessing"]] == ["mask", "registration", "intensity"]


def test_the_request_of_weights_of_a_regression_with_steps_in_a_file(file, tmp_path):
    (tmp_path / "steps.json").write_text('[{"step": "mask"}, {"step": "intensity", "method": "zscore"}]')
    (tmp_path / "statistics.json").write_text('{"n": 2, "ranges": {}}')
    form = ModelForm(
        kind="weights", path=str(file), trusted_class="a.b.C", arguments='{"width": 3}', trusted=True,
        output="regression", classes="age", unit="years", range="18,100", input=InputChoices("file", shape="9,9,9"),
        steps_file=str(tmp_path / "steps.json"), statistics=str(tmp_path / "statistics.json"),
    )  # fmt: skip
    request = form.request()
    assert request.trusted_class == "a.b.C"
    assert request.arguments == {"width": 3}
    assert {**request.answers, "preprocessing": 0, "training_data": 0} == {
        "classes": ("age",), "preprocessing": 0, "output": "regression", "shape": (9, 9, 9), "unit": "years",
        "training_data": 0, "range": (18.0, 100.0), "statistics": {"n": 2, "ranges": {}},
    }  # fmt: skip


def test_the_request_of_a_recipe(tmp_path):
    form = ModelForm(kind="qiu2022", path=str(tmp_path), options="head=cog; folds=0,1", classes="left, over")
    request = form.request()
    assert (request.recipe, request.options, request.answers) == ("qiu2022", {"head": "cog", "folds": "0,1"}, None)


def test_a_unit_that_is_hidden_is_not_sent(file):
    form = ModelForm(kind="program", path=str(file), classes="a,b", unit="years", range="0,1")
    assert form.request().answers["unit"] == ""
    assert form.request().answers["range"] is None


FULL = ModelForm(kind="weights", path="x", trusted_class="a.b.C", trusted=True, classes="CN,AD")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"path": " "}, "Choose the file of the model."),
        ({"path": "", "kind": "bundle"}, "Choose the folder of the model."),
        ({"trusted_class": ""}, "Name the network's class"),
        ({"trusted": False}, "Say that you trust the code"),
        ({"classes": " "}, "Name the classes"),
        ({"classes": "", "output": "regression"}, "Name the quantity."),
        ({"classes": "age", "output": "regression"}, "Give the quantity's unit; 1 for a score"),
        ({"input": InputChoices("file")}, "Choose the file with the preprocessing steps."),
    ],
)
def test_what_lacks_is_said_before_anything_is_tried(changes, sentence):
    assert replace(FULL, path="x").blocked() == ""
    assert replace(FULL, **changes).blocked().startswith(sentence)
    with pytest.raises(UserError, match=sentence.rstrip(".")):
        replace(FULL, **changes).request()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"path": "/nowhere/net.pt2"}, "There is no"),
        ({"kind": "bundle"}, "is a file: choose a folder"),
        ({"path": "."}, "is a folder: choose a file"),
        ({"arguments": "width=3"}, "are no JSON object"),
        ({"arguments": "[3]"}, "are no JSON object"),
        ({"input": InputChoices("own")}, "shape is empty"),
        ({"input": InputChoices("own", shape="0,9,9", spacing="1", origin="0,0,0")}, "three positive numbers"),
        ({"output": "regression", "classes": "age", "unit": "years", "range": "old"}, "not two numbers"),
        ({"kind": "qiu2022", "options": "cog", "path": "."}, "The option 'cog' is none"),
    ],
)
def test_what_is_wrong_is_one_sentence(changes, sentence, file):
    with pytest.raises(UserError, match=sentence) as caught:
        replace(FULL, **{"path": str(file), **changes}).request()
    assert "\n" not in str(caught.value)


def test_a_request_survives_its_file(file, tmp_path):
    from mri_interpret.worker.add_model_request import AddModelRequest

    request = ModelForm(kind="program", path=str(file), classes="a,b").request()
    read = AddModelRequest.read(request.write(tmp_path))
    assert json.loads(json.dumps(read.answers)) == json.loads(json.dumps(request.answers))
    assert read.source == request.source
