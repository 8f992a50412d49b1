"""Models that return more than class scores, or something else than logits."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from mri_interpret.attribution import Explainer, Occlusion, attribute
from mri_interpret.errors import UserError
from torch import Tensor, nn

from Testing.attribution.networks import explain_after_convolution, volume

METHODS = ["gradient", "lrp", "guided_backprop", "grad_cam", "integrated_gradients", Occlusion(patch=6, stride=6)]


class Small(nn.Module):
    """A convolution, a pooled embedding of 5, three logits; ``end`` makes of these what the model returns."""

    def __init__(self, end: Callable[[Tensor, Tensor], Any] = lambda _, logits: logits, classes: int = 3) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.conv = nn.Conv3d(1, 5, 3)
        self.head = nn.Linear(5, classes)
        self.end = end

    def forward(self, x: Tensor) -> Any:
        embedding = torch.relu(self.conv(x)).mean((2, 3, 4))
        return self.end(embedding, self.head(embedding) * 20)


class Named(NamedTuple):
    embedding: Tensor
    prediction: Tensor


def scan(samples: int = 1) -> Tensor:
    return torch.cat([volume((9, 8, 7)).float() * (1 + number) for number in range(samples)])


def assert_same_maps(end: Callable[[Tensor, Tensor], Any], classes: int = 3, samples: int = 1, **chosen: Any) -> Any:
    """Maps of the model with that end are those of its logits; returns them."""
    target = torch.ones(samples, 1) if classes == 1 else 1
    wanted = attribute(Small(classes=classes), scan(samples), target, METHODS)
    found = attribute(Small(end, classes), scan(samples), target, METHODS, **chosen)
    torch.testing.assert_close(found.logits, wanted.logits)
    for name, attribution in wanted.items():
        torch.testing.assert_close(found[name].map, attribution.map, rtol=1e-5, atol=1e-7)
    return found


@pytest.mark.parametrize(
    ("end", "place"),
    [
        (lambda e, y: (e, y), "[1]"),
        (lambda e, y: (y, e), "[0]"),
        (lambda e, y: [y, [e, None]], "[0]"),
        (lambda e, y: {"features": e, "out": y}, "['out']"),
        (lambda e, y: {"logits": y, "other": y * 2, "more": y + 1}, "['logits']"),
        (Named, "[1]"),
        (lambda e, y: (y, torch.zeros(7)), "[0]"),
    ],
)
def test_logits_among_other_outputs_are_found_and_it_is_said(end: Callable[[Tensor, Tensor], Any], place: str) -> None:
    found = assert_same_maps(end)
    assert place in found["lrp"].details["output"]
    assert f"outputs: {place}, of shape (1, 3), is explained." in found.notices[0]
    assert found.notices[0] in html.unescape(found._repr_html_())


def test_a_tensor_alone_needs_no_notice() -> None:
    found = attribute(Small(), scan(), 0, "gradient")
    assert found.notices == ()
    assert "output" not in found["gradient"].details


def test_outputs_of_which_either_may_be_meant_are_refused_until_one_is_chosen() -> None:
    def two_heads(_: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        return logits * 2, logits + 1

    with pytest.raises(UserError, match=r"several outputs .*\[0\] of shape \(1, 3\), \[1\] of shape \(1, 3\): choose"):
        attribute(Small(two_heads), scan(), 0, "gradient")
    plain = attribute(Small(), scan(), 0, "gradient")["gradient"].map
    for output, factor in ((0, 2.0), (1, 1.0)):
        found = attribute(Small(two_heads), scan(), 0, "gradient", output=output)
        torch.testing.assert_close(found["gradient"].map, plain * factor)
    with pytest.raises(UserError, match="has no output 2: it returned a tuple"):
        attribute(Small(two_heads), scan(), 0, "gradient", output=2)
    with pytest.raises(UserError, match="has no output 'logits': it returned shape"):
        attribute(Small(), scan(), 0, "gradient", output="logits")


def test_the_number_of_classes_or_weights_decides_between_heads() -> None:
    def heads(embedding: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        return logits, embedding * 2

    wanted = attribute(Small(), scan(), [0.0, -1.0, 1.0], "gradient")["gradient"].map
    assert torch.equal(attribute(Small(heads), scan(), [0.0, -1.0, 1.0], "gradient")["gradient"].map, wanted)
    found = Explainer(Small(heads), classes=3).explain(scan(), [0.0, -1.0, 1.0], "gradient")
    assert torch.equal(found["gradient"].map, wanted)


ENDS = {
    "softmax": [
        lambda _, y: torch.softmax(y, 1),
        lambda _, y: F.softmax(y, dim=-1),
        lambda _, y: y.softmax(-1),
        lambda _, y: nn.Softmax(dim=1)(y),
        lambda _, y: torch.softmax(y[..., None, None], 1).squeeze(),
        lambda e, y: {"probabilities": y.softmax(1)},
        lambda e, y: (y, y.softmax(1), e),
    ],
    "log_softmax": [lambda _, y: F.log_softmax(y, 1), lambda _, y: y.log_softmax(-1)],
    "sigmoid": [lambda _, y: torch.sigmoid(y), lambda _, y: y.sigmoid().flatten(1), lambda _, y: nn.Sigmoid()(y)],
}


@pytest.mark.parametrize(
    ("activation", "number"), [(name, number) for name, ends in ENDS.items() for number in range(len(ends))]
)
def test_logits_before_a_final_activation_are_explained(activation: str, number: int) -> None:
    found = assert_same_maps(ENDS[activation][number])
    assert found.output.activation == activation
    assert f"The network ends in a {activation}: the logits before it are explained." in found.notices
    assert found["lrp"].details["explained_before"] == activation
    assert found["lrp"].units == "logit"


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize(
    "end",
    [
        lambda _, y: y,
        lambda _, y: y.squeeze(1),
        lambda _, y: y.sigmoid(),
        lambda _, y: y.sigmoid()[:, 0],
        lambda _, y: y[:, 0].sigmoid(),
    ],
)
def test_one_number_per_sample(end: Callable[[Tensor, Tensor], Any], samples: int) -> None:
    assert assert_same_maps(end, 1, samples).logits.shape == (samples, 1)


def test_classes_in_another_order_after_the_softmax() -> None:
    found = attribute(Small(lambda _, y: y.softmax(1)[:, [2, 1, 0]]), scan(), 2, "gradient")
    assert (
        found.output.activation == ""
    )  # the order is not followed back: the probabilities are explained, and it says so
    assert found.output.scale == "probability"


@pytest.mark.parametrize("size", [1.0, 3.0, 10.0, 100.0])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "log_softmax"])
def test_certain_networks_are_explained_too(activation: str, size: float) -> None:
    """Where probabilities are 0 or 1 in float32, and nothing can be told from them."""

    def end(_: Tensor, logits: Tensor) -> Tensor:
        scaled = logits * size
        return torch.sigmoid(scaled) if activation == "sigmoid" else getattr(torch, activation)(scaled, 1)

    methods = ["gradient", "lrp"]
    found = attribute(Small(end), scan(), 1, methods)
    wanted = attribute(Small(lambda _, y: y * size), scan(), 1, methods)
    assert found.output.activation == activation
    for name in methods:
        torch.testing.assert_close(found[name].map, wanted[name].map, rtol=1e-5, atol=1e-7)


def test_the_activation_itself_can_be_explained() -> None:
    model, x = Small(lambda _, y: y.softmax(1)), scan()
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(leaf)[0, 1], leaf)
    found = Explainer(model, undo_activation=False).explain(x, 1, "gradient")
    torch.testing.assert_close(found["gradient"].map, gradient[:, 0])
    assert found.notices == ()


@pytest.mark.parametrize(
    ("end", "scale"),
    [
        (lambda _, y: y.exp() / y.exp().sum(1, keepdim=True), "probability"),
        (lambda _, y: y - y.logsumexp(1, keepdim=True), "log-probability"),
    ],
)
def test_probabilities_made_by_hand_are_noticed(end: Callable[[Tensor, Tensor], Any], scale: str) -> None:
    model, x = Small(end), scan()
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(leaf)[0, 1], leaf)
    found = attribute(model, x, 1, ["gradient", "grad_cam"])
    torch.testing.assert_close(found["gradient"].map, gradient[:, 0])
    assert found.output.scale == scale
    assert "logits before them cannot be told" in found.notices[0]
    assert found["gradient"].units == f"{scale} per intensity"


def test_a_softmax_over_samples_is_no_final_activation() -> None:
    found = attribute(Small(lambda _, y: y.softmax(0)), scan(2), 0, "gradient")
    assert found.output.activation == ""


def test_gates_and_attention_inside_a_network_are_left_alone() -> None:
    def gated(embedding: Tensor, logits: Tensor) -> Tensor:
        return torch.sigmoid(logits) * logits

    model, x = Small(gated), scan()
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(leaf)[0, 1], leaf)
    found = attribute(model, x, 1, "gradient")
    assert found.output.activation == ""
    torch.testing.assert_close(found["gradient"].map, gradient[:, 0])


class Softmaxed(nn.Module):
    """Without a function attribute, which programs cannot hold."""

    def __init__(self) -> None:
        super().__init__()
        small = Small()
        self.conv, self.head = small.conv, small.head

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(self.head(torch.relu(self.conv(x)).mean((2, 3, 4))) * 20, 1)


@pytest.mark.parametrize("form", ["traced", "scripted", "exported"])
def test_programs_that_end_in_a_softmax(form: str) -> None:
    model, x = Softmaxed().eval(), scan()
    program: Any = {
        "traced": lambda: torch.jit.trace(model, x),
        "scripted": lambda: torch.jit.script(model),
        "exported": lambda: torch.export.export(model, (x,)),
    }[form]()
    wanted = attribute(Small(), x, 1, METHODS)
    found = attribute(program, x, 1, METHODS)
    assert found.output.activation == "softmax"
    for name in wanted:
        torch.testing.assert_close(found[name].map, wanted[name].map, rtol=1e-5, atol=1e-7)


def test_one_number_of_one_sample_is_a_score() -> None:
    found = explain_after_convolution(lambda y: y.mean().squeeze(), "gradient")
    assert found.logits.shape == (1, 1)
    assert explain_after_convolution(lambda y: y.mean((2, 3, 4)).squeeze(), "gradient").logits.shape == (1, 3)
    probability = explain_after_convolution(lambda y: y.mean().sigmoid(), "gradient")
    assert probability.output.activation == "sigmoid"
    with pytest.raises(UserError, match="class scores"):
        Explainer(_Mean()).explain(torch.rand(2, 1, 6, 6, 6), 0, "gradient")


class _Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean()
