"""A map from anywhere is checked: arrays, tensors, images, captum's; with and without a function that recomputes it."""

from __future__ import annotations

import math
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
import torch
from mri_interpret.attribution import Explainer, attribute
from mri_interpret.checks.check_map import check_map
from mri_interpret.checks.stability import check_stability
from mri_interpret.checks.verdict import MODEL
from mri_interpret.errors import UserError
from torch import nn

from Testing.checks.small_networks import (
    SHAPE,
    Linear3d,
    atlas,
    brain,
    gradient_times_input,
    image,
    linear_case,
    small_cnn,
)

TARGET = [0.0, 0.0, 1.0]
NEEDS_EXPLAIN = {"randomisation", "other class", "stability"}


def _linear() -> tuple[nn.Module, np.ndarray]:
    """A linear network and the exact contribution of each voxel to its last logit."""
    weights = np.random.default_rng(1).normal(size=(3, *SHAPE)).astype(np.float32)
    return Linear3d(weights).eval(), weights[2] * image()[0, 0].numpy()


def _gradient_times_input(model: nn.Module, x: torch.Tensor) -> np.ndarray:
    return gradient_times_input(model, x, TARGET, ["map"])["map"]


def _verdicts(verdicts: Any) -> dict[str, str]:
    return {verdict.check: verdict.verdict for verdict in verdicts}


def test_without_a_function_checks_that_need_one_say_so() -> None:
    model, exact = _linear()
    found = check_map(exact, model, image(), 2, labels=atlas(), spacing=8.0, level="full")
    for verdict in found:
        assert verdict.method in ("map", MODEL)
        if verdict.check in NEEDS_EXPLAIN:
            assert verdict.verdict == "not applicable"
            assert verdict.sentence.startswith("No function was given that computes the map again")
    assert found.of("faithfulness").verdict == "pass"
    assert found.of("deletion (blocks)").verdict == "pass"
    assert found.of("outside the brain").value == 0


def test_with_a_function_every_check_is_run() -> None:
    model, exact = _linear()
    found = check_map(exact, model, image(), 2, _gradient_times_input, labels=atlas(), level="full")
    assert found.of("randomisation").verdict == "pass"
    case, _ = linear_case()
    (stability,) = check_stability(case)
    assert found.of("stability").value == pytest.approx(stability.value, abs=1e-5)
    assert found.of("other class").verdict == "not applicable"
    assert "takes no target" in found.of("other class").sentence

    def with_target(model: nn.Module, x: torch.Tensor, target: list[float]) -> np.ndarray:
        return gradient_times_input(model, x, target, ["map"])["map"]

    again = check_map(exact, model, image(), 2, with_target, labels=atlas(), level="full")
    other = gradient_times_input(model, image(), [1.0, 0.0, 0.0], ["map"])["map"]
    from scipy.stats import spearmanr

    assert again.of("other class").value == pytest.approx(spearmanr(exact[brain()], other[brain()]).statistic)


def test_a_map_that_ignores_the_model_fails() -> None:
    model, _ = _linear()
    scan = image()[0, 0].numpy()
    found = check_map(scan, model, image(), 2, lambda model, x: x)
    assert found.of("randomisation").verdict == "fail"
    assert found.of("randomisation").value == pytest.approx(1)


