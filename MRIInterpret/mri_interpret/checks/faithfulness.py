"""Faithfulness: do the voxels that the map marks matter to the network?

Parts of the brain (blocks or atlas regions) are replaced by a blurred brain, and the network is asked again.

- Correlation: over random sets of parts, does the relevance taken out go with the change of the network's value?
  Source: Bhatt et al. 2020, "Evaluating and aggregating feature-based model explanations", definition 4. The network's
  answers serve all methods, so this costs the same for one method and for ten.
- Deletion and insertion curves: parts are taken out (or put back) most relevant first. Sources: Samek et al. 2017,
  "Evaluating the visualization of what a deep neural network has learned" (area over the perturbation curve); Petsiuk
  et al. 2018, "RISE: randomized input sampling for explanation of black-box models" (insertion).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..images.volume import Array
from ..metrics.similarity import correlation
from ..progress import ProgressCallback, silent
from .parts import Labels, sums_and_sizes
from .subject import explained_values

if TYPE_CHECKING:
    import torch
    from torch import nn

Values = Callable[[NDArray[np.bool_]], NDArray[np.float64]]
"""From sets of parts that are taken out, (sets, parts), to the explained value of each, (sets,)."""
Impute = Callable[[NDArray[np.bool_]], NDArray[np.float32]]
STEP = "Checking: faithfulness"


def perturbed_values(
    network: nn.Module,
    image: torch.Tensor,
    target: Sequence[float],
    parts: Labels,
    neutral: Array | Impute,
    batch: int = 4,
    progress: ProgressCallback = silent,
) -> Values:
    """A function that takes parts out of the image and asks the network.

    Parameters
    ----------
    network, image, target
        Module, (1, C, I, J, K), a weight per logit.
    parts
        (I, J, K), numbered from 1, 0 for voxels that always stay.
    neutral
        What takes a part's place: an image (I, J, K), or a function from the voxels that are gone to the image with
        them filled (:func:`.parts.noisy_linear_imputation`), which runs once per set.
    batch
        How many images run together.
    """
    import torch

    number = torch.as_tensor(parts, device=image.device)

    def tensor(array: Array) -> torch.Tensor:
        return torch.as_tensor(np.asarray(array), dtype=image.dtype, device=image.device)

    still = None if callable(neutral) else tensor(neutral)

    def values(taken: NDArray[np.bool_]) -> NDArray[np.float64]:
        found = []
        progress(STEP, 0.0)
        for start in range(0, len(taken), batch):
            chosen = taken[start : start + batch]
            # Part 0 is never taken out.
            table = torch.as_tensor(np.pad(chosen, ((0, 0), (1, 0))), device=image.device)
            gone = table[:, number][:, None]
            fill = still
            if fill is None:
                assert callable(neutral)
                fill = torch.stack([tensor(neutral(where[0].cpu().numpy()))[None] for where in gone])
            found.append(explained_values(network, torch.where(gone, fill, image), target))
            progress(STEP, min(1.0, (start + batch) / len(taken)))
        return np.concatenate(found)

    return values


def random_sets(parts: Labels, sets: int, groups: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Random sets of parts: the brain is cut at random into ``groups`` sets of equal volume, again and again.

    So every part is taken out equally often, and few sets tell more than independent ones would.

    Returns
    -------
    array
        (sets, parts), bool; each set holds about 1 / ``groups`` of the brain's voxels.
    """
    _, sizes = sums_and_sizes(np.zeros(parts.shape), parts)
    rows: list[NDArray[np.bool_]] = []
    while len(rows) < sets:
        order = rng.permutation(len(sizes))
        # A part belongs to the group in which its middle lies.
        middle = (np.cumsum(sizes[order]) - sizes[order] / 2) / sizes.sum()
        group = np.empty(len(sizes), dtype=np.intp)
        group[order] = np.minimum((middle * groups).astype(np.intp), groups - 1)
        rows += [group == number for number in range(groups)]
    return np.stack(rows[:sets])


