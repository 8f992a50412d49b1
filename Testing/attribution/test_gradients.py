"""Gradients of every recorded operation against torch's own, in float64; guided backpropagation by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from mri_interpret.attribution import Explainer
from mri_interpret.attribution.engine.pooled_convolution import PooledConvolution, SlabPolicy
from mri_interpret.attribution.methods.gradient import IntegratedGradients, SmoothGrad
from mri_interpret.attribution.methods.lrp import LRP
from torch import Tensor, nn

from Testing.attribution.networks import plain, randomise, volume


class Rest(nn.Module):
    """A convolution, the operation in question, and a head."""

    def __init__(self, operation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.operation = nn.Conv3d(1, 4, 3, padding=1), operation
        self.weight = nn.Parameter(torch.rand(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        y = self.operation(self.conv(x))
        return torch.stack([y.flatten(1).sum(1), (y.flatten(1) ** 2).mean(1)], 1)


def _tokens(y: Tensor) -> Tensor:
    return y.flatten(2).transpose(1, 2)


torch.manual_seed(0)
_MATRIX = torch.rand(4, 5, dtype=torch.float64)
_SLOPES = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
_MULTIHEAD = nn.MultiheadAttention(4, 2, batch_first=True).double().eval()
_ENCODER = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).double().eval()
_MODULES = {
    "ConvTranspose3d": nn.ConvTranspose3d(4, 3, 3, 2, 1, output_padding=1),
    "grouped, dilated": nn.Conv3d(4, 8, 3, 2, 2, dilation=2, groups=2),
    "reflected": nn.Conv3d(4, 3, 3, padding=1, padding_mode="reflect"),
    "circular": nn.Conv3d(4, 3, 3, padding=1, padding_mode="circular"),
    "same, even": nn.Conv3d(4, 3, 2, padding="same"),
    "InstanceNorm": nn.InstanceNorm3d(4, affine=True),
    "GroupNorm": nn.GroupNorm(2, 4),
    "PReLU": nn.PReLU(4),
    "BatchNorm after ReLU": nn.Sequential(nn.ReLU(), nn.BatchNorm3d(4)),
    "conv1d": nn.Sequential(nn.Flatten(2), nn.Conv1d(4, 3, 3, 2), nn.BatchNorm1d(3), nn.ReLU()),
    "conv2d": nn.Sequential(nn.Flatten(3), nn.Conv2d(4, 3, 3, 2, 1), nn.BatchNorm2d(3), nn.ReLU()),
    "linear and norm": nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 3), nn.BatchNorm1d(3)),
}
for _module in _MODULES.values():
    randomise(_module)

OPERATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    **_MODULES,
    "leaky_relu": lambda y: F.leaky_relu(y, 0.2),
    "elu": F.elu,
    "gelu": F.gelu,
    "silu": F.silu,
    "mish": F.mish,
    "softplus": F.softplus,
    "hardswish": F.hardswish,
    "relu6": F.relu6,
    "hardtanh": F.hardtanh,
    "tanh": torch.tanh,
    "prelu": lambda y: F.prelu(y, _SLOPES),
    "sigmoid gate": lambda y: y * torch.sigmoid(y.mean((2, 3, 4), keepdim=True)),
    "softmax": lambda y: torch.softmax(y, 1),
    "log_softmax": lambda y: torch.log_softmax(y, 1),
    "max_pool, overlapping": lambda y: F.max_pool3d(y, 3, 2, 1),
    "max_pool, dilated": lambda y: F.max_pool3d(y, 2, 2, 0, 2, True),
    "avg_pool": lambda y: F.avg_pool3d(y, 3, 2, 1),
    "adaptive_max_pool": lambda y: F.adaptive_max_pool3d(y, 2),
    "adaptive_avg_pool": lambda y: F.adaptive_avg_pool3d(y, (2, 3, 1)),
    "interpolate": lambda y: F.interpolate(y, scale_factor=1.5, mode="trilinear"),
    "interpolate nearest": lambda y: F.interpolate(y, size=(5, 6, 7)),
    "amax": lambda y: y.amax((2, 3)),
    "sum": lambda y: y.sum(2, keepdim=True),
    "cat": lambda y: torch.cat([y, y * 2, torch.ones_like(y)], 1),
    "stack": lambda y: torch.stack([y, -y]).sum(0),
    "split": lambda y: torch.cat(torch.split(y, 2, 1)[::-1], 1),
    "chunk": lambda y: sum(y.chunk(2, 1)),
    "slice": lambda y: y[:, 1:, ::2, ..., -3:],
    "pad": lambda y: F.pad(y, (1, 2, 0, 1, 3, 0)),
    "roll and flip": lambda y: torch.flip(torch.roll(y, 2, 3), [2]),
    "permute": lambda y: y.permute(0, 2, 3, 4, 1).reshape(y.shape[0], -1),
    "arithmetic": lambda y: (1 - y) / 3 + 2 * y - y / 2 + 0.5,
    "quotient": lambda y: y / (1 + y.abs()),
    "reciprocal": lambda y: 1 / (2 + y**2),
    "power": lambda y: (y**2 + 1) ** 0.5,
    "matmul": lambda y: _tokens(y) @ _MATRIX,
    "einsum": lambda y: torch.einsum("ncdhw,ck->nkdhw", y, _MATRIX),
    "einsum of two": lambda y: torch.einsum("nctuv,nktuv->nck", y, y.sigmoid()),
    "bmm": lambda y: torch.bmm(_tokens(y), _tokens(y).transpose(1, 2)),
    "attention": lambda y: F.scaled_dot_product_attention(
        _tokens(y)[:, None], _tokens(y * 2)[:, None], _tokens(-y)[:, None]
    ),
    "layer_norm": lambda y: F.layer_norm(_tokens(y), (4,)),
    "instance_norm": lambda y: F.instance_norm(y),
    "group_norm": lambda y: F.group_norm(y, 2),
    "multi-head attention": lambda y: _MULTIHEAD(_tokens(y), _tokens(y), _tokens(y))[0],
    "transformer layer": lambda y: _ENCODER(_tokens(y)),
    "where": lambda y: torch.where(torch.arange(4).reshape(4, 1, 1, 1) > 1, y, 0.0),
    "masked_fill": lambda y: y.masked_fill(torch.arange(4).reshape(4, 1, 1, 1) > 1, 0.0),
    "maximum": lambda y: torch.maximum(y, torch.zeros(())),
    "dropout": lambda y: F.dropout(y, 0.5, False),
    "expand": lambda y: y.mean((2, 3, 4), keepdim=True).expand(-1, -1, 2, 2, 2),
    "repeat": lambda y: y.repeat(1, 2, 1, 1, 1),
    "unfold": lambda y: y.unfold(2, 3, 2),
    "in-place arithmetic": lambda y: (y * 1.0).mul_(2).add_(0.3).sub_(y).relu_(),
    "no_grad inside": lambda y: y + y.detach().mean(),
}


def gradient(model: nn.Module, x: Tensor, target: int) -> tuple[Tensor, Tensor]:
    """Our gradient in full precision, and autograd's."""
    explainer = Explainer(model)
    run = explainer.record(x, target, {})
    leaf = x.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(model(leaf)[:, target].sum(), leaf)
    return run.input_gradient(), wanted


