"""The check of a model that returns a quantity."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mri_interpret.command_line.model_check import _lines
from mri_interpret.model_check.check_model import check_model
from mri_interpret.models.adding import save_bundle
from torch import nn

from Testing.fixtures_explanation import MODEL_GRID, kept, make_explanation

GRID = {"step": "registration"} | {key: MODEL_GRID[key] for key in ("shape", "spacing", "origin")}


def test_a_quantity_is_told_with_its_unit_and_explained_itself(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv3d(1, 4, 5, stride=4), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 1)
    ).eval()
    save_bundle(
        tmp_path / "age", network, input={"preprocessing": [{"step": "mask"}, GRID, {"step": "intensity"}]},
        output={"name": "brain age", "kind": "regression", "unit": "years"},
    )  # fmt: skip
    phantom = make_explanation(signs=(1, 1, -1))
    found = check_model(
        tmp_path / "age", phantom.scan, mask=phantom.mask, space="mni", device="cpu",
        cache=kept(),
    )  # fmt: skip
    (one,) = found.inputs
    assert one.problem == ""
    assert one.predicted.startswith("brain age")
    assert one.predicted.endswith("years")
    assert one.probabilities == {}
    assert found.conservation is not None
    assert found.conservation.score == pytest.approx(one.values_of_outputs["brain age"], rel=1e-4)
    text = "\n".join(_lines(found))
    assert "brain age" in text
    assert "Research use only" in text
