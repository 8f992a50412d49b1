"""Randomisation: does the map change when what the network has learned is destroyed?

The parameters are replaced by random ones from the top layer down; a map that stays as it was does not depend on what
those layers learned. Source: Adebayo et al. 2018, "Sanity checks for saliency maps", section 3.1 (cascading
randomisation). Known to stay: guided backpropagation (same paper) and LRP with the z+ rule (Sixt et al. 2020, "When
explanations lie: why many modified BP attributions fail").

Similarity alone is biased: a noisy map is unlike anything, and two maps of one brain are alike because the brain is
where it is. So a second number stands beside it: how much more complex the map becomes when *all* layers are random
(eMPRT: Hedstroem et al. 2024, arXiv 2401.06465, "Sanity checks revisited: an exploration to repair the model parameter
randomisation test").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..images.volume import Array
from ..metrics.complexity import histogram_entropy
from ..metrics.likeness import LikenessTo
from ..models.randomise import layer_groups, randomised
from ..progress import ProgressCallback, silent
from ..thresholds import RANDOMISATION_SIMILARITY
from .explained_image import Explain, Maps
from .verdict import Verdict, not_applicable, pass_or_fail

if TYPE_CHECKING:
    import torch
    from torch import nn

    from .explained_image import ExplainedImage

CHECK = "randomisation"
# Maps of a finer grid are compared at as many voxels as a grid of 2 mm has, drawn at random: over the 200,000 of a
# brain chance moves a rank correlation by 0.002, which is far below what the verdict is about.
COMPARED_MM = 2.0
# Shares of the layers, from the top, whose mean the verdict is about: the top layer, a quarter, half.
VERDICT_DEPTHS = (0.01, 0.25, 0.5)
STEP = "Checking: randomisation"


@dataclass(frozen=True)
class CascadeStep:
    """Maps of a network whose upper layers are random.

    Attributes
    ----------
    layers
        Names of the randomised layers, top first.
    depth
        Their share of all layers, 0..1.
    spearman, ssim
        By method: similarity of the map's absolute values to those of the trained network's map, inside the brain.
        ``ssim`` is empty where it was not asked for.
    """

    layers: tuple[str, ...]
    depth: float
    spearman: dict[str, float]
    ssim: dict[str, float]


def cascade(
    network: nn.Module,
    image: torch.Tensor,
    target: Sequence[float],
    maps: Maps,
    inside: Array,
    explain: Explain,
    depths: Sequence[float] | None = None,
    seed: int = 0,
    progress: ProgressCallback = silent,
    structural: bool = True,
) -> list[CascadeStep]:
    """Randomise from the top down and compare the maps.

    Parameters
    ----------
    network, image, target
        What was explained: module, (1, C, I, J, K), a weight per logit.
    maps
        The trained network's maps by method.
    inside
        Brain, (I, J, K).
    explain
        Computes maps for another network.
    depths
        Shares of the layers to randomise at least, each in (0, 1]; every layer in turn if left out.
    seed
        Random seed of the parameters.
    progress
        Called after each step.
    structural
        Measure structural similarity, which takes longer than all else here.

    Returns
    -------
    list of CascadeStep
        In the order of the depths.
    """
    given = _Cascade.of(network, image, target, maps, inside, explain)
    return given.steps(depths, seed, progress, structural)


@dataclass(frozen=True)
class _Cascade:
    """What all steps share: the order of the layers, and the originals' ranks and windows, which take long to make."""

    network: nn.Module
    image: torch.Tensor
    target: Sequence[float]
    explain: Explain
    groups: list[tuple[str, ...]]
    originals: dict[str, LikenessTo]

    @classmethod
    def of(
        cls,
        network: nn.Module,
        image: torch.Tensor,
        target: Sequence[float],
        maps: Maps,
        inside: Array,
        explain: Explain,
        share: float = 1.0,
    ) -> _Cascade:
        groups = layer_groups(network, image)[::-1]
        if not groups:
            raise ValueError("the network has no parameters to randomise")
        originals = {name: LikenessTo(values, inside, share=share) for name, values in maps.items()}
        return cls(network, image, target, explain, groups, originals)

    def maps_of_random(self, count: int, seed: int) -> Maps:
        """The maps of the network with ``count`` of its layers random, from the top."""
        from ..attribution.engine.gradient_check import checked_as

        layers = tuple(name for group in self.groups[:count] for name in group)
        changed = randomised(self.network, layers, self.image, seed)
        checked_as(changed, self.network)  # the same operations with other numbers
        return self.explain(changed, self.image, self.target, tuple(self.originals))

    def steps(
        self, depths: Sequence[float] | None, seed: int, progress: ProgressCallback, structural: bool
    ) -> list[CascadeStep]:
        """Steps of these depths, or one for every layer; each starts from the trained network."""
        groups, originals = self.groups, self.originals
        counts = (
            range(1, len(groups) + 1) if depths is None else [math.ceil(depth * len(groups) - 1e-9) for depth in depths]
        )
        steps = []
        progress(STEP, 0.0)
        for done, count in enumerate(counts, start=1):
            found = self.maps_of_random(count, seed)
            steps.append(
                CascadeStep(
                    tuple(name for group in groups[:count] for name in group),
                    count / len(groups),
                    {name: one.spearman(found[name], absolute=True) for name, one in originals.items()},
                    {name: one.ssim(found[name]) for name, one in originals.items()} if structural else {},
                )
            )
            progress(STEP, done / len(counts))
        return steps