@pytest.mark.parametrize("kind", ["array", "tensor", "captum", "attribution", "nibabel", "itk", "channels"])
def test_every_kind_of_map_gives_the_same_verdicts(kind: str) -> None:
    model, exact = _linear()
    expected = check_map(exact, model, image(), 2, spacing=3.0, adds_up_to=1.0)
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    spacing: float | None = 3.0
    value: Any = exact
    if kind == "tensor":
        value = torch.from_numpy(exact)
    elif kind == "captum":
        value = torch.from_numpy(exact)[None, None].requires_grad_()
    elif kind == "attribution":
        value = attribute(model, image(), 2, "gradient_x_input")["gradient_x_input"]
    elif kind == "nibabel":
        value, spacing = nibabel.Nifti1Image(exact, affine), None
    elif kind == "itk":
        value, spacing = SimpleITK.GetImageFromArray(exact.T), None
        value.SetSpacing((3.0, 3.0, 3.0))
    elif kind == "channels":
        value = np.stack([exact / 4, exact * 3 / 4])[None]
    found = check_map(value, model, image(), 2, spacing=spacing, adds_up_to=1.0)
    assert _verdicts(found) == _verdicts(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.value == pytest.approx(b.value, rel=1e-4, nan_ok=True), a.check


def test_captums_own_maps_are_checked() -> None:
    attr = pytest.importorskip("captum.attr")
    model = small_cnn()

    def integrated_gradients(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return attr.IntegratedGradients(model).attribute(x, target=2, n_steps=200)

    x = image()
    difference = float(model(x)[0, 2] - model(x * 0)[0, 2])
    found = check_map(
        integrated_gradients(model, x), model, x, 2, integrated_gradients, labels=atlas(), adds_up_to=difference
    )
    assert found.of("conservation").verdict == "pass"
    assert found.of("randomisation").verdict in ("pass", "fail")
    assert math.isfinite(found.of("randomisation").value)


def test_the_model_comes_back_as_it_was_and_x_too() -> None:
    model, x = small_cnn(), image()
    relevance = _gradient_times_input(model, x)
    model.train()
    before, kept = {name: value.clone() for name, value in model.state_dict().items()}, x.clone()
    check_map(relevance, model, x, "predicted", _gradient_times_input)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(x, kept)


def test_what_a_promised_sum_and_a_coarse_map_change() -> None:
    model, exact = _linear()
    assert check_map(exact, model, image(), 2).of("conservation").verdict == "not applicable"
    assert check_map(exact, model, image(), 2, adds_up_to=float(exact.sum())).of("conservation").verdict == "pass"
    assert check_map(exact, model, image(), 2, adds_up_to=2 * float(exact.sum())).of("conservation").verdict == "fail"
    outside = np.where(brain(), 0, 1.0)
    assert check_map(outside, model, image(), 2).of("outside the brain").verdict == "fail"
    assert check_map(outside, model, image(), 2, resolution_mm=20.0).of("outside the brain").value == 0


def test_an_unsigned_map_is_asked_how_far_the_value_changes() -> None:
    weights = np.zeros((3, *SHAPE), np.float32)
    weights[2, 3:6, 4:7, 2:5] = -1.0
    model, size = Linear3d(weights).eval(), np.abs(weights[2]) * image()[0, 0].numpy()
    signed = check_map(size, model, image(), 2).of("faithfulness")
    unsigned = check_map(size, model, image(), 2, signed=False).of("faithfulness")
    assert signed.value < 0 < unsigned.value


def test_a_mask_of_everything_leaves_nothing_outside() -> None:
    model, exact = _linear()
    found = check_map(exact, model, image(), 2, mask=np.ones(SHAPE))
    assert found.of("outside the brain").verdict == "not applicable"
    assert "whole volume" in found.of("border of the volume").sentence
    assert found.of("fluid").verdict != "not applicable"


def test_a_network_of_two_channels() -> None:
    torch.manual_seed(1)  # of some weights the explained output is 0 everywhere, and its map constant
    model = nn.Sequential(nn.Conv3d(2, 3, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    x = torch.cat([image(0), image(1)], dim=1)

    def gradient(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        leaf = x.clone().requires_grad_()
        return torch.autograd.grad(model(leaf)[0, 1], leaf)[0]

    found = check_map(gradient(model, x), model, x, 1, gradient, level="full")
    assert math.isfinite(found.of("stability").value)  # regions are blocks where there are no labels
    assert "No labels" in found.of("deletion (regions)").sentence


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"map": np.zeros((3, 3, 3))}, r"The map has shape \(3, 3, 3\), but the model's input has \(12, 14, 10\)"),
        ({"map": np.full(SHAPE, 1j)}, "The map is of type complex128"),
        ({"x": image()[0]}, "one input of three spatial axes"),
        ({"x": image() * math.nan}, "x holds NaN"),
        ({"x": image() * 0, "mask": None}, "x is zero everywhere"),
        ({"x": image()[..., :5], "map": np.zeros((12, 14, 5))}, "The model cannot take an input of shape"),
        ({"mask": np.zeros(SHAPE)}, "The mask is empty"),
        ({"labels": np.zeros((2, 2, 2))}, "The label map has shape"),
        ({"target": 7}, "Class 7 does not exist"),
        ({"target": [1.0, 0.0]}, "2 weights, but the model has 3 outputs"),
        ({"model": "a path"}, "A model is a torch.nn.Module"),
        ({"level": "thorough"}, "The level 'thorough' is not known"),
        ({"spacing": 0.0}, "is no voxel size"),
        ({"explain": lambda model, x: np.zeros((2, 2, 2))}, "The map that explain returned has shape"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(changes: dict[str, Any], words: str) -> None:
    model, exact = _linear()
    given = {"map": exact, "model": model, "x": image(), "target": 2} | changes
    with pytest.raises(UserError, match=words):
        check_map(**given)


def test_a_broken_map_fails_and_a_zero_map_is_not_judged() -> None:
    model, exact = _linear()
    broken = np.where(np.arange(SHAPE[2]) == 3, np.nan, exact)
    assert [verdict.check for verdict in check_map(broken, model, image(), 2)] == ["finite values"]
    zero = check_map(exact * 0, model, image(), 2, _gradient_times_input, level="full")
    assert {verdict.verdict for verdict in zero if verdict.method != MODEL} == {"not applicable"}


def test_verdicts_are_a_table() -> None:
    model, exact = _linear()
    found = check_map(exact, model, image(), 2, name="mine <b>")
    page = found._repr_html_()
    assert "mine &lt;b&gt;" in page
    assert page.count("<tr>") == len(found) + 1
    table = found.to_dataframe()
    assert list(table["check"]) == [verdict.check for verdict in found]
    assert {verdict.verdict for verdict in found.failed} <= {"fail"}
    with pytest.raises(KeyError, match="no check 'beauty' was run"):
        found.of("beauty")


def _gradient(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return Explainer(model).explain(x, 1, "gradient")["gradient"].map


class _InPlace(nn.Module):
    """Prepares its input, in place or not."""

    def __init__(self, in_place: bool) -> None:
        super().__init__()
        self.in_place, self.rest = in_place, small_cnn()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rest(x.sub_(0.5).mul_(2) if self.in_place else (x - 0.5) * 2)


@pytest.mark.parametrize("as_array", [False, True])
def test_a_network_that_changes_its_input_has_the_verdicts_of_one_that_does_not(as_array: bool) -> None:
    x = image()
    given = x.numpy().copy() if as_array else x.clone()
    relevance = Explainer(_InPlace(False)).explain(x, 1, "gradient")["gradient"].map
    wanted = check_map(relevance, _InPlace(False), x, 1, explain=_gradient, level="full")
    found = check_map(relevance, _InPlace(True), given, 1, explain=_gradient, level="full")
    assert np.array_equal(np.asarray(given), x.numpy())
    assert [(row.check, row.verdict) for row in found] == [(row.check, row.verdict) for row in wanted]
    assert [row.value for row in found] == pytest.approx([row.value for row in wanted], nan_ok=True, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("precision", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("scripted", [False, True])
def test_weights_of_another_precision(precision: torch.dtype, scripted: bool) -> None:
    model = small_cnn().to(precision)
    relevance = np.random.default_rng(0).random(image().shape[2:])
    rows = check_map(relevance, torch.jit.script(model) if scripted else model, image(), 1)
    assert np.isfinite(rows.of("faithfulness").value)
    if not scripted:
        found = Explainer(model).explain(image(), 1, "randomised_model")["randomised_model"].map
        assert float(found.abs().max()) > 0


def test_scores_of_one_sample_without_its_axis() -> None:
    class Squeezed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rest = small_cnn()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.rest(x).squeeze()

    relevance = Explainer(small_cnn()).explain(image(), 1, "gradient")["gradient"].map
    wanted, found = (check_map(relevance, one, image(), 1, level="full") for one in (small_cnn(), Squeezed().eval()))
    assert [row.value for row in found] == pytest.approx([row.value for row in wanted], nan_ok=True)


def test_a_network_that_cannot_be_copied_is_refused() -> None:
    model = small_cnn()
    model.numbers = (number for number in range(3))
    with pytest.raises(UserError, match="cannot be copied"):
        check_map(np.ones(image().shape[2:]), model, image(), 1, explain=_gradient)
