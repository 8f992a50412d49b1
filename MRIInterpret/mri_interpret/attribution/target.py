"""What is explained: a weight for every output of the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError

Target = int | str | Sequence[float] | Tensor
"""A class's index, ``"predicted"``, or weights over the outputs: (classes,) for all samples or (N, classes)."""


def check_target(target: Target) -> None:
    """Refuse, before the network runs, what can be no target.

    Raises
    ------
    UserError
        If it is neither an index, ``"predicted"`` nor weights.
    """
    if isinstance(target, str):
        if target != "predicted":
            raise UserError(
                f"Target '{target}' is not known: give a class's index, 'predicted', or a weight per output."
            )
    elif not isinstance(target, int):
        weights = torch.as_tensor(target)
        if weights.dim() > 2 or weights.numel() == 0 or not torch.isfinite(weights.double()).all():
            raise UserError("The target's weights must be finite numbers, one per output.")


def target_weights(target: Target, logits: Tensor) -> Tensor:
    """Weights (N, classes) over ``logits`` (N, classes), of the logits' dtype.

    Raises
    ------
    UserError
        If the index is out of range, the number of weights differs from that of the outputs, or all are zero.
    """
    samples, classes = logits.shape
    if isinstance(target, str):
        return torch.nn.functional.one_hot(logits.argmax(1), classes).to(logits.dtype)
    if isinstance(target, int) or (isinstance(target, Tensor) and target.dim() == 0):
        index = int(target)
        if not -classes <= index < classes:
            raise UserError(f"Class {index} does not exist: the model has the outputs 0 to {classes - 1}.")
        weights = logits.new_zeros(samples, classes)
        weights[:, index] = 1
        return weights
    weights = torch.as_tensor(target).to(device=logits.device, dtype=logits.dtype)
    if weights.shape[-1] != classes or (weights.dim() == 2 and weights.shape[0] not in (1, samples)):
        raise UserError(f"The target has {weights.shape[-1]} weights, but the model has {classes} outputs.")
    if not bool((weights != 0).any()):
        raise UserError("All weights of the target are zero: nothing is left to explain.")
    return weights.expand(samples, classes)


def class_scores(output: Any) -> Tensor:
    """The logits (N, classes) within whatever a model returned.

    A tuple or list counts as its first tensor; trailing axes of length one are dropped.

    Raises
    ------
    UserError
        If there are no class scores in it.
    """
    value = output[0] if isinstance(output, (tuple, list)) and output else output
    if isinstance(value, Tensor) and value.dim() > 2 and value[0, 0].numel() == 1:
        value = value.flatten(1)
    if not isinstance(value, Tensor) or value.dim() != 2 or not value.is_floating_point():
        what = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise UserError(f"The model returned {what} instead of class scores (N, classes): it is no classifier.")
    return value