def faithfulness_correlation(
    relevance: Array, parts: Labels, taken: NDArray[np.bool_], drops: NDArray[np.float64]
) -> float:
    """Pearson correlation, over sets of parts, of the relevance taken out with the drop of the explained value.

    Parameters
    ----------
    relevance
        The map, (I, J, K).
    parts, taken
        See :func:`random_sets`.
    drops
        Value of the whole image minus the value without the set, (sets,).

    Returns
    -------
    float
        -1..1; NaN if the map or the network's value does not change between the sets.
    """
    sums, _ = sums_and_sizes(relevance, parts)
    removed = taken @ sums
    # What differs only by rounding between the sets is no order.
    return correlation(removed, drops) if np.ptp(removed) > 1e-12 * np.abs(sums).sum() else math.nan


def chance_correlation(
    relevance: Array,
    parts: Labels,
    taken: NDArray[np.bool_],
    drops: NDArray[np.float64],
    rng: np.random.Generator,
    level: float = 0.05,
    repeats: int = 1000,
) -> float:
    """The correlation that the same map reaches by chance: its parts' densities dealt out anew, 95th percentile.

    A permutation test needs no assumption on how many parts there are or how unequal they are.
    """
    sums, sizes = sums_and_sizes(relevance, parts)
    density = sums / np.maximum(sizes, 1)
    shuffled = np.stack([rng.permutation(density) for _ in range(repeats)]) * sizes
    removed = shuffled @ taken.T  # (repeats, sets)
    removed -= removed.mean(axis=1, keepdims=True)
    centred = drops - drops.mean()
    norms = np.linalg.norm(removed, axis=1) * np.linalg.norm(centred)
    found = np.divide(removed @ centred, norms, out=np.zeros(repeats), where=norms > 0)
    return float(np.quantile(found, 1 - level))


@dataclass(frozen=True)
class Curve:
    """Explained values while parts are taken out (deletion) or put back (insertion).

    Attributes
    ----------
    share
        Part of the brain's voxels taken out or put back, ascending from 0 to 1.
    value
        The explained value, same length.
    """

    share: NDArray[np.float64]
    value: NDArray[np.float64]

    def area(self) -> float:
        """Mean value along the curve."""
        return float(((self.value[1:] + self.value[:-1]) / 2 * np.diff(self.share)).sum())


def order_by(relevance: Array, parts: Labels) -> NDArray[np.intp]:
    """Parts (counted from 0) by mean relevance per voxel, highest first."""
    sums, sizes = sums_and_sizes(relevance, parts)
    return np.argsort(-sums / np.maximum(sizes, 1), kind="stable")


def curve_sets(order: NDArray[np.intp], parts: Labels, steps: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Growing sets of parts in the given order, from none to all, and their shares of the brain's voxels."""
    _, sizes = sums_and_sizes(np.zeros(parts.shape), parts)
    filled = np.concatenate([[0.0], np.cumsum(sizes[order])]) / sizes.sum()
    counts = np.unique([int(np.abs(filled - goal).argmin()) for goal in np.linspace(0, 1, steps + 1)])
    taken = np.zeros((len(counts), len(order)), dtype=bool)
    for row, count in zip(taken, counts, strict=True):
        row[order[:count]] = True
    return taken, filled[counts]


def deletion_curve(order: NDArray[np.intp], parts: Labels, values: Values, steps: int = 10) -> Curve:
    """Take parts out in this order: a faithful order makes the value fall fast (small area)."""
    taken, share = curve_sets(order, parts, steps)
    return Curve(share, values(taken))


def insertion_curve(order: NDArray[np.intp], parts: Labels, values: Values, steps: int = 10) -> Curve:
    """Start from the neutral brain and put parts back in this order: a faithful order makes the value rise fast."""
    taken, share = curve_sets(order, parts, steps)
    return Curve(share, values(~taken))
