"""Networks without biases, without batch normalisation, and of one number: every check answers, or says why not."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mri_interpret.attribution import Explainer
from mri_interpret.checks.recovery import STRUCTURES
from mri_interpret.checks.run_checks import run_checks
from mri_interpret.checks.verdict import MODEL
from torch import nn

from Testing.checks.small_networks import SHAPE, atlas, brain, image

METHODS = ("gradient", "gradient_x_input", "lrp")


def network(bias: bool, outputs: int) -> nn.Module:
    """Two convolutions without batch normalisation."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(
            nn.Conv3d(1, 4, 3, padding=1, bias=bias),
            nn.ReLU(),
            nn.Conv3d(4, 6, 3, padding=1, stride=2, bias=bias),
            nn.ReLU(),
            nn.AdaptiveAvgPool3d(1),
            nn.Flatten(),
            nn.Linear(6, outputs, bias=bias),
        ).eval()


@pytest.mark.parametrize(("bias", "outputs"), [(False, 3), (True, 3), (True, 1), (False, 1)])
def test_every_check_of_the_full_level_answers(bias: bool, outputs: int) -> None:
    model = network(bias, outputs)
    target = [1.0] if outputs == 1 else [-1.0, 0.0, 1.0]
    found = Explainer(model, classes=outputs).explain(image(), target=target, methods=list(METHODS))
    quarter = np.zeros(SHAPE, np.float32)
    quarter[4:8, 4:9, 3:6] = 1
    rows = run_checks(
        "full", Explainer(model, classes=outputs), image(), {name: one.map[0].numpy() for name, one in found.items()},
        target=target, mask=brain(), labels=atlas(), details={name: one.details for name, one in found.items()},
        spacing=(4.0, 4.0, 4.0), structures=dict.fromkeys(STRUCTURES, quarter),
        towards=None if outputs == 1 else target,
    )  # fmt: skip
    for row in rows:
        assert (row.verdict == "not applicable") == math.isnan(row.value), row
        assert len(row.sentence) > 15
    checks = {method: {row.check for row in rows if row.method == method} for method in (*METHODS, MODEL)}
    assert len({frozenset(checks[method]) for method in METHODS}) == 1
    assert {f"recovery ({name})" for name in STRUCTURES} < checks[MODEL]
    by_name = {(row.method, row.check): row for row in rows}
    for method in METHODS:
        assert math.isfinite(by_name[method, "randomisation"].value)
        assert "eMPRT" in by_name[method, "randomisation"].sentence
        assert math.isfinite(by_name[method, "faithfulness"].value)
    if outputs == 1:
        assert by_name["gradient", "other class"].verdict == "not applicable"
        assert all("in either direction" in row.sentence or "failed" in row.sentence
                   for row in rows if row.method == MODEL and row.check.startswith("recovery ("))  # fmt: skip
    if not bias:
        # Without biases nothing is lost on the way: gradient x input adds up to the answer exactly.
        assert found["gradient_x_input"].map.sum().item() == pytest.approx(
            float((model(image())[0] * torch.tensor(target)).sum()), rel=1e-3
        )
        assert by_name["lrp", "conservation"].verdict == "pass"
