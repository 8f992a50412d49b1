"""A ClinicaDL 2 output folder: ClinicaDL's own numbers, and a sentence for each thing that is not understood."""

from __future__ import annotations

import copy
import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from mri_interpret.attribution import Explainer
from mri_interpret.errors import UserError
from mri_interpret.models.networks import build_network
from mri_interpret.models.output_entry import read_output
from mri_interpret.models.recipes.clinicadl_2_transforms import dataset_steps
from mri_interpret.models.recipes.table import recipe_named
from mri_interpret.preprocessing.steps.chain import read_steps
from mri_interpret.preprocessing.steps.partial_input import PartialInput

from Testing.oracles.clinicadl_2_numbers import GRID, filled, picture, probe

# Made by ClinicaDL 2.0.0 itself (Testing/oracles/make_clinicadl_2.py).
CASES = json.loads((Path(__file__).parents[1] / "oracles" / "clinicadl_2.json").read_text())["cases"]
OPTIONS = {
    "cnn_classes": {"classes": "CN, AD"}, "cnn_regression": {"unit": "years"},
    "cnn_one_probability": {"classes": "CN,AD"}, "resnet_labels": {"classes": "AD,FTD,DLB"},
    "densenet_one_logit": {"classes": "CN,AD"}, "resnet_bounded_score": {"unit": "1"},
    "seresnet_classes": {"classes": "CN,AD"}, "vit_classes": {"classes": "CN,AD"}, "vit_regression": {"unit": "years"},
}  # fmt: skip


def write_maps_2(folder: Path, name: str = "cnn_classes", **changes) -> Path:
    """A folder as ClinicaDL 2's Trainer writes it; ``changes`` are "model" or "dataset" entries, "a.b.0" to value."""
    case = copy.deepcopy(CASES[name])
    for place, value in changes.items():
        part, *keys = place.split(".")
        entry = case[part]
        for key in keys[:-1]:
            entry = entry[int(key) if key.isdigit() else key]
        entry[int(keys[-1]) if keys[-1].isdigit() else keys[-1]] = value
    data = folder / "training" / "data" / "train" / "split-0"
    best = folder / "training" / "split-0" / "models" / "best_models" / "best-loss"
    data.mkdir(parents=True)
    best.mkdir(parents=True)
    (folder / "model.json").write_text(json.dumps(case["model"]))
    (data / "dataset.json").write_text(json.dumps(case["dataset"]))
    torch.save(filled(case["weights"]), best / "model.pt")
    return folder


def read(folder: Path, **options):
    return recipe_named("clinicadl").read(folder, options)


@cache
def network_input(name: str):
    """What the imported steps after the registration make of the scan that ClinicaDL was given."""
    steps, _ = dataset_steps(CASES[name]["dataset"], "dataset.json")
    chain = read_steps(steps, "dataset.json")
    current = PartialInput(picture(GRID), np.ones(GRID, bool), np.eye(4))
    for step in chain.steps[2:]:
        current = step.apply(current, None)
    assert chain.output_shape == current.image.shape
    return current


@pytest.mark.parametrize("name", CASES)
def test_the_network_gives_clinicadls_own_numbers(name, tmp_path):
    if name.startswith("densenet"):
        pytest.importorskip("monai")
    imported = read(write_maps_2(tmp_path, name), **OPTIONS[name])
    network = build_network(imported.target, json.loads(json.dumps(imported.arguments))).eval()
    network.load_state_dict(imported.weights)
    with torch.no_grad():
        found = network(torch.from_numpy(network_input(name).image)[None, None])[0].double()
    # The activation at the end is left away for logits with the same probabilities.
    last = {"cnn_classes": lambda x: x.log_softmax(0), "cnn_one_probability": torch.sigmoid}.get(name, lambda x: x)
    assert last(found).tolist() == pytest.approx(CASES[name]["output"], abs=1e-5)
    meaning = read_output(imported.metadata["mri_interpret"], tmp_path)
    assert meaning.count == len(CASES[name]["output"])


@pytest.mark.parametrize("name", CASES)
def test_the_network_sees_what_clinicadls_transforms_make(name):
    current = network_input(name)
    assert list(current.image.shape) == CASES[name]["shape"]
    assert probe(current.image) == pytest.approx(CASES[name]["voxels"], abs=1e-5)
    # The affine says where a voxel comes from: there the scan holds what the network was given, up to the scaling.
    i, j, k = (current.to_scan @ [3, 5, 7, 1])[:3].astype(int)
    if name == "resnet_labels":
        assert current.image[3, 5, 7] == picture(GRID)[i, j, k]


@pytest.mark.parametrize("name", ["resnet_bounded_score", "seresnet_classes", "vit_classes"])
def test_networks_of_our_own_are_explained(name, tmp_path):
    imported = read(write_maps_2(tmp_path, name), **OPTIONS[name])
    network = build_network(imported.target, json.loads(json.dumps(imported.arguments))).eval()
    network.load_state_dict(imported.weights)
    x = torch.from_numpy(network_input(name).image)[None, None]
    explainer = Explainer(network, undo_activation="bounded" not in name)  # a number is explained as it is returned
    found = explainer.explain(x, 0, ["lrp", "gradient", "guided_backprop", "grad_cam"])
    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(network(leaf)[0, 0], leaf)
    torch.testing.assert_close(
        found["gradient"].map, expected[:, 0], rtol=1e-3, atol=1e-5 * float(expected.abs().max())
    )
    assert float(found["lrp"].map.abs().max()) > 0
    assert torch.isfinite(found["lrp"].map).all()


