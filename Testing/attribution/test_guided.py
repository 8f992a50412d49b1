"""Guided backpropagation: the published one at ReLUs, the same gate at other activations, and it says which."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from captum.attr import GuidedBackprop
from mri_interpret.attribution import GuidedGradCam, attribute
from torch import Tensor, nn

from Testing.attribution.networks import plain, randomise, volume


class _Gated(torch.autograd.Function):
    """An activation whose backward step is written from the definition."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.function = function
        ctx.save_for_backward(x)
        return function(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            output = ctx.function(leaf)
            (slope,) = torch.autograd.grad(output.sum(), leaf)
        grad = grads[0]
        return torch.where((grad > 0) & (output > 0), grad * slope, torch.zeros_like(grad)), None


class Net(nn.Module):
    """Two convolutions, each with an activation, one of them after a batch normalisation."""

    def __init__(self, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.one, self.norm, self.two = nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), nn.Conv3d(4, 5, 3, stride=2)
        self.head = nn.Linear(5, 3)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        y = self.activation(self.norm(self.one(x)))
        return self.head(self.activation(self.two(y)).mean((2, 3, 4)))


def net(activation: Callable[[Tensor], Tensor]) -> Net:
    model = randomise(Net(activation))
    assert isinstance(model, Net)
    return model


ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "relu": (torch.relu, ""),
    "relu6": (F.relu6, ""),
    "clamp": (lambda x: x.clamp(min=0), ""),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.2), "leaky_relu"),
    "elu": (F.elu, "elu"),
    "selu": (F.selu, "selu"),
    "celu": (F.celu, "celu"),
    "gelu": (F.gelu, "gelu"),
    "gelu tanh": (lambda x: F.gelu(x, approximate="tanh"), "gelu"),
    "silu": (F.silu, "silu"),
    "mish": (F.mish, "mish"),
    "hardswish": (F.hardswish, "hardswish"),
    "softplus": (F.softplus, "softplus"),
    "tanh": (torch.tanh, "tanh"),
    "hardtanh": (F.hardtanh, "hardtanh"),
    "prelu": (lambda x: F.prelu(x, torch.tensor([0.3], dtype=x.dtype)), "prelu"),
}


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_gates_follow_the_definition_and_the_title_names_them(name: str) -> None:
    activation, named = ACTIVATIONS[name]
    x = volume((9, 8, 7)).requires_grad_()
    replica = net(lambda y: _Gated.apply(y, activation))
    (wanted,) = torch.autograd.grad(replica(x)[:, 1].sum(), x)
    (gradient,) = torch.autograd.grad(net(activation)(x)[:, 1].sum(), x)
    found = attribute(net(activation), x.detach(), 1, "guided_backprop")["guided_backprop"]
    torch.testing.assert_close(found.map.double(), wanted.sum(1), rtol=1e-5, atol=1e-7)
    assert not torch.allclose(wanted, gradient)
    assert found.title == "Guided backpropagation" + (f" (gated at {named})" if named else "")
    assert sum(found.details["gated"].values()) == 2


@pytest.mark.parametrize("layers", [False, True])
def test_networks_with_relus_have_captums_map(layers: bool) -> None:
    class Module(Net):
        def __init__(self) -> None:
            super().__init__(torch.relu)
            self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            y = self.relu1(self.norm(self.one(x)))
            return self.head(torch.sigmoid(y.mean()) * self.relu2(self.two(y)).mean((2, 3, 4)))

    model = plain() if layers else randomise(Module())
    x = volume((10, 9, 8))
    wanted = GuidedBackprop(model).attribute(x.clone().requires_grad_(), target=2)
    found = attribute(model, x, 2, "guided_backprop")["guided_backprop"]
    torch.testing.assert_close(found.map.double(), wanted.detach().sum(1), rtol=1e-5, atol=1e-7)
    assert found.title == "Guided backpropagation"
    assert found.details["gated"] == {"relu": 2}
    assert found.details["not_gated"] == ({} if layers else {"sigmoid": 1})


@pytest.mark.parametrize("activation", [torch.sigmoid, F.hardsigmoid, lambda x: x])
def test_a_network_with_nothing_to_gate_has_its_gradient_and_it_is_said(activation: Callable[[Tensor], Tensor]) -> None:
    found = attribute(net(activation), volume((9, 8, 7)), 1, ["gradient", "guided_backprop", GuidedGradCam()])
    assert torch.equal(found["guided_backprop"].map, found["gradient"].map)
    said = " (no activation to gate: the plain gradient)"
    assert found["guided_backprop"].title == "Guided backpropagation" + said
    assert found["guided_grad_cam"].title == "Guided Grad-CAM" + said


def test_what_was_gated_is_told_apart_from_a_gradient_made_later() -> None:
    both = attribute(net(F.gelu), volume((9, 8, 7)), 1, ["guided_backprop", "gradient", "guided_grad_cam"])
    assert both["guided_backprop"].details["gated"] == {"gelu": 2}
    assert both["guided_grad_cam"].title == "Guided Grad-CAM (gated at gelu)"
