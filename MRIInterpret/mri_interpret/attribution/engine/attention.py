"""Products of two tensors that both depend on the input, softmax, and attention: the rules of AttnLRP.

Achtibat et al., "AttnLRP: Attention-Aware Layer-Wise Relevance Propagation for Transformers", ICML 2024: softmax by its
Taylor decomposition (Proposition 3.1), matrix products by halves (Proposition 3.3).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..stabilise import divide
from .activation import softmax_axis
from .calls import Call, Recording, handles
from .operation import Operation, RelevancePolicy
from .tag import note_activation, tag_of
from .weighted import Contraction


class MatrixProduct(Operation):
    """A product, bilinear in two tensors that both depend on the input. Half of the relevance goes to each."""

    kind = "attention"

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        self.left, self.right = inputs[0].detach(), inputs[1].detach()
        return self.function(self.left, self.right)

    def gradient(self, grad: Tensor) -> tuple[Tensor, ...]:
        with torch.enable_grad():
            left, right = self.left.requires_grad_(), self.right.requires_grad_()
            backs = torch.autograd.grad(self.function(left, right), (left, right), grad)
        self.left, self.right = left.detach(), right.detach()
        return backs

    def relevance(self, relevance: Tensor, policy: RelevancePolicy) -> tuple[Tensor, ...]:
        output = self.function(self.left, self.right)
        left, right = self.gradient(divide(relevance, 2 * output, policy.epsilon))
        return left * self.left, right * self.right


class Softmax(Operation):
    """Softmax along one axis: ``R_i = x_i (R_i - s_i sum_j R_j)`` (AttnLRP, equation 12)."""

    kind = "attention"

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, *inputs: Tensor) -> Tensor:
        self.input = inputs[0].detach()
        output = torch.softmax(self.input, self.dim)
        self.output = output.detach()
        return output

    def gradient(self, grad: Tensor) -> tuple[Tensor, ...]:
        return (self.output * (grad - (grad * self.output).sum(self.dim, keepdim=True)),)

    def relevance(self, relevance: Tensor, policy: RelevancePolicy) -> tuple[Tensor, ...]:
        share = relevance - self.output * relevance.sum(self.dim, keepdim=True)
        # A masked score is minus infinity: its probability is zero, and so is its relevance.
        return (torch.where(torch.isfinite(self.input), self.input, 0) * share,)


def record_matrix_product(
    recorder: Recording, function: Callable[[Tensor, Tensor], Tensor], left: Tensor, right: Tensor
) -> Tensor:
    """Record ``function(left, right)``: a dense layer if one of them is constant, an attention product if none is."""
    if tag_of(right) is None:
        return recorder.record(Contraction(function, right.to(left.dtype)), left)
    if tag_of(left) is None:
        return recorder.record(Contraction(lambda x, weight: function(weight, x), left.to(right.dtype)), right)
    return recorder.record(MatrixProduct(function), left, right)


@handles("softmax")
def _softmax(recorder: Recording, call: Call) -> Tensor:
    x, dim = call.get(0, "input"), softmax_axis(call)
    output = recorder.record(Softmax(dim), x, geometry=recorder.geometry(x), gate=True)
    return note_activation(output, "softmax", x) if dim == 1 else output


@handles("scaled_dot_product_attention")
def _scaled_dot_product_attention(recorder: Recording, call: Call) -> Tensor:
    query, key, value = call.get(0, "query"), call.get(1, "key"), call.get(2, "value")
    mask, dropout = call.get(3, "attn_mask"), call.get(4, "dropout_p", 0.0)
    causal, scale = call.get(5, "is_causal", False), call.get(6, "scale")
    if dropout or call.kwargs.get("enable_gqa"):
        raise recorder.unsupported(call, "dropout and grouped queries inside attention are not covered")
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = record_matrix_product(recorder, lambda q, k: q @ k.transpose(-2, -1) * scale, query, key)
    if causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if mask is not None:
        if mask.dtype == torch.bool:
            scores = recorder.plain(Call("masked_fill", torch.masked_fill, (scores, ~mask, -math.inf)))
        else:
            scores = recorder.plain(Call("add", torch.add, (scores, mask)))
    return record_matrix_product(recorder, torch.matmul, recorder.record(Softmax(-1), scores, gate=True), value)
