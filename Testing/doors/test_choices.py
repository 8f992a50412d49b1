"""What the panel offers is what there is."""

from __future__ import annotations

from types import SimpleNamespace

from mri_interpret.attribution.composites import composites
from mri_interpret.attribution.registry import DEFAULT_METHODS, STUDY_METHODS, available_methods, create_method
from mri_interpret.doors import choices
from mri_interpret.models.outputs import OutputMeaning
from mri_interpret.models.targets import read_target
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
    meaning = OutputMeaning("logits", ("CN", "MCI", "AD"))
    offered = choices.targets(meaning)
    assert offered[:5] == ["predicted", "CN", "MCI", "AD", "AD-CN"]
    assert len(offered) == 7
    for target in offered[1:]:
        read_target(target, meaning)
    age = OutputMeaning(
        "regression", ("age",), True, "years", value_range=(40.0, 90.0), anchors=((65.0, "retirement"),)
    )
    for chosen in ("predicted", "value-50", "value-65", "AD", "value-300"):
        for target in choices.targets(age, chosen):
            read_target(target, age)
    assert choices.targets(age, "value-50") == ["predicted", "value-65", "value-50"]
    assert choices.targets(age, "AD") == ["predicted", "value-65"]
    titles = [choices.target_title(target, age) for target in choices.targets(age, "value-50")]
    assert titles == ["age", "age - 65 years (retirement)", "age - 50 years"]
    assert choices.targets(None) == ["predicted"]


def test_scan_kinds_use_spaces_that_exist():
    assert {space for _mask, space in choices.SCAN_KINDS.values()} == set(SPACES)


def test_settings_reach_the_methods_that_take_them():
    parameters = SimpleNamespace(
        scanKind="brain", model="", composite="epsilon", layer=" block4 ",
        target="AD-CN", goal=" CN ", device="cpu", trust="off", regions="atlas",
    )  # fmt: skip
    takes = {name: list(info.parameters) for name, info in available_methods().items()}
    options = choices.explain_options(parameters, ["lrp", "grad_cam"], takes)
    assert options["parameters"] == {"lrp": {"composite": "epsilon"}, "grad_cam": {"layers_named": ("block4",)}}
    assert (options["mask"], options["space"], options["regions"]) == ("none", "native", "atlas")
    assert options["goal"] == "CN"
    own = choices.explain_options(parameters, ["lrp"], takes, own_segmentation=True)
    assert own["regions"] == "brain"  # an atlas and a segmentation of one's own exclude each other
    for name, given in options["parameters"].items():
        create_method(name, **given)


def test_without_a_choice_the_default_methods_are_explained_with_the_chosen_composite():
    known = list(available_methods())
    methods = choices.chosen_methods("", DEFAULT_METHODS, known)
    assert methods == list(DEFAULT_METHODS)
    parameters = SimpleNamespace(
        scanKind="auto",
        model="",
        composite="epsilon",
        layer="",
        target="AD",
        device="cpu",
        trust="off",
        regions="brain",
        goal="",
    )
    takes = {name: list(info.parameters) for name, info in available_methods().items()}
    options = choices.explain_options(parameters, methods, takes)
    assert options["parameters"]["lrp"] == {"composite": "epsilon"}


def test_methods_that_are_not_known_are_passed_over_and_baselines_are_listed_last():
    known = list(available_methods())
    assert choices.chosen_methods("nonsense, lrp", DEFAULT_METHODS, known) == ["lrp"]
    order = choices.order_of_methods(DEFAULT_METHODS, known)
    assert sorted(order) == sorted(known)
    assert tuple(order[: len(DEFAULT_METHODS)]) == tuple(DEFAULT_METHODS)
    assert set(order[-len(choices.BASELINES) :]) == set(choices.BASELINES)
