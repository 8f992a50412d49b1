"""What is explained: a weight for every output of the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import UserError
from .outputs import as_scores

Target = Callable[[Tensor], Tensor] | int | str | Sequence[int] | Sequence[float] | NDArray[Any] | Tensor
"""What to explain: a class's index for all samples, one index per sample (integers, (N,)), ``"predicted"``, or weights
over the outputs (floating point, (classes,) for all samples or (N, classes)), or a function that makes such weights of
the logits (N, classes) of the forward pass."""

_FORMS = "give a class's index, an index per sample, 'predicted', or a weight (floating point) per output"


def check_target(target: Target) -> None:
    """Refuse, before the network runs, what can be no target.

    Raises
    ------
    UserError
        If it is none of the forms of :data:`Target`.
    """
    if isinstance(target, str):
        if target != "predicted":
            raise UserError(f"Target '{target}' is not known: {_FORMS}.")
        return
    if callable(target) and not isinstance(target, Tensor):
        return
    values = _as_tensor(target)
    if values.dtype == torch.bool or values.is_complex():
        raise UserError(f"The target has type {str(values.dtype).removeprefix('torch.')}: {_FORMS}.")
    if not values.is_floating_point():
        if values.dim() > 1 or values.numel() == 0:
            raise UserError(
                f"The target holds integers of shape {tuple(values.shape)}, but integers are a class per sample: "
                "give weights as floating point numbers."
            )
    elif values.dim() not in (1, 2) or values.numel() == 0 or not bool(torch.isfinite(values).all()):
        raise UserError("The target's weights must be finite numbers, one per output.")


def target_weights(target: Target, logits: Tensor) -> Tensor:
    """Weights (N, classes) over ``logits`` (N, classes), of the logits' dtype.

    Raises
    ------
    UserError
        If an index is out of range, the number of indices or weights does not fit the outputs, or the weights of a
        sample are all zero.
    """
    samples, classes = logits.shape
    one_hot = torch.nn.functional.one_hot
    if isinstance(target, str):
        return one_hot(logits.argmax(1), classes).to(logits.dtype)
    if callable(target) and not isinstance(target, Tensor):
        target = target(logits)
        check_target(target)
    values = _as_tensor(target).to(logits.device)
    if not values.is_floating_point():
        if values.dim() == 1 and len(values) != samples:
            raise UserError(
                f"The target holds {len(values)} integers, one class per sample, but there "
                f"{'is 1 sample' if samples == 1 else f'are {samples} samples'}: "
                "give weights over the outputs as floating point numbers."
            )
        for index in values.flatten().tolist():
            if not -classes <= index < classes:
                raise UserError(f"Class {index} does not exist: the model has the outputs 0 to {classes - 1}.")
        return one_hot(values.expand(samples).long() % classes, classes).to(logits.dtype)
    weights = values.to(logits.dtype)
    if weights.shape[-1] != classes or (weights.dim() == 2 and weights.shape[0] not in (1, samples)):
        given = " x ".join(map(str, weights.shape))
        raise UserError(
            f"The target has {given} weights, but the model has {classes} outputs for "
            f"{samples} {'sample' if samples == 1 else 'samples'}."
        )
    if not bool((weights != 0).any(-1).all()):
        raise UserError("All weights of the target are zero: nothing is left to explain.")
    return weights.expand(samples, classes)


def number_of_weights(target: Target) -> int | None:
    """How many outputs the target has weights for; None where it gives no weights."""
    if isinstance(target, str) or (callable(target) and not isinstance(target, Tensor)):
        return None
    values = _as_tensor(target)
    return int(values.shape[-1]) if values.is_floating_point() and values.dim() else None


def _as_tensor(target: Any) -> Tensor:
    try:
        return target.detach() if isinstance(target, Tensor) else torch.as_tensor(np.asarray(target))
    except (TypeError, ValueError):
        raise UserError(f"A target of type {type(target).__name__} without numbers is not known: {_FORMS}.") from None


def class_scores(output: Any, samples: int | None = None) -> Tensor:
    """The class scores (N, classes) that a model returned alone, or first in a tuple or list.

    Parameters
    ----------
    output
        What the model returned.
    samples
        Number of samples N of its input; the length of the output if left out, which misreads the scores (classes,)
        that some models return for a single sample.

    Raises
    ------
    UserError
        If there are none.
    """
    value = output[0] if isinstance(output, (tuple, list)) and output else output
    if samples is None:
        samples = len(value) if isinstance(value, Tensor) and value.dim() else 1
    scores = as_scores(value, samples)
    if scores is None:
        what = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise UserError(f"The model returned {what} instead of class scores (N, classes): it is no classifier.")
    return scores