def test_what_the_outputs_mean(tmp_path):
    kinds = {
        name: read_output(read(write_maps_2(tmp_path / name, name), **options).metadata["mri_interpret"], tmp_path).kind
        for name, options in OPTIONS.items()
    }
    assert kinds == {
        "cnn_classes": "logits", "cnn_regression": "regression", "cnn_one_probability": "logit",
        "resnet_labels": "labels", "densenet_one_logit": "logit", "resnet_bounded_score": "regression",
        "seresnet_classes": "logits", "vit_classes": "logits", "vit_regression": "regression",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("cnn_classes", {}, "diagnosis has 2 classes, and ClinicaDL 2 does not record them: .* 'classes'"),
        ("cnn_classes", {"classes": "CN,MCI,AD"}, "has 2 classes, and 3 are given"),
        ("resnet_labels", {}, "has 3 labels"),
        ("cnn_regression", {}, "does not tell the unit of the diagnosis: give it .* 'unit'"),
        ("cnn_classes", {"classes": "CN,AD", "split": "3"}, "holds no training/data/train/split-3/dataset.json"),
        ("cnn_classes", {"classes": "CN,AD", "selection": "final"}, "no model 'final' of split 0; it holds best-loss"),
        ("cnn_classes", {"classes": "CN,AD", "selection": "../best-loss"}, "no model '../best-loss'"),
    ],
)
def test_what_the_user_must_say(name, options, sentence, tmp_path):
    with pytest.raises(UserError, match=sentence):
        read(write_maps_2(tmp_path, name), **options)


TRANSFORM = "dataset.transforms.image_transforms.0"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model.name_": "ReconstructionModel"}, "ReconstructionModel is not covered"),
        ({"model.network": {"name_": "SEResNet50"}}, "SEResNet50 is not covered"),
        ({"model.network": "MyOwnNetwork"}, "MyOwnNetwork is not covered"),
        ({"model.network.in_shape": [2, 24, 24, 24]}, "takes 2 channels"),
        ({"model.network.in_shape": [1, 24, 24]}, "images of 2 dimensions"),
        ({"model.network.in_shape": [1, 24, 24, 30]}, "made for 24 x 24 x 30 voxels, and its data have 24 x 24 x 24"),
        ({"model.network.mlp_args.act": "maxout"}, "activation 'maxout' is not covered"),
        ({"model.network.mlp_args.output_act": "softmax"}, "NLLLoss after the activation 'softmax'"),
        ({"model.network.conv_args.channels": [2, 4, 8]}, "settings of the network CNN are damaged"),
        ({"model.loss": {"name_": "MultiMarginLoss"}}, "not told by the loss MultiMarginLoss"),
        ({"model.inferer.name_": "PatchesToImageInferer"}, "PatchesToImageInferer is not covered"),
        ({"dataset.name_": "PairedDataset"}, "PairedDataset is not covered"),
        ({"dataset.file_type.suffix": "FLAIR"}, "t1_linear/FLAIR cannot be made here"),
        ({"dataset.file_type.data_type": "anat"}, "anat/T1w cannot be made here"),
        ({"dataset.transforms.extraction.name_": "Slice"}, "works on a slice, not on the whole image"),
        ({TRANSFORM: "<function f>"}, "the transform <function f> is the authors' own"),
        ({f"{TRANSFORM}.name_": "Resample"}, "the transform Resample is not covered"),
        ({f"{TRANSFORM}.masking_method": "head"}, "ZNormalization with masking_method 'head'"),
        ({"dataset.transforms.image_transforms.1.mask_name": "head"}, "CropOrPad about a mask"),
        ({"dataset.transforms": {}}, "is damaged"),
    ],
)
def test_what_is_not_understood_is_named(changes, sentence, tmp_path):
    with pytest.raises(UserError, match=sentence) as caught:
        read(write_maps_2(tmp_path, **changes), classes="CN,AD")
    assert "\n" not in str(caught.value)


def test_transforms_of_other_images_are_none_of_the_networks(tmp_path):
    other = {**CASES["cnn_classes"]["dataset"]["transforms"]["image_transforms"][0], "include": ["head"]}
    folder = write_maps_2(tmp_path, **{TRANSFORM: other})
    steps = read(folder, classes="CN,AD").metadata["mri_interpret"]["preprocessing"]
    assert [step["step"] for step in steps] == ["bias_correction", "registration", "fit"]


def test_weights_of_another_network(tmp_path):
    folder = write_maps_2(tmp_path)
    path = next(folder.glob("**/model.pt"))
    torch.save({"network.mlp.other.weight": torch.zeros(2)}, path)
    with pytest.raises(UserError, match="weights do not belong to this CNN"):
        read(folder, classes="CN,AD")
    torch.save({"optimizer.x": torch.zeros(2)}, path)
    with pytest.raises(UserError, match=r"'optimizer\.x', which belongs to no network"):
        read(folder, classes="CN,AD")


def test_pickled_objects_are_never_loaded(tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.system, (f"touch {tmp_path / 'ran'}",))

    folder = write_maps_2(tmp_path / "maps")
    torch.save({"network.x": Evil()}, next(folder.glob("**/model.pt")))
    with pytest.raises(UserError, match="never loaded"):
        read(folder, classes="CN,AD")
    assert not (tmp_path / "ran").exists()
