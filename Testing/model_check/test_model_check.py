"""The check of a model: what it gets and says, which methods apply and why others do not, what its metadata lacks."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from mri_interpret.attribution import DEFAULT_METHODS
from mri_interpret.command_line import app as cli
from mri_interpret.errors import UserError
from mri_interpret.explanation.explanation import Explanation
from mri_interpret.model_check import check_model as module
from mri_interpret.model_check.check_model import check_model
from mri_interpret.model_check.facts import ModelCheck
from mri_interpret.model_check.open_questions import open_questions
from mri_interpret.model_check.page import check_page, write_check
from mri_interpret.models.adding import save_bundle
from mri_interpret.models.bundle import ModelBundle, load_bundle
from PIL import Image
from torch import nn

from Testing.fixtures_explanation import kept, make_explanation
from Testing.models.bundles import write_small_bundle

# Every method runs in most of these tests, some of them many times: 8 mm.
COARSE = {"shape": [24, 28, 24], "spacing": [8, 8, 8], "origin": [-92, -125, -85], "space": "MNI152"}
GRID = {"step": "registration"} | {key: COARSE[key] for key in ("shape", "spacing", "origin")}
STEPS = [{"step": "mask"}, GRID, {"step": "intensity"}]


@pytest.fixture(scope="module")
def phantom() -> Explanation:
    return make_explanation(signs=(1, 1, -1))  # in template space: nothing to register


def checked(model: Any, phantom: Explanation, **options: Any) -> ModelCheck:
    options = {"mask": phantom.mask, "space": "mni", "device": "cpu"} | options
    return check_model(model, phantom.scan, cache=kept(), **options)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_bundle(tmp_path_factory.mktemp("check") / "small", {"mri_interpret.grid": COARSE})


@pytest.fixture(scope="module")
def check(small: Path, phantom: Explanation) -> ModelCheck:
    return checked(small, phantom)


class Odd(nn.Module):
    """A network with an operation that LRP has no rule for."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.dense = nn.Conv3d(1, 2, 5, stride=4), nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(torch.relu(self.convolution(x)).cumsum(2).mean((2, 3, 4)))


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, phantom: Explanation) -> ModelCheck:
    folder = tmp_path_factory.mktemp("odd") / "odd"
    torch.manual_seed(0)
    save_bundle(folder, Odd().eval(), input={"preprocessing": STEPS}, output={"classes": ["CN", "AD"]})
    return checked(folder, phantom)


def test_it_tells_what_the_network_got_and_said(check: ModelCheck, phantom: Explanation) -> None:
    (one,) = check.inputs
    assert one.source == phantom.scan.name
    assert one.shape == (1, *COARSE["shape"])
    assert one.axes == "RAS"
    assert 0 <= one.values["lowest"] < one.values["mean"] < one.values["highest"] <= 1
    assert sum(one.probabilities.values()) == pytest.approx(1)
    assert one.predicted in check.outputs
    assert one.problem == ""


def test_every_method_applies_to_a_plain_network_and_lrp_conserves(check: ModelCheck) -> None:
    assert {one.name for one in check.methods if one.default} == set(DEFAULT_METHODS)
    assert [one.name for one in check.methods if not one.applies] == []
    assert check.conservation is not None
    assert check.conservation.conserves
    assert check.conservation.redistributed == pytest.approx(check.conservation.score, rel=0.01)
    assert check.conservation.error == pytest.approx(
        abs(check.conservation.total - check.conservation.score) / abs(check.conservation.score)
    )


def test_speed_and_memory_are_measured(check: ModelCheck, small: Path) -> None:
    cost = check.cost
    assert cost is not None
    assert cost.parameters == sum(p.numel() for p in load_bundle(small).network.parameters())
    assert cost.forward_seconds > 0
    assert cost.forward_backward_seconds > 0
    assert cost.default_methods_seconds is not None
    assert 0 <= cost.forward_bytes < 2**31


def test_an_operation_without_a_rule_is_named_and_the_other_methods_apply(odd: ModelCheck) -> None:
    outcomes = {one.name: one for one in odd.methods}
    assert not outcomes["lrp"].applies
    assert "cumsum" in outcomes["lrp"].reason
    assert outcomes["gradient"].applies
    assert outcomes["occlusion"].applies
    assert odd.conservation is None
    assert not odd.sound
    assert any("LRP does not apply" in sentence for sentence in odd.troubles)
    assert odd.cost is not None
    assert odd.cost.default_methods_seconds is None


def test_a_wrong_scale_is_a_trouble(small: Path, phantom: Explanation) -> None:
    bundle = load_bundle(small)
    statistics = {"n": 3, "ranges": {"middle_inside": [140.0, 160.0]}}
    from mri_interpret.preprocessing.input_check import read_statistics

    metadata = dataclasses.replace(bundle.metadata, statistics=read_statistics(statistics, "x"))
    found = checked(dataclasses.replace(bundle, metadata=metadata), phantom)
    assert not found.sound
    assert "does not look like its training data" in found.troubles[0]


