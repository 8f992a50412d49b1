"""Every rule against a replica written with the layer's dense Jacobian, in float64."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from mri_interpret.attribution import Explainer
from mri_interpret.attribution.composites import Composite
from mri_interpret.attribution.engine.convolution import Convolution
from mri_interpret.attribution.engine.weighted import Linear, WeightedLayer
from mri_interpret.attribution.engine.window import Window
from mri_interpret.attribution.methods.lrp import LRP
from mri_interpret.attribution.rules import (
    AlphaBeta,
    Epsilon,
    Flat,
    FlatForeground,
    Gamma,
    Pass,
    Rule,
    WSquare,
    ZBox,
    Zero,
    ZPlus,
)
from mri_interpret.errors import UserError

from Testing.attribution.networks import plain, volume

RULES: dict[str, Rule] = {
    "epsilon": Epsilon(epsilon=0.1),
    "zero": Zero(),
    "gamma": Gamma(0.5, epsilon=1e-3),
    "z+": ZPlus(epsilon=1e-3),
    "alpha2-beta1": AlphaBeta(2.0, 1.0, epsilon=1e-3),
    "alpha1-beta0": AlphaBeta(1.0, 0.0, epsilon=1e-3),
    "flat": Flat(epsilon=0.0),
    "flat, foreground": FlatForeground(epsilon=0.0),
    "w-square": WSquare(epsilon=0.0),
    "z-box": ZBox(-0.5, 2.0, epsilon=1e-3),
}


def _convolution(
    axes: int, stride: int, padding: int, groups: int, dilation: int, bias: bool, transposed: bool = False
):
    channels_in, channels_out = 4, 6
    shape = (channels_out, channels_in // groups) if not transposed else (channels_in, channels_out // groups)
    weight = torch.randn(*shape, *([3] * axes), dtype=torch.float64)
    window = Window((stride,) * axes, (padding,) * axes, (dilation,) * axes, groups, transposed)
    return Convolution(weight, torch.randn(channels_out, dtype=torch.float64) if bias else None, window), (
        4,
        *[5] * axes,
    )


LAYERS = {
    "conv1d": lambda: _convolution(1, 1, 1, 1, 1, True),
    "conv1d strided, dilated": lambda: _convolution(1, 2, 2, 1, 2, True),
    "conv2d grouped, no bias": lambda: _convolution(2, 1, 0, 2, 1, False),
    "conv3d": lambda: _convolution(3, 1, 1, 1, 1, True),
    "conv3d strided, grouped": lambda: _convolution(3, 2, 1, 2, 1, True),
    "transposed conv2d": lambda: _convolution(2, 2, 1, 2, 1, True, transposed=True),
    "linear": lambda: (Linear(torch.randn(5, 7, dtype=torch.float64), torch.randn(5, dtype=torch.float64)), (7,)),
}


def _dense(layer: WeightedLayer, x: torch.Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The layer as a matrix (outputs, inputs), which inputs each output sees, and the bias of every output."""

    def columns(weight: torch.Tensor) -> np.ndarray:
        found = []
        for index in range(x.numel()):
            unit = torch.zeros(x.numel(), dtype=torch.float64)
            unit[index] = 1
            found.append(layer.apply(unit.reshape(x.shape), weight, None).flatten().numpy())
        return np.stack(found, 1)

    matrix, seen = columns(layer.weight), columns(torch.ones_like(layer.weight))
    bias = (layer.apply(torch.zeros_like(x), layer.weight, layer.bias)).flatten().numpy()
    return matrix, seen > 0.5, bias


def _ratio(relevance: float, z: float, epsilon: float) -> float:
    z = z + (epsilon if z >= 0 else -epsilon)
    return 0.0 if z == 0 else relevance / z


def _replica(
    name: str, matrix: np.ndarray, seen: np.ndarray, bias: np.ndarray, x: np.ndarray, r: np.ndarray, give_back: bool
):
    """The rule for every output neuron by itself, from its contributions alone."""
    rule = RULES[name]
    result = np.zeros_like(x)
    for k in range(matrix.shape[0]):
        w, b, n = matrix[k], bias[k], seen[k]
        c = x * w
        up, down = np.maximum(c, 0), np.minimum(c, 0)
        gamma = getattr(rule, "gamma", 0.0)
        groups = {
            "epsilon": [(1.0, c, np.abs(c), b)],
            "zero": [(1.0, c, np.abs(c), b)],
            "z+": [(1.0, up, up, max(b, 0))],
            "alpha2-beta1": [(2.0, up, up, max(b, 0)), (-1.0, down, -down, min(b, 0))],
            "alpha1-beta0": [(1.0, up, up, max(b, 0))],
            "flat": [(1.0, n * 1.0, n * 1.0, 0.0)],
            "flat, foreground": [(1.0, n * (x != 0), n * (x != 0), 0.0)],
            "w-square": [(1.0, w**2, w**2, 0.0)],
        }
        if name == "gamma":
            favoured, part = (up, max(b, 0)) if c.sum() + b >= 0 else (down, min(b, 0))
            t = c + gamma * favoured
            # The size of a favoured contribution is that of its two parts, x+ and x-, which never meet in one input.
            groups["gamma"] = [(1.0, t, np.abs(t), b + gamma * part)]
        if name == "z-box":
            t = c + 0.5 * np.maximum(w, 0) - 2.0 * np.minimum(w, 0)
            sizes = np.abs(c) + 0.5 * np.maximum(w, 0) + 2.0 * np.abs(np.minimum(w, 0))
            groups["z-box"] = [(1.0, t, sizes, 0.0)]
        for factor, t, size, share in groups[name]:
            s = _ratio(factor * r[k], t.sum() + share, rule.epsilon)
            result += t * s
            if give_back:
                lost = factor * r[k] - s * t.sum()
                for choice in (size, np.abs(c), n * 1.0):
                    if choice.sum() > 0:
                        result += lost * choice / choice.sum()
                        break
    return result


