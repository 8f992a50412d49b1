"""Normalisation and ReLU before the convolution, average pooling and concatenation, as DenseNets have them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from mri_interpret.attribution import Explainer
from mri_interpret.attribution.engine.affine import Affine, batch_norm_constants
from mri_interpret.attribution.engine.layout import channels_last, is_channels_last
from mri_interpret.attribution.engine.operation import Node
from mri_interpret.attribution.engine.pooling import AveragePooling
from mri_interpret.attribution.methods.lrp import LRP
from mri_interpret.attribution.rules import DEFAULT_EPSILON
from torch import Tensor, nn


class Dense(nn.Module):
    """A stem, a dense layer whose normalised input is used twice, an average pooling and another dense layer."""

    def __init__(self, padding: int = 0, counts: bool = True) -> None:
        super().__init__()
        self.stem = nn.Conv3d(1, 6, 3, padding=1)
        self.norm1, self.conv1 = nn.BatchNorm3d(6), nn.Conv3d(6, 4, 3, padding=1)
        self.pool = nn.AvgPool3d(2, 2, padding, count_include_pad=counts)
        self.norm2, self.conv2 = nn.BatchNorm3d(10), nn.Conv3d(10, 4, 1)
        self.head = nn.Linear(14, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        normalised = self.norm1(x)
        x = torch.cat([x + 0.5 * normalised, self.conv1(torch.relu(normalised))], 1)
        x = self.pool(x)
        x = torch.cat([x, self.conv2(torch.relu(self.norm2(x)))], 1)
        return self.head(x.mean((2, 3, 4)))


def made(dtype: torch.dtype, **options: object) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(4)
    model = Dense(**options)  # type: ignore[arg-type]
    for norm in (model.norm1, model.norm2):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, 0, 0.3)
        norm.running_mean.normal_(0, 0.3)  # type: ignore[union-attr]
    return model.eval().to(dtype), torch.randn(1, 1, 9, 10, 8, dtype=dtype)


@pytest.mark.parametrize("options", [{}, {"padding": 1}, {"padding": 1, "counts": False}])
def test_the_gradient_is_torchs(options: dict[str, object]) -> None:
    model, x = made(torch.float64, **options)
    leaf = x.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(model(leaf)[0, 1], leaf)
    found = Explainer(model).explain(x, 1, ["gradient"])["gradient"].map
    torch.testing.assert_close(found.double(), wanted[:, 0], rtol=1e-5, atol=1e-9)


def test_guided_backpropagation_is_torchs_with_gates() -> None:
    model, x = made(torch.float64)

    class Gated(torch.autograd.Function):
        @staticmethod
        def forward(ctx: object, y: Tensor) -> Tensor:
            ctx.save_for_backward(y)  # type: ignore[attr-defined]
            return y.clamp(min=0)

        @staticmethod
        def backward(ctx: object, grad: Tensor) -> Tensor:  # type: ignore[override]
            (y,) = ctx.saved_tensors  # type: ignore[attr-defined]
            return grad.clamp(min=0) * (y > 0)

    leaf, relu = x.clone().requires_grad_(), torch.relu
    torch.relu = Gated.apply  # type: ignore[assignment]
    try:
        (wanted,) = torch.autograd.grad(model(leaf)[0, 1], leaf)
    finally:
        torch.relu = relu
    found = Explainer(model).explain(x, 1, ["guided_backprop"])["guided_backprop"].map
    torch.testing.assert_close(found.double(), wanted[:, 0], rtol=1e-5, atol=1e-9)


def test_relevance_of_a_normalisation_before_a_relu() -> None:
    """One normalisation, ReLU and sum, written out: the part |a x| / (|a x| + |b|) is left of relevance."""
    norm = nn.BatchNorm3d(1).double().eval()
    nn.init.constant_(norm.weight, 1.5)
    nn.init.constant_(norm.bias, 0.4)
    norm.running_mean.fill_(0.1)  # type: ignore[union-attr]

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.conv = norm, nn.Conv3d(1, 2, 1, bias=False).double()

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(torch.relu(self.norm(x))).sum((2, 3, 4))

    model = Network()
    x = torch.randn(1, 1, 4, 5, 6, dtype=torch.float64)
    x[0, 0, 0, 0, 0] = 0.0  # hands nothing down, and divides by nothing
    found = Explainer(model).explain(x, 0, [LRP(composite="epsilon")])["lrp"].map.double()
    scale = 1.5 / (norm.running_var + norm.eps).sqrt()  # type: ignore[operator]
    shift = 0.4 - 0.1 * scale
    y = torch.relu(scale * x + shift)
    z = model.conv(y)[:, :1]
    total = z.sum()
    of_output = z / (total + DEFAULT_EPSILON * total.sign()) * total
    of_relu = y * model.conv.weight[0, 0, 0, 0, 0] * of_output / (z + DEFAULT_EPSILON * torch.where(z < 0, -1.0, 1.0))
    wanted = of_relu * (scale * x).abs() / ((scale * x).abs() + shift.abs())
    torch.testing.assert_close(found, wanted[:, 0].detach(), rtol=1e-5, atol=1e-8)
    assert found[0, 0, 0, 0] == 0


def test_feature_maps_keep_the_channels_innermost(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's average pooling loses the layout: every layer behind it would copy its maps."""
    model, x = made(torch.float32)
    laid, honest = [], Node.forward

    def watched(ctx: object, operation: object, *inputs: Tensor) -> Tensor:
        output = honest(ctx, operation, *inputs)
        if output.dim() == 5 and output.shape[1] > 1:
            laid.append(is_channels_last(output))
        return output

    monkeypatch.setattr(Node, "forward", staticmethod(watched))
    Explainer(model).explain(x, 1, ["gradient"])
    assert laid
    assert all(laid)