@pytest.mark.parametrize("name", OPERATIONS)
def test_gradient_equals_autograd(name: str) -> None:
    model = Rest(OPERATIONS[name])
    torch.manual_seed(1)
    nn.init.normal_(model.conv.weight, 0, 0.4)
    model = model.double().eval()
    for target in (0, 1):
        found, wanted = gradient(model, volume((6, 7, 8), samples=2), target)
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9 * float(wanted.abs().max()) + 1e-12)


@pytest.mark.parametrize("name", OPERATIONS)
def test_relevance_and_guided_run_on_every_operation(name: str) -> None:
    model = Rest(OPERATIONS[name]).double().eval()
    maps = Explainer(model).explain(volume((6, 7, 8)), 0, ["guided_backprop", "lrp", LRP(bias="redistribute")])
    for found in maps.values():
        assert bool(torch.isfinite(found.map).all())


@pytest.mark.parametrize("mode", ["gradient", "guided"])
def test_guided_backpropagation_by_hand(mode: str) -> None:
    model, x = plain(), volume()
    with torch.no_grad():
        folded = [model[1](model[0](x)), None]
        pooled, places = F.max_pool3d(folded[0].relu(), 2, return_indices=True)
        folded[1] = model[5](model[4](pooled))
    grad = model[9].weight[2].detach().reshape(1, 6, 1, 1, 1) / folded[1][0, 0].numel() * (folded[1] > 0)
    grad = grad.clamp(min=0) if mode == "guided" else grad
    scale = [
        (m.weight / torch.sqrt(m.running_var + m.eps)).detach().reshape(1, -1, 1, 1, 1) for m in (model[1], model[5])
    ]
    grad = F.conv_transpose3d(grad * scale[1], model[4].weight.detach(), padding=1)
    grad = F.max_unpool3d(grad, places, 2, output_size=folded[0].shape) * (folded[0] > 0)
    grad = grad.clamp(min=0) if mode == "guided" else grad
    wanted = F.conv_transpose3d(grad * scale[0], model[0].weight.detach(), padding=1)
    found = Explainer(model).record(x, 2, {}).input_gradient(mode)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)


