"""A goal as a number made of the network's outputs: its value, its gradient, and whether it is reached."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import UserError
from ..models.goals import Goal, simple_boundary

_LEVEL = 1e-6  # relative: numbers this close to a level lie on it


@dataclass(frozen=True)
class Criterion:
    """The number that has to reach a level.

    Attributes
    ----------
    rows
        (R, classes), weights over the outputs; the number is the least of the weighted sums.
    level
        What it has to reach.
    upwards
        Whether it has to rise.
    temperature
        Above zero, the soft least at this temperature is taken.
    words
        The goal for people.
    """

    rows: Tensor
    level: float
    upwards: bool
    temperature: float
    words: str

    def value(self, logits: Tensor) -> float:
        """The number, of the outputs (1, classes) of one input."""
        sums = self.rows @ logits[0].double()
        if self.temperature > 0:
            return float(-self.temperature * torch.logsumexp(-sums / self.temperature, 0))
        return float(sums.min())

    def weights(self, logits: Tensor) -> Tensor:
        """Its derivatives by the outputs, (1, classes)."""
        sums = self.rows @ logits[0].double()
        if self.temperature > 0:
            share = torch.softmax(-sums / self.temperature, 0)
        else:
            share = torch.nn.functional.one_hot(sums.argmin(), len(sums)).double()
        return (share @ self.rows)[None].to(logits.dtype)

    def reached(self, value: float) -> bool:
        """Whether a value lies on the goal's side of the level."""
        return self.missing(value) <= _LEVEL * max(1.0, abs(self.level))

    def missing(self, value: float) -> float:
        """How far a value is from the level; negative beyond it."""
        return self.level - value if self.upwards else value - self.level


def criterion_of(goal: Goal | None, weights: Tensor, logits: Tensor, scale: str) -> Criterion:
    """The criterion for one input.

    Parameters
    ----------
    goal
        None for the boundary of what is explained.
    weights, logits
        (1, classes): what is explained, and the outputs as they are.
    scale
        What the outputs are: "logit", "probability" ...

    Raises
    ------
    UserError
        If the goal is about other outputs, or about logits that cannot be reached.
    """
    goal = goal or simple_boundary(weights[0].tolist())
    rows = torch.tensor(goal.sums or [weights[0].tolist()], dtype=torch.float64, device=logits.device)
    if rows.shape[1] != logits.shape[1]:
        raise UserError(f"The goal weighs {rows.shape[1]} outputs, but the model has {logits.shape[1]}: read it again.")
    if goal.of_logits and scale != "logit":
        raise UserError("The model returns probabilities without their logits: give a class or a number as the goal.")
    draft = Criterion(rows, goal.level, True, goal.temperature, goal.words)
    upwards = goal.upwards if goal.upwards is not None else draft.value(logits) < goal.level
    return Criterion(rows, goal.level, upwards, goal.temperature, goal.words)