def test_a_layer_behind_a_relu_looks_at_no_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether an input may be negative follows from the ReLU that made it."""
    model = nn.Sequential(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.Conv3d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    x = torch.rand(1, 1, 8, 8, 8)
    model(x)
    looked, honest = [], Tensor.amin

    def watched(self: Tensor, *arguments: object, **options: object) -> Tensor:
        looked.append(tuple(self.shape))
        return honest(self, *arguments, **options)

    monkeypatch.setattr(Tensor, "amin", watched)
    Explainer(model).explain(x, 1, [LRP(composite="epsilon-plus")])
    assert (1, 1, 8, 8, 8) in looked
    assert (1, 4, 6, 6, 6) not in looked


def test_constants_of_a_normalisation_are_rounded_once() -> None:
    """In float32 they are those of float64, rounded: a shift is a difference, and its error would be in every voxel."""
    generator = torch.Generator().manual_seed(5)
    mean, variance, weight, bias = (torch.rand(200, generator=generator) + 0.5 for _ in range(4))
    exact_scale = weight.double() / (variance.double() + 1e-5).sqrt()
    exact_shift = bias.double() - mean.double() * exact_scale
    scale, shift = batch_norm_constants(mean, variance, weight, bias, 1e-5, torch.float32)
    assert scale.dtype == shift.dtype == torch.float32
    assert float(((scale - exact_scale) / exact_scale).abs().max()) < 2**-24
    # Half a unit in the last place of each shift.
    spacing = torch.nextafter(shift.abs(), torch.tensor(9.0)).double() - shift.abs().double()
    assert bool(((shift - exact_shift).abs() <= 0.5001 * spacing).all())


def test_shares_of_an_affine_map_whose_constants_or_inputs_are_zero() -> None:
    """``|a x| / (|a x| + |b|)`` of the relevance, and all of it where both are zero, channel by channel."""
    x = torch.tensor([0.0, 2.0, -3.0]).reshape(1, 1, 1, 1, 3).expand(1, 4, 1, 1, 3)
    relevance = torch.tensor([5.0, -7.0, 11.0]).expand(1, 4, 1, 1, 3)
    scale, shift = (torch.tensor(values).reshape(1, 4, 1, 1, 1) for values in ([2.0, 0.0, 2.0, 0.0], [1.0, -1.0, 0, 0]))
    wanted = torch.tensor([[0, -7 * 4 / 5, 11 * 6 / 7], [0, 0, 0], [5, -7, 11], [5, -7, 11]])
    torch.testing.assert_close(_shared(scale, shift, x, relevance), wanted)
    # No shift is zero in the first two channels: these go another way.
    torch.testing.assert_close(_shared(scale[:, :2], shift[:, :2], x[:, :2], relevance[:, :2]), wanted[:2])


def _shared(scale: Tensor, shift: Tensor, x: Tensor, relevance: Tensor) -> Tensor:
    operation = Affine(scale, shift)
    operation.forward(x.contiguous())
    return operation.shared(relevance.contiguous())[0, :, 0, 0]


@pytest.mark.parametrize("kernel", [(2, 2, 2), (3, 1, 2)])
@pytest.mark.parametrize("laid", [channels_last, Tensor.contiguous])
def test_average_pooling_of_blocks_is_torchs(kernel: tuple[int, ...], laid: Callable[[Tensor], Tensor]) -> None:
    """Voxels behind the last whole block are in no window, and get nothing."""
    x = laid(torch.randn(2, 5, 7, 6, 9, generator=torch.Generator().manual_seed(6)))
    pool = nn.AvgPool3d(kernel)
    operation = AveragePooling(pool, (kernel, kernel, (0, 0, 0), False, True, None))
    output = operation.forward(x)
    leaf = x.clone().requires_grad_()
    wanted = pool(leaf)
    torch.testing.assert_close(output, wanted, rtol=1e-6, atol=1e-7)
    grad = torch.randn_like(wanted)
    (back,) = torch.autograd.grad(wanted, leaf, grad)
    (found,) = operation.gradient(grad)
    torch.testing.assert_close(found, back, rtol=1e-6, atol=0)
    assert is_channels_last(found) == is_channels_last(output) == is_channels_last(x)


def test_a_normalisation_that_is_used_with_and_without_its_relu() -> None:
    """It waits for its ReLU, and what else needs it gets its value all the same."""
    norm = nn.BatchNorm3d(3).double().eval()
    norm.running_mean.normal_(0, 0.3)  # type: ignore[union-attr]

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = norm

        def forward(self, x: Tensor) -> Tensor:
            y = self.norm(x)
            return (torch.relu(y) * 2 - y.square()).sum((2, 3, 4))

    model, x = Network(), torch.randn(1, 3, 4, 5, 6, dtype=torch.float64)
    leaf = x.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(model(leaf)[0, 1], leaf)
    found = Explainer(model).explain(x, 1, ["gradient"])["gradient"].map
    torch.testing.assert_close(found.double(), wanted.sum(1), rtol=1e-5, atol=1e-7)
