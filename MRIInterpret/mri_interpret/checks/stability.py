"""Stability: does the map stay the same under small perturbations of the scan that carry no information?

Little noise, a shift by half a voxel and a rotation by two degrees leave the brain and (nearly) the prediction alone.
Maps are brought back before they are compared. Source: Alvarez-Melis & Jaakkola 2018, "On the robustness of
interpretability methods".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..images.volume import Array
from ..metrics.agreement import intraclass_correlation
from ..metrics.similarity import region_profile, spearman
from ..progress import ProgressCallback, silent
from ..thresholds import STABILITY_ICC
from .faithfulness_checks import block_size
from .segments import blocks
from .verdict import Verdict, not_applicable, pass_or_fail

if TYPE_CHECKING:
    from .explained_image import ExplainedImage, Maps

Floats = NDArray[np.floating]
CHECK = "stability"
NOISE = 0.02  # standard deviation, as a share of the image's intensity range
SHIFT = 0.5  # voxel
ROTATION = 2.0  # degrees
STEP = "Checking: stability"


@dataclass(frozen=True)
class Perturbation:
    """A small change of the scan, and how a map of the changed scan is brought back.

    Attributes
    ----------
    name
        Shown to the reader.
    apply
        From the image to the perturbed image, both (I, J, K).
    undo
        From a map of the perturbed image back to the grid of the image.
    """

    name: str
    apply: Callable[[Floats], Floats]
    undo: Callable[[Floats], Floats]


def noise(seed: int = 0, size: float = NOISE) -> Perturbation:
    """Gaussian noise on non-zero voxels, so that the empty outside stays empty."""

    def apply(image: Floats) -> Floats:
        grain = np.random.default_rng(seed).normal(0, size * float(np.ptp(image)), image.shape)
        return np.where(image != 0, image + grain, image).astype(image.dtype)

    return Perturbation("noise", apply, lambda relevance: relevance)


def shift(voxels: Sequence[float] = (SHIFT, SHIFT, SHIFT)) -> Perturbation:
    """A shift along i, j, k, with linear interpolation."""

    def shifted(values: Floats, sign: float) -> Floats:
        steps = [sign * step for step in voxels]
        return np.asarray(ndimage.shift(values, steps, order=1, mode="constant", cval=0.0))

    return Perturbation(
        f"shift by {max(voxels):g} voxel", lambda image: shifted(image, 1), lambda relevance: shifted(relevance, -1)
    )


def rotation(degrees: float = ROTATION, axes: tuple[int, int] = (0, 1)) -> Perturbation:
    """A rotation about the volume's centre in the plane of two axes, with linear interpolation."""

    def rotated(values: Floats, angle: float) -> Floats:
        return np.asarray(ndimage.rotate(values, angle, axes=axes, reshape=False, order=1, mode="constant", cval=0.0))

    return Perturbation(
        f"rotation by {degrees:g} degrees",
        lambda image: rotated(image, degrees),
        lambda relevance: rotated(relevance, -degrees),
    )


def default_perturbations(seed: int = 0) -> tuple[Perturbation, ...]:
    """Noise, a shift and a rotation."""
    return (noise(seed), shift(), rotation())


@dataclass(frozen=True)
class Stability:
    """How alike the maps of perturbed images are.

    Attributes
    ----------
    spearman
        By perturbation: rank correlation with the original map inside the brain, signs included.
    icc
        ICC(2,1) of the region profiles over the original and all perturbed images.
    """

    spearman: dict[str, float]
    icc: float


def interior(inside: Array) -> NDArray[np.bool_]:
    """The brain without its outermost voxel, into which interpolation mixes the outside; all of it if that is all."""
    chosen = np.asarray(inside) > 0
    core = np.asarray(ndimage.binary_erosion(chosen))
    return core if core.any() else chosen


def compare(original: Array, others: dict[str, Floats], inside: Array, labels: Array) -> Stability:
    """Stability of one map: ``others`` by perturbation (or by training seed), on the same grid as ``original``."""
    core = interior(inside)
    profiles = [region_profile(found, labels, core) for found in (original, *others.values())]
    return Stability(
        {name: spearman(original, found, core) for name, found in others.items()},
        intraclass_correlation(np.stack(profiles)) if np.ptp(np.asarray(original)[core]) > 0 else math.nan,
    )


def stability(
    explained: ExplainedImage, perturbations: Sequence[Perturbation] | None = None, progress: ProgressCallback = silent
) -> dict[str, Stability]:
    """Explain perturbed copies of the image, and compare; by method.

    Regions are those of the labels, or blocks of 16 mm where there are no labels.

    Raises
    ------
    ValueError
        If the maps cannot be computed again.
    """
    import torch

    if explained.explain is None:
        raise ValueError("this image has no function that computes its maps again")
    chosen = default_perturbations() if perturbations is None else perturbations
    channels = explained.image[0].detach().cpu().numpy()
    has_regions = bool((np.asarray(explained.labels)[explained.inside] > 0).any())
    labels = explained.labels if has_regions else blocks(explained.inside, block_size(explained))
    found: dict[str, Maps] = {}
    progress(STEP, 0.0)
    for done, perturbation in enumerate(chosen, start=1):
        perturbed = np.stack([perturbation.apply(channel) for channel in channels])[None]
        image = torch.as_tensor(np.ascontiguousarray(perturbed)).to(explained.image)
        maps = explained.explain(explained.network, image, explained.target, explained.methods)
        found[perturbation.name] = {name: perturbation.undo(np.asarray(maps[name])) for name in explained.methods}
        progress(STEP, done / len(chosen))
    return {
        method: compare(
            explained.maps[method],
            {name: np.asarray(maps[method]) for name, maps in found.items()},
            explained.inside,
            labels,
        )
        for method in explained.methods
    }


def check_stability(
    explained: ExplainedImage, seed: int = 0, progress: ProgressCallback = silent, threshold: float = STABILITY_ICC
) -> list[Verdict]:
    """One verdict per method: ICC of the region profiles."""
    if explained.explain is None:
        sentence = "No function was given that computes the map again, here for a perturbed scan."
        return [not_applicable(method, CHECK, sentence) for method in explained.methods]
    verdicts = []
    for method, found in stability(explained, default_perturbations(seed), progress).items():
        ranks = ", ".join(f"{name} {value:.2f}" for name, value in found.spearman.items())
        sentence = (
            f"Under perturbations that carry no information, the region profiles agree with an ICC of {found.icc:.2f}; "
            f"rank correlations of the maps: {ranks}."
        )
        if math.isnan(found.icc):
            sentence = "There are fewer than two regions, or the map is constant."
        verdicts.append(pass_or_fail(method, CHECK, found.icc, threshold, found.icc >= threshold, sentence))
    return verdicts