def _stem(pool: nn.Module, rectified: bool = True) -> nn.Module:
    relu = [nn.ReLU()] if rectified else []
    rest = [nn.Conv3d(4, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(5, 3)]
    return randomise(nn.Sequential(nn.Conv3d(1, 4, 5, 2, 2), nn.BatchNorm3d(4), *relu, pool, *rest))


STAGES = {
    "separate windows": plain,
    "shared maxima": lambda: _stem(nn.MaxPool3d(3, 2, 1)),
    "windows far apart, no ReLU": lambda: _stem(nn.MaxPool3d(2, 3, (0, 1, 0)), rectified=False),
    "wide windows": lambda: _stem(nn.MaxPool3d((5, 3, 4), (1, 2, 3), (2, 0, 2))),
}


@pytest.mark.parametrize("name", STAGES)
def test_stages_in_slabs_equal_whole_ones(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = STAGES[name](), volume((23, 21, 20), samples=2)
    methods = ["gradient", "guided_backprop", "lrp", LRP("epsilon"), LRP("epsilon-gamma-box", bias="redistribute")]
    wanted = Explainer(model).explain(x, 1, methods)
    assert not torch.allclose(wanted["gradient"].map, wanted["guided_backprop"].map)
    whole = PooledConvolution.forward
    stages: list[tuple[int, ...]] = []
    monkeypatch.setattr(PooledConvolution, "forward", lambda self, x: stages.append(x.shape) or whole(self, x))
    for planes in (4, 16, 64):
        monkeypatch.setattr(Explainer, "_slabs", SlabPolicy(1, planes))
        stages.clear()
        found = Explainer(model).explain(x, 1, methods)
        assert stages
        for method, reference in wanted.items():
            torch.testing.assert_close(found[method].map, reference.map, rtol=1e-5, atol=1e-8, msg=f"{planes} {method}")


def test_smoothgrad_is_the_mean_of_noisy_gradients() -> None:
    model, x = plain(), volume()
    method = SmoothGrad(samples=3, noise=0.2, seed=4)
    found = Explainer(model).explain(x, 1, method)["smoothgrad"].map
    generator = torch.Generator().manual_seed(4)
    spread = 0.2 * (x.max() - x.min())
    total = torch.zeros_like(x)
    for _ in range(3):
        noisy = x + spread * torch.randn(x.shape, generator=generator).double()
        total += gradient(model, noisy, 1)[1]
    torch.testing.assert_close(found, (total / 3)[:, 0].float())


@pytest.mark.parametrize("batch", [1, 5])
def test_integrated_gradients_are_complete(batch: int) -> None:
    model, x = plain(), volume(samples=2)
    found = Explainer(model).explain(x, 0, IntegratedGradients(steps=200, batch=batch))["integrated_gradients"]
    with torch.no_grad():
        change = (model(x) - model(torch.zeros_like(x)))[:, 0]
    torch.testing.assert_close(found.map.sum((1, 2, 3)).double(), change, rtol=5e-3, atol=0)
    assert max(found.details["completeness_error"]) < 5e-3


def test_a_baseline_without_a_score_is_told() -> None:
    class Normalised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rest = plain()

        def forward(self, x: Tensor) -> Tensor:
            return self.rest((x - x.mean()) / x.std())

    found = Explainer(Normalised()).explain(volume(), 0, "integrated_gradients")
    assert found["integrated_gradients"].details["completeness_error"][0] != pytest.approx(0)
    assert any("everywhere is not finite" in notice for notice in found.notices)
    assert Explainer(plain()).explain(volume(), 0, "integrated_gradients").notices == ()
