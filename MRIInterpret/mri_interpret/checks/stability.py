"""Stability: does the map stay the same when the scan changes in ways that mean nothing?

Small noise, a shift by half a voxel and a turn by two degrees leave the brain and (nearly) the prediction as they are.
Maps are brought back before they are compared. Source of the idea: Alvarez-Melis & Jaakkola 2018, "On the robustness of
interpretability methods"; of the grade "good" for an ICC from 0.75: Koo & Li 2016, "A guideline of selecting and
reporting intraclass correlation coefficients".
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
from .verdict import Verdict, judge, not_applicable

if TYPE_CHECKING:
    from .subject import Maps, Subject

Floats = NDArray[np.floating]
CHECK = "stability"
THRESHOLD = 0.75
NOISE = 0.02  # of an intensity range of 0..1
SHIFT = 0.5  # voxel
DEGREES = 2.0
STEP = "Checking: stability"


@dataclass(frozen=True)
class Change:
    """A change that means nothing.

    Attributes
    ----------
    name
        For people.
    apply
        From the image to the changed image, both (I, J, K).
    undo
        From a map of the changed image back to the grid of the image.
    """

    name: str
    apply: Callable[[Floats], Floats]
    undo: Callable[[Floats], Floats]


def noise(seed: int = 0, size: float = NOISE) -> Change:
    """Gaussian noise on non-zero voxels, so that the empty outside stays empty."""

    def apply(image: Floats) -> Floats:
        grain = np.random.default_rng(seed).normal(0, size, image.shape)
        return np.where(image != 0, image + grain, image).astype(image.dtype)

    return Change("noise", apply, lambda relevance: relevance)


def shift(voxels: Sequence[float] = (SHIFT, SHIFT, SHIFT)) -> Change:
    """A shift along i, j, k, with linear interpolation."""

    def moved(values: Floats, sign: float) -> Floats:
        steps = [sign * step for step in voxels]
        return np.asarray(ndimage.shift(values, steps, order=1, mode="constant", cval=0.0))

    return Change(
        f"shift by {max(voxels):g} voxel", lambda image: moved(image, 1), lambda relevance: moved(relevance, -1)
    )


def turn(degrees: float = DEGREES, axes: tuple[int, int] = (0, 1)) -> Change:
    """A rotation about the volume's centre in the plane of two axes, with linear interpolation."""

    def turned(values: Floats, angle: float) -> Floats:
        return np.asarray(ndimage.rotate(values, angle, axes=axes, reshape=False, order=1, mode="constant", cval=0.0))

    return Change(
        f"turn by {degrees:g} degrees",
        lambda image: turned(image, degrees),
        lambda relevance: turned(relevance, -degrees),
    )


def default_changes(seed: int = 0) -> tuple[Change, ...]:
    return (noise(seed), shift(), turn())


@dataclass(frozen=True)
class Stability:
    """How alike the maps of changed images are.

    Attributes
    ----------
    spearman
        By change: rank correlation with the original map inside the brain, signs included.
    icc
        ICC(2,1) of the region profiles over the original and all changed images.
    """

    spearman: dict[str, float]
    icc: float


def compare(original: Array, others: dict[str, Floats], inside: Array, labels: Array) -> Stability:
    """Stability of one method's map: ``others`` by change (or by training seed), on the same grid as ``original``."""
    # Interpolation at the brain's edge mixes in the outside; the outermost voxel says nothing about the method.
    core = ndimage.binary_erosion(np.asarray(inside) > 0)
    core = core if core.any() else np.asarray(inside) > 0
    profiles = [region_profile(found, labels, core) for found in (original, *others.values())]
    return Stability(
        {name: spearman(original, found, core) for name, found in others.items()},
        intraclass_correlation(np.stack(profiles)) if np.ptp(np.asarray(original)[core]) > 0 else math.nan,
    )


def stability(
    subject: Subject, changes: Sequence[Change] | None = None, progress: ProgressCallback = silent
) -> dict[str, Stability]:
    """Explain changed copies of the image, and compare; by method.

    Raises
    ------
    ValueError
        If the subject cannot be explained again.
    """
    import torch

    if subject.explain is None:
        raise ValueError("this subject has no way to make maps again")
    chosen = default_changes() if changes is None else changes
    image = subject.image[0, 0].detach().cpu().numpy()
    found: dict[str, Maps] = {}
    progress(STEP, 0.0)
    for done, change in enumerate(chosen, start=1):
        changed = torch.as_tensor(np.ascontiguousarray(change.apply(image)))[None, None].to(subject.image)
        maps = subject.explain(subject.network, changed, subject.target, subject.methods)
        found[change.name] = {name: change.undo(np.asarray(maps[name])) for name in subject.methods}
        progress(STEP, done / len(chosen))
    return {
        method: compare(
            subject.maps[method],
            {name: np.asarray(maps[method]) for name, maps in found.items()},
            subject.inside,
            subject.labels,
        )
        for method in subject.methods
    }


def check_stability(
    subject: Subject, seed: int = 0, progress: ProgressCallback = silent, threshold: float = THRESHOLD
) -> list[Verdict]:
    """One verdict per method: ICC of the region profiles."""
    if subject.explain is None:
        sentence = "The maps cannot be made again for a changed image, so this was not checked."
        return [not_applicable(method, CHECK, sentence) for method in subject.methods]
    verdicts = []
    for method, found in stability(subject, default_changes(seed), progress).items():
        ranks = ", ".join(f"{name} {value:.2f}" for name, value in found.spearman.items())
        sentence = (
            f"Under changes that mean nothing, the region profile agrees with an ICC of {found.icc:.2f}; rank "
            f"correlation of the maps: {ranks}."
        )
        if math.isnan(found.icc):
            sentence = "There are fewer than two regions, or the map is constant."
        verdicts.append(judge(method, CHECK, found.icc, threshold, found.icc >= threshold, sentence))
    return verdicts