def compared_share(spacing: Sequence[float]) -> float:
    """Share of the brain's voxels at which maps are compared: all of them from voxels of about 2 mm on."""
    share = math.prod(spacing) / COMPARED_MM**3
    return share if share < 0.9 else 1.0  # not fewer because a size of 2 mm was rounded


@dataclass(frozen=True)
class Similarity:
    """Of one method's map to itself under randomised networks.

    Attributes
    ----------
    spearman
        Mean over the steps of absolute rank correlations.
    rise
        eMPRT: (entropy of the map of a network that is all random - entropy of the map) / entropy of the map. Above 0
        the trained network's map is the simpler one; 0 for a map that does not look at the network. NaN for a map of
        one value.
    """

    spearman: float
    rise: float


def upper_half_similarity(
    explained: ExplainedImage, seed: int = 0, progress: ProgressCallback = silent
) -> dict[str, Similarity]:
    """How alike maps stay while the upper half of the layers becomes random, by method.

    The mean over three steps: the top layer, the upper quarter and the upper half, each with its own random
    parameters, because one draw says little: similarities scatter by 0.1 to 0.2 from draw to draw. A random network's
    map that is constant has nothing in common with the original and counts as 0. NaN for a method whose original map
    is constant.

    Raises
    ------
    ValueError
        If the maps cannot be computed again.
    """
    if explained.explain is None:
        raise ValueError("this image has no function that computes its maps again")
    inside = explained.inside
    maps = {method: explained.maps[method] for method in explained.methods}
    share = compared_share(explained.spacing)
    given = _Cascade.of(explained.network, explained.image, explained.target, maps, inside, explained.explain, share)
    count = len(VERDICT_DEPTHS) + 1
    steps: list[CascadeStep] = []

    def part(number: int) -> ProgressCallback:
        return lambda step, fraction: progress(step, (number + fraction) / count)

    for number, depth in enumerate(VERDICT_DEPTHS):
        steps += given.steps((depth,), seed * len(VERDICT_DEPTHS) + number, part(number), structural=False)
    random_maps = given.maps_of_random(len(given.groups), seed)
    progress(STEP, 1.0)

    def mean(values: list[float]) -> float:
        return float(np.mean([0.0 if math.isnan(value) else abs(value) for value in values]))

    return {
        method: Similarity(
            mean([s.spearman[method] for s in steps]), complexity_rise(maps[method], random_maps[method], inside)
        )
        if np.ptp(maps[method][inside]) > 0
        else Similarity(math.nan, math.nan)
        for method in maps
    }


def complexity_rise(original: Array, randomised: Array, inside: Array) -> float:
    """By which part of its entropy a map becomes more complex when the network is random; eMPRT.

    Hedstroem et al. 2024. NaN if the original has no entropy.

    Parameters
    ----------
    original, randomised, inside
        (I, J, K): the maps of the trained network and of the random one, and the brain.
    """
    before, after = histogram_entropy(original, inside), histogram_entropy(randomised, inside)
    return (after - before) / before if before > 0 else math.nan


def check_randomisation(
    explained: ExplainedImage,
    seed: int = 0,
    progress: ProgressCallback = silent,
    threshold: float = RANDOMISATION_SIMILARITY,
) -> list[Verdict]:
    """One verdict per method, from :func:`upper_half_similarity`."""
    if explained.explain is None:
        sentence = "No function was given that computes the map again, here for a randomised network."
        return [not_applicable(method, CHECK, sentence) for method in explained.methods]
    if next(explained.network.parameters(), None) is None:
        sentence = "The network has no parameters to randomise (a frozen program keeps its weights as constants)."
        return [not_applicable(method, CHECK, sentence) for method in explained.methods]
    found = upper_half_similarity(explained, seed, progress)
    return [_verdict(method, similarity, threshold) for method, similarity in found.items()]


def _verdict(method: str, found: Similarity, threshold: float) -> Verdict:
    if math.isnan(found.spearman):
        return not_applicable(method, CHECK, "The map is constant inside the brain: there is nothing to compare.")
    passed = found.spearman < threshold
    sentence = (
        "While the upper half of the network's layers was replaced by random ones, step by step, the map's rank "
        f"correlation with the original was {found.spearman:.2f} on average: "
    )
    sentence += "it depends on what they learned." if passed else "it hardly depends on what they learned."
    if not math.isnan(found.rise):
        change = "more" if found.rise >= 0 else "less"
        sentence += (
            f" With all layers random the map is {abs(found.rise):.0%} {change} complex (eMPRT {found.rise:+.2f}; a map"
            " that ignores the network has 0, and one that shows what it learned lies above)."
        )
    return pass_or_fail(method, CHECK, found.spearman, threshold, passed, sentence)
