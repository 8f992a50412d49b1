"""Layers that are linear in their input, with weights: what LRP rules work on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .operation import Operation, RelevancePolicy


class WeightedLayer(Operation):
    """``y = apply(x, weight, bias)``, linear in ``x`` and in ``weight``.

    Attributes
    ----------
    weight, bias
        Parameters, detached; ``bias`` may be None.
    input
        The input of the forward pass, detached.
    """

    weight: Tensor
    bias: Tensor | None
    input: Tensor

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight = weight
        self.bias = bias
        self._nonnegative: bool | None = None

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The layer's output for other inputs and parameters."""
        raise AssertionError(f"{type(self).__name__} has no apply")

    def adjoint(self, y: Tensor, weight: Tensor) -> Tensor:
        """The transposed map: from the output's shape back to the input's."""
        raise AssertionError(f"{type(self).__name__} has no adjoint")

    def bias_like(self, bias: Tensor) -> Tensor:
        """``bias`` shaped to broadcast against the output."""
        return bias

    def forward(self, *inputs: Tensor) -> Tensor:
        self.input = inputs[0].detach()
        return self.apply(self.input, self.weight, self.bias)

    def output(self) -> Tensor:
        """The output of the forward pass (computed again; nothing is kept for it)."""
        return self.apply(self.input, self.weight, self.bias)

    @property
    def nonnegative(self) -> bool:
        """Whether the input has no negative value (it then comes out of a ReLU, most often)."""
        if self._nonnegative is None:
            self._nonnegative = bool(self.input.numel() == 0 or self.input.amin() >= 0)
        return self._nonnegative

    @nonnegative.setter
    def nonnegative(self, known: bool) -> None:
        self._nonnegative = known

    def gradient(self, grad: Tensor) -> tuple[Tensor, ...]:
        return (self.adjoint(grad, self.weight),)

    def relevance(self, relevance: Tensor, policy: RelevancePolicy) -> tuple[Tensor, ...]:
        rule = policy.rule_for(self)
        return (rule.redistribute(self, relevance, policy.bias),)


class Contraction(WeightedLayer):
    """Any product of the input with a constant (matmul, einsum, linear): the adjoint comes from autograd."""

    kind = "dense"

    def __init__(
        self, function: Callable[[Tensor, Tensor], Tensor], weight: Tensor, bias: Tensor | None = None
    ) -> None:
        super().__init__(weight, bias)
        self.function = function

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        y = self.function(x, weight)
        return y if bias is None else y + bias

    def adjoint(self, y: Tensor, weight: Tensor) -> Tensor:
        with torch.enable_grad():
            x = torch.zeros_like(self.input, requires_grad=True)
            (back,) = torch.autograd.grad(self.function(x, weight), x, y)
        return back


class Linear(WeightedLayer):
    """``torch.nn.functional.linear``."""

    kind = "dense"

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return torch.nn.functional.linear(x, weight, bias)

    def adjoint(self, y: Tensor, weight: Tensor) -> Tensor:
        return y @ weight


def per_channel(values: Tensor, rank: int) -> Tensor:
    """``values`` (C,) shaped to broadcast over (N, C, ...) of ``rank`` axes."""
    shape: Sequence[int] = (1, -1, *([1] * (rank - 2)))
    return values.reshape(*shape)