def test_a_scan_that_cannot_be_prepared_is_told_and_methods_are_tried_on_noise(
    small: Path, phantom: Explanation, tmp_path: Path
) -> None:
    steps = [*STEPS, {"step": "channels", "channels": ["image", "mask", "flair"]}]
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv3d(3, 2, 4, stride=4), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    save_bundle(tmp_path / "two", network, input={"preprocessing": steps}, output={"classes": ["CN", "AD"]})
    found = checked(tmp_path / "two", phantom)
    assert "wants the further input 'flair'" in found.inputs[0].problem
    assert found.inputs[0].picture is None
    assert "random numbers" in found.measured_on
    assert any(one.applies for one in found.methods)
    assert not found.sound
    both = checked(tmp_path / "two", phantom, inputs={"flair": phantom.scan})
    assert both.inputs[0].problem == ""
    assert both.inputs[0].shape[0] == 3


def test_open_questions(small: Path, tmp_path: Path) -> None:
    questions = " ".join(open_questions(load_bundle(small)))
    for words in ("input_statistics", "mri_interpret.output", "metrics", "no card", "no checksum"):
        assert words in questions
    assert "axes point" not in questions
    left_open = [{"step": "fit", "shape": [48, 56, 48]}]
    changes = {
        "mri_interpret.preprocessing": left_open, "mri_interpret.grid": None, "mri_interpret.intensity": None,
        "license": None, "data_source": "not stated",
    }  # fmt: skip
    bare = " ".join(open_questions(load_bundle(write_small_bundle(tmp_path / "bare", changes))))
    for words in ("axes point", "size of the voxels", "scales the intensities", "licence", "trained on"):
        assert words in bare


def test_files_stand_for_themselves(check: ModelCheck, odd: ModelCheck, tmp_path: Path) -> None:
    files = write_check(check, tmp_path / "made")
    page = files["page"].read_text("utf-8")
    assert "Research use only" in page
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert json.loads(files["record"].read_text("utf-8"))["sound"] is True
    assert Image.open(io.BytesIO(files["input_1"].read_bytes())).format == "PNG"
    other = check_page(odd)
    assert "To be mended" in other
    assert "cumsum" in other
    hostile = check_page(dataclasses.replace(check, name="<script>alert(1)</script>"))
    assert "<script>" not in hostile


def test_without_a_scan_the_sample_and_the_template_are_taken(
    small: Path, phantom: Explanation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sample's own preparation takes long; here the phantom takes its place."""
    sample = module._Scan("the sample (Colin27)", "Preparing the sample", lambda: phantom.scan, phantom.mask, "mni")
    monkeypatch.setattr(module, "_sample", lambda: sample)
    found = check_model(small, device="cpu", cache=kept())
    assert [one.source for one in found.inputs] == ["the sample (Colin27)", "the template (ICBM152)"]
    assert all(not one.problem for one in found.inputs)
    with pytest.raises(UserError, match="Further inputs belong to a scan"):
        check_model(small, inputs={"flair": phantom.scan})


def test_a_head_network_is_not_run_on_the_stripped_template(
    small: Path, phantom: Explanation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sample = module._Scan("the sample (Colin27)", "Preparing the sample", lambda: phantom.scan, phantom.mask, "mni")
    monkeypatch.setattr(module, "_sample", lambda: sample)
    changes = {"mri_interpret.preprocessing": STEPS[1:], "mri_interpret.grid": None, "mri_interpret.intensity": None}
    found = check_model(write_small_bundle(tmp_path / "head", changes), device="cpu", cache=kept())
    assert "trained on whole heads" in found.inputs[1].problem
    assert found.inputs[0].problem == ""
    assert not any("whole heads" in sentence for sentence in found.troubles)


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: Any) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call


def written(volume: Any, path: Path) -> Path:
    image = nib.Nifti1Image(np.asarray(volume.array, np.float32), volume.affine)
    image.header["sform_code"] = 1
    nib.save(image, path)
    return path


@pytest.mark.slow
def test_the_command_line(run: Run, small: Path, phantom: Explanation, tmp_path: Path) -> None:
    scan, mask = written(phantom.scan, tmp_path / "t1.nii.gz"), written(phantom.mask, tmp_path / "mask.nii.gz")
    options = ["--mask", mask, "--space", "mni", "--device", "cpu"]
    code, out, _ = run("models", "check", small, scan, *options, "--out", tmp_path / "check")
    assert code == 0
    for words in ("Research use only", "On t1.nii.gz", "Methods that apply", "LRP conserves", "leaves open", "Sound."):
        assert words in out
    assert (tmp_path / "check" / "model_check.html").is_file()
    code, out, _ = run("models", "check", small, scan, *options, "--json", "--input", f"flair={scan}")
    record = json.loads(out)
    assert code == 1
    assert record["sound"] is False
    assert "takes no input 'flair'" in record["inputs"][0]["problem"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody"], "no model 'nobody'"),
        (["SMALL", "missing.nii.gz"], "missing.nii.gz does not exist"),
        (["SMALL", "--input", "flair"], "--input does not understand"),
        (["SMALL", "--device", "tpu"], "device 'tpu'"),
    ],
)
def test_wrong_arguments_are_one_sentence(run: Run, small: Path, arguments: list[str], words: str) -> None:
    code, out, err = run("models", "check", *[str(small) if one == "SMALL" else one for one in arguments])
    assert code == 2
    assert out == ""
    assert words in err
    assert "Traceback" not in err


def test_a_loaded_bundle_may_be_given(small: Path, phantom: Explanation) -> None:
    bundle = load_bundle(small)
    assert isinstance(bundle, ModelBundle)
    assert checked(bundle, phantom).path == small
