"""Bundles in the form of MONAI's model zoo: added as they are, with their own transforms; what would be run is refused.

The zoo as of 2024 holds no classifier of 3D images (its classifiers are 2D), so these bundles are written here, in the
ways in which the zoo's are: names without modules, references, constants by expression, JSON and YAML, weights in
models/model.pt, and metadata that knows nothing of this project.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mri_interpret as mi
import numpy as np
import pytest
import torch
from mri_interpret.models.adding import add_model
from mri_interpret.models.answers import Answers
from mri_interpret.models.recipes.monai_config import plain_value
from mri_interpret.models.registry import find_model
from mri_interpret.preprocessing.steps.monai_chain import MonaiChain

from Testing.fixtures_explanation import kept, make_explanation

nets = pytest.importorskip("monai.networks.nets")
yaml = pytest.importorskip("yaml")

SIZE = [32, 36, 32]
NETWORKS: dict[str, dict[str, Any]] = {
    "DenseNet121": {"init_features": 4, "growth_rate": 2, "block_config": [1, 1], "out_channels": "@num_classes"},
    "SEResNet50": {"layers": [1, 1, 1, 1], "num_classes": "@num_classes"},
    "ResNet": {
        "block": "basic",
        "layers": [1, 1, 1, 1],
        "block_inplanes": "@widths",
        "n_input_channels": 1,
        "num_classes": "$@num_classes",
    },
    "EfficientNetBN": {"model_name": "efficientnet-b0", "pretrained": True, "num_classes": "@num_classes"},
}
TAKES_CHANNELS = {"DenseNet121", "SEResNet50", "EfficientNetBN"}


def config(target: str, arguments: dict[str, Any]) -> dict[str, Any]:
    channels = {"in_channels": 1} if target in TAKES_CHANNELS else {}
    key = {"keys": "@image"}
    return {
        "imports": ["$import os", "$import torch"],
        "bundle_root": ".",
        "image": "$monai.utils.CommonKeys.IMAGE",
        "num_classes": 2,
        "widths": [2, 4, 4, 8],
        "size": SIZE,
        "ckpt_path": "$@bundle_root + '/models/model.pt'",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "network_def": {"_target_": target, "_desc_": "a classifier", "spatial_dims": 3, **channels, **arguments},
        "network": "$@network_def.to(@device)",
        "transforms": [
            {"_target_": "LoadImaged", **key, "image_only": True},
            {"_target_": "EnsureChannelFirstd", **key},
            {"_target_": "Orientationd", **key, "axcodes": "RAS"},
            {"_target_": "Resized", **key, "spatial_size": "@size", "mode": "trilinear"},
            {"_target_": "CastToTyped", **key, "dtype": "$torch.float32"},
            {"_target_": "NormalizeIntensityd", **key, "nonzero": True},
            {"_target_": "EnsureTyped", **key},
        ],
        "preprocessing": {"_target_": "Compose", "transforms": "$@transforms"},
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [{"_target_": "Activationsd", "keys": "pred", "softmax": True}],
        },
        "handlers": [{"_target_": "CheckpointLoader", "load_path": "@ckpt_path", "load_dict": {"model": "@network"}}],
        "evaluating": ["$@evaluator.run()"],
    }


METADATA: dict[str, Any] = {
    "version": "0.1.0",
    "monai_version": "1.4.0",
    "name": "Healthy or ill",
    "task": "Classification of brains",
    "description": "Random weights in the form of a zoo bundle",
    "copyright": "Copyright (c) nobody",
    "data_source": "none",
    "network_data_format": {
        "inputs": {"image": {"type": "image", "num_channels": 1, "spatial_shape": SIZE, "channel_def": {"0": "image"}}},
        "outputs": {
            "pred": {"type": "probabilities", "format": "classes", "channel_def": {"0": "healthy", "1": "ill"}}
        },
    },
}


def built(target: str) -> torch.nn.Module:
    arguments = {
        key: {"@num_classes": 2, "$@num_classes": 2, "@widths": [2, 4, 4, 8]}.get(value, value)
        if isinstance(value, str) else value
        for key, value in NETWORKS[target].items()
    }  # fmt: skip
    arguments |= {"in_channels": 1} if target in TAKES_CHANNELS else {}
    arguments |= {"pretrained": False} if "pretrained" in arguments else {}
    torch.manual_seed(5)
    network: torch.nn.Module = getattr(nets, target)(spatial_dims=3, **arguments)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.momentum = None  # the running statistics become those of the passes below
    with torch.no_grad():  # with those of a fresh network, signals die out in a deep one
        for _ in range(2):
            network.train()(torch.rand(2, 1, *SIZE))
    return network.eval()


def write_zoo_bundle(folder: Path, target: str = "DenseNet121", form: str = "json", **changes: Any) -> Path:
    """A bundle as the zoo has them; ``changes`` replace entries of the configuration, "metadata" those of that."""
    metadata = METADATA | changes.pop("metadata", {})
    record = config(target, NETWORKS[target]) | changes
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    text = json.dumps(record) if form == "json" else yaml.safe_dump(record)
    (folder / "configs" / f"inference.{form}").write_text(text)
    torch.save(built(target).state_dict(), folder / "models" / "model.pt")
    return folder


@pytest.fixture(autouse=True)
def models_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRI_INTERPRET_MODELS", str(tmp_path / "models"))


@pytest.mark.slow
@pytest.mark.parametrize(("target", "form"), [*((target, "json") for target in NETWORKS), ("DenseNet121", "yaml")])
def test_it_is_added_and_explained_with_its_own_transforms(target: str, form: str, tmp_path: Path) -> None:
    added = add_model(write_zoo_bundle(tmp_path / "zoo", target, form), name="zoo")
    bundle = find_model("zoo")
    assert bundle.metadata.classes == ("healthy", "ill")
    assert isinstance(bundle.metadata.preprocessing, MonaiChain)
    x = torch.rand(1, 1, *SIZE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(bundle.network(x), built(target)(x))
    assert "logits of healthy, ill" in added.notes[0]
    phantom = make_explanation(signs=(1, 1, -1))
    found = mi.explain(
        phantom.scan, mask=phantom.mask, space="mni", model="zoo", target="ill-healthy", trust="off", device="cpu",
        methods=["lrp", "gradient", "grad_cam"], cache=kept(),
        segmentation=phantom.anatomy,
    )  # fmt: skip
    assert found.model_input.shape == tuple(SIZE)
    assert all(np.isfinite(one.template.array).all() for one in found.maps.values())  # Grad-CAM may rightly be 0
    assert all(np.abs(found.maps[name].template.array).max() > 0 for name in ("lrp", "gradient"))


def test_classes_given_by_the_user_take_the_place_of_missing_ones(tmp_path: Path) -> None:
    formats = {"inputs": METADATA["network_data_format"]["inputs"]}
    folder = write_zoo_bundle(tmp_path / "zoo", metadata={"network_data_format": formats})
    with pytest.raises(mi.UserError, match="does not name the classes"):
        add_model(folder, name="zoo")
    add_model(folder, name="zoo", recipe="monai", options={"classes": "CN, AD"})
    assert find_model("zoo").metadata.classes == ("CN", "AD")


@pytest.mark.parametrize(("activation", "kind"), [("sigmoid", "labels"), ("softmax", "logits")])
def test_what_the_outputs_are_is_read_off_the_postprocessing(activation: str, kind: str, tmp_path: Path) -> None:
    after = {"transforms": [{"_target_": "Activationsd", "keys": "pred", activation: True}]}
    add_model(write_zoo_bundle(tmp_path / "zoo", postprocessing=after), name="zoo")
    assert find_model("zoo").metadata.output.kind == kind


def test_a_bundle_that_was_not_added_says_so(tmp_path: Path) -> None:
    with pytest.raises(mi.UserError, match=r"'mri_interpret' is missing; .* must be added to your models first"):
        find_model(write_zoo_bundle(tmp_path / "zoo"))


def changed(path: str, value: Any) -> dict[str, Any]:
    """A change of one entry of the network's definition."""
    return {"network_def": config("DenseNet121", NETWORKS["DenseNet121"])["network_def"] | {path: value}}


