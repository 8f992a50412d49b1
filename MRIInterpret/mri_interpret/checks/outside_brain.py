"""Where relevance should not be: outside the brain, at the border of the volume, and mostly in dark fluid.

The network sees zeros outside the brain, so relevance there explains nothing about this brain. Relevance in
cerebrospinal fluid can be right (wide ventricles speak for atrophy); a map that is mostly there deserves a second look.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..images.smoothing import box_around
from ..images.volume import Array
from ..thresholds import BORDER_SHARE, FLUID_SHARE, OUTSIDE_BRAIN_SHARE
from .verdict import Verdict, not_applicable, pass_or_fail

if TYPE_CHECKING:
    from .explained_image import ExplainedImage

OUTSIDE, BORDER, FLUID = "outside the brain", "border of the volume", "fluid"
_FRAME = 2  # voxels


def share_where(relevance: Array, where: Array) -> float:
    """The part of the map's absolute relevance that lies in ``where``, 0..1; NaN for a map of zeros."""
    magnitude = np.abs(np.asarray(relevance, dtype=np.float64))
    total = magnitude.sum()
    return float(magnitude[np.asarray(where, dtype=bool)].sum() / total) if total > 0 else math.nan


def far_outside(inside: Array, spacing: tuple[float, float, float], margin_mm: float) -> NDArray[np.bool_]:
    """Voxels more than ``margin_mm`` away from the brain."""
    chosen = np.asarray(inside, dtype=bool)
    # What lies beyond the box around the brain and its margin is farther away: no distance has to be found there.
    box = box_around(chosen, math.ceil(margin_mm / min(spacing)) + 1)
    far = np.ones(chosen.shape, dtype=bool)
    far[box] = ndimage.distance_transform_edt(~chosen[box], sampling=spacing) > margin_mm
    return far


def frame(shape: tuple[int, ...], width: int = _FRAME) -> NDArray[np.bool_]:
    """The outermost voxels of a volume."""
    border = np.ones(shape, dtype=bool)
    border[tuple(slice(width, size - width) for size in shape)] = False
    return border


def fluid(image: Array, inside: Array) -> NDArray[np.bool_]:
    """Brain voxels as dark as cerebrospinal fluid: the darkest of three intensity classes.

    The two borders between the classes are those of Otsu 1979, "A threshold selection method from gray-level
    histograms", for three classes on a histogram of 64 bins.
    """
    values = np.asarray(image, dtype=np.float64)
    chosen = np.asarray(inside, dtype=bool)
    brain = values[chosen]
    if brain.size == 0 or np.ptp(brain) == 0:
        return np.zeros(values.shape, dtype=bool)
    counts, edges = np.histogram(brain, bins=64)
    centres = (edges[1:] + edges[:-1]) / 2
    weight = np.concatenate([[0], np.cumsum(counts)]) / counts.sum()
    moment = np.concatenate([[0], np.cumsum(counts * centres)]) / counts.sum()

    def spread(first: NDArray[np.intp], last: NDArray[np.intp]) -> NDArray[np.float64]:
        mass, sums = weight[last] - weight[first], moment[last] - moment[first]
        return np.divide(sums**2, mass, out=np.zeros_like(mass), where=mass > 0)

    low, high = np.triu_indices(65, 1)
    between = spread(np.zeros_like(low), low) + spread(low, high) + spread(high, np.full_like(high, 64))
    border = edges[low[int(between.argmax())]]
    return chosen & (values < border)


def check_outside_brain(explained: ExplainedImage) -> list[Verdict]:
    """Three verdicts per method; none on what lies outside if the mask covers the whole volume."""
    inside = explained.inside
    dark = fluid(explained.intensity, inside)
    volume_share = float(dark.sum() / inside.sum())
    border = frame(inside.shape)
    beyond: dict[float, NDArray[np.bool_]] = {}  # by margin: most methods share one
    verdicts = []
    for method in explained.methods:
        relevance = explained.maps[method]
        coarse = explained.resolution_mm(method)
        margin = max(coarse, max(explained.spacing))
        if margin not in beyond:
            beyond[margin] = far_outside(inside, explained.spacing, margin)
        share = share_where(relevance, beyond[margin])
        if math.isnan(share):
            verdicts += [not_applicable(method, check, "The map is zero.") for check in (OUTSIDE, BORDER, FLUID)]
            continue
        if inside.all():
            reason = "The mask covers the whole volume: nothing lies outside the brain."
            verdicts += [not_applicable(method, check, reason) for check in (OUTSIDE, BORDER)]
        else:
            verdicts += _outside(method, relevance, border, share, coarse)
        share = share_where(np.where(inside, relevance, 0), dark)
        if math.isnan(share):
            verdicts.append(not_applicable(method, FLUID, "The map is zero inside the brain."))
            continue
        sentence = (
            f"{share:.0%} of the relevance inside the brain lies in voxels as dark as fluid, which fill "
            f"{volume_share:.0%} of it; wide ventricles and sulci can rightly count."
        )
        verdicts.append(pass_or_fail(method, FLUID, share, FLUID_SHARE, share <= FLUID_SHARE, sentence))
    return verdicts


def _outside(method: str, relevance: Array, border: NDArray[np.bool_], share: float, coarse: float) -> list[Verdict]:
    sentence = f"{share:.1%} of the relevance lies outside the brain, where the network's input is empty."
    if coarse:
        sentence += f" The nearest {coarse:.0f} mm, this method's own resolution, are not counted."
    outside = pass_or_fail(method, OUTSIDE, share, OUTSIDE_BRAIN_SHARE, share <= OUTSIDE_BRAIN_SHARE, sentence)
    share = share_where(relevance, border)
    sentence = f"{share:.1%} of the relevance lies in the outermost {_FRAME} voxels of the volume, as padding causes."
    return [outside, pass_or_fail(method, BORDER, share, BORDER_SHARE, share <= BORDER_SHARE, sentence)]
