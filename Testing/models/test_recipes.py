"""Published networks from files: the same numbers as their own software gives, clear words where a file does not do."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from mri_interpret.errors import UserError
from mri_interpret.models.layer_list import LayerList, MeanOfNetworks
from mri_interpret.models.output_entry import read_output
from mri_interpret.models.recipes.table import RECIPES, recipe_named
from mri_interpret.preprocessing.steps.chain import read_steps
from torch import nn

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "real-model" / "fold0.safetensors"
MAKERS = {"LayerList": LayerList, "MeanOfNetworks": MeanOfNetworks}


def built(imported):
    network = MAKERS[imported.target.rpartition(".")[2]](**json.loads(json.dumps(imported.arguments)))
    network.load_state_dict(imported.weights)
    return network.eval()


# ---------------------------------------------------------------------- Qiu et al. 2022


def write_folds(folder: Path, folds: int, state: dict) -> Path:
    for fold in range(folds):
        place = folder / "checkpoint_dir" / f"CNN_baseline_new_cross{fold}"
        place.mkdir(parents=True)
        for part, file in (("backbone", "backbone_58"), ("cog", "COG_58"), ("add", "ADD_58")):
            chosen = {k.partition(".")[2]: v + fold * 0.001 for k, v in state.items() if k.startswith(f"{part}.")}
            torch.save(chosen, place / f"{file}.pth")
    return folder


@pytest.fixture(scope="module")
def real_state():
    if not REAL.is_file():
        pytest.skip("the real network's weights are not here (shared/data/real-model)")
    from safetensors.torch import load_file

    return load_file(REAL)


def random_state() -> dict:
    generator = torch.Generator().manual_seed(0)
    state = {}
    for number, (inputs, outputs, kernel) in enumerate([(1, 20, 7), (20, 40, 4), (40, 80, 3), (80, 160, 3)], start=1):
        state[f"backbone.block{number}.conv.weight"] = torch.randn(outputs, inputs, *[kernel] * 3, generator=generator)
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            state[f"backbone.block{number}.BN.{name}"] = torch.full((outputs,), value)
        state[f"backbone.block{number}.BN.num_batches_tracked"] = torch.tensor(1)
    for head, hidden, outputs in (("cog", 100, 1), ("add", 30, 2)):
        state[f"{head}.dense1.1.weight"] = torch.randn(hidden, 5760, generator=generator)
        state[f"{head}.dense1.1.bias"] = torch.zeros(hidden)
        state[f"{head}.dense2.2.weight"] = torch.randn(outputs, hidden, generator=generator)
        state[f"{head}.dense2.2.bias"] = torch.zeros(outputs)
    return state


def test_parity_with_the_original(real_state, tmp_path):
    """The numbers that the original gives for a made-up input (see the weights' README)."""
    folder = write_folds(tmp_path, 1, real_state)
    i, j, k = np.indices((182, 218, 182))
    x = torch.from_numpy((((7 * i + 11 * j + 13 * k) % 97) / 12).astype(np.float32))[None, None]
    with torch.no_grad():
        cog = built(recipe_named("qiu2022").read(folder, {}))(x)
        add = built(recipe_named("qiu2022").read(folder, {"head": "add"}))(x)
    assert cog.flatten().tolist() == pytest.approx([-0.203319], abs=1e-4)
    assert add.flatten().tolist() == pytest.approx([0.532284, -0.974421], abs=1e-4)


def test_all_folds_are_averaged_and_some_can_be_chosen(tmp_path):
    folder = write_folds(tmp_path, 3, random_state())
    every = recipe_named("qiu2022").read(folder, {})
    assert every.target.endswith("MeanOfNetworks")
    assert every.arguments["members"] == 3
    assert recipe_named("qiu2022").read(folder, {"folds": "2,0"}).arguments["members"] == 2
    assert recipe_named("qiu2022").read(folder, {"folds": "1"}).target.endswith("LayerList")
    one = recipe_named("qiu2022").read(folder / "checkpoint_dir" / "CNN_baseline_new_cross1", {})
    assert one.target.endswith("LayerList")


def test_files_that_hold_a_fold_each(tmp_path):
    """As plain tensors: one file, or a folder of them, gives what the folders of the repository give."""
    from safetensors.torch import save_file

    folders = write_folds(tmp_path / "copy", 3, random_state())
    files = tmp_path / "files"
    files.mkdir()
    for fold in range(3):
        state = {name: value + fold * 0.001 for name, value in random_state().items()}
        save_file(state, files / f"fold{fold}.safetensors")
    (files / "README.md").write_text("weights")
    from_folders, from_files = (recipe_named("qiu2022").read(source, {}) for source in (folders, files))
    assert from_files.arguments == from_folders.arguments
    assert from_files.metadata == from_folders.metadata
    assert set(from_files.weights) == set(from_folders.weights)
    for name, value in from_files.weights.items():
        torch.testing.assert_close(value, from_folders.weights[name])
    one = recipe_named("qiu2022").read(files / "fold1.safetensors", {})
    assert one.metadata["description"].endswith("fold 1")
    assert recipe_named("qiu2022").read(files, {"folds": "0,2"}).metadata["description"].endswith("folds 0, 2")


def test_files_that_do_not_hold_a_fold(tmp_path):
    from safetensors.torch import save_file

    save_file({"other.weight": torch.zeros(2)}, tmp_path / "fold0.safetensors")
    with pytest.raises(UserError, match="no weights of the backbone"):
        recipe_named("qiu2022").read(tmp_path, {})
    (tmp_path / "fold0.safetensors").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="damaged"):
        recipe_named("qiu2022").read(tmp_path, {})
    (tmp_path / "fold-0.safetensors").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="must tell its fold"):
        recipe_named("qiu2022").read(tmp_path, {})