def pred(**entries: Any) -> dict[str, Any]:
    formats = METADATA["network_data_format"]
    return {"metadata": {"network_data_format": {**formats, "outputs": {"pred": formats["outputs"]["pred"] | entries}}}}


def flip(**entries: Any) -> dict[str, Any]:
    return {"transforms": [{"_target_": "LoadImaged", "keys": "image"}, {"keys": "image"} | entries]}


BAD: list[tuple[dict[str, Any], str]] = [
    (changed("spatial_dims", 2), "is a 2D network"),
    (changed("_target_", "os.system"), "'os.system' is not known"),
    (changed("_target_", "scripts.net.Net"), "'scripts.net.Net' is not known"),
    (changed("out_channels", "$__import__('os').getpid()"), "is an expression"),
    (changed("out_channels", "@nothing"), "refers to '@nothing', which is not there"),
    (changed("out_channels", "%other.json::x"), "is a macro"),
    (changed("out_channels", 3), "returns 3 values"),
    ({"network_def": "$torch.jit.load('model.ts')"}, "is an expression"),
    ({"network_def": "@network_def"}, "in a circle"),
    ({"num_classes": "@widths::9"}, "which is not there"),
    ({"preprocessing": None}, "'preprocessing' is missing"),
    (flip(_target_="RandFlipd"), "'RandFlipd' in 'preprocessing' is not followed"),
    (flip(_target_="Lambdad", func="$lambda x: x"), "is an expression"),
    (pred(format="segmentation"), "this is no classifier"),
    ({"metadata": {"network_data_format": {"inputs": {"image": {"num_channels": 4}}}}}, "takes 4 channels"),
]  # fmt: skip


