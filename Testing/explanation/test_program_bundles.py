"""The main job with trust checks on program bundles: TorchScript (.ts) and torch.export (.pt2)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mri_interpret.explanation.explanation import Explanation
from mri_interpret.explanation.job import explain
from mri_interpret.images.volume import Grid, Volume, resample
from mri_interpret.preprocessing.template import load_template

from Testing.fixtures_explanation import kept
from Testing.models.bundles import small_network, write_small_bundle

SHAPE = (48, 56, 48)
AFFINE = np.array([[4.0, 0, 0, -94], [0, 4, 0, -127], [0, 0, 4, -87], [0, 0, 0, 1]])
GRID = {"shape": list(SHAPE), "spacing": [4, 4, 4], "origin": AFFINE[:3, 3].tolist(), "space": "MNI152"}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Explanation:
    """The network that the programs are made from, explained."""
    return _explained(tmp_path_factory.mktemp("network"), "")


def _explained(folder: Path, suffix: str) -> Explanation:
    bundle = write_small_bundle(folder / "small", {"mri_interpret.grid": GRID}, seed=2)
    network, image = small_network(2), torch.rand(1, 1, *SHAPE)
    if suffix:
        (bundle / "models" / "model.safetensors").unlink()
    if suffix == ".ts":
        torch.jit.script(network).save(str(bundle / "models" / "model.ts"))
    elif suffix == ".pt2":
        torch.export.save(torch.export.export(network, (image,)), bundle / "models" / "model.pt2")
    brain, mask = load_template(2)
    grid = Grid(SHAPE, AFFINE)
    scan = Volume((700 * resample(brain, grid).array).round().astype(np.int16), AFFINE, "template.nii.gz")
    inside = (resample(mask, grid, order=0).array > 0).astype(np.uint8)
    return explain(
        scan,
        model=bundle,
        methods=("gradient", "grad_cam"),
        target="AD",
        mask=Volume(inside, AFFINE, "mask"),
        segmentation=Volume(inside, AFFINE, "one structure"),  # sooner than the network that segments
        space="mni",
        device="cpu",
        trust="fast",
        cache=kept(),
    )


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".ts", ".pt2"])
def test_a_program_is_checked_as_its_network_is(suffix: str, network: Explanation, tmp_path: Path) -> None:
    program = _explained(tmp_path, suffix)
    assert [(one.method, one.check) for one in program.verdicts] == [
        (one.method, one.check) for one in network.verdicts
    ]
    for found, expected in zip(program.verdicts, network.verdicts, strict=True):
        assert found.verdict == expected.verdict, found
        assert found.value == pytest.approx(expected.value, abs=0.02, nan_ok=True), found
    assert any(one.check == "randomisation" and one.verdict != "not applicable" for one in program.verdicts)
