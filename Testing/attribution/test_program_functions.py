"""Function by function: TorchScript and exported programs give the maps of the network that they were made from."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache

import pytest
import torch
import torch.nn.functional as F
from mri_interpret.attribution import Explainer
from torch import Tensor, nn

from Testing.attribution.networks import randomise, volume
from Testing.attribution.zoo import ZOO, build

pytestmark = pytest.mark.filterwarnings("ignore")

METHODS = ["gradient", "guided_backprop", "lrp"]


class Functions(nn.Module):
    """A convolution, several functions of its output, and one class score for each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(1, 4, 3, padding=1)
        generator = torch.Generator().manual_seed(2)
        self.register_buffer("matrix", torch.rand(4, 4, generator=generator))
        self.register_buffer("vector", torch.rand(4, generator=generator))
        self.register_buffer("chosen", torch.tensor([2, 0]))

    def scores(self, results: list[Tensor]) -> Tensor:
        return torch.stack([result.flatten(1).square().mean(1) for result in results], 1)


class Activations(Functions):
    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.scores([
            F.relu(y), F.relu6(y), F.hardtanh(y), F.hardtanh(y, -0.5, 0.5), F.elu(y), F.elu(y, 0.5), F.selu(y),
            F.celu(y, 0.7), F.leaky_relu(y), F.leaky_relu(y, 0.2), F.prelu(y, self.vector), F.rrelu(y),
            F.glu(y, 1), F.gelu(y), F.gelu(y, approximate="tanh"),
            F.logsigmoid(y), F.hardshrink(y, 0.1), F.tanhshrink(y), F.softsign(y),
            F.softplus(y), F.softplus(y, 2.0, 5.0), F.softmin(y, 1), F.softmax(y, 1), F.softshrink(y, 0.1),
            F.log_softmax(y, 1), F.tanh(y), F.sigmoid(y), F.hardsigmoid(y), F.silu(y), F.mish(y), F.hardswish(y),
            F.threshold(y, 0.1, 0.2), torch.clamp(y, 0.0, 1.0), torch.erf(y),
        ])  # fmt: skip


class InPlaceActivations(Functions):
    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.scores([
            F.relu(y * 1, inplace=True), F.relu6(y * 1, inplace=True), F.elu(y * 1, inplace=True),
            F.selu(y * 1, inplace=True), F.celu(y * 1, inplace=True), F.leaky_relu(y * 1, 0.1, inplace=True),
            F.hardtanh(y * 1, inplace=True), F.silu(y * 1, inplace=True), F.mish(y * 1, inplace=True),
            F.hardswish(y * 1, inplace=True), F.hardsigmoid(y * 1, inplace=True),
            F.threshold(y * 1, 0.1, 0.2, inplace=True), torch.relu_(y * 1), (y * 1).clamp_(min=0),
            (y * 1).mul_(2).add_(1),
        ])  # fmt: skip


class Poolings(Functions):
    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.scores([
            F.max_pool3d(y, 2), F.max_pool3d(y, 3, 2, 1), F.max_pool3d(y, 2, 2, 0, 2),
            F.max_pool3d(y, 2, ceil_mode=True), F.avg_pool3d(y, 2), 
            F.avg_pool3d(y, 3, 2, 1, False, False), F.avg_pool3d(y, 3, 2, 1, True),
            F.max_pool2d(y[:, :, 0], 2), F.avg_pool2d(y[:, :, 0], 2), F.max_pool1d(y.flatten(2), 2),
            F.avg_pool1d(y.flatten(2), 2), F.adaptive_max_pool3d(y, 2), F.adaptive_max_pool3d(y, [2, 3, 1]),
            F.adaptive_avg_pool3d(y, 2), F.adaptive_avg_pool3d(y, [2, 3, 1]), F.adaptive_max_pool2d(y[:, :, 0], 2),
            F.adaptive_max_pool1d(y.flatten(2), 2), F.interpolate(y, scale_factor=2.0),
            F.interpolate(y, size=[5, 6, 7]),
            F.interpolate(y, scale_factor=0.5, mode="trilinear"),
            F.interpolate(y, size=[5, 6, 7], mode="trilinear", align_corners=True), F.unfold(y[:, :, 0], 2),
            F.local_response_norm(y, 2),
        ])  # fmt: skip


class SeveralResults(Functions):
    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        first, second = y.chunk(2, 1)
        low, high = y.split([1, 3], 1)
        a, b, c, d = y.unbind(1)
        largest, places = y.max(1)
        best, _ = y.topk(2, 1)
        ordered, _ = y.sort(1, True)
        return self.scores([
            first - second, torch.cat([high, low], 1), a * 2 + b, c - d, largest, best, ordered, y.min(1)[0],
            y.median(1)[0], y.kthvalue(2, 1)[0], y.cummax(1)[0], y.max(1, keepdim=True)[0], y.amax([2, 3]),
            y.amin([2, 3]),
            torch.max(y, y * 0.5), torch.minimum(y, y * 0.5), y.tensor_split(2, 1)[1], y.gather(1, places.unsqueeze(1)),
            y.split(2, 1)[1],
        ])  # fmt: skip