def write_regression(folder: Path) -> Path:
    """A bundle of one output whose format is MONAI's "regression"."""
    about = pred(format="regression", channel_def={"0": "brain age"}) | changed("out_channels", 1)
    write_zoo_bundle(folder, postprocessing=None, **about)
    network = nets.DenseNet121(spatial_dims=3, in_channels=1, **(NETWORKS["DenseNet121"] | {"out_channels": 1}))
    torch.save({"state_dict": network.state_dict(), "epoch": 3}, folder / "models" / "model.pt")
    return folder


def test_a_regression_is_no_classifier_unless_its_user_says_what_it_is(tmp_path: Path) -> None:
    folder = write_regression(tmp_path / "zoo")
    for classes in ({}, {"recipe": "monai", "options": {"classes": "brain age"}}):
        with pytest.raises(mi.UserError, match=r"format is 'regression', so this is no classifier: .* 'output'"):
            add_model(folder, name="zoo", **classes)
    answers = Answers(classes=(), preprocessing=(), output="regression", unit="years")
    added = add_model(folder, name="zoo", answers=answers)
    meaning = find_model("zoo").metadata.output
    assert (meaning.kind, meaning.classes, meaning.unit) == ("regression", ("brain age",), "years")
    assert added.notes[0] == "Its outputs are taken as a regression of brain age."


def test_an_answer_of_another_number_of_outputs_is_refused(tmp_path: Path) -> None:
    answers = Answers(classes=("brain age",), preprocessing=(), output="regression", unit="years")
    with pytest.raises(mi.UserError, match="returns 2 values, but its metadata names 1 value"):
        add_model(write_zoo_bundle(tmp_path / "zoo"), name="zoo", answers=answers)


@pytest.mark.parametrize(("changes", "sentence"), BAD, ids=lambda value: str(value)[:50])
def test_what_is_not_followed_is_one_sentence(changes: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    folder = write_zoo_bundle(tmp_path / "zoo", **changes)
    with pytest.raises(mi.UserError, match=sentence) as caught:
        add_model(folder, name="zoo")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "models").glob("*"))


def test_missing_and_foreign_files_are_one_sentence(tmp_path: Path) -> None:
    folder = write_zoo_bundle(tmp_path / "zoo")
    outside = tmp_path / "elsewhere.pt"
    (folder / "models" / "model.pt").rename(outside)
    with pytest.raises(mi.UserError, match="is missing: the zoo keeps weights apart"):
        add_model(folder, name="zoo")
    (folder / "models" / "model.pt").symlink_to(outside)
    with pytest.raises(mi.UserError, match="leads out of the model's folder"):
        add_model(folder, name="zoo")
    with pytest.raises(mi.UserError, match="leads out of the model's folder"):
        add_model(folder, name="zoo", recipe="monai", options={"weights": "../elsewhere.pt"})
    (folder / "configs" / "inference.json").unlink()
    with pytest.raises(mi.UserError, match=r"holds no inference\.json nor inference\.yaml"):
        add_model(folder, name="zoo")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: &a [1, 2]\nb: [*a, *a]\n", "an anchor that is used again"),
        ("a: !!python/object/apply:os.system ['touch hacked']\n", "cannot be read as plain YAML"),
        ("- 1\n", "must hold names with values"),
        ("a: [1, 2\n", "cannot be read as plain YAML"),
    ],
)
def test_yaml_holds_plain_values_only(text: str, sentence: str, tmp_path: Path) -> None:
    folder = write_zoo_bundle(tmp_path / "zoo", form="yaml")
    (folder / "configs" / "inference.yaml").write_text(text)
    with pytest.raises(mi.UserError, match=sentence):
        add_model(folder, name="zoo")
    assert not list(tmp_path.rglob("hacked"))


def test_references_that_multiply_are_not_followed_to_the_end() -> None:
    record: dict[str, Any] = {f"a{n}": [f"@a{n + 1}"] * 10 for n in range(12)} | {"a12": 1}
    with pytest.raises(mi.UserError, match="nested too deeply"):
        plain_value(record, "a0", Path("inference.json"))
    assert plain_value({"a": {"b": [1, "@c#d"]}, "c": {"d": "$np.float32"}}, "a", Path("x")) == {"b": [1, "float32"]}
