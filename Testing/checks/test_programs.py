"""Checks on program bundles: a TorchScript file and an exported program give the verdicts of the network itself."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from mri_interpret.attribution import Explainer
from mri_interpret.checks.run_checks import run_checks
from mri_interpret.checks.verdict import Verdict
from torch import nn

from Testing.checks.small_networks import atlas, brain, image, small_cnn

TARGET = [0.0, 0.0, 1.0]
METHODS = ("gradient", "lrp", "grad_cam")


def _loaded(network: nn.Module, form: str) -> nn.Module:
    """As a bundle's .ts or .pt2 file is read."""
    stream = io.BytesIO()
    if form == "pt2":
        torch.export.save(torch.export.export(network, (image(),)), stream)
        return torch.export.load(io.BytesIO(stream.getvalue())).module()
    torch.jit.save(torch.jit.script(network) if form == "ts" else torch.jit.trace(network, image()), stream)
    return torch.jit.load(io.BytesIO(stream.getvalue())).eval()


def _checked(network: nn.Module, level: str) -> list[Verdict]:
    for parameter in network.parameters():
        parameter.requires_grad_(False)  # as load_bundle does
    found = Explainer(network).explain(image(), target=TARGET, methods=list(METHODS))
    maps = {name: one.map[0].numpy() for name, one in found.items()}
    details = {name: one.details for name, one in found.items()}
    return run_checks(
        level, Explainer(network), image(), maps, target=TARGET, mask=brain(), labels=atlas(), details=details
    )


@pytest.mark.parametrize("form", ["ts", "traced", "pt2"])
def test_a_programs_verdicts_are_those_of_the_network(form: str) -> None:
    expected = _checked(small_cnn(), "full")
    program = _loaded(small_cnn(), form)
    before = {name: value.clone() for name, value in program.state_dict().items()}
    found = _checked(program, "full")
    assert [(one.method, one.check, one.verdict) for one in found] == [
        (one.method, one.check, one.verdict) for one in expected
    ]
    for a, b in zip(found, expected, strict=True):
        # Running statistics of a random program come from n - 1 voxels, those of a module from n.
        assert a.value == pytest.approx(b.value, abs=0.01, nan_ok=True), (a.method, a.check)
    assert all(torch.equal(value, before[name]) for name, value in program.state_dict().items())


def test_a_frozen_program_says_that_it_cannot_be_randomised() -> None:
    stream = io.BytesIO()
    torch.jit.save(torch.jit.freeze(torch.jit.script(small_cnn())), stream)
    frozen = torch.jit.load(io.BytesIO(stream.getvalue()))
    rows = [one for one in _checked(frozen, "fast") if one.check == "randomisation"]
    assert {one.verdict for one in rows} == {"not applicable"}
    assert all("frozen program" in one.sentence for one in rows)
    assert np.isnan([one.value for one in rows]).all()