def test_its_preprocessing_is_the_authors(tmp_path):
    folder = write_folds(tmp_path, 1, random_state())
    metadata = recipe_named("qiu2022").read(folder, {"head": "cog"}).metadata["mri_interpret"]
    chain = read_steps(metadata["preprocessing"], "qiu2022")
    assert chain.output_shape == (182, 218, 182)
    meaning = read_output(metadata, Path("metadata.json"))
    assert meaning.is_quantity
    assert f"COG score {meaning.amount(0.8712)} ({meaning.scale_words()})" == "COG score 0.87 (0 CN .. 2 dementia)"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [({"head": "age"}, "heads cog, add"), ({"folds": "7"}, "no fold '7'"), ({"layer": "1"}, "no option 'layer'")],
)
def test_options_that_are_not_there(options, sentence, tmp_path):
    folder = write_folds(tmp_path, 1, random_state())
    with pytest.raises(UserError, match=sentence):
        recipe_named("qiu2022").read(folder, options)


@pytest.mark.parametrize("name", RECIPES)
def test_the_wrong_folder_is_one_sentence(name, tmp_path):
    for source in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(UserError) as caught:
            recipe_named(name).read(source, {})
        assert "\n" not in str(caught.value)
        assert str(tmp_path) in str(caught.value)


def test_pickled_objects_are_never_loaded(tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.system, (f"touch {tmp_path / 'ran'}",))

    folder = write_folds(tmp_path, 1, random_state())
    torch.save({"x": Evil()}, folder / "checkpoint_dir" / "CNN_baseline_new_cross0" / "COG_58.pth")
    with pytest.raises(UserError, match="never loaded"):
        recipe_named("qiu2022").read(folder, {})
    assert not (tmp_path / "ran").exists()


def test_an_unknown_recipe():
    with pytest.raises(UserError, match="there are qiu2022"):
        recipe_named("resnet")


# ---------------------------------------------------------------------- ClinicaDL


