"""The few choices of the form become the steps that they name."""

from __future__ import annotations

import numpy as np
import pytest
from mri_interpret.doors.input_choices import GRID_TITLES, INTENSITY_TITLES, STEPS_FILE, InputChoices
from mri_interpret.errors import UserError
from mri_interpret.images.volume import Grid
from mri_interpret.models.recipes import clinicadl_2_transforms, qiu_2022
from mri_interpret.preprocessing.steps.chain import default_steps, read_steps

TYPED = {"shape": "90 x 100, 80", "spacing": "2", "origin": "-89,-120,-70"}


@pytest.mark.parametrize("grid", [grid for grid in GRID_TITLES if grid != STEPS_FILE])
@pytest.mark.parametrize("intensity", INTENSITY_TITLES)
def test_every_choice_is_a_chain_that_a_bundle_may_have(grid, intensity):
    steps = InputChoices(grid=grid, intensity=intensity, bias_correction=True, **TYPED).steps()
    chain = read_steps(list(steps), "form")
    assert chain.output_shape is not None
    assert steps[-1]["step"] == "intensity"
    assert not chain.wants_head


def test_the_first_choices_of_the_bundled_grid_are_the_bundled_networks_steps():
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = (-95, -128, -88)
    steps = InputChoices(grid="bundled_2mm").steps()
    assert read_steps(list(steps), "form") == default_steps(Grid((96, 112, 96), affine), (0.5, 99.5))


def test_the_grids_are_those_of_the_recipes():
    fsl = InputChoices(grid="fsl_1mm").steps()[1]
    assert (fsl["shape"], fsl["origin"]) == (qiu_2022._SHAPE, qiu_2022._ORIGIN)
    for grid, recipe in (("t1_linear", clinicadl_2_transforms.CROPPED), ("icbm_1mm", clinicadl_2_transforms.UNCROPPED)):
        step = InputChoices(grid=grid).steps()[1]
        assert {"shape": step["shape"], "origin": step["origin"]} == recipe


def test_another_grid_is_where_it_was_typed():
    (step,) = [one for one in InputChoices(grid="own", **TYPED).steps() if one["step"] == "registration"]
    assert step == {
        "step": "registration", "shape": [90, 100, 80], "spacing": [2.0, 2.0, 2.0], "origin": [-89.0, -120.0, -70.0],
    }  # fmt: skip


def test_a_whole_head_keeps_its_skull():
    steps = InputChoices(grid="stretched", shape="64,64,64", brain_only=False).steps()
    assert [step["step"] for step in steps] == ["orientation", "zoom", "intensity"]
    assert read_steps(list(steps), "form").wants_head


def test_steps_in_a_file_are_not_made_here():
    assert InputChoices(grid=STEPS_FILE).steps() == ()


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"shape": ""}, "The input's shape is empty: give numbers such as 96,112,96."),
        ({"shape": "96"}, "The input's shape is '96'"),
        ({"shape": "96,112,9.5"}, "The input's shape is '96,112,9.5'"),
        ({"spacing": ""}, "The input's voxel size is empty"),
        ({"spacing": "fine"}, "The input's voxel size is 'fine"),
        ({"origin": "0,0"}, "The input's origin is '0,0'"),
    ],
)
def test_a_number_that_is_none_is_one_sentence(typed, sentence):
    with pytest.raises(UserError) as caught:
        InputChoices(grid="own", **{**TYPED, **typed}).steps()
    assert str(caught.value).startswith(sentence)
