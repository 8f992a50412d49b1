"""An operation of the recorded network, and the autograd Function that carries it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Grads = tuple[Tensor | None, ...]
Mode = Literal["gradient", "guided", "relevance"]


class LayerRule(Protocol):
    """How one layer hands its relevance down, as :class:`rules.Rule` does."""

    def redistribute(self, layer: Any, relevance: Tensor, bias: str) -> Tensor:
        """Relevance of the layer's inputs, given that of its outputs."""


class RelevancePolicy(Protocol):
    """What the engine has to know for a relevance pass; :class:`composites.Composite` is one."""

    @property
    def bias(self) -> str:
        """``"absorb"`` or ``"redistribute"``."""

    @property
    def epsilon(self) -> float:
        """Stabiliser of sums, means, average pooling and matrix products."""

    def rule_for(self, layer: Operation) -> LayerRule:
        """The rule of ``layer``."""

    def passes(self, layer: Operation) -> bool:
        """Whether a normalisation that is not merged hands all its relevance through."""


class Backward:
    """How the next backward pass runs; shared by all operations of one recording.

    Attributes
    ----------
    mode
        The exact gradient, guided backpropagation, or relevance.
    policy
        The LRP composite in force; only in mode ``"relevance"``.
    gated, not_gated
        How many activations of each name the last guided backpropagation gated, and left alone.
    refusal
        Why no backward pass may run, where a check of the recording found something.
    """

    def __init__(self) -> None:
        self.mode: Mode = "gradient"
        self.policy: RelevancePolicy | None = None
        self.gated: Counter[str] = Counter()
        self.not_gated: Counter[str] = Counter()
        self.refusal: Exception | None = None


class Operation:
    """One operation of the forward pass, with its two ways back.

    Subclasses say what the operation computes (:meth:`forward`), its exact gradient (:meth:`gradient`) and how it hands
    relevance to its inputs (:meth:`relevance`). They keep what they need as attributes, detached from the graph.

    Attributes
    ----------
    kind
        What composites select by: ``"convolution"``, ``"dense"``, ``"normalisation"``, ``"pooling"``, ``"sum"``,
        ``"activation"``, ``"product"`` or ``"attention"``.
    module
        Dotted name of the module that ran it.
    pooled
        Whether a max-pooling is part of it.
    rectifies
        Whether a ReLU is its last step, so that no value of its output is negative.
    first
        Whether no layer with weights lies between the input and this one (the input layer of LRP).
    """

    kind = "other"
    pooled = False
    rectifies = False

    def __init__(self) -> None:
        self.backward = Backward()
        self.module = ""
        self.first = False

    def forward(self, *inputs: Tensor) -> Tensor:
        """The operation's value; the inputs are detached."""
        raise NotImplementedError

    def gradient(self, grad: Tensor) -> Grads:
        """Gradients with respect to the inputs of :meth:`forward`, given the gradient at the output."""
        raise NotImplementedError

    def guided(self, grad: Tensor) -> Grads:
        """The backward step of guided backpropagation: the gradient, except at activations."""
        return self.gradient(grad)

    def relevance(self, relevance: Tensor, policy: RelevancePolicy) -> Grads:
        """Relevance of the inputs, given the relevance at the output."""
        raise NotImplementedError


def gradient_through(function: Callable[[Tensor], Tensor], x: Tensor, grad: Tensor) -> tuple[Tensor, ...]:
    """The gradient at ``x``, given that at ``function(x)``, as torch finds it."""
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        return torch.autograd.grad(function(leaf), leaf, grad)


class Function(Operation):
    """A function of one tensor whose gradient torch finds, and through which relevance passes unchanged."""

    kind = "activation"

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        self.input = inputs[0].detach()
        return self.function(self.input)

    def gradient(self, grad: Tensor) -> tuple[Tensor, ...]:
        return gradient_through(self.function, self.input, grad)

    def relevance(self, relevance: Tensor, policy: RelevancePolicy) -> tuple[Tensor, ...]:
        return (relevance,)


class Start(Operation):
    """The input itself."""

    kind = "input"

    def forward(self, *inputs: Tensor) -> Tensor:
        return inputs[0]

    def gradient(self, grad: Tensor) -> tuple[Tensor, ...]:
        return (grad,)

    def relevance(self, relevance: Tensor, policy: RelevancePolicy) -> tuple[Tensor, ...]:
        return (relevance,)


class Node(torch.autograd.Function):
    """Puts an :class:`Operation` into the autograd graph."""

    @staticmethod
    def forward(ctx: Any, operation: Operation, *inputs: Tensor) -> Tensor:
        ctx.operation = operation
        # A returned input would be taken for an in-place change; a view keeps the graph simple and costs nothing.
        output = operation.forward(*inputs)
        return output.view_as(output) if any(output is value for value in inputs) else output

    @staticmethod
    @once_differentiable  # the operations hold constants: a second derivative would be wrong
    def backward(ctx: Any, *grads: Any) -> Any:
        operation: Operation = ctx.operation
        grad = grads[0]
        if operation.backward.mode == "relevance":
            assert operation.backward.policy is not None
            back = operation.relevance(grad, operation.backward.policy)
        elif operation.backward.mode == "guided":
            back = operation.guided(grad)
        else:
            back = operation.gradient(grad)
        return (None, *back)
