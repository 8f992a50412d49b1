"""Relevance through whole networks: each operation's rule against a replica, and what composites conserve."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from mri_interpret.attribution import Explainer
from mri_interpret.attribution.composites import Composite, composite_named, composites
from mri_interpret.attribution.methods.lrp import LRP
from mri_interpret.attribution.rules import Epsilon, Flat, Pass, ZPlus
from mri_interpret.errors import UserError
from torch import Tensor, nn

from Testing.attribution.networks import plain, randomise, volume


def _relevance(model: nn.Module, x: Tensor, composite: Composite, target: int = 0) -> Tensor:
    return Explainer(model).record(x, target, {"lrp": LRP()}).relevance(composite)


def _stabilised(z: Tensor, epsilon: float = 1e-6) -> Tensor:
    return torch.where(z < 0, z - epsilon, z + epsilon)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("rule", [Epsilon(), ZPlus(), Flat()])
def test_batch_norm_after_a_convolution_is_merged(axes: int, rule) -> None:
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1](2, 3, 3, 2, 1, groups=1)
    norm = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[axes - 1](3)
    head = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    model = nn.Sequential(conv, norm, head)
    x = volume((6, 5, 7)[:axes], channels=2) if axes == 3 else torch.rand(1, 2, *(6, 5, 7)[:axes], dtype=torch.float64)
    x = x - 0.4
    model.double()(x)
    randomise(model)
    folded = torch.nn.utils.fuse_conv_bn_eval(conv, norm)
    composite = Composite("own", {"convolution": rule})
    found = _relevance(model, x, composite)
    wanted = _relevance(nn.Sequential(folded, head), x, composite)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)
    assert float(found.abs().max()) > 0


def test_batch_norm_after_a_dense_layer_is_merged() -> None:
    model = randomise(nn.Sequential(nn.Flatten(), nn.Linear(24, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 2)))
    x = torch.randn(2, 2, 3, 4, dtype=torch.float64)
    linear, norm = model[1], model[2]
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    merged = nn.Linear(24, 5).double()
    with torch.no_grad():
        merged.weight.copy_(linear.weight * scale[:, None])
        merged.bias.copy_((linear.bias - norm.running_mean) * scale + norm.bias)
    composite = composite_named("epsilon")
    wanted = _relevance(nn.Sequential(model[0], merged, *model[3:]), x, composite)
    torch.testing.assert_close(_relevance(model, x, composite), wanted, rtol=1e-10, atol=1e-12)


class _Head(nn.Module):
    """An operation straight on the input, then a dense layer with weights of ones: its relevance is known."""

    def __init__(self, operation) -> None:
        super().__init__()
        self.operation = operation

    def forward(self, x: Tensor) -> Tensor:
        y = self.operation(x).flatten(1)
        return torch.stack([y.sum(1), -y.sum(1)], 1)


def _given(y: Tensor) -> Tensor:
    """Relevance that the sum of ``y`` gives its summands by the epsilon rule."""
    total = y.flatten(1).sum(1).reshape(-1, *[1] * (y.dim() - 1))
    return y * total / _stabilised(total)


EPSILON = composite_named("epsilon")


def test_sum_shares_in_proportion() -> None:
    x = torch.randn(2, 3, 4, 5, 6, dtype=torch.float64)

    def shares(x: Tensor) -> Tensor:
        return x[:, :1] + x[:, 1:2] - x[:, 2:]

    y = shares(x)
    ratio = _given(y) / _stabilised(y)
    wanted = torch.cat([x[:, :1] * ratio, x[:, 1:2] * ratio, -x[:, 2:] * ratio], 1)
    # Two sums in a row: the epsilon of the inner one is worth 1e-6 of it.
    torch.testing.assert_close(_relevance(_Head(shares), x, EPSILON), wanted, rtol=1e-3, atol=1e-6)
    exact = _relevance(_Head(shares), x, composite_named("zero"))
    torch.testing.assert_close(exact, torch.cat([x[:, :1], x[:, 1:2], -x[:, 2:]], 1), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kernel", [2, 3])
def test_average_pooling_shares_in_proportion(kernel: int) -> None:
    x = torch.randn(1, 2, 6, 6, 6, dtype=torch.float64)
    y = F.avg_pool3d(x, kernel)
    wide = F.interpolate(_given(y) / _stabilised(y) / kernel**3, scale_factor=kernel)
    found = _relevance(_Head(lambda x: F.avg_pool3d(x, kernel)), x, EPSILON)
    torch.testing.assert_close(found, x * wide, rtol=1e-10, atol=1e-12)
    found = _relevance(_Head(lambda x: F.adaptive_avg_pool3d(x, 6 // kernel)), x, EPSILON)
    torch.testing.assert_close(found, x * wide, rtol=1e-10, atol=1e-12)


def test_max_pooling_gives_all_to_the_winner() -> None:
    x = torch.randn(1, 2, 6, 6, 6, dtype=torch.float64)
    y, places = F.max_pool3d(x, 3, 2, 1, return_indices=True)
    wanted = torch.zeros(1, 2, 216, dtype=torch.float64)
    wanted.scatter_add_(2, places.flatten(2), _given(y).flatten(2))
    found = _relevance(_Head(lambda x: F.max_pool3d(x, 3, 2, 1)), x, EPSILON)
    torch.testing.assert_close(found, wanted.reshape(x.shape), rtol=1e-10, atol=1e-12)


def test_gate_gets_nothing_and_equals_share_by_halves() -> None:
    x = torch.rand(1, 2, 3, 3, 3, dtype=torch.float64) + 0.5

    def gated(x: Tensor) -> Tensor:
        return x[:, :1] * torch.sigmoid(x[:, 1:])

    found = _relevance(_Head(gated), x, EPSILON)
    torch.testing.assert_close(found[:, :1], _given(gated(x)), rtol=1e-10, atol=1e-12)
    assert float(found[:, 1:].abs().max()) == 0
    found = _relevance(_Head(lambda x: x[:, :1] * x[:, 1:]), x, EPSILON)
    half = _given(x[:, :1] * x[:, 1:]) / 2
    torch.testing.assert_close(found, torch.cat([half, half], 1), rtol=1e-10, atol=1e-12)


def test_normalisation_that_cannot_be_merged_shares_with_its_shift() -> None:
    norm = randomise(nn.Sequential(nn.BatchNorm3d(2)))
    x = torch.randn(1, 2, 4, 4, 4, dtype=torch.float64)
    scale = (norm[0].weight / torch.sqrt(norm[0].running_var + norm[0].eps)).detach().reshape(1, 2, 1, 1, 1)
    shift = norm[0].bias.detach().reshape(1, 2, 1, 1, 1) - norm[0].running_mean.reshape(1, 2, 1, 1, 1) * scale
    given = _given(norm(x).detach())
    share = (scale * x).abs() / ((scale * x).abs() + shift.abs())
    torch.testing.assert_close(_relevance(_Head(norm), x, EPSILON), given * share, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(
        _relevance(_Head(norm), x, EPSILON.with_bias("redistribute")), given, rtol=1e-6, atol=1e-9
    )
    through = Composite("own", {"normalisation": Pass()})
    torch.testing.assert_close(_relevance(_Head(norm), x, through), given, rtol=1e-10, atol=1e-12)


def test_softmax_and_products_follow_attnlrp() -> None:
    x = torch.randn(1, 1, 4, 5, dtype=torch.float64)
    s = torch.softmax(x, -1)
    weights = torch.arange(5.0, dtype=torch.float64)

    def attended(x: Tensor) -> Tensor:
        return (torch.softmax(x, -1) * weights).sum(-1, keepdim=True)

    outer = _given(attended(x))
    given = s * weights * outer / _stabilised((s * weights).sum(-1, keepdim=True))
    wanted = x * (given - s * given.sum(-1, keepdim=True))
    torch.testing.assert_close(_relevance(_Head(attended), x, EPSILON), wanted, rtol=1e-10, atol=1e-12)

    a, b = torch.randn(1, 3, 4, dtype=torch.float64), torch.randn(1, 4, 2, dtype=torch.float64)
    joined = torch.cat([a.flatten(1), b.flatten(1)], 1)[:, None]

    def product(x: Tensor) -> Tensor:
        return x[:, 0, :12].reshape(1, 3, 4) @ x[:, 0, 12:].reshape(1, 4, 2)

    ratio = _given(a @ b) / _stabilised(2 * (a @ b))
    left, right = a * (ratio @ b.transpose(1, 2)), b * (a.transpose(1, 2) @ ratio)
    found = _relevance(_Head(product), joined, EPSILON)[:, 0]
    torch.testing.assert_close(found, torch.cat([left.flatten(1), right.flatten(1)], 1), rtol=1e-10, atol=1e-12)


def test_lrp_zero_without_biases_is_gradient_times_input() -> None:
    model = nn.Sequential(
        nn.Conv3d(1, 4, 3, 2, bias=False), nn.ReLU(), nn.Conv3d(4, 5, 3, bias=False), nn.LeakyReLU(0.3),
        nn.AvgPool3d(2), nn.Flatten(), nn.LazyLinear(3, bias=False),
    )  # fmt: skip
    x = volume((13, 12, 11)) - 0.3
    model.double()(x)
    maps = Explainer(randomise(model)).explain(x, 1, [LRP("zero"), "gradient_x_input"])
    torch.testing.assert_close(maps["lrp"].map, maps["gradient_x_input"].map, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", composites())
def test_redistributed_biases_conserve(name: str) -> None:
    found = Explainer(plain()).explain(volume(samples=2), 1, LRP(name, bias="redistribute"))["lrp"]
    assert max(found.details["conservation_error"]) < 1e-10
    absorbed = Explainer(plain()).explain(volume(samples=2), 1, LRP(name))["lrp"]
    assert max(absorbed.details["conservation_error"]) > 1e-3  # the share of the biases is lost by default


def test_target_difference_starts_with_weighted_logits() -> None:
    model, x = plain(), volume()
    weights = [0.0, -1.0, 1.0]
    both = Explainer(model).explain(x, weights, LRP(bias="redistribute"))["lrp"]
    parts = [Explainer(model).explain(x, index, LRP(bias="redistribute"))["lrp"].map for index in (1, 2)]
    torch.testing.assert_close(both.map, parts[1] - parts[0], rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(both.map.sum(), torch.tensor(both.details["value"][0]), rtol=1e-5, atol=1e-5)


def test_rules_by_layer_name_and_first_layer() -> None:
    model, x = plain(), volume()
    uniform = _relevance(model, x, Composite("own", {"convolution": ZPlus(), "dense": Epsilon()}))
    named = _relevance(model, x, Composite("own", {"dense": Epsilon()}, by_name=[("0", ZPlus()), ("4", ZPlus())]))
    assert torch.equal(uniform, named)
    flat_by_name = _relevance(model, x, Composite("own", {"convolution": ZPlus()}, by_name=[("0", Flat())]))
    flat_first = _relevance(model, x, composite_named("epsilon-plus-flat"))
    assert torch.equal(flat_by_name, flat_first)
    assert not torch.equal(flat_first, uniform)


def test_the_flat_rule_on_the_foreground_leaves_the_background_alone() -> None:
    model, x = plain(), volume().clamp(min=0.1)
    everywhere, foreground = (composite_named(f"epsilon-plus-flat{end}") for end in ("", "-foreground"))
    torch.testing.assert_close(_relevance(model, x, foreground), _relevance(model, x, everywhere))
    brain = torch.zeros_like(x)
    brain[..., 2:-2, 2:-2, 2:-2] = 1
    x = x * brain
    spilt, kept = _relevance(model, x, everywhere), _relevance(model, x, foreground)
    assert bool((spilt[brain == 0] != 0).any())
    assert not bool(kept[brain == 0].any())
    assert bool((kept[brain == 1] != 0).all())


def test_unknown_composite_lists_those_there_are() -> None:
    with pytest.raises(UserError, match="epsilon-plus"):
        Explainer(plain()).explain(volume(), 0, LRP("EpsilonPlus"))
