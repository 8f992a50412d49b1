"""How well a segmentation network finds each structure on heads over anatomies that it has never seen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...anatomy.structure_volumes import structure_volumes
from ...metrics.similarity import correlation
from ...models.anatomy_unet import AnatomyUNet
from ...progress import ProgressCallback, silent
from ...simulation.wide_anatomies import read_wide, wide_path
from .classes import CLASSES
from .samples import HeadRange, shares, synthesise_head

_LEAST = 12.5  # voxels of 8 mm3: 0.1 ml; a structure with less in the truth is not scored


@dataclass(frozen=True)
class SegmentationScores:
    """Of each head and class, (N, classes); NaN where the structure is not there.

    Attributes
    ----------
    dice
        Of the likeliest class with the class that fills most of each voxel.
    volume, true_volume
        As the product measures it (:func:`...anatomy.structure_volumes.structure_volumes`), and the sum of shares, in
        voxels of the network's grid.
    """

    dice: NDArray[np.float64]
    volume: NDArray[np.float64]
    true_volume: NDArray[np.float64]

    def held_out(self) -> dict[str, dict[str, float]]:
        """What the bundle's metadata says of each structure: mean Dice, mean relative error and r of its volume."""
        found = {}
        for number, name in enumerate(CLASSES[1:], start=1):
            there = np.isfinite(self.dice[:, number])
            volume, truth = self.volume[there, number], self.true_volume[there, number]
            if len(truth) == 0:
                continue
            found[name] = {
                "dice": round(float(self.dice[there, number].mean()), 4),
                "volume_error": round(float(np.abs(volume / truth - 1).mean()), 4),
                "volume_r": round(float(correlation(volume, truth)), 4) if len(truth) > 2 else 0.0,
            }
        return found


@torch.no_grad()
def evaluate_segmentation(
    network: AnatomyUNet,
    bank: Path,
    heads: int,
    *,
    seed: int = 77,
    ranges: HeadRange | None = None,
    progress: ProgressCallback = silent,
) -> SegmentationScores:
    """Segment one scan of each head of a bank.

    Parameters
    ----------
    network
        In float32 on the CPU.
    bank, heads
        Heads over anatomies that took no part in training.
    seed
        Of pose and acquisition.
    ranges
        Those of the training by default; scans that are cut at a face are left out.
    """
    network = network.eval()
    ranges = ranges or HeadRange(cut_share=0.0)
    rows = []
    for head in range(heads):
        progress("Evaluating", head / heads)
        generator = torch.Generator().manual_seed(seed * 1_000_003 + head)
        sample = synthesise_head(torch.from_numpy(read_wide(wide_path(bank, head))), generator, ranges)
        probabilities = torch.softmax(network(sample.image[None, None])[0], 0)
        rows.append(_scores(probabilities, shares(sample.classes)))
    dice, volume, true_volume = (np.array(column) for column in zip(*rows, strict=True))
    return SegmentationScores(dice, volume, true_volume)


def _scores(probabilities: Tensor, truth: Tensor) -> tuple[NDArray[np.float64], ...]:
    classes = len(CLASSES)
    found, right = probabilities.argmax(0).flatten(), truth.argmax(0).flatten()
    both = torch.bincount(found[found == right], minlength=classes).double()
    sizes = torch.bincount(found, minlength=classes) + torch.bincount(right, minlength=classes)
    true_volume = truth.sum((1, 2, 3)).double()
    dice = torch.where(true_volume > _LEAST, 2 * both / sizes.clamp(min=1), float("nan"))
    return dice.numpy(), structure_volumes(probabilities.numpy()), true_volume.numpy()
