"""The goal of a counterfactual: the user's words become a number, of what is explained, before or after the answer."""

from __future__ import annotations

import pytest
from mri_interpret.attribution import available_methods
from mri_interpret.attribution.methods.volume_counterfactual import VolumeCounterfactual
from mri_interpret.errors import UserError
from mri_interpret.explanation.goals import check_goals, reachable_methods, with_goals
from mri_interpret.models.goals import read_goal
from mri_interpret.models.outputs import OutputMeaning
from mri_interpret.models.targets import read_target

DISEASE = OutputMeaning("logits", ("CN", "MCI", "AD"))
NAME = "volume_counterfactual"


def never():
    raise AssertionError("the answer need not be known")


def test_a_goal_in_words_becomes_one_of_what_is_explained():
    gradient, found = with_goals(["gradient", NAME], "CN", "AD-CN", DISEASE, never)
    assert gradient.name == "gradient"
    assert found.goal == read_goal("CN", DISEASE, read_target("AD-CN", DISEASE))


def test_the_boundary_of_whatever_the_network_answers_is_known_after_it_answered():
    asked = []

    def answer():
        asked.append(1)
        return read_target("MCI", DISEASE)

    (found,) = with_goals([NAME], "boundary", "predicted", DISEASE, answer)
    assert asked == [1]
    assert found.goal == read_goal("boundary", DISEASE, read_target("MCI", DISEASE))
    assert with_goals(["gradient", "lrp"], "boundary", "predicted", DISEASE, never) == ["gradient", "lrp"]


def test_a_method_that_was_configured_keeps_its_own_goal_and_parameters():
    own = read_goal("AD", DISEASE, read_target("AD-CN", DISEASE))
    kept, other = with_goals(
        [VolumeCounterfactual(goal=own, starts=1), VolumeCounterfactual(starts=2)], "30 %", "AD", DISEASE, never
    )
    assert (kept.goal, kept.starts) == (own, 1)
    assert (other.goal.words, other.starts) == (read_goal("30 %", DISEASE, read_target("AD", DISEASE)).words, 2)


def test_a_goal_that_the_network_cannot_be_brought_to_is_refused_before_any_work():
    with pytest.raises(UserError, match="goal 'dementia' is not known"):
        check_goals([NAME], "dementia", "AD-CN", DISEASE)
    check_goals(["gradient"], "dementia", "AD-CN", DISEASE)  # nobody asks for it
    age = OutputMeaning("regression", ("brain age",), True, "years", value_range=(40, 90))
    with pytest.raises(UserError, match="no decision boundary"):
        check_goals([NAME], "boundary", "value", age)
    check_goals([NAME], "boundary", "value-65", age)
    with pytest.raises(UserError, match="outside of the model's range"):
        check_goals([NAME], "120", "value", age)


def test_of_all_methods_of_a_quantity_the_counterfactual_is_left_out_with_a_sentence():
    age = OutputMeaning("regression", ("brain age",), True, "years", value_range=(40, 90))
    everything = list(available_methods())
    kept, sentence = reachable_methods(everything, "boundary", "value", age)
    assert kept == [name for name in everything if name != NAME]
    assert "is left out. The model returns a quantity (brain age)" in sentence
    assert "give the value that it should reach as the goal" in sentence
    assert reachable_methods(everything, "70", "value", age) == (everything, "")
    assert reachable_methods(everything, "boundary", "value-65", age) == (everything, "")
    with pytest.raises(UserError, match="give the value that it should reach as the goal"):
        reachable_methods([NAME], "boundary", "value", age)
    with pytest.raises(UserError, match="give the value that it should reach as the goal"):
        reachable_methods(["gradient", NAME], "boundary", "value", age)
    with pytest.raises(UserError, match="is no value"):
        reachable_methods(everything, "old", "value", age)
