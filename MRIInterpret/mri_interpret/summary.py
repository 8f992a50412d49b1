"""Several maps to one: the summary score, how far the methods agree, and the voxels that most of them point at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage, stats

from .errors import UserError
from .images.smoothing import Floats, box_around, sigma_in_voxels, smooth_inside
from .images.volume import Array, Grid, Volume
from .metrics.agreement import kendall_w
from .metrics.similarity import correlation, dice

PARTS = ("positive", "signed", "absolute")
AGGREGATIONS = ("density", "mean", "product")
# Both as the benchmark decided: Testing/benchmarks/README.md.
DEFAULT_PART, DEFAULT_AGGREGATION = "absolute", "density"
COMMON_FWHM_MM = 8.0  # what Grad-CAM has on a feature grid of 8 mm; finer maps are smoothed to it
TOP_SHARE = 0.05


@dataclass(frozen=True)
class Summary:
    """What several maps say together. Volumes lie on the maps' grid."""

    score: Volume  # float32, 0..1; 0 outside the brain
    spread: Volume  # float32: standard deviation over methods of the rank maps, 0..0.5
    consensus: Volume  # uint8: 1, 2, 3 where at least half, two thirds, all methods have their top 5 %
    agreement: pd.DataFrame  # one row per pair: method_a, method_b, spearman, dice_top5, region_correlation
    kendall_w: float  # concordance of the region rankings of all methods, 0..1; NaN for one method
    weights: dict[str, float]  # as used; they add up to 1
    excluded: dict[str, str]  # method to the reason why it does not count in the score


def summarise(
    maps: Mapping[str, Array],
    mask: Array,
    grid: Grid,
    labels: Array,
    *,
    weights: Mapping[str, float] | None = None,
    resolution_mm: Mapping[str, float] | None = None,
    exclude: Mapping[str, str] | None = None,
    part: str = DEFAULT_PART,
    aggregation: str = DEFAULT_AGGREGATION,
    fwhm_mm: float = COMMON_FWHM_MM,
) -> Summary:
    """Aggregate maps.

    Each map's chosen part is smoothed to a common effective resolution (a Gaussian adds in squares, so a map that is
    already as coarse as ``resolution_mm`` says gets only the difference). The score is the weighted mean of the maps as
    densities, each divided by its mean in the brain, scaled to a highest value of 1; or of their ranks inside the
    brain, the share of brain voxels with a smaller value. Agreement, spread and consensus are always of the ranks.

    Parameters
    ----------
    maps
        Method to relevance, shape (I, J, K), raw.
    mask
        Brain, same shape.
    grid
        The maps' grid; spacing in mm.
    labels
        Atlas labels on the grid, 0 for none: for the region profiles.
    weights
        Method to weight, not negative; 1 for methods that are not named.
    resolution_mm
        Method to the full width at half maximum (mm) of its maps as they are; 0 for methods not named.
    exclude
        Methods that do not count in score and consensus, with the reason; they stay in the agreement table.
    part
        "positive" (evidence for the target), "signed", "absolute" (evidence for or against it). In a network that sees
        atrophy, tissue that is still there speaks against the disease: structures that shrank have negative relevance.
    aggregation
        "density"; "mean" of the ranks, or their "product" (the geometric mean: all methods must point there).
    fwhm_mm
        The common resolution.

    Raises
    ------
    UserError
        If there is no map, a map holds NaN, or no weight is positive. Where every method is excluded, the score is 0
        everywhere and ``excluded`` says why.
    ValueError
        For shapes that differ, or unknown options.
    """
    if part not in PARTS or aggregation not in AGGREGATIONS:
        raise ValueError(f"part must be one of {PARTS}, aggregation one of {AGGREGATIONS}")
    inside = np.asarray(mask) > 0
    _check(maps, inside)
    # A fixed order, so that the same maps in another order give the same sums to the last bit.
    names = sorted(maps)
    own = resolution_mm or {}
    preparation = Preparation(inside, grid)
    prepared: dict[str, NDArray[np.float64]] = {}
    ranks: dict[str, NDArray[np.float64]] = {}
    excluded = dict(exclude or {})
    for name in names:
        prepared[name] = preparation.inside_values(maps[name], part, own.get(name, 0.0), fwhm_mm)
        # In single precision: the last digits of the smoothing must not order voxels that are equal.
        ranks[name] = rank_inside(prepared[name].astype(np.float32))
        if not ranks[name].any():
            excluded.setdefault(name, _why_empty(np.asarray(maps[name])[inside], part))
    chosen = {name: float((weights or {}).get(name, 1.0)) for name in names if name not in excluded}
    if min(chosen.values(), default=0.0) < 0:
        raise UserError("The weights of the summary score must not be negative.")
    used = {name: weight for name, weight in chosen.items() if weight > 0}
    if chosen and not used:
        raise UserError("All weights of the summary score are 0: give at least one method a weight.")
    total = sum(used.values())
    used = {name: weight / total for name, weight in used.items()}
    # Without a method (all excluded, or no map with evidence) there is no score; the reasons are in ``excluded``.
    stack = np.stack([ranks[name] for name in used]) if used else np.zeros((0, int(inside.sum())))
    shares = np.array(list(used.values()))[:, None]
    if aggregation == "density" and used:
        score = _up_to_one(join_densities([prepared[name] for name in used], shares))
    else:
        score = _aggregate(stack, shares, aggregation)
    agreement, concordance = _agreement(ranks, np.asarray(labels)[inside])
    return Summary(
        score=_volume(np.clip(score, 0, 1), inside, grid, np.float32),
        spread=_volume(stack.std(0) if used else score, inside, grid, np.float32),
        consensus=_volume(consensus_labels(stack), inside, grid, np.uint8),
        agreement=agreement,
        kendall_w=concordance,
        weights=used,
        excluded=excluded,
    )


