"""Bundles: a sound one loads with the weights it has; each unsound one is one clear sentence."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mri_interpret.errors import UserError
from mri_interpret.models import registry
from mri_interpret.models.bundle import load_bundle
from mri_interpret.models.networks import build_network
from mri_interpret.models.outputs import OutputMeaning
from mri_interpret.models.targets import Contrast, read_target
from mri_interpret.preprocessing.steps.chain import StepChain
from mri_interpret.preprocessing.steps.values import BiasCorrection
from mri_interpret.user_folders import MODELS_VARIABLE

from Testing.models.bundles import CLASSES, NETWORK, small_network, write_small_bundle


def test_a_sound_bundle(tmp_path: Path) -> None:
    bundle = load_bundle(write_small_bundle(tmp_path / "small"))
    data = bundle.metadata
    assert (data.name, data.version, data.classes, data.temperature) == ("small", "1.2.3", CLASSES, 2.0)
    assert data.grid.shape == (96, 112, 96)
    assert np.allclose(data.grid.affine @ [0, 0, 0, 1], [-95, -128, -88, 1])
    weights = tmp_path / "small" / "models" / "model.safetensors"
    assert bundle.hash == hashlib.sha256(weights.read_bytes()).hexdigest()
    image = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        assert torch.equal(bundle.network(image), small_network()(image))
    assert not bundle.network.training
    assert not any(parameter.requires_grad for parameter in bundle.network.parameters())


AGE = {"kind": "regression", "name": "age", "unit": "years"}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"mri_interpret": None}, "'mri_interpret' is missing"),
        ({"mri_interpret.classes": None}, "'classes' is missing"),
        ({"mri_interpret.classes": ["CN", "", "AD"]}, "name of each class"),
        ({"mri_interpret.classes": ["CN", "CN", "AD"]}, "twice"),
        ({"mri_interpret.classes": ["AD", "MCI", "CN"]}, "channel_def"),
        ({"mri_interpret.grid": None}, "'grid' is missing"),
        ({"mri_interpret.grid.shape": [96, 112]}, "three numbers"),
        ({"mri_interpret.grid.spacing": [2, 2, 0]}, "positive"),
        ({"mri_interpret.grid.shape": "large"}, "must be a list"),
        ({"mri_interpret.intensity.method": "histogram"}, "not 'histogram'"),
        ({"mri_interpret.intensity.low": 99.9}, "percentiles"),
        ({"mri_interpret.bias_correction": True}, "'bias_correction' must be 'none' or 'n4', not True"),
        ({"mri_interpret.mask": "none"}, "'mask' can only be 'brain', not 'none'"),
        ({"mri_interpret.temperature": 0}, "temperature"),
        ({"mri_interpret.temperature": float("nan")}, "'temperature' must be a finite number"),
        ({"mri_interpret.temperature": "hot"}, "'temperature' must be a finite number"),
        ({"mri_interpret.temperature": True}, "'temperature' must be a finite number"),
        ({"mri_interpret.intensity": "percentile"}, "'intensity' must be a dict"),
        ({"mri_interpret.intensity.low": None, "mri_interpret.intensity.high": [99]}, "'high' must be a finite number"),
        ({"mri_interpret.grid.shape": [96, 112, 96.5]}, "whole numbers"),
        ({"mri_interpret.grid.shape": [9600, 11200, 9600]}, "more than .* voxels"),
        ({"mri_interpret.grid.origin": [float("inf"), 0, 0]}, "three numbers"),
        ({"mri_interpret.metrics": ["AUC"]}, "'metrics' must be a dict"),
        ({"mri_interpret.distrusted_methods": ["lrp"]}, "'distrusted_methods' must be a dict"),
        ({"mri_interpret.summary_weights": {"lrp": "much"}}, "'lrp' must be a finite number"),
        ({"mri_interpret.summary_weights": {"lrp": -1}}, "not be negative"),
        ({"mri_interpret.output": "odds"}, "one of logits, softmax, sigmoid, labels, logit, ordinal, regression"),
        ({"mri_interpret.output": ["logits"]}, "one of logits"),
        ({"mri_interpret.output": "regression"}, "'name'"),
        ({"mri_interpret.output": {"kind": "regression", "name": "age", "unit": 3}}, "'unit'"),
        ({"mri_interpret.output": {"kind": "regression", "name": "age"}}, "needs the 'unit' of the age"),
        ({"mri_interpret.output": {"kind": "regression", "name": "age", "unit": " "}}, "needs the 'unit'"),
        ({"mri_interpret.output": {**AGE, "range": [90, 40]}}, "least and the largest"),
        ({"mri_interpret.output": {**AGE, "range": [40]}}, "least and the largest"),
        ({"mri_interpret.output": {**AGE, "range": [0, float("nan")]}}, "least and the largest"),
        ({"mri_interpret.output": {**AGE, "anchors": {"0": "CN"}}}, "values with their names"),
        ({"mri_interpret.output": {**AGE, "anchors": [[0, "CN"], [0, "MCI"]]}}, "each value once"),
        ({"mri_interpret.classes": ["AD"], "mri_interpret.output": "ordinal"}, "two or more"),
        ({"mri_interpret.output": "logit"}, "one logit tells two classes apart"),
        ({"mri_interpret.classes": ["AD"], "mri_interpret.output": "softmax"}, "two classes or more"),
        ({"version": None}, "'version' is missing"),
    ],
)
def test_metadata_that_does_not_hold(tmp_path: Path, change: dict[str, Any], word: str) -> None:
    with pytest.raises(UserError, match=word) as caught:
        load_bundle(write_small_bundle(tmp_path / "small", change))
    assert "metadata.json" in str(caught.value)


def test_a_bundle_says_whether_its_network_wants_the_bias_field_taken_away(tmp_path: Path) -> None:
    plain = load_bundle(write_small_bundle(tmp_path / "plain")).metadata.preprocessing
    said = load_bundle(write_small_bundle(tmp_path / "none", {"mri_interpret.bias_correction": "none"}))
    assert said.metadata.preprocessing == plain
    wanted = load_bundle(write_small_bundle(tmp_path / "n4", {"mri_interpret.bias_correction": "n4"}))
    chain = wanted.metadata.preprocessing
    assert isinstance(chain, StepChain)
    assert isinstance(plain, StepChain)
    assert chain.steps == (BiasCorrection(), *plain.steps)
    both = {"mri_interpret.grid": None, "mri_interpret.intensity": None, "mri_interpret.bias_correction": "n4"}
    with pytest.raises(UserError, match="says it all"):
        load_bundle(write_small_bundle(tmp_path / "both", {**both, "mri_interpret.preprocessing": [{"step": "mask"}]}))


def test_fewer_classes_than_outputs(tmp_path: Path) -> None:
    change = {"mri_interpret.classes": ["CN", "AD"], "network_data_format": None}
    with pytest.raises(UserError, match=r"the network returns 3 values, but its metadata names 2 classes \(CN, AD\)"):
        load_bundle(write_small_bundle(tmp_path / "small", change))


def _rewrite(bundle: Path, **definition: Any) -> Path:
    path = bundle / "configs" / "inference.json"
    record = json.loads(path.read_text())
    record["network_def"].update(definition)
    path.write_text(json.dumps(record))
    return bundle


@pytest.mark.parametrize(
    ("definition", "word"),
    [
        ({"_target_": "os.system"}, "'os.system' is not known"),
        ({"_target_": "mri_interpret.models.plain_cnn.ConvBlock"}, "is not known"),
        ({"_target_": 3}, "'_target_' is missing"),
        ({"channels": [4, 4]}, "cannot be made from its settings"),
        ({"width": 3}, "cannot be made from its settings"),
        ({"in_channels": 2}, "cannot take a grid of 96 x 112 x 96"),
        ({"channels": [8, 8, 6, 6]}, "does not fit the network"),
        (
            {"num_classes": "@classes"},
            r"'network_def.num_classes' is a reference \('@classes'\)",
        ),
        ({"num_classes": "$len([1, 2, 3])"}, "is an expression"),
        ({"channels": [4, 4, 6, "%other::width"]}, r"'network_def.channels.3' is a macro"),
        ({"_target_": "monai.networks.nets.UNet"}, "is not known; .*DenseNet121.*PlainCNN3d"),
        ({"_target_": "monai.transforms.PlainCNN3d"}, "is not known"),
        ({"_target_": "monai.networks.nets.../os.DenseNet"}, "is not known"),
        ({"_disabled_": True}, "disabled"),
        ({"_mode_": "callable"}, "disabled or no plain network"),
    ],
)
def test_networks_that_do_not_hold(tmp_path: Path, definition: dict[str, Any], word: str) -> None:
    with pytest.raises(UserError, match=word):
        load_bundle(_rewrite(write_small_bundle(tmp_path / "small"), **definition))


def test_a_channel_too_many_is_named(tmp_path: Path) -> None:
    steps = [
        {"step": "registration", "shape": [96, 112, 96], "spacing": [2, 2, 2], "origin": [-95, -128, -88]},
        {"step": "channels", "channels": ["image", "flair"]},
    ]
    changes = {"mri_interpret.preprocessing": steps, "mri_interpret.grid": None, "mri_interpret.intensity": None}
    with pytest.raises(UserError, match="cannot take the 2 channels image, flair on a grid of 96 x 112 x 96"):
        load_bundle(write_small_bundle(tmp_path / "small", changes))


@pytest.mark.parametrize("definition", ["@network", "$import_it()", 3, None, []])
def test_network_definitions_that_are_no_definition(tmp_path: Path, definition: Any) -> None:
    bundle = write_small_bundle(tmp_path / "small")
    (bundle / "configs" / "inference.json").write_text(json.dumps({"network_def": definition}))
    word = "is not evaluated here" if isinstance(definition, str) else "'_target_' is missing"
    with pytest.raises(UserError, match=word):
        load_bundle(bundle)


def test_names_of_networks_may_be_short(tmp_path: Path) -> None:
    for target in ("PlainCNN3d", "mri_interpret.models.plain_cnn.PlainCNN3d"):
        bundle = load_bundle(_rewrite(write_small_bundle(tmp_path / "small"), _target_=target))
        assert type(bundle.network).__name__ == "PlainCNN3d"
    nets = pytest.importorskip("monai.networks.nets")
    settings = {"spatial_dims": 3, "in_channels": 1, "out_channels": 2}
    for target in ("DenseNet121", "monai.networks.nets.DenseNet121", "monai.networks.nets.densenet.DenseNet121"):
        assert isinstance(build_network(target, settings), nets.DenseNet121)
    with pytest.raises(UserError, match="is a reference"):
        build_network("DenseNet121", settings | {"in_channels": "@channels"})


@pytest.mark.parametrize("name", ["configs/metadata.json", "configs/inference.json", "models/model.safetensors"])
def test_links_out_of_the_bundle_are_refused(tmp_path: Path, name: str) -> None:
    bundle = write_small_bundle(tmp_path / "small")
    outside = tmp_path / "elsewhere"
    (bundle / name).rename(outside)
    (bundle / name).symlink_to(outside)
    with pytest.raises(UserError, match="leads out of the model's folder"):
        load_bundle(bundle)
    (bundle / name).unlink()
    (bundle / name).symlink_to(bundle / name)
    with pytest.raises(UserError, match="leads"):
        load_bundle(bundle)


def test_a_folder_that_links_out_is_refused_and_a_link_to_a_bundle_is_not(tmp_path: Path) -> None:
    bundle = write_small_bundle(tmp_path / "small")
    (tmp_path / "link").symlink_to(bundle)
    assert load_bundle(tmp_path / "link").metadata.name == "small"
    (bundle / "models").rename(tmp_path / "models")
    (bundle / "models").symlink_to(tmp_path / "models")
    with pytest.raises(UserError, match="leads out of the model's folder"):
        load_bundle(bundle)


def test_metadata_of_any_shape_is_one_sentence(tmp_path: Path) -> None:
    """Each entry in turn becomes something else: either it is refused in one sentence, or it was free text."""
    bundle = write_small_bundle(tmp_path / "small")
    path = bundle / "configs" / "metadata.json"
    sound = json.loads(path.read_text())
    sound["mri_interpret"] |= {"metrics": {}, "summary_weights": {"lrp": 1}, "distrusted_methods": {}}
    refusals: list[str] = []
    for parent, key in [(None, key) for key in sound] + [("mri_interpret", key) for key in sound["mri_interpret"]]:
        for odd in (None, 1e400, "x", [], {}, [[]], {"a": [1]}, -1, True):
            record = json.loads(json.dumps(sound))
            (record if parent is None else record[parent])[key] = odd
            path.write_text(json.dumps(record))
            try:
                load_bundle(bundle)
            except UserError as error:
                refusals.append(str(error))
    assert len(refusals) > 70
    assert not any("\n" in refusal for refusal in refusals)
    for text in ("", "[" * 100_000, "{", "\udcff", '{"a": 1' + "0" * 10_000 + "}"):
        path.write_text(text, errors="surrogateescape")
        with pytest.raises(UserError, match="JSON"):
            load_bundle(bundle)


def test_the_registry_lists_the_users_models_and_says_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path))
    write_small_bundle(tmp_path / "mine")
    write_small_bundle(tmp_path / "broken", {"mri_interpret.classes": None})
    listed = {model.name: model for model in registry.list_models()}
    assert listed["mine"].metadata is not None
    assert "'classes' is missing" in listed["broken"].problem
    assert registry.find_model("mine").metadata.name == "small"
    assert registry.find_model(tmp_path / "mine").metadata.name == "small"
    with pytest.raises(UserError, match=r"no model 'other'.*mine"):
        registry.find_model("other")


def test_monai_is_asked_for_only_when_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "monai", None)
    monkeypatch.setitem(sys.modules, "monai.networks", None)
    monkeypatch.setitem(sys.modules, "monai.networks.nets", None)
    with pytest.raises(UserError, match="pip install monai"):
        build_network("monai.networks.nets.DenseNet121", {"spatial_dims": 3, "in_channels": 1, "out_channels": 3})
    assert build_network("mri_interpret.models.plain_cnn.PlainCNN3d", NETWORK) is not None


def test_targets() -> None:
    meaning = OutputMeaning("logits", CLASSES)
    assert read_target("predicted", meaning, "MCI") == Contrast("MCI", {"CN": 0.0, "MCI": 1.0, "AD": 0.0})
    assert read_target("AD", meaning).weights == {"CN": 0.0, "MCI": 0.0, "AD": 1.0}
    for text in ("AD-CN", "AD - CN", "AD−CN"):
        assert read_target(text, meaning) == Contrast("AD - CN", {"CN": -1.0, "MCI": 0.0, "AD": 1.0})
    hyphens = OutputMeaning("logits", ("early-AD", "late-AD"))
    assert read_target("late-AD-early-AD", hyphens).name == "late-AD - early-AD"
    for text in ("", "ad", "AD-AD", "AD-XX", "-AD", "value"):
        with pytest.raises(UserError, match="AD-CN"):
            read_target(text, meaning)
