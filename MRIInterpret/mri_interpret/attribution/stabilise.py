"""The stabiliser of LRP: keeps denominators away from zero without changing their sign."""

from __future__ import annotations

import torch
from torch import Tensor


def stabilise(values: Tensor, epsilon: float) -> Tensor:
    """``values + epsilon * sign(values)``, with the sign of zero taken as plus one."""
    return torch.where(values < 0, values - epsilon, values + epsilon)


def divide(numerator: Tensor, denominator: Tensor, epsilon: float) -> Tensor:
    """``numerator / stabilise(denominator)``; zero where the stabilised denominator is still zero."""
    if epsilon > 0:
        return numerator / stabilise(denominator, epsilon)
    safe = torch.where(denominator == 0, 1, denominator)
    return torch.where(denominator == 0, 0, numerator / safe)


def divide_into(numerator: Tensor, denominator: Tensor, epsilon: float, positive: bool = False) -> Tensor:
    """:func:`divide`, into the memory of ``denominator``, which is lost; feature maps are large.

    ``positive`` says that no denominator is negative.
    """
    if epsilon <= 0 or denominator.shape != numerator.shape:
        return divide(numerator, denominator, epsilon)
    if positive:
        denominator.add_(epsilon)
    else:
        denominator.add_(0.0)  # minus zero becomes plus zero, whose sign counts as plus
        denominator.add_(torch.copysign(denominator.new_full((), epsilon), denominator))
    return torch.div(numerator, denominator, out=denominator)
