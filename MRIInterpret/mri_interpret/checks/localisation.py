"""Localisation: is the relevance where the image really was changed? Only simulated subjects have that truth.

Sources: Arras et al. 2022, "CLEVR-XAI: a benchmark dataset for the ground truth evaluation of neural network
explanations", section 3.3 (relevance mass accuracy, relevance rank accuracy); Zhang et al. 2018, "Top-down neural
attention by excitation backprop", section 4.1 (pointing game).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..images.volume import Array
from ..metrics.reference_maps import edge_map
from ..metrics.similarity import region_profile
from ..thresholds import LOCALISATION_TIMES_CHANCE
from .verdict import Verdict, not_applicable, pass_or_fail

if TYPE_CHECKING:
    from .explained_image import ExplainedImage

CHECK = "localisation"


@dataclass(frozen=True)
class Localisation:
    """How well one map finds the truth; NaN where that is not defined.

    Attributes
    ----------
    mass
        Relevance mass accuracy: share of the positive relevance in the brain that lies in the truth.
    rank
        Relevance rank accuracy: share of the truth among as many top voxels as the truth has.
    pointing
        1 if the map's highest voxel lies in the truth, else 0.
    auprc
        Area under the precision-recall curve of the map as a detector of the truth.
    recall
        Share of the affected regions among the ten regions of highest density.
    chance
        The truth's share of the brain: what ``mass``, ``rank`` and ``auprc`` are for a map without knowledge.
    """

    mass: float
    rank: float
    pointing: float
    auprc: float
    recall: float
    chance: float

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def localise(
    relevance: Array,
    truth: Array,
    inside: Array,
    labels: Array | None = None,
    affected: Sequence[int] = (),
    tolerance: float = 0.0,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    top_regions: int = 10,
) -> Localisation:
    """Compare the positive part of a map with the truth, inside the brain.

    Parameters
    ----------
    relevance, truth, inside
        Shape (I, J, K); ``truth`` > 0 where the image was changed.
    labels, affected
        Atlas, and the labels that were changed; for the recall.
    tolerance
        The pointing game counts a hit within this distance (mm) of the truth.
    spacing
        Voxel size in mm.
    top_regions
        How many regions count as found.

    Raises
    ------
    ValueError
        If shapes differ.
    """
    if not np.shape(relevance) == np.shape(truth) == np.shape(inside):
        raise ValueError(f"shapes differ: {np.shape(relevance)}, {np.shape(truth)}, {np.shape(inside)}")
    chosen = np.asarray(inside) > 0
    positive = np.maximum(np.asarray(relevance, dtype=np.float64), 0)
    values, hit = positive[chosen], (np.asarray(truth) > 0)[chosen]
    count = int(hit.sum())
    chance = count / max(hit.size, 1)
    recall = _recall(positive, labels, chosen, affected, top_regions)
    total = values.sum()
    if count == 0 or count == hit.size or not math.isfinite(total) or total <= 0:
        return Localisation(math.nan, math.nan, math.nan, math.nan, recall, chance)
    near = _near(np.asarray(truth) > 0, tolerance, spacing)[chosen]
    peaks = values == values.max()
    return Localisation(
        mass=float(values[hit].sum() / total),
        rank=_rank_accuracy(values, hit),
        pointing=float(near[peaks].mean() > 0.5),
        auprc=_average_precision(values, hit),
        recall=recall,
        chance=chance,
    )


def _near(truth: NDArray[np.bool_], tolerance: float, spacing: Sequence[float]) -> NDArray[np.bool_]:
    if tolerance <= 0:
        return truth
    return np.asarray(ndimage.distance_transform_edt(~truth, sampling=tuple(spacing)) <= tolerance)


def _rank_accuracy(values: NDArray[np.float64], hit: NDArray[np.bool_]) -> float:
    """Ties at the border of the top count by their expected number of hits."""
    count = int(hit.sum())
    border = np.partition(values, -count)[-count]
    above, equal = values > border, values == border
    room = count - int(above.sum())
    return float((hit[above].sum() + room * hit[equal].mean()) / count)


def _average_precision(values: NDArray[np.float64], hit: NDArray[np.bool_]) -> float:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(hit, values))


def _recall(
    positive: NDArray[np.float64], labels: Array | None, chosen: NDArray[np.bool_], affected: Sequence[int], top: int
) -> float:
    if labels is None or not len(affected):
        return math.nan
    present = np.unique(np.asarray(labels)[chosen & (np.asarray(labels) > 0)])
    density = region_profile(positive, labels, chosen)
    if not density.any():
        return 0.0
    best = present[np.argsort(-density, kind="stable")[:top]]
    return float(np.isin(np.asarray(affected), best).mean())


def check_localisation(explained: ExplainedImage, threshold: float = LOCALISATION_TIMES_CHANCE) -> list[Verdict]:
    """One verdict per map: relevance mass accuracy in multiples of chance; only where the truth is known.

    Of the maps' absolute values: tissue that shrank but is still there can rightly speak against the disease.
    """
    if explained.truth is None:
        return []
    edges = localise(np.where(explained.inside, edge_map(explained.intensity), 0), explained.truth, explained.inside)
    verdicts = []
    for method, relevance in explained.maps.items():
        found = localise(np.abs(relevance), explained.truth, explained.inside, explained.labels, explained.affected)
        if math.isnan(found.mass):
            verdicts.append(not_applicable(method, CHECK, "The map has no relevance, or nothing was changed."))
            continue
        value = found.mass / found.chance
        bar = max(threshold, edges.mass / edges.chance if edges.chance else 0.0)
        sentence = (
            f"{found.mass:.1%} of the relevance lies where this simulated brain was changed, {value:.1f} "
            f"times chance; an edge detector reaches {edges.mass / edges.chance:.1f} times."
        )
        verdicts.append(pass_or_fail(method, CHECK, value, bar, value > bar, sentence))
    return verdicts