def conv5(strided=False):
    """ClinicaDL's stack in plain torch, for an input of 169 x 208 x 179."""
    layers, inputs = [], 1
    for outputs in (8, 16, 32, 64, 128):
        layers += [
            nn.Conv3d(inputs, outputs, 3, padding=1, stride=2 if strided else 1),
            nn.BatchNorm3d(outputs),
            nn.ReLU(),
        ]
        if not strided:
            layers.append(nn.ModuleList([]))  # a place in the numbering: its pooling has no weights
        inputs = outputs
    network = nn.Module()
    network.convolutions = nn.ModuleList(layers)
    network.fc = nn.ModuleList(
        [
            nn.Flatten(),
            nn.Dropout(),
            nn.Linear(128 * 6 * 7 * 6, 1300),
            nn.ReLU(),
            nn.Linear(1300, 50),
            nn.ReLU(),
            nn.Linear(50, 2),
        ]
    )
    return network


def write_maps(folder: Path, **changes) -> Path:
    record = {
        "architecture": "Conv5_FC3", "input_size": [1, 169, 208, 179], "output_size": 2, "mode": "image",
        "network_task": "classification", "label_code": {"CN": 1, "AD": 0}, "normalize": True,
        "preprocessing_dict": {"preprocessing": "t1-linear", "mode": "image"},
    } | changes  # fmt: skip
    folder.mkdir(exist_ok=True)
    (folder / "maps.json").write_text(json.dumps(record))
    place = folder / "split-0" / "best-loss"
    place.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(3)
    network = conv5(record["architecture"].startswith("Stride"))
    torch.save({"model": network.state_dict(), "epoch": 3, "name": record["architecture"]}, place / "model.pth.tar")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["Conv5_FC3", "Stride_Conv5_FC3"])
def test_a_clinicadl_network_keeps_every_weight_in_its_place(architecture, tmp_path):
    imported = recipe_named("clinicadl").read(write_maps(tmp_path / "maps", architecture=architecture), {})
    network = built(imported)
    torch.manual_seed(3)
    original = conv5(architecture.startswith("Stride"))
    ours = [module for module in network.modules() if isinstance(module, (nn.Conv3d, nn.BatchNorm3d, nn.Linear))]
    theirs = [module for module in original.modules() if isinstance(module, (nn.Conv3d, nn.BatchNorm3d, nn.Linear))]
    assert [type(one) for one in ours] == [type(one) for one in theirs]
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(ours, theirs, strict=True))
    assert imported.metadata["mri_interpret"]["classes"] == ["AD", "CN"]
    chain = read_steps(imported.metadata["mri_interpret"]["preprocessing"], "maps")
    assert chain.output_shape == (169, 208, 179)


@pytest.mark.slow
def test_a_clinicadl_regression_needs_its_unit(tmp_path):
    """maps.json tells the quantity's name, and not its unit."""
    source = write_maps(tmp_path / "maps", network_task="regression", label="age")
    with pytest.raises(UserError, match=r"does not tell the unit of the age: give it .* 'unit'"):
        recipe_named("clinicadl").read(source, {})
    found = recipe_named("clinicadl").read(source, {"unit": "years"}).metadata["mri_interpret"]["output"]
    assert found == {"kind": "regression", "name": "age", "unit": "years"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"architecture": "RandomArchitecture"}, "RandomArchitecture is not covered"),
        ({"mode": "patch"}, "not on the whole image"),
        ({"input_size": "3@128x128"}, "no 3D input"),
        ({"input_size": [1, 64, 64, 64]}, "not t1-linear's whole image"),
        ({"preprocessing_dict": {"preprocessing": "t1-extensive"}}, "'t1-extensive' cannot be made here"),
        ({"label_code": {}}, "tells no classes"),
    ],
)
def test_what_clinicadl_can_do_and_this_cannot(changes, sentence, tmp_path):
    with pytest.raises(UserError, match=sentence):
        recipe_named("clinicadl").read(write_maps(tmp_path / "maps", **changes), {})
