"""What the panel offers is what there is."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from mri_interpret.attribution.composites import composites
from mri_interpret.attribution.registry import DEFAULT_METHODS, STUDY_METHODS, available_methods, create_method
from mri_interpret.doors import choices
from mri_interpret.models.targets import parse_target
from mri_interpret.preprocessing.pipeline import SPACES


def test_every_composite_is_offered_and_the_default_comes_first():
    assert set(choices.COMPOSITES) == set(composites())
    assert choices.COMPOSITES[0] == available_methods()["lrp"].parameters["composite"]


def test_presets_name_methods_that_exist():
    offered = choices.presets(DEFAULT_METHODS, list(available_methods()))
    assert offered["default"] == tuple(DEFAULT_METHODS)
    assert offered["study"] == STUDY_METHODS
    baselines = {name for name in available_methods() if type(create_method(name)).__module__.endswith("baselines")}
    assert baselines == set(choices.BASELINES)
    assert set(offered["all"]) == set(available_methods()) - baselines
    assert offered["fast"] == choices.FAST


def test_a_preset_is_recognised_in_any_order():
    offered = choices.presets(DEFAULT_METHODS, list(available_methods()))
    assert choices.preset_of(list(reversed(DEFAULT_METHODS)), offered) == "default"
    assert choices.preset_of(["lrp"], offered) == choices.CUSTOM


def test_every_target_offered_is_understood():
    classes = ("CN", "MCI", "AD")
    offered = choices.targets(classes)
    assert offered[:5] == ["predicted", "CN", "MCI", "AD", "AD-CN"]
    assert len(offered) == 7
    for target in offered[1:]:
        parse_target(target, classes, dict.fromkeys(classes, 0.0))


def test_scan_kinds_use_spaces_that_exist():
    assert {space for _mask, space in choices.SCAN_KINDS.values()} == set(SPACES)


def test_settings_reach_the_methods_that_take_them():
    parameters = SimpleNamespace(
        scanKind="brain", model="", methods="lrp,grad_cam", composite="epsilon", layer=" block4 ",
        target="AD-CN", device="cpu", trust="off",
    )  # fmt: skip
    takes = {name: list(info.parameters) for name, info in available_methods().items()}
    wishes = choices.job_wishes(parameters, takes)
    assert wishes["parameters"] == {"lrp": {"composite": "epsilon"}, "grad_cam": {"layers_named": ("block4",)}}
    assert (wishes["mask"], wishes["space"]) == ("none", "native")
    for name, given in wishes["parameters"].items():
        create_method(name, **given)


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (0.2, "about 1 s left"), (42.4, "about 42 s left"), (200, "about 3 min left")]
)
def test_the_time_left_is_for_people(seconds, text):
    assert choices.time_left(seconds) == text
