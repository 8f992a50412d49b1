"""Models of several images: the panel asks for a volume for each, and hands it to the worker by its channel."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from mri_interpret.errors import UserError
from mri_interpret.images.array_files import read_array_file
from mri_interpret.panel.context import input_reference
from mri_interpret.scene.geometry import fill_volume_node
from mri_interpret.scene.scan_input import inputs_of
from mri_interpret.worker import explain_request

from Testing.models.bundles import METADATA, write_small_bundle
from Testing.panel.panel_nodes import add_volume

GRID = METADATA["mri_interpret"]["grid"]
STEPS = [
    {"step": "mask"},
    {"step": "registration", **{key: GRID[key] for key in ("shape", "spacing", "origin")}},
    {"step": "intensity", "method": "zscore"},
]
SAYS = "mri_interpret"


def write_model(folder, channels, seed=0):
    """A bundle of a network that takes these channels."""
    steps = [*STEPS, {"step": "channels", "channels": list(channels)}]
    write_small_bundle(folder, {f"{SAYS}.grid": None, f"{SAYS}.intensity": None, f"{SAYS}.preprocessing": steps})
    import torch
    from mri_interpret.models.plain_cnn import PlainCNN3d
    from safetensors.torch import save_file

    arguments = {"in_channels": len(channels), "channels": [2], "strides": [4], "num_classes": 3}
    torch.manual_seed(seed)
    save_file(PlainCNN3d(**arguments).state_dict(), folder / "models" / "model.safetensors")
    definition = {"_target_": "mri_interpret.models.plain_cnn.PlainCNN3d", **arguments}
    (folder / "configs" / "inference.json").write_text(json.dumps({"network_def": definition}))
    return folder


@pytest.fixture
def several(widget, models):
    """The panel, with models of one, two and three images."""
    write_model(models / "two", ["image", "flair"])
    write_model(models / "three", ["image", "T2 star; 7 T", "flair", "mask"])
    widget.panel.context.models.refresh()
    return widget


@pytest.fixture
def flair(host, scan, small_explanation):
    return add_volume(host.headless.scene, small_explanation.scan, "flair scan")


def selectors(widget):
    return {label.text.rstrip(":"): selector for label, selector in widget.panel.scan.inputs.rows if label.visible}


def test_each_further_image_of_the_model_has_a_selector(several):
    several.parent.show()
    for model, channels in (("small", []), ("three", ["T2 star; 7 T", "flair"]), ("two", ["flair"]), ("small", [])):
        several._parameterNode.model = model
        assert list(selectors(several)) == channels
    assert len(several.panel.scan.inputs.rows) == 2  # they are used again


def test_explain_waits_for_the_volume_and_it_is_kept_with_the_scene(several, scan, flair):
    several.parent.show()
    several._parameterNode.inputVolume = scan
    several._parameterNode.model = "two"
    assert several.ui.explainButton.toolTip == "Choose the volume for the model's further input 'flair'."
    assert not several.ui.explainButton.enabled
    selectors(several)["flair"].setCurrentNode(flair)
    assert several.ui.explainButton.enabled
    assert several.panel.context.input_nodes == {"flair": flair}
    several.exit()
    several.enter()
    assert selectors(several)["flair"].currentNode() is flair
    several._parameterNode.model = "three"
    assert list(several.panel.context.input_nodes) == ["flair"]
    assert "'T2 star; 7 T'" in several.ui.explainButton.toolTip
    selectors(several)["flair"].setCurrentNode(None)
    assert several.panel.context.input_nodes == {}


def test_a_reference_survives_whatever_a_channel_is_called(several, host):
    names = [input_reference(channel) for channel in ("T2 star; 7 T", "flair", "ü:1")]
    assert len(set(names)) == 3
    assert all(name.isalnum() for name in names)


def test_the_worker_gets_each_image_by_its_channel(several, scan, flair, tmp_path, monkeypatch, wait):
    copied = f"import shutil, sys; shutil.copytree(sys.argv[1], {str(tmp_path / 'job')!r})"
    several._parameterNode.inputVolume = scan
    several._parameterNode.model = "two"
    start = several.logic.startExplain
    several.panel.context.parameters.parameterNode.SetNodeReferenceID(input_reference("flair"), flair.GetID())
    monkeypatch.setattr(
        several.logic, "startExplain", lambda *a, **k: start(*a, command=[sys.executable, "-c", copied], **k)
    )
    monkeypatch.setattr("mri_interpret.panel.environment.ensure", lambda *_: None)
    several.ui.explainButton.click()
    wait(lambda: not several.logic.running)
    request = explain_request.ExplainRequest.read(tmp_path / "job" / "job.json")
    assert list(request.inputs) == ["flair"]
    handed = read_array_file(request.inputs["flair"], tmp_path / "job")
    np.testing.assert_array_equal(handed.array, read_array_file(request.scan, tmp_path / "job").array)


def test_what_is_carried_out_has_them(small_explanation, monkeypatch):
    seen = {}
    monkeypatch.setattr("mri_interpret.explanation.job.explain", lambda scan, **options: seen.update(options))
    request = explain_request.ExplainRequest({}, methods=())
    explain_request.carry_out(request, small_explanation.scan, None, inputs={"flair": small_explanation.scan})
    assert seen["inputs"] == {"flair": small_explanation.scan}


def test_images_that_do_not_do_are_one_sentence(host, scan, flair):
    assert list(inputs_of({"flair": flair}, scan)) == ["flair"]
    with pytest.raises(UserError, match="No volume is chosen for the model's further input 'flair'"):
        inputs_of({"flair": None}, scan)
    with pytest.raises(UserError, match="as the scan and as the further input 'flair'"):
        inputs_of({"flair": scan}, scan)
    transform = host.headless.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    flair.SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(UserError, match="flair scan and the scan phantom are not under the same transform"):
        inputs_of({"flair": flair}, scan)


@pytest.mark.slow
def test_the_second_image_makes_a_difference(several, host, scan, small_explanation):
    other = replace(small_explanation.scan, array=np.asarray(small_explanation.scan.array)[::-1].copy())
    nodes = [scan.GetScene().CopyNode(scan), add_volume(host.headless.scene, other, "other")]
    mask = host.headless.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "brain")
    fill_volume_node(mask, small_explanation.mask)
    options = {"model": "two", "methods": ["gradient"], "trust": "off", "maskNode": mask, "space": "mni"}
    options["segmentationNode"] = mask  # sooner than the network
    answers = []
    for node in nodes:
        result = several.logic.explain(scan, inputNodes={"flair": node}, **options)
        answers.append(list(result.probabilities.values()))
    assert not np.allclose(*answers)
    with pytest.raises(UserError, match="'flair'"):
        several.logic.explain(scan, **options)
