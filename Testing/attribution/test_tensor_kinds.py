"""Models and inputs of other kinds than plain float tensors: inference mode, MetaTensors, quantised layers."""

from __future__ import annotations

import pytest
import torch
from monai.data import MetaTensor
from mri_interpret.attribution import DEFAULT_METHODS, Explainer, UnsupportedOperation
from mri_interpret.attribution.methods.perturbation import Occlusion
from mri_interpret.errors import UserError
from torch import Tensor, nn

from Testing.attribution.networks import oracle_residual, plain, randomise, volume

METHODS = [*DEFAULT_METHODS, Occlusion(patch=8, stride=8)]


def assert_same_maps(found: dict, wanted: dict) -> None:
    for name in wanted:
        assert type(found[name].map) is Tensor
        assert not found[name].map.is_inference()
        scale = float(wanted[name].map.abs().max())
        torch.testing.assert_close(found[name].map, wanted[name].map, rtol=1e-5, atol=1e-7 * scale, msg=name)


def test_inference_mode_around_the_call() -> None:
    wanted = Explainer(oracle_residual()).explain(volume((12, 12, 12)), 1, METHODS)
    with torch.inference_mode():
        found = Explainer(oracle_residual_made_before).explain(volume((12, 12, 12)), 1, METHODS)
    assert_same_maps(found, wanted)


oracle_residual_made_before = oracle_residual()


class WithPReLU(nn.Module):
    """Weights that torch would save for a backward pass, which it cannot do with those made in inference mode."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.act = nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), nn.PReLU(4)
        self.token, self.head = nn.Parameter(torch.rand(4)), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.act(self.norm(self.conv(x))).mean((2, 3, 4))
        return self.head(torch.where(self.token > 0.5, y, y * self.token))


@pytest.mark.parametrize("make", [plain, lambda: randomise(WithPReLU())])
def test_models_made_in_inference_mode(make) -> None:
    x = volume((12, 12, 12))
    wanted = Explainer(make()).explain(x, 1, METHODS)
    with torch.inference_mode():
        model = make()
    assert next(model.parameters()).is_inference()
    assert_same_maps(Explainer(model).explain(x, 1, METHODS), wanted)


def test_meta_tensors_are_plain_tensors() -> None:
    x = volume((12, 12, 12))
    wanted = Explainer(oracle_residual()).explain(x, 1, METHODS)
    image = MetaTensor(x, affine=torch.eye(4))
    mask = MetaTensor(torch.ones(12, 12, 12), affine=torch.eye(4))
    assert_same_maps(Explainer(oracle_residual()).explain(image, 1, METHODS), wanted)
    Explainer(oracle_residual()).explain(image, 1, METHODS, brain_mask=mask)


def test_meta_tensors_as_weights_are_plain_tensors() -> None:
    x = volume((12, 12, 12))
    wanted = Explainer(oracle_residual()).explain(x, 1, METHODS)
    model = oracle_residual()
    for module in model.modules():
        for name, weight in list(module._parameters.items()):
            if weight is not None:
                setattr(module, name, nn.Parameter(MetaTensor(weight.detach())))
        for name, buffer in list(module._buffers.items()):
            if buffer is not None and buffer.is_floating_point():
                module._buffers[name] = MetaTensor(buffer)
    assert_same_maps(Explainer(model).explain(x, 1, METHODS), wanted)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("method", ["gradient", "lrp", "occlusion"])
def test_quantised_layers_are_refused_by_name(method: str) -> None:
    features = nn.Sequential(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    model = nn.Sequential(features, nn.Linear(4, 3)).eval()
    quantised = torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)
    with pytest.raises(UserError, match=r"layer '1' .* quantised"):
        Explainer(quantised).explain(volume((8, 8, 8)).float(), 1, method)


def test_quantised_values_are_refused_by_module() -> None:
    class Rounding(nn.Module):
        def forward(self, y: Tensor) -> Tensor:
            return torch.quantize_per_tensor(y, 0.1, 0, torch.qint8).dequantize()

    model = nn.Sequential(nn.Conv3d(1, 3, 3), Rounding(), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    with pytest.raises(UnsupportedOperation, match="'quantize_per_tensor' in module '1'"):
        Explainer(model).explain(volume((8, 8, 8)).float(), 1, "gradient")
