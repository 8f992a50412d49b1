"""Faithfulness: do the voxels that the map marks matter to the network?

Segments of the brain (blocks or atlas regions) are replaced, and the network is asked again.

- Correlation: over random sets of segments, does what the map predicts for their replacement go with the change of the
  network's value? Sources: Bhatt et al. 2020, "Evaluating and aggregating feature-based model explanations", definition
  4; Yeh et al. 2019, "On the (in)fidelity and sensitivity of explanations", definition 2.1, whose infidelity is
  measured beside it (:mod:`.predicted_change` says what a map predicts). The network's answers serve all methods, so
  this costs the same for one method and for ten.
- Deletion and insertion curves: segments are removed (or put back) most relevant first. Sources: Samek et al. 2017,
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
from ..thresholds import FAITHFULNESS_LEVEL
from .explained_image import explained_values
from .segments import Segments, sums_and_sizes

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ..attribution.outputs import OutputChoice

SegmentSets = NDArray[np.bool_]
"""(sets, segments): which segments each set holds."""
Values = Callable[[SegmentSets], NDArray[np.float64]]
"""From sets of segments to the explained value of the image without each set, (sets,)."""
Impute = Callable[[NDArray[np.bool_]], NDArray[np.float32]]
STEP = "Checking: faithfulness"
# Images that run together hold at most so many voxels: one of 96 x 112 x 96. Four of these took 1.2 to 1.6 times as
# long a piece as one by one, with two networks and one or two threads: each new large array costs page faults.
TOGETHER = 1 << 20


def values_without(
    network: nn.Module,
    image: torch.Tensor,
    target: Sequence[float],
    segments: Segments,
    imputed: Array | Impute,
    batch: int = 4,
    progress: ProgressCallback = silent,
    output: OutputChoice | None = None,
) -> Values:
    """A function that removes sets of segments from the image and asks the network.

    Parameters
    ----------
    network, image, target
        Module, (1, C, I, J, K), a weight per logit.
    segments
        (I, J, K), numbered from 1, 0 for voxels that always stay.
    imputed
        What takes a segment's place: an image (I, J, K), or a function from the removed voxels to the image with them
        filled (:func:`.imputation.noisy_linear_imputation`), which runs once per set.
    batch
        How many images run together, large ones fewer. A program, whose batch may be fixed, gets them one by one.
    output
        See :class:`ExplainedImage`.
    """
    import torch

    from ..attribution.engine.programs import is_program

    size = 1 if is_program(network) else max(1, min(batch, TOGETHER // image[0, 0].numel()))
    number = torch.as_tensor(segments, device=image.device)

    def tensor(array: Array) -> torch.Tensor:
        return torch.as_tensor(np.asarray(array), dtype=image.dtype, device=image.device)

    constant = None if callable(imputed) else tensor(imputed)

    def values(removed: SegmentSets) -> NDArray[np.float64]:
        answers = []
        progress(STEP, 0.0)
        for start in range(0, len(removed), size):
            # Segment 0 is never removed.
            table = torch.as_tensor(np.pad(removed[start : start + size], ((0, 0), (1, 0))), device=image.device)
            missing = table[:, number][:, None]
            fill = constant
            if fill is None:
                assert callable(imputed)
                fill = torch.stack([tensor(imputed(voxels[0].cpu().numpy()))[None] for voxels in missing])
            answers.append(explained_values(network, torch.where(missing, fill, image), target, output))
            progress(STEP, min(1.0, (start + size) / len(removed)))
        return np.concatenate(answers)

    return values


def random_sets(segments: Segments, sets: int, groups: int, rng: np.random.Generator) -> SegmentSets:
    """Random sets of segments: the brain is cut at random into ``groups`` sets of equal volume, again and again.

    So each segment is removed equally often, and few sets tell more than independent ones would.

    Returns
    -------
    array
        (sets, segments), bool; each set holds about 1 / ``groups`` of the brain's voxels.
    """
    _, sizes = sums_and_sizes(np.zeros(segments.shape), segments)
    rows: list[NDArray[np.bool_]] = []
    while len(rows) < sets:
        order = rng.permutation(len(sizes))
        # A segment belongs to the group in which its middle lies.
        middle = (np.cumsum(sizes[order]) - sizes[order] / 2) / sizes.sum()
        group = np.empty(len(sizes), dtype=np.intp)
        group[order] = np.minimum((middle * groups).astype(np.intp), groups - 1)
        rows += [group == number for number in range(groups)]
    return np.stack(rows[:sets])


def faithfulness_correlation(
    relevance: Array, segments: Segments, removed: SegmentSets, drops: NDArray[np.float64]
) -> float:
    """Pearson correlation, over sets of segments, of a map's sum in them with the drop of the explained value.

    Parameters
    ----------
    relevance
        (I, J, K): what the map predicts for each voxel, :attr:`.PredictedChange.drop`.
    segments, removed
        See :func:`random_sets`.
    drops
        Value of the whole image minus the value without the set, (sets,).

    Returns
    -------
    float
        -1 to 1; NaN if the map or the network's value does not change between the sets.
    """
    sums, _ = sums_and_sizes(relevance, segments)
    relevances = removed @ sums
    # Differences of the size of rounding are no order.
    return correlation(relevances, drops) if np.ptp(relevances) > 1e-12 * np.abs(sums).sum() else math.nan


def infidelity(predicted: Array, segments: Segments, removed: SegmentSets, drops: NDArray[np.float64]) -> float:
    """Mean squared error of the predicted drops over the mean square of the real ones; 0 for an exact prediction.

    1 is what a map of zeros gets. Yeh et al. 2019, definition 2.1, divided by the square of what was to be predicted,
    so that models of any scale can be compared. NaN if nothing changes.

    Parameters
    ----------
    predicted
        (I, J, K), the drop that each voxel's replacement is predicted to make.
    segments, removed, drops
        See :func:`faithfulness_correlation`.
    """
    sums, _ = sums_and_sizes(predicted, segments)
    real = float(np.square(drops).mean())
    return float(np.square(removed @ sums - drops).mean()) / real if real > 0 else math.nan


def chance_correlation(
    relevance: Array,
    segments: Segments,
    removed: SegmentSets,
    drops: NDArray[np.float64],
    rng: np.random.Generator,
    level: float = FAITHFULNESS_LEVEL,
    repeats: int = 1000,
) -> float:
    """The correlation that the same map reaches by chance: its segments' densities permuted, 95th percentile.

    A permutation test needs no assumption on the number of segments or on their sizes.
    """
    sums, sizes = sums_and_sizes(relevance, segments)
    density = sums / np.maximum(sizes, 1)
    shuffled = np.stack([rng.permutation(density) for _ in range(repeats)]) * sizes
    relevances = shuffled @ removed.T  # (repeats, sets)
    relevances -= relevances.mean(axis=1, keepdims=True)
    centred = drops - drops.mean()
    norms = np.linalg.norm(relevances, axis=1) * np.linalg.norm(centred)
    correlations = np.divide(relevances @ centred, norms, out=np.zeros(repeats), where=norms > 0)
    return float(np.quantile(correlations, 1 - level))


@dataclass(frozen=True)
class Curve:
    """Explained values while segments are removed (deletion) or put back (insertion).

    Attributes
    ----------
    share
        Share of the brain's voxels removed or put back, ascending from 0 to 1.
    value
        The explained value, same length.
    """

    share: NDArray[np.float64]
    value: NDArray[np.float64]

    def area(self) -> float:
        """Mean value along the curve."""
        return float(((self.value[1:] + self.value[:-1]) / 2 * np.diff(self.share)).sum())


def order_by(relevance: Array, segments: Segments) -> NDArray[np.intp]:
    """Segments (counted from 0) by mean relevance per voxel, highest first."""
    sums, sizes = sums_and_sizes(relevance, segments)
    return np.argsort(-sums / np.maximum(sizes, 1), kind="stable")


def curve_sets(order: NDArray[np.intp], segments: Segments, steps: int) -> tuple[SegmentSets, NDArray[np.float64]]:
    """Growing sets of segments in the given order, from none to all, and their shares of the brain's voxels."""
    _, sizes = sums_and_sizes(np.zeros(segments.shape), segments)
    filled = np.concatenate([[0.0], np.cumsum(sizes[order])]) / sizes.sum()
    counts = np.unique([int(np.abs(filled - goal).argmin()) for goal in np.linspace(0, 1, steps + 1)])
    sets = np.zeros((len(counts), len(order)), dtype=bool)
    for row, count in zip(sets, counts, strict=True):
        row[order[:count]] = True
    return sets, filled[counts]


def deletion_curve(order: NDArray[np.intp], segments: Segments, values: Values, steps: int = 10) -> Curve:
    """Remove segments in this order: a faithful order makes the value fall fast (small area)."""
    removed, share = curve_sets(order, segments, steps)
    return Curve(share, values(removed))


def insertion_curve(order: NDArray[np.intp], segments: Segments, values: Values, steps: int = 10) -> Curve:
    """Start from the imputed brain and put segments back in this order: a faithful order lets the value rise fast."""
    removed, share = curve_sets(order, segments, steps)
    return Curve(share, values(~removed))
