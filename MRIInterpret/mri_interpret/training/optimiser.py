"""The optimiser of a training: AdamW, which moves gains by place faster than other weights."""

from __future__ import annotations

import torch

from ..models.place_gain import PlaceGain
from .heads import TrainingHeads

#: Learning rate of gains over that of other weights. AdamW moves a weight by about its rate a step: a gain must be able
#: to fall to nothing where its feature does not count, by a logarithm of 4, within a few hundred steps.
GAIN_FACTOR = 8.0


def optimiser_for(heads: TrainingHeads, weight_decay: float, *, fused: bool = False) -> torch.optim.AdamW:
    """AdamW over all that learns; gains do not decay, for a logarithm of 0 is no smaller than another."""
    gains = [module.log_gain for module in heads.modules() if isinstance(module, PlaceGain)]
    apart = set(map(id, gains))
    groups = [{"params": [one for one in heads.parameters() if id(one) not in apart], "factor": 1.0}]
    if gains:
        groups.append({"params": gains, "factor": GAIN_FACTOR, "weight_decay": 0.0})
    return torch.optim.AdamW(groups, lr=0.0, weight_decay=weight_decay, fused=fused)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate, each group's by its factor; checkpoints of earlier versions have none."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("factor", 1.0)
