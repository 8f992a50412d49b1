"""Goals: what a network can be asked to answer instead, by its kind of output."""

from __future__ import annotations

import math

import pytest
from mri_interpret.errors import UserError
from mri_interpret.models.goals import check_goal, read_goal, simple_boundary
from mri_interpret.models.outputs import OutputMeaning
from mri_interpret.models.targets import read_target

CLASSES = OutputMeaning("logits", ("CN", "MCI", "AD"))
LABELS = OutputMeaning("labels", ("stroke", "tumour"))
SINGLE = OutputMeaning("logit", ("CN", "AD"), single=True, temperature=2.0)
STAGES = OutputMeaning("ordinal", ("CN", "MCI", "AD"))
AGE = OutputMeaning("regression", ("brain age",), True, "years", value_range=(40.0, 90.0))


@pytest.mark.parametrize(
    ("text", "meaning", "target", "sums", "level", "upwards"),
    [
        ("boundary", CLASSES, "AD-CN", ((-1, 0, 1),), 0, None),
        ("boundary", CLASSES, "AD", ((-1, 0, 1), (0, -1, 1)), 0, None),
        ("MCI", CLASSES, "AD", ((-1, 1, 0), (0, 1, -1)), 0, True),
        ("-0.5", CLASSES, "AD-CN", (), -0.5, None),
        ("AD 20 %", CLASSES, "AD-CN", ((-1, 0, 1), (0, -1, 1)), -math.log(4), None),
        ("50%", CLASSES, "AD", ((-1, 0, 1), (0, -1, 1)), 0, None),
        ("boundary", LABELS, "tumour", ((0, 1),), 0, None),
        ("stroke", LABELS, "tumour", ((1, 0),), 0, True),
        ("boundary", SINGLE, "AD", ((1,),), 0, None),
        ("CN", SINGLE, "AD", ((-1,),), 0, True),
        ("80 %", SINGLE, "AD", ((1,),), 2 * math.log(4), None),
        ("boundary", STAGES, "MCI", ((1, 0), (0, -1)), 0, None),
        ("AD", STAGES, "MCI", ((0, 1),), 0, True),
        ("CN", STAGES, "MCI", ((-1, 0),), 0, True),
        ("70", AGE, "value", ((1,),), 70, None),
        ("70 years", AGE, "value", ((1,),), 70, None),
        ("boundary", AGE, "value-65", ((1,),), 65, None),
    ],
)
def test_goals(text, meaning, target, sums, level, upwards):
    goal = read_goal(text, meaning, read_target(target, meaning))
    assert goal.sums == tuple(tuple(map(float, row)) for row in sums)
    assert goal.level == pytest.approx(level)
    assert goal.upwards is upwards
    assert goal.of_logits is (goal.temperature > 0) is text.endswith("%")


@pytest.mark.parametrize(
    ("text", "meaning", "target", "message"),
    [
        ("elsewhere", CLASSES, "AD", "boundary, a class .CN, MCI, AD."),
        ("120 %", CLASSES, "AD", "no probability between 0 and 100"),
        ("old %", CLASSES, "AD", "no probability"),
        ("20 %", STAGES, "AD", "ordered classes"),
        ("boundary", AGE, "value", "no decision boundary"),
        ("young", AGE, "value", "give a number"),
        ("120", AGE, "value", "outside of the model's range"),
    ],
)
def test_what_is_no_goal_is_refused(text, meaning, target, message):
    with pytest.raises(UserError, match=message) as caught:
        check_goal(text, meaning, read_target(target, meaning))
    assert caught.value.option == "goal"


def test_a_boundary_of_outputs_without_a_meaning():
    assert simple_boundary([0.0, 1.0, 0.0]).sums == ((-1.0, 1.0, 0.0), (0.0, 1.0, -1.0))
    assert simple_boundary([-1.0, 0.0, 1.0]).sums == ((-1.0, 0.0, 1.0),)
    assert simple_boundary([1.0]).sums == ((1.0,),)
