"""What the segmentation network learns from: cross-entropy, Dice and volumes, on a weighted sample of voxels."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .classes import DEEP

_LEAST = 4.0  # voxels: a structure with less in the scan says nothing about Dice
_SOFT = 10.0  # voxels added to both volumes before their ratio is taken


class PartWeights(NamedTuple):
    """Weights of Dice and volumes beside cross-entropy."""

    dice: float = 1.0
    volumes: float = 0.1


LEARNING = PartWeights()
#: Dice pays for every voxel that is more likely than half the Dice itself, and so makes uncertain structures too large.
#: The last part of a training goes without it, until probabilities add up to volumes again.
CALIBRATING = PartWeights(dice=0.0, volumes=0.3)


def segmentation_loss(
    logits: Tensor, shares: Tensor, weight: Tensor, parts_weights: PartWeights = LEARNING
) -> tuple[Tensor, dict[str, float]]:
    """The loss of one scan.

    Parameters
    ----------
    logits
        (V, classes), of the voxels that were looked at.
    shares
        (V, classes): the share of each voxel that each class fills.
    weight
        (V,): the inverse of how often each voxel was expected to be looked at; makes sums over the sample sums over
        the volume.
    parts_weights
        Of Dice and volumes.

    Returns
    -------
    loss
        Cross-entropy with the shares + soft Dice (Milletari 2016, with soft truth) + ``|log|`` of the ratio of
        predicted to true volume of the deep structures.
    parts
        For the log.
    """
    logarithm = torch.log_softmax(logits, 1)
    cross = -(shares * logarithm).sum(1).mean()
    probability = logarithm.exp() * weight[:, None]
    truth = shares * weight[:, None]
    volume, true_volume = probability.sum(0), truth.sum(0)
    # With soft truth, min(p, t) reaches a Dice of 1 where p * t cannot.
    both = torch.minimum(probability, truth).sum(0)
    there = true_volume > _LEAST
    dice = (2 * both / (volume + true_volume))[there].mean()
    deep = there & torch.from_numpy(DEEP).to(there.device)
    ratio = torch.log((volume + _SOFT) / (true_volume + _SOFT))[deep].abs()
    volumes = ratio.mean() if len(ratio) else cross.new_zeros(())
    loss = cross + parts_weights.dice * (1 - dice) + parts_weights.volumes * volumes
    return loss, {"cross": cross.item(), "dice": dice.item(), "volumes": volumes.item()}