def join_densities(values: Sequence[NDArray[np.float64]], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted mean of maps as densities: each (voxels,), not negative, divided by its mean; weights (methods, 1)."""
    densities = np.stack([one / (one.mean() or 1.0) for one in values])
    return np.asarray((densities * weights).sum(0))


def join_ranks(values: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Rank maps (methods, voxels) of maps (voxels,); see :func:`rank_inside`."""
    return np.stack([rank_inside(one.astype(np.float32)) for one in values])


def _up_to_one(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scaled to a highest value of 1; values below zero (of "signed") become 0."""
    positive = np.maximum(values, 0.0)
    top = float(positive.max(initial=0.0))
    return positive / top if top > 0 else positive


def _aggregate(ranks: NDArray[np.float64], weights: NDArray[np.float64], how: str) -> NDArray[np.float64]:
    """Weighted mean, or weighted geometric mean, of rank maps (methods, voxels); zero without a method."""
    if len(ranks) == 0:
        return np.zeros(ranks.shape[1])
    if how == "mean":
        mean: NDArray[np.float64] = (ranks * weights).sum(0)
        return mean
    with np.errstate(divide="ignore"):
        product: NDArray[np.float64] = np.exp((np.log(ranks) * weights).sum(0))
    return product


def rank_inside(values: Array) -> NDArray[np.float64]:
    """The share of the other values that are smaller, 0 to 1: equal values share the lowest rank, so that voxels
    without relevance stay at 0 however many they are."""
    if values.size < 2:
        return np.zeros(values.shape)
    return (stats.rankdata(values, method="min") - 1) / (values.size - 1)


def consensus_labels(ranks: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Labels from rank maps (methods, voxels): 1, 2, 3 where at least half, two thirds, all have their top 5 %."""
    methods = len(ranks)
    if methods == 0:
        return np.zeros(ranks.shape[1], dtype=np.uint8)
    votes = (ranks > 1 - TOP_SHARE).sum(0)
    labels = np.zeros(ranks.shape[1], dtype=np.uint8)
    labels[2 * votes >= methods] = 1
    labels[3 * votes >= 2 * methods] = 2
    labels[votes == methods] = 3
    return labels


def _check(maps: Mapping[str, Array], inside: NDArray[np.bool_]) -> None:
    if not maps:
        raise UserError("The summary score needs at least one map.")
    for name, values in maps.items():
        if np.shape(values) != inside.shape:
            raise ValueError(f"map {name} of shape {np.shape(values)}, mask of shape {inside.shape}")
        if not np.isfinite(values).all():
            raise UserError(f"The map of {name} holds NaN or infinite values: the method failed on this model.")


def _why_empty(values: Array, part: str) -> str:
    """Why a map orders no voxels: a reader must be able to tell "no evidence" from "no map"."""
    if part == "positive" and values.min() < 0:
        return "no voxel of the brain speaks for the target in this map, all against it"
    return "the map is constant inside the brain"


def _part(values: NDArray[np.float64], part: str) -> NDArray[np.float64]:
    if part == "signed":
        return values
    return np.abs(values) if part == "absolute" else np.maximum(values, 0.0)


class Preparation:
    """Brings maps on one grid to one resolution; the brain's own smoothed mask is made once per resolution.

    Parameters
    ----------
    inside
        Brain, (I, J, K).
    grid
        The maps' grid; spacing in mm.
    """

    def __init__(self, inside: NDArray[np.bool_], grid: Grid) -> None:
        self._spacing = grid.spacing
        # Nothing outside the smallest box around the brain enters, so only the box is smoothed.
        self._box = box_around(inside)
        self._inside = inside[self._box]
        self._weights: dict[float, Floats] = {}

    def inside_values(
        self, values: Array, part: str = "positive", own_mm: float = 0.0, fwhm_mm: float = COMMON_FWHM_MM
    ) -> NDArray[np.float64]:
        """The chosen part of a map (I, J, K), smoothed inside the brain up to ``fwhm_mm``, at the brain's voxels.

        What lies outside the brain neither enters nor dilutes.
        """
        chosen = _part(np.asarray(values[self._box], dtype=np.float64), part)
        missing = max(fwhm_mm**2 - own_mm**2, 0.0) ** 0.5
        if missing == 0:
            return np.asarray(chosen[self._inside])
        # Smoothing is linear, so the scale could be left alone but for underflow of maps with tiny values.
        scale = float(np.abs(chosen).max()) or 1.0
        sigma = sigma_in_voxels(missing, self._spacing)
        smooth, self._weights[missing] = smooth_inside(
            chosen / scale, self._inside, sigma, weight=self._weights.get(missing), truncate=3.0
        )
        return np.asarray(smooth[self._inside] * scale, dtype=np.float64)


def _volume(values: Array, inside: NDArray[np.bool_], grid: Grid, dtype: type) -> Volume:
    array: Array = np.zeros(grid.shape, dtype=dtype)
    array[inside] = values
    return Volume(array, grid.affine)


def _agreement(ranks: Mapping[str, NDArray[np.float64]], labels: Array) -> tuple[pd.DataFrame, float]:
    """Pairwise agreement of rank maps (voxels inside the brain), and Kendall's W of the region ranking."""
    profiles = {name: _profile(values, labels) for name, values in ranks.items()}
    rows = []
    # Ranking the ranks by their mean makes Pearson's correlation of them Spearman's, ties treated as usual.
    averaged = {name: stats.rankdata(values) for name, values in ranks.items()}
    for a, b in combinations(ranks, 2):
        rows.append(
            {
                "method_a": a,
                "method_b": b,
                "spearman": correlation(averaged[a], averaged[b]),
                "dice_top5": dice(ranks[a] > 1 - TOP_SHARE, ranks[b] > 1 - TOP_SHARE),
                "region_correlation": correlation(profiles[a], profiles[b]),
            }
        )
    columns = ["method_a", "method_b", "spearman", "dice_top5", "region_correlation"]
    return pd.DataFrame(rows, columns=columns), kendall_w(np.stack(list(profiles.values())))[0]


def _profile(values: NDArray[np.float64], labels: Array) -> NDArray[np.float64]:
    """Mean rank in each region, in order of the labels."""
    present = np.unique(labels[labels > 0])
    return np.asarray(ndimage.mean(values, labels, present), dtype=np.float64).reshape(-1)
