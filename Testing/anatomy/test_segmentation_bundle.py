"""Segmentation bundles: what is read, and what is refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mri_interpret.anatomy.segmentation_bundle import load_segmentation_bundle
from mri_interpret.errors import UserError
from mri_interpret.models.metadata import segments

from Testing.anatomy.segmentation_bundles import GRID, write_intensity_bundle


def test_a_bundle_is_read(tmp_path: Path) -> None:
    folder = write_intensity_bundle(tmp_path / "bundle")
    bundle = load_segmentation_bundle(folder)
    assert bundle.name == "by intensity"
    assert bundle.labels == (0, 14, 16, 24)
    assert bundle.grid.same_as(GRID)
    assert bundle.percentiles == (0.0, 100.0)
    assert bundle.held_out["Brain-Stem"].dice == 0.9
    assert bundle.unsure_entropy == {"CSF": 0.125}
    assert len(bundle.hash) == 64
    assert not any(parameter.requires_grad for parameter in bundle.network.parameters())
    assert load_segmentation_bundle(bundle) is bundle
    assert segments(folder)
    assert not segments(tmp_path)


def test_labels_instead_of_names(tmp_path: Path) -> None:
    folder = write_intensity_bundle(tmp_path, {"classes": None, "labels": [0, 17, 53, 16]})
    assert load_segmentation_bundle(folder).labels == (0, 17, 53, 16)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"output": "logits"}, "is not of a segmentation network"),
        ({"classes": None}, "must list FreeSurfer's name"),
        ({"classes": ["Background", "Hippocampus", "CSF", "Brain-Stem"]}, "names 'Hippocampus'"),
        ({"classes": ["CSF", "Background", "3rd-Ventricle", "Brain-Stem"]}, "the background must be the first"),
        ({"classes": ["Background", "CSF", "CSF", "Brain-Stem"]}, "no class may come twice"),
        ({"classes": ["Background", "CSF", "Brain-Stem"]}, "must return 3 classes"),
        ({"labels": [0, 5000, 16, 24]}, "must hold FreeSurfer's values"),
        ({"labels": "all"}, "the background must be the first"),
        ({"grid": None}, "'mri_interpret.grid' is missing"),
        ({"grid": {"shape": [40, 52, 44], "spacing": [4, 4], "origin": [0, 0, 0]}}, "three numbers"),
        ({"intensity": {"low": 99, "high": 1}}, "0 <= low < high <= 100"),
        ({"intensity": {"low": "0"}}, "0 <= low < high <= 100"),
        ({"intensity": [1, 99]}, "0 <= low < high <= 100"),
        ({"unsure_entropy": {"CSF": 0}}, "a number above 0, up to 1"),
        ({"unsure_entropy": 0.2}, "a number above 0, up to 1"),
        ({"held_out": {"Brain-Stem": 0.9}}, "'mri_interpret.held_out' must give"),
        ({"held_out": {"Brain-Stem": {"dice": float("nan"), "volume_error": 0}}}, "not finite"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, Any], what: str) -> None:
    write_intensity_bundle(tmp_path, changes)
    with pytest.raises(UserError, match=what):
        load_segmentation_bundle(tmp_path)


def test_a_network_that_cannot_take_the_grid_is_refused_before_its_weights_are_read(tmp_path: Path) -> None:
    write_intensity_bundle(tmp_path)
    layers = [{"layer": "Conv3d", "in_channels": 2, "out_channels": 4, "kernel_size": 1}]
    config = {"network_def": {"_target_": "LayerList", "layers": layers}}
    (tmp_path / "configs" / "inference.json").write_text(json.dumps(config))
    (tmp_path / "models" / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(UserError, match="cannot take a grid of 40 x 52 x 44"):
        load_segmentation_bundle(tmp_path)


def test_a_damaged_or_missing_file_is_refused(tmp_path: Path) -> None:
    write_intensity_bundle(tmp_path)
    (tmp_path / "models" / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(UserError, match="damaged"):
        load_segmentation_bundle(tmp_path)
    (tmp_path / "models" / "model.safetensors").unlink()
    with pytest.raises(UserError, match="holds no weights"):
        load_segmentation_bundle(tmp_path)
    with pytest.raises(UserError, match=r"Models/no_such_network"):
        load_segmentation_bundle("no_such_network")
    with pytest.raises(UserError, match="is no folder of a segmentation network"):
        load_segmentation_bundle(tmp_path / "nowhere")
