"""ClinicaDL 1's residual networks and its network of two domains: ClinicaDL's own numbers, and clear words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from mri_interpret.errors import UserError
from mri_interpret.models.pooled_residual_network import PooledResidualNetwork
from mri_interpret.models.recipes.table import recipe_named

from Testing.oracles.clinicadl_2_numbers import filled, picture

# Made by ClinicaDL 1.6.1 itself (Testing/oracles/make_clinicadl_1.py).
CASES = json.loads((Path(__file__).parents[1] / "oracles" / "clinicadl_1.json").read_text())


def write_maps(folder: Path, architecture: str, state: dict, **changes) -> Path:
    record = {
        "architecture": architecture, "input_size": [1, 169, 208, 179], "output_size": 2, "mode": "image",
        "network_task": "classification", "label_code": {"CN": 1, "AD": 0}, "normalize": True,
        "preprocessing_dict": {"preprocessing": "t1-linear", "mode": "image"},
    } | changes  # fmt: skip
    place = folder / "split-0" / "best-loss"
    place.mkdir(parents=True)
    (folder / "maps.json").write_text(json.dumps(record))
    torch.save({"model": state, "epoch": 3, "name": architecture}, place / "model.pth.tar")
    return folder


@pytest.mark.parametrize("name", CASES)
def test_the_network_gives_clinicadls_own_numbers(name, tmp_path):
    case = CASES[name]
    imported = recipe_named("clinicadl").read(write_maps(tmp_path / "maps", name, filled(case["weights"])), {})
    arguments = imported.arguments | {"shape": case["shape"]}  # ClinicaDL's own grid would take long
    network = PooledResidualNetwork(**json.loads(json.dumps(arguments))).eval()
    network.load_state_dict(imported.weights)
    with torch.no_grad():
        found = network(torch.from_numpy(picture(case["shape"]))[None, None])[0]
    assert found.tolist() == pytest.approx(case["output"], abs=1e-4)
    assert imported.arguments["shape"] == [169, 208, 179]
    assert imported.metadata["mri_interpret"]["classes"] == ["AD", "CN"]


def two_domains() -> dict[str, torch.Tensor]:
    """In the places and with the numbering of ClinicaDL's Conv5_FC3_SSDA; what the weights are does not matter."""
    state = {}
    for number in range(5):
        for part in ("weight", "bias"):
            state[f"convolutions.{4 * number}.{part}"] = torch.zeros(1)
            state[f"convolutions.{4 * number + 1}.{part}"] = torch.zeros(1)
    for value, head in enumerate(("fc_class_source", "fc_class_target", "fc_domain")):
        for number in (2, 4, 6):
            state[f"{head}.{number}.weight"] = torch.full((1,), float(value))
    return state


def test_of_two_domains_one_is_chosen(tmp_path):
    folder = write_maps(tmp_path / "maps", "Conv5_FC3_SSDA", two_domains())
    for value, domain in enumerate(("source", "target")):
        weights = recipe_named("clinicadl").read(folder, {"domain": domain}).weights
        assert [float(weights[f"dense{number}.weight"]) for number in (1, 2, 3)] == [value] * 3
        assert len(weights) == 23
    for options in ({}, {"domain": "third"}):
        with pytest.raises(UserError, match="say which as the recipe's option 'domain'"):
            recipe_named("clinicadl").read(folder, options)


@pytest.mark.parametrize(
    ("architecture", "changes", "options", "sentence"),
    [
        ("ResNet3D", {"input_size": [1, 193, 229, 193]}, {}, "ResNet3D takes 169 x 208 x 179 voxels, not 193"),
        ("ResNet3D", {}, {"domain": "source"}, "has one head, so the option 'domain' has no meaning"),
        ("ResNet3D", {}, {}, "hold the layer fc_class_source"),
        ("resnet18", {}, {}, "resnet18 takes 2D images; covered are"),
        ("CVAE_3D", {}, {}, "CVAE_3D is not covered"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(architecture, changes, options, sentence, tmp_path):
    state = {"convolutions.0.0.conv1.weight": torch.zeros(1), "fc_class_source.0.weight": torch.zeros(1)}
    folder = write_maps(tmp_path / "maps", architecture, state, **changes)
    with pytest.raises(UserError, match=sentence) as caught:
        recipe_named("clinicadl").read(folder, options)
    assert "\n" not in str(caught.value)