class Products(Functions):
    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        means, tokens = y.mean((2, 3, 4)), y.flatten(2).transpose(1, 2)
        return self.scores([
            torch.einsum("ncdhw,ck->nkdhw", y, self.matrix), torch.einsum("ncdhw->nc", y),
            torch.einsum("ncdhw->nwhdc", y),
            torch.einsum("ncdhw,nkdhw->nck", y, y.sigmoid()), torch.addmm(self.vector, means, self.matrix),
            torch.addmm(self.vector, means, self.matrix, beta=0.5, alpha=2.0), tokens @ self.matrix,
            torch.bmm(tokens.transpose(1, 2), tokens), F.linear(means, self.matrix, self.vector),
            F.scaled_dot_product_attention(tokens, tokens, tokens), y[:, self.chosen], y.index_select(1, self.chosen),
            torch.lerp(y, y * 2, 0.3), torch.addcmul(y, y, y, value=0.5), torch.where(y > 0, y, y * 0.1),
            y.unfold(2, 3, 2), y / (1 + y.abs()), (1 - y) ** 2, y * y.mean([2, 3, 4], keepdim=True),
        ])  # fmt: skip


GROUPS = (Activations, InPlaceActivations, Poolings, SeveralResults, Products)
FORMS: dict[str, Callable[[nn.Module, Tensor], object]] = {
    "trace": lambda model, x: torch.jit.trace(model, x, check_trace=False),
    "script": lambda model, x: torch.jit.script(model),
    "export": lambda model, x: torch.export.export(model, (x,)),
}


def _made(form: str, model: nn.Module, x: Tensor) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return FORMS[form](model, x)


def _weights(model: nn.Module, x: Tensor, seed: int) -> Tensor:
    """Random weights of all scores: what is wrong for one of the functions shows in the map."""
    return torch.rand(model(x).shape[1], generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.5


@pytest.mark.parametrize("group", GROUPS)
def test_gradients_of_functions_equal_autograd(group: type[Functions]) -> None:
    model, x = randomise(group()), volume((4, 5, 6))
    leaf, weights = x.clone().requires_grad_(), _weights(model, x, 0)
    (wanted,) = torch.autograd.grad(model(leaf) @ weights, leaf)
    recorded = Explainer(model).record(x, weights, {})
    torch.testing.assert_close(recorded.input_gradient(), wanted, rtol=1e-9, atol=1e-9 * float(wanted.abs().max()))


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("group", GROUPS)
def test_programs_of_functions_give_the_same_maps(group: type[Functions], form: str) -> None:
    model, x = randomise(group()), volume((4, 5, 6))
    plain, program = Explainer(model), Explainer(_made(form, model, x))
    for seed in (1, 2):
        weights = _weights(model, x, seed)
        wanted, found = plain.explain(x, weights, METHODS), program.explain(x, weights, METHODS)
        for method in METHODS:
            scale = float(wanted[method].map.abs().max())
            torch.testing.assert_close(found[method].map, wanted[method].map, rtol=1e-5, atol=1e-6 * scale, msg=method)


#: Voxels along each axis, where a corner of the input goes the same way through the network as the whole.
_CORNER = {"HighResNet, averaged": 8, "SwinUNETR encoder": 16}


@lru_cache(maxsize=1)  # the forms of a network come one after the other
def _explained(name: str) -> tuple[nn.Module, Tensor, dict[str, Tensor]]:
    """A network of the zoo, an input for it, and its own maps."""
    model, x = build(name)
    size = _CORNER.get(name, x.shape[-1])
    x = x[..., :size, :size, :size].contiguous()
    return model, x, {method: found.map for method, found in Explainer(model).explain(x, 1, METHODS).items()}


#: TorchScript does not compile SwinUNETR's encoder.
_NOT_SCRIPTED = {"SwinUNETR encoder"}
_QUICK = ("Regressor", "Classifier", "ViT")
#: All their operations are in ResNet-18, or in SE-ResNet-50 and EfficientNet-B0.
_LIKE_OTHERS = ("ResNet-10", "SE-ResNeXt-50")


def _network(name: str) -> object:
    """A network's name as a parameter, with its marks."""
    if name in _LIKE_OTHERS:
        return pytest.param(name, marks=pytest.mark.thorough)
    return name if name in _QUICK else pytest.param(name, marks=pytest.mark.slow)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(  # below, so that a network's forms follow one another
    "name", [_network(name) for name in ZOO]
)
def test_programs_of_the_zoo_give_the_same_maps(name: str, form: str) -> None:
    if form == "script" and name in _NOT_SCRIPTED:
        pytest.skip("TorchScript does not compile it")
    model, x, wanted = _explained(name)
    found = Explainer(_made(form, model, x)).explain(x, 1, METHODS)
    for method in METHODS:
        scale = float(wanted[method].abs().max())
        torch.testing.assert_close(found[method].map, wanted[method], rtol=1e-4, atol=1e-6 * scale, msg=method)
