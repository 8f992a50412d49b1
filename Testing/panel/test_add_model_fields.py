"""Every field of *Add model...* reaches the bundle: filled in on the stand-in, carried out as the worker does."""

from __future__ import annotations

import json

import pytest
import torch
from mri_interpret.models.bundle import load_bundle
from mri_interpret.worker.add_model_request import AddModelRequest, carry_out
from safetensors.torch import save_file
from torch import nn

from Testing.docs.facsimiles import write_keras
from Testing.panel.panel_nodes import pick

STATISTICS = {"n": 4, "ranges": {"mean_inside": [0.2, 0.6], "zeros": [0.3, 0.9]}}
GRID = {"shape": [12, 14, 13], "spacing": [16.0, 15.0, 14.0], "origin": [-90.0, -126.0, -72.0]}


@pytest.fixture
def ui(widget, models):
    widget.ui.addModelButton.click()
    return widget.panel.model.form.ui


@pytest.fixture
def added(widget, tmp_path):
    """Carries the form out as the worker does, over the file of the request: the bundle, and its metadata."""

    def carried():
        request = widget.panel.model.form.content().request()
        folder = carry_out(AddModelRequest.read(request.write(tmp_path))).path
        entry = json.loads((folder / "configs" / "metadata.json").read_text())["mri_interpret"]
        return load_bundle(folder), entry

    return carried


def program(path, outputs=1):
    torch.manual_seed(0)
    layers = [nn.Conv3d(1, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(2, outputs)]
    network = nn.Sequential(*layers).eval()
    torch.jit.save(torch.jit.trace(network, torch.zeros(1, 1, *GRID["shape"])), str(path))
    return path


def fill_own_grid(ui):
    pick(ui.addGridComboBox, "own")
    ui.addShapeLineEdit.text, ui.addSpacingLineEdit.text = "12, 14, 13", "16, 15, 14"
    ui.addOriginLineEdit.text = "-90, -126, -72"


def test_a_program_of_a_quantity_with_every_field_changed(ui, added, tmp_path):
    pick(ui.addKindComboBox, "program")
    ui.addPathLineEdit.currentPath = str(program(tmp_path / "net.ts"))
    ui.addNameLineEdit.text = "mine"
    pick(ui.addOutputComboBox, "regression")
    ui.addClassesLineEdit.text, ui.addUnitLineEdit.text, ui.addRangeLineEdit.text = "brain age", "years", "18, 100"
    fill_own_grid(ui)
    ui.addBrainCheckBox.checked, ui.addBiasCheckBox.checked = False, True
    pick(ui.addIntensityComboBox, "zscore_nonzero")
    ui.addStatisticsPathLineEdit.currentPath = str(tmp_path / "statistics.json")
    (tmp_path / "statistics.json").write_text(json.dumps(STATISTICS))
    bundle, entry = added()
    assert bundle.path.name == bundle.metadata.name == "mine"
    output = bundle.metadata.output
    assert (output.kind, output.classes, output.shown_unit) == ("regression", ("brain age",), "years")
    assert output.outside(17)
    assert output.outside(101)
    assert not output.outside(18)
    assert entry["preprocessing"] == [
        {"step": "bias_correction"}, {"step": "registration", **GRID},
        {"step": "intensity", "method": "zscore", "over": "nonzero"},
    ]  # fmt: skip
    assert entry["input_statistics"] == STATISTICS


@pytest.mark.parametrize("kind", ["sigmoid", "ordinal", "logit"])
def test_the_kind_of_the_outputs_and_the_classes(kind, ui, added, tmp_path):
    outputs = {"ordinal": 2, "logit": 1}.get(kind, 3)
    classes = ("CN", "AD") if kind == "logit" else ("CN", "MCI", "AD")
    pick(ui.addKindComboBox, "program")
    ui.addPathLineEdit.currentPath = str(program(tmp_path / "net.ts", outputs))
    pick(ui.addOutputComboBox, kind)
    ui.addClassesLineEdit.text = ", ".join(classes)
    fill_own_grid(ui)
    bundle, entry = added()
    assert bundle.metadata.classes == classes
    assert entry["output"] == kind
    assert [step["step"] for step in entry["preprocessing"]] == ["mask", "registration", "intensity"]


def test_weights_with_a_class_its_arguments_and_steps_in_a_file(ui, added, tmp_path):
    pick(ui.addKindComboBox, "weights")
    save_file(nn.Linear(8 * 9 * 10, 2).state_dict() | {}, tmp_path / "net.safetensors")
    steps = [{"step": "orientation", "axes": "RAS"}, {"step": "mask"}, {"step": "intensity", "method": "zscore"}]
    (tmp_path / "steps.json").write_text(json.dumps(steps))
    ui.addPathLineEdit.currentPath = str(tmp_path / "net.safetensors")
    ui.addClassLineEdit.text = "Testing.panel.test_add_model_fields.Flat"
    ui.addArgumentsLineEdit.text = '{"shape": [8, 9, 10]}'
    ui.addTrustCheckBox.checked = True
    ui.addClassesLineEdit.text = "ill, healthy"
    pick(ui.addGridComboBox, "file")
    ui.addStepsPathLineEdit.currentPath = str(tmp_path / "steps.json")
    ui.addShapeLineEdit.text = "8, 9, 10"
    bundle, entry = added()
    assert bundle.path.name == "net"  # the file's own name
    assert bundle.metadata.classes == ("ill", "healthy")
    assert tuple(bundle.metadata.input_shape) == (1, 8, 9, 10)
    assert entry["preprocessing"] == steps
    with torch.no_grad():
        assert bundle.network(torch.zeros(1, 1, 8, 9, 10)).shape == (1, 2)


def test_a_recipes_options_and_classes(ui, added, tmp_path):
    from Testing.models.test_clinicadl_2 import write_maps_2

    pick(ui.addKindComboBox, "clinicadl")
    ui.addPathLineEdit.currentPath = str(write_maps_2(tmp_path / "maps"))
    ui.addOptionsLineEdit.text = "split=0; selection=best-loss"
    ui.addClassesLineEdit.text, ui.addNameLineEdit.text = "CN, AD", "mine"
    bundle, _ = added()
    assert bundle.path.name == bundle.metadata.name == "mine"
    assert bundle.metadata.classes == ("CN", "AD")
    assert "split 0, best-loss" in bundle.metadata.description


def test_a_keras_file_is_told_its_input(ui, added, tmp_path):
    pytest.importorskip("h5py")
    write_keras(tmp_path / "net.h5", tuple(GRID["shape"]))
    pick(ui.addKindComboBox, "keras")
    ui.addPathLineEdit.currentPath = str(tmp_path / "net.h5")
    ui.addClassesLineEdit.text = "CN, AD"
    fill_own_grid(ui)
    pick(ui.addIntensityComboBox, "minmax")
    bundle, entry = added()
    assert bundle.metadata.classes == ("CN", "AD")
    assert entry["preprocessing"][1] == {"step": "registration", **GRID}
    assert entry["preprocessing"][2]["method"] == "minmax"


class Flat(nn.Sequential):
    """A network whose input has one size, for a class that is named."""

    def __init__(self, shape: list[int]) -> None:
        super().__init__(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], 2))

    def load_state_dict(self, state_dict, *args, **kwargs):
        return super().load_state_dict({f"1.{name}": value for name, value in state_dict.items()}, *args, **kwargs)
