"""Aggregations of several maps into one: the benchmark compares them; one of them is the summary score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ..images.volume import Grid
from ..summary import Preparation, join_densities, join_ranks

HOW = (
    "rank mean",
    "rank product",
    "tail mean",
    "density mean",
    "density trimmed",
    "density median",
    "density product",
)
# Which maps are aggregated, by the methods' keys in the benchmark.
SETS: dict[str, tuple[str, ...]] = {
    "seed's panel": (
        "lrp epsilon-plus",
        "guided_backprop",
        "grad_cam",
        "grad_cam_pp",
        "guided_grad_cam_pp",
        "lrp_grad_cam_pp",
    ),
    "CAMs": ("grad_cam", "grad_cam_pp"),
    "CAMs and fine": ("grad_cam", "grad_cam_pp", "gradient", "gradient_x_input", "lrp epsilon-plus-flat"),
    "with products": (
        *("grad_cam", "grad_cam_pp", "gradient", "gradient_x_input"),
        *("lrp epsilon-plus-flat", "lrp_grad_cam_pp flat", "guided_grad_cam"),
    ),
    "fine": ("gradient", "gradient_x_input", "lrp epsilon-plus-flat"),
    "fine and LRP x CAM": ("gradient", "gradient_x_input", "lrp epsilon-plus-flat", "lrp_grad_cam_pp flat"),
    "gradient and LRP": ("gradient", "lrp epsilon-plus-flat"),
    "gradient and LRP (gamma)": ("gradient", "lrp epsilon-gamma-box"),
}
WEIGHTED = "CAMs and fine"  # also aggregated with each map's faithfulness on the same scan as its weight


@dataclass(frozen=True)
class Aggregation:
    """One way to make one map of several.

    Attributes
    ----------
    methods
        A key of :data:`SETS`.
    how
        One of :data:`HOW`: means and products of the maps' ranks; of -log of the share of the brain that is at least as
        high ("tail", Fisher's way to join p-values); of the maps as densities, each divided by its own mean.
    part
        "positive" or "absolute".
    fwhm_mm
        Common resolution to which maps are smoothed first.
    """

    methods: str
    how: str
    part: str = "absolute"
    fwhm_mm: float = 8.0

    @property
    def name(self) -> str:
        return f"{self.methods} | {self.part} | {self.fwhm_mm:g} mm | {self.how}"


AGGREGATIONS = (
    Aggregation("CAMs", "rank mean", "positive"),  # what the panel left before this benchmark
    Aggregation("seed's panel", "rank mean", "positive"),
    Aggregation("seed's panel", "rank mean"),
    Aggregation("seed's panel", "density mean"),
    *(Aggregation("CAMs and fine", how) for how in HOW),
    Aggregation("CAMs and fine", "density mean", "positive"),
    Aggregation("CAMs and fine", "density mean", fwhm_mm=4.0),
    Aggregation("CAMs and fine", "density mean", fwhm_mm=0.0),
    Aggregation("with products", "density mean"),
    Aggregation("with products", "density median"),
    *(Aggregation("fine", how) for how in ("rank mean", "tail mean", "density mean", "density product")),
    Aggregation("fine", "density mean", fwhm_mm=4.0),
    Aggregation("fine", "density mean", fwhm_mm=0.0),
    *(Aggregation(name, "density mean") for name in ("fine and LRP x CAM", "gradient and LRP")),
    *(Aggregation("gradient and LRP", how, fwhm_mm=4.0) for how in ("density mean", "density product")),
    Aggregation("gradient and LRP (gamma)", "density mean", fwhm_mm=4.0),
)
BY_FAITHFULNESS = Aggregation(WEIGHTED, "density mean").name + ", weights by faithfulness"


def aggregate(
    maps: Mapping[str, NDArray[np.floating]],
    mask: NDArray[np.bool_],
    grid: Grid,
    resolution_mm: Mapping[str, float],
    ways: Sequence[Aggregation] = AGGREGATIONS,
) -> dict[str, NDArray[np.float32]]:
    """Aggregated maps by name, (I, J, K), 0 outside the brain; without aggregations that miss one of their methods."""
    preparation = Preparation(mask, grid)
    prepared: dict[tuple[str, str, float], NDArray[np.float64]] = {}
    found = {}
    for way in ways:
        names = SETS[way.methods]
        if any(name not in maps for name in names):
            continue
        for name in names:
            key = (name, way.part, way.fwhm_mm)
            if key not in prepared:
                own = resolution_mm.get(name, 0.0)
                prepared[key] = preparation.inside_values(maps[name], way.part, own, way.fwhm_mm)
        values = join([prepared[name, way.part, way.fwhm_mm] for name in names], way.how)
        array = np.zeros(mask.shape, dtype=np.float32)
        array[mask] = values
        found[way.name] = array
    return found


def join(
    values: Sequence[NDArray[np.float64]], how: str, weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Aggregate maps, each (voxels,) and not negative, in one of the ways of :data:`HOW`.

    Raises
    ------
    ValueError
        For an unknown way.
    """
    if how not in HOW:
        raise ValueError(f"how must be one of {HOW}, not {how!r}")
    kind, mean = how.split()
    equal = np.full((len(values), 1), 1 / len(values)) if weights is None else weights[:, None]
    if kind == "density":
        if mean == "mean":
            return join_densities(values, equal)
        densities = np.stack([one / (one.mean() or 1.0) for one in values])
        if mean == "trimmed":
            return np.asarray(stats.trim_mean(densities, 0.2, axis=0))
        if mean == "median":
            return np.asarray(np.median(densities, axis=0))
        return np.asarray(np.exp((np.log(np.maximum(densities, 1e-12)) * equal).sum(0)))
    ranks = join_ranks(values)
    if kind == "rank":
        return (ranks * equal).sum(0) if mean == "mean" else np.exp((np.log(np.maximum(ranks, 1e-12)) * equal).sum(0))
    count = ranks.shape[1]
    tails = -np.log(np.maximum(1 - ranks, 1 / count))
    return np.asarray((tails * equal).sum(0))


def weighted(
    maps: Mapping[str, NDArray[np.floating]],
    mask: NDArray[np.bool_],
    grid: Grid,
    resolution_mm: Mapping[str, float],
    weights: Mapping[str, float],
) -> NDArray[np.float32] | None:
    """The density mean of :data:`WEIGHTED` with weights; negative ones count as zero. None if none is positive."""
    names = [name for name in SETS[WEIGHTED] if name in maps and weights.get(name, 0.0) > 0]
    if not names:
        return None
    preparation = Preparation(mask, grid)
    values = [preparation.inside_values(maps[name], "absolute", resolution_mm.get(name, 0.0)) for name in names]
    shares = np.array([weights[name] for name in names])
    array = np.zeros(mask.shape, dtype=np.float32)
    array[mask] = join(values, "density mean", shares / shares.sum())
    return array
