"""What an explanation of one input gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Attribution:
    """One method's map.

    Attributes
    ----------
    map
        float32, (N, I, J, K) (in general: N and the input's spatial axes), on the input's device; raw, not normalised.
    name, title
        The method's key and its name for people.
    signed
        Whether negative values are evidence against the target.
    units
        What one unit of the map is.
    seconds
        Wall-clock time of this method alone; the shared forward pass is in :attr:`Attributions.forward_seconds`.
    peak_memory
        Highest memory so far in bytes: of the GPU's allocator, or resident memory of the process on a CPU.
    details
        Parameters and findings: target layer, conservation or completeness error per sample, ...
    """

    map: Tensor
    name: str
    title: str
    signed: bool
    units: str
    seconds: float
    peak_memory: int
    details: dict[str, Any] = field(default_factory=dict)


class Attributions(dict[str, Attribution]):
    """Attributions by name, and what the one forward pass said.

    Attributes
    ----------
    logits
        The model's outputs, float32 (N, classes), on the CPU.
    weights
        The target as weights over the outputs, (N, classes).
    explained
        The value explained per sample: ``(weights * logits).sum(1)``.
    forward_seconds
        Time of the recorded forward pass.
    """

    def __init__(self, logits: Tensor, weights: Tensor, explained: Tensor, forward_seconds: float) -> None:
        super().__init__()
        self.logits = logits
        self.weights = weights
        self.explained = explained
        self.forward_seconds = forward_seconds