@pytest.mark.parametrize("bias", ["absorb", "redistribute"])
@pytest.mark.parametrize("sign", ["positive", "mixed", "with zeros"])
@pytest.mark.parametrize("layer_name", LAYERS)
@pytest.mark.parametrize("rule_name", RULES)
def test_rule_equals_replica(rule_name: str, layer_name: str, sign: str, bias: str) -> None:
    torch.manual_seed(3)
    layer, shape = LAYERS[layer_name]()
    x = torch.randn(1, *shape, dtype=torch.float64)
    if sign == "positive":
        x = x.abs()
    if sign == "with zeros":  # outputs that see zeros only have a zero denominator
        x = x.relu()
        x[..., : x.shape[-1] // 2 + 1] = 0
    output = layer.forward(x)
    relevance = torch.randn(output.shape, dtype=torch.float64)
    found = RULES[rule_name].redistribute(layer, relevance, bias).flatten().numpy()
    matrix, seen, biases = _dense(layer, x)
    wanted = _replica(
        rule_name, matrix, seen, biases, x.flatten().numpy(), relevance.flatten().numpy(), bias == "redistribute"
    )
    # Relative, as outputs close to zero make large terms that cancel.
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-10 * np.abs(wanted).max())
    if bias == "redistribute":
        assert found.sum() == pytest.approx(float(relevance.sum()), rel=1e-9, abs=1e-9 * np.abs(wanted).max())


def test_pass_hands_relevance_through_and_refuses_other_shapes() -> None:
    layer, shape = _convolution(1, 1, 1, 1, 1, False)
    layer = Convolution(torch.randn(4, 4, 3, dtype=torch.float64), None, layer.window)
    x = torch.randn(1, *shape, dtype=torch.float64)
    layer.forward(x)
    relevance = torch.randn_like(x)
    assert torch.equal(Pass().redistribute(layer, relevance, "absorb"), relevance)
    with pytest.raises(ValueError, match="one shape"):
        Pass().redistribute(layer, relevance[:, :2], "absorb")


@pytest.mark.parametrize(("alpha", "beta"), [(2.0, 0.0), (0.5, -0.5)])
def test_alpha_minus_beta_must_be_one(alpha: float, beta: float) -> None:
    with pytest.raises(ValueError, match="must be 1"):
        AlphaBeta(alpha, beta)


def test_box_must_hold_zero() -> None:
    with pytest.raises(ValueError, match="box"):
        ZBox(0.5, 1.0)


def test_composite_chooses_by_name_before_first_before_kind() -> None:
    layer, _ = LAYERS["conv1d"]()
    composite = Composite("own", {"convolution": ZPlus()}, by_name=[("stem.*", Gamma())], first=Flat())
    layer.module, layer.first = "stem.conv", True
    assert composite.rule_for(layer) == Gamma()
    layer.module = "body.conv"
    assert composite.rule_for(layer) == Flat()
    layer.first = False
    assert composite.rule_for(layer) == ZPlus()
    layer.kind = "dense"
    assert composite.rule_for(layer) == Epsilon()


def test_composite_refuses_unknown_kinds_and_biases() -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        Composite("own", {"conv": ZPlus()})
    with pytest.raises(ValueError, match="bias"):
        Composite("own", {}, bias="lost")


@pytest.mark.parametrize("name", ["nosuch.*", "2", "conv1"])
def test_a_composite_that_names_no_layer_is_refused(name: str) -> None:
    composite = Composite("mine", {"convolution": ZPlus()}, [("4", Epsilon()), (name, Epsilon())])
    with pytest.raises(UserError, match=rf"'mine' names a rule for '{re.escape(name)}'.*choose from 0, 1, 4, 5, 9"):
        Explainer(plain()).explain(volume(), 0, LRP(composite))
    named = Composite("mine", {"convolution": ZPlus()}, [("[45]", Epsilon()), ("9", Epsilon())])
    assert float(Explainer(plain()).explain(volume(), 0, LRP(named))["lrp"].map.abs().max()) > 0
