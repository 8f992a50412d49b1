"""Inputs, targets and models that do not fit: each has its own clear answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mri_interpret.attribution import DEFAULT_METHODS, Explainer, UnsupportedOperation
from mri_interpret.attribution.methods.cam import GradCam
from mri_interpret.errors import UserError
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from Testing.attribution.networks import explain_after_convolution, plain, volume


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.rand(6, 6, 6), "3 spatial axes"),
        (torch.rand(1, 1, 6, 6), "3 spatial axes"),
        (torch.rand(1, 1, 0, 6, 6), "shape"),
        (torch.zeros(1, 1, 6, 6, 6, dtype=torch.int64), "floating point"),
        (torch.full((1, 1, 6, 6, 6), float("nan")), "not finite"),
        (torch.full((1, 1, 6, 6, 6), float("inf")), "not finite"),
        (torch.rand(1, 2, 6, 6, 6), "needs 1 channel"),
    ],
)
def test_inputs_that_do_not_fit(x: Tensor, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Explainer(plain().float()).explain(x, 0, "gradient")


def test_input_that_is_no_tensor() -> None:
    with pytest.raises(TypeError, match="tensor"):
        Explainer(plain()).explain([[1.0]], 0, "gradient")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (3, "outputs 0 to 2"),
        (-4, "outputs 0 to 2"),
        ([1.0, 0.0], "2 weights, but the model has 3"),
        ([0.0, 0.0, 0.0], "zero"),
        ([float("nan"), 0.0, 1.0], "finite"),
        ("AD", "'predicted'"),
        (True, "type bool"),
        (torch.tensor([True]), "type bool"),
        (np.array([0, 1]), "2 integers, one class per sample, but there is 1 sample"),
        ([1, 0, 0], "3 integers, one class per sample.*floating point"),
        (torch.eye(3, dtype=torch.int64), "integers of shape .3, 3."),
        (torch.tensor([5]), "Class 5 does not exist"),
        (np.int64(-4), "outputs 0 to 2"),
        (torch.ones(2, 3), "2 x 3 weights, but the model has 3 outputs for 1 sample"),
        (1.0, "one per output"),
        ([], "one per output"),
        (object(), "type object without numbers"),
        (["AD"], "type list without numbers"),
    ],
)
def test_targets_that_do_not_fit(target: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Explainer(plain()).explain(volume(), target, "gradient")


@pytest.mark.parametrize(
    ("target", "classes"),
    [
        (np.int64(2), [2, 2]),
        (np.uint8(1), [1, 1]),
        (torch.tensor(1), [1, 1]),
        (np.array(2), [2, 2]),
        (torch.tensor([0, 2]), [0, 2]),
        (np.array([2, 0], dtype=np.int32), [2, 0]),
        ([1, 2], [1, 2]),
        (torch.tensor([1, -1], dtype=torch.int16), [1, 2]),
    ],
)
def test_integers_are_classes(target: object, classes: list[int]) -> None:
    x = torch.cat([volume(), volume() * 2])
    found = Explainer(plain()).explain(x, target, "gradient")
    assert found.weights.tolist() == [[float(index == chosen) for index in range(3)] for chosen in classes]
    for sample, chosen in enumerate(classes):
        wanted = Explainer(plain()).explain(x[sample : sample + 1], chosen, "gradient")["gradient"].map
        torch.testing.assert_close(found["gradient"].map[sample : sample + 1], wanted)


@pytest.mark.parametrize("target", [[0.0, -1.0, 1.0], np.array([0.0, -1, 1]), torch.tensor([[0.0, -1, 1]])])
def test_floating_point_numbers_are_weights(target: object) -> None:
    assert Explainer(plain()).explain(volume(), target, "gradient").weights.tolist() == [[0.0, -1.0, 1.0]]


class _Asserts(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[2] == 20, "patches need 20 planes"
        return x.mean((2, 3, 4))


def _flat(size: int) -> nn.Module:
    torch.manual_seed(0)
    features = nn.Sequential(nn.Conv3d(1, 2, 3), nn.ReLU(), nn.Flatten())
    return nn.Sequential(features, nn.Linear(2 * (size - 2) ** 3, 3)).eval()


@pytest.mark.parametrize("methods", ["gradient", "lrp"])
@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (_flat(8), (1, 1, 9, 9, 9), r"\(1, 1, 9, 9, 9\): its layer '1' takes 432 values .* gives it 686\.$"),
        (nn.Sequential(nn.Conv3d(1, 3, 7)), (1, 1, 9, 5, 9), r"\(1, 1, 9, 5, 9\).*kernel of 7 x 7 x 7"),
        (nn.Sequential(nn.BatchNorm3d(2), nn.Flatten()), (1, 3, 4, 4, 4), r"layer '0' takes 2 channels.* gives it 3 "),
        (nn.Sequential(nn.LayerNorm(5), nn.Flatten()), (1, 1, 4, 4, 4), r"layer '0' takes \(5,\) as last axes"),
        (nn.Sequential(_Asserts()), (1, 1, 9, 9, 9), r"layer '0' fails \(AssertionError: patches need 20 planes\)\.$"),
    ],
)
def test_inputs_of_a_size_that_the_model_cannot_take(
    model: nn.Module, shape: tuple[int, ...], message: str, methods: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        Explainer(model.eval()).explain(torch.rand(shape), 0, methods)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", ["traced", "scripted", "exported"])
def test_inputs_of_a_size_that_a_program_cannot_take(form: str) -> None:
    model, x = _flat(8), torch.rand(1, 1, 8, 8, 8)
    make = {"traced": torch.jit.trace, "scripted": lambda m, _: torch.jit.script(m)}
    program = torch.export.export(model, (x,)) if form == "exported" else make[form](model, x)
    message = r"exported for inputs of shape \(1, 1, 8, 8, 8\)" if form == "exported" else r"432|686"
    with pytest.raises(UserError, match=message) as caught:
        Explainer(program).explain(torch.rand(1, 1, 9, 9, 9), 0, "gradient")
    assert "(1, 1, 9, 9, 9)" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_operation_of_a_program_that_is_refused_is_refused_in_one_line() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv3d(1, 3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return torch.cumsum(self.conv(x), 2).mean((2, 3, 4))

    x = volume((6, 6, 6)).float()
    with pytest.raises(UnsupportedOperation, match="'cumsum'") as caught:
        Explainer(torch.export.export(Model().eval(), (x,))).explain(x, 0, "lrp")
    assert "\n" not in str(caught.value)


def test_an_error_of_our_own_is_not_blamed_on_the_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr("mri_interpret.attribution.engine.recorder.Recorder.record", broken)
    with pytest.raises(UnsupportedOperation, match=r"'max_pool3d' in module '3' .* stopped there with 'ours'"):
        Explainer(plain()).explain(volume(), 0, "gradient")


@pytest.mark.parametrize(
    "function",
    [lambda y: y, lambda y: {"logits": y}, lambda y: y.mean((2, 3, 4)).argmax(1)],
)
def test_outputs_that_are_no_class_scores(function) -> None:
    with pytest.raises(UserError, match="class scores"):
        explain_after_convolution(function, "gradient")


def test_tuple_and_spatial_ones_are_class_scores() -> None:
    assert explain_after_convolution(lambda y: (y.mean((2, 3, 4)), None), "gradient").logits.shape == (1, 3)
    assert explain_after_convolution(lambda y: y.mean((2, 3, 4), keepdim=True), "gradient").logits.shape == (1, 3)


def test_output_that_ignores_the_input() -> None:
    with pytest.raises(UserError, match="does not depend"):
        explain_after_convolution(lambda y: torch.ones(1, 3), "gradient")


def test_scores_that_are_not_finite() -> None:
    with pytest.raises(UserError, match="scores are not finite"):
        explain_after_convolution(lambda y: y.mean((2, 3, 4)) * float("inf"), "gradient")


def test_missing_layer_lists_those_there_are() -> None:
    with pytest.raises(UserError, match="no layer 'layer4'; it has: 0, 1, 2"):
        Explainer(plain()).explain(volume(), 0, GradCam("layer4"))


def test_layer_without_spatial_axes() -> None:
    with pytest.raises(UserError, match="keeps the spatial axes"):
        Explainer(plain()).explain(volume(), 0, GradCam("9"))


def test_unknown_operation_is_named_with_its_module() -> None:
    class Unknown(nn.Module):
        def forward(self, y: Tensor) -> Tensor:
            return torch.cumsum(y, 2)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv3d(1, 3, 3)
            self.odd = Unknown()

        def forward(self, x: Tensor) -> Tensor:
            return self.odd(self.stem(x)).mean((2, 3, 4))

    with pytest.raises(UnsupportedOperation, match=r"'cumsum' in module 'odd'"):
        Explainer(Model()).explain(volume((6, 6, 6)).float(), 0, "lrp")
    # What needs no rule still works, and is torch's own gradient.
    model, x = Model(), volume((6, 6, 6)).float().requires_grad_()
    (wanted,) = torch.autograd.grad(model(x)[:, 0].sum(), x)
    found = Explainer(model).explain(x.detach(), 0, ["gradient", "grad_cam", "occlusion"])
    torch.testing.assert_close(found["gradient"].map, wanted[:, 0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_models_are_computed_in_float32(dtype: torch.dtype) -> None:
    model = plain().to(dtype)
    x = volume().float()
    found = Explainer(model).explain(x.to(dtype), 0, DEFAULT_METHODS)
    wanted = Explainer(plain().to(dtype).float()).explain(x.to(dtype).float(), 0, DEFAULT_METHODS)
    assert next(model.parameters()).dtype == dtype
    for name in DEFAULT_METHODS:
        assert found[name].map.dtype == torch.float32
        torch.testing.assert_close(found[name].map, wanted[name].map, rtol=1e-4, atol=1e-7)


def test_missing_cuda_is_said() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(UserError, match="CUDA"):
        Explainer(plain()).explain(volume(), 0, "gradient", device="cuda")


@pytest.mark.parametrize(("device", "message"), [("meta", "holds no values"), ("gpu", "no device 'gpu'")])
def test_devices_that_cannot_compute(device: str, message: str) -> None:
    model, x = plain(), volume()
    with pytest.raises(UserError, match=message):
        Explainer(model).explain(x, 0, "gradient", device=device)
    Explainer(model).explain(x, 0, "gradient")  # its weights are still there


def test_weights_or_scans_that_were_never_loaded() -> None:
    with torch.device("meta"):
        empty = nn.Sequential(nn.Conv3d(1, 3, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    with pytest.raises(UserError, match=r"no values for '0\.weight'.*load its weights"):
        Explainer(empty).explain(volume().float(), 0, "gradient")
    half = plain()
    half[5].to("meta")
    for device in (None, "cpu"):
        with pytest.raises(UserError, match=r"no values for '5\.weight'"):
            Explainer(half).explain(volume(), 0, "gradient", device=device)
    with pytest.raises(UserError, match="input holds no values"):
        Explainer(plain()).explain(volume().to("meta"), 0, "gradient")


def test_model_spread_over_devices_is_refused() -> None:
    model = plain()
    with FakeTensorMode():  # a GPU's tensors on machines without one
        model[9].weight = nn.Parameter(torch.empty(3, 6, device="cuda"))
    with pytest.raises(UserError, match="spread over the devices cpu, cuda:0"):
        Explainer(model).explain(volume(), 0, "gradient")


def test_model_must_be_a_module() -> None:
    with pytest.raises(TypeError, match="Module"):
        Explainer(lambda x: x)


def test_region_occlusion_needs_fitting_labels() -> None:
    with pytest.raises(UserError, match="needs atlas labels"):
        Explainer(plain()).explain(volume(), 0, "region_occlusion")
    with pytest.raises(UserError, match="labels have shape"):
        Explainer(plain()).explain(volume(), 0, "region_occlusion", regions=torch.ones(2, 2, 2))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"brain_mask": torch.ones(2, 2, 2)}, r"voxels of the brain mask have shape \(2, 2, 2\), the input \("),
        ({"brain_mask": np.ones((3, 3))}, "brain mask have shape"),
        ({"regions": np.full(tuple(volume().shape[2:]), 1.5)}, "region labels hold values that are no whole numbers"),
    ],
)
def test_masks_and_labels_that_do_not_fit(given: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Explainer(plain()).explain(volume(), 0, "gradient", **given)


def test_masks_and_labels_may_be_arrays() -> None:
    x = volume()
    labels = np.zeros(tuple(x.shape[2:]), np.int16)
    labels[2:6] = 3
    mask = np.ones(labels.shape, bool)
    found = Explainer(plain()).explain(x, 0, "region_occlusion", regions=labels, brain_mask=mask)["region_occlusion"]
    assert set(found.details["drop_by_region"]) == {3}
    assert not bool(found.map[0, :2].any())
