"""Verdicts on faithfulness: the quick correlation for all methods at once, and the curves for each."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..progress import ProgressCallback, silent
from .explained_image import ExplainedImage, explained_values
from .faithfulness import (
    Curve,
    SegmentSets,
    chance_correlation,
    deletion_curve,
    faithfulness_correlation,
    infidelity,
    insertion_curve,
    order_by,
    random_sets,
    values_without,
)
from .imputation import noisy_linear_imputation
from .predicted_change import PredictedChange, imputed_image, predicted_change
from .segments import Segments, atlas_segments, blocks, sums_and_sizes
from .verdict import Verdict, not_applicable, pass_or_fail

CORRELATION, DELETION, INSERTION = "faithfulness", "deletion", "insertion"
GROUPS = 8  # an eighth of the brain at a time; larger sets leave what the network knows as a brain
# How often, at the levels fast and full: a weak correlation (0.2) is told from chance in a third of the scans by 32, in
# nineteen of twenty by 256 (Testing/benchmarks/faithfulness_sets.md).
SETS, FULL_SETS = 32, 256
BLOCK_MM = 16.0
STEPS, RANDOM_ORDERS = 8, 4
# On simulated subjects even the true effect does not pass on every single one: Testing/benchmarks/README.md.
_ONE_SCAN = " On a single scan this check is noisy; it reads better as a mean over many subjects."
_FEW_SETS = f" So few sets tell little about a weak map: the level full asks {FULL_SETS} times."
_NO_ORDER = "The map rates all segments of the brain the same, or the model's value does not change with them."


@dataclass(frozen=True)
class CurveGains:
    """How much better than a random order each order is, as a share of the range of values met.

    Attributes
    ----------
    methods
        By method. 0 is as good as random; higher is better.
    intensity
        Of the order by brightness of the input.
    chance
        The largest of the random orders, each against the mean of the others.
    """

    methods: dict[str, float]
    intensity: float
    chance: float

    @property
    def threshold(self) -> float:
        """What a map has to beat."""
        return max(self.intensity, self.chance, 0.0)


def block_size(explained: ExplainedImage) -> int:
    """Edge of a block in voxels."""
    return max(1, round(BLOCK_MM / float(np.mean(explained.spacing))))


def check_correlation(
    explained: ExplainedImage,
    seed: int = 0,
    progress: ProgressCallback = silent,
    sets: int = SETS,
) -> list[Verdict]:
    """One verdict per map, the summary's included, from the same few answers of the network.

    What each map predicts for these replacements is compared with what they do; maps that predict no number are
    compared with the size of the change.
    """
    segments, removed, drops = replaced_eighths(explained, seed, progress, sets)
    imputed = imputed_image(explained)
    return [
        _correlation(method, predicted_change(explained, method, imputed), segments, removed, drops, seed)
        for method in explained.maps
    ]


def replaced_eighths(
    explained: ExplainedImage, seed: int = 0, progress: ProgressCallback = silent, sets: int = SETS
) -> tuple[Segments, SegmentSets, NDArray[np.float64]]:
    """Random eighths of the brain, and how far the explained value falls when each is replaced.

    The network is asked once for all maps of an image.

    Returns
    -------
    segments, removed, drops
        (I, J, K); (sets, segments); (sets,).
    """
    segments = blocks(explained.inside, block_size(explained))
    removed = random_sets(segments, sets, GROUPS, np.random.default_rng(seed))
    key = (CORRELATION, seed, sets)
    if key not in explained.answers:
        values = values_without(
            explained.network,
            explained.image,
            explained.target,
            segments,
            imputed_image(explained),
            progress=progress,
            output=explained.output,
        )
        whole = explained_values(explained.network, explained.image, explained.target, explained.output)[0]
        explained.answers[key] = whole - values(removed)
    return segments, removed, explained.answers[key]


def _correlation(
    method: str,
    predicted: PredictedChange,
    segments: Segments,
    removed: SegmentSets,
    drops: NDArray[np.float64],
    seed: int,
) -> Verdict:
    changes = np.abs(drops) if predicted.by_size else drops
    threshold = chance_correlation(predicted.drop, segments, removed, changes, np.random.default_rng(seed))
    value = faithfulness_correlation(predicted.drop, segments, removed, changes)
    passed = value > threshold
    sentence = f"With random eighths of the brain replaced ({len(drops)} times), "
    if predicted.by_size:
        sentence += (
            f"the relevance that is removed and the size of the change of the model's value correlate with {value:.2f}"
        )
    else:
        error = infidelity(predicted.drop, segments, removed, drops)
        sentence += (
            f"the change of the model's value that the map predicts and the one that happens correlate with {value:.2f}"
            f" (infidelity {error:.2g}; 0 is exact, 1 as far off as a map that predicts no change)"
        )
    sentence += (
        ": what the map marks matters to the model."
        if passed
        else f": not more than chance allows (up to {threshold:.2f} in 95 of 100 shuffled maps)."
    )
    sentence += _ONE_SCAN
    if not passed and len(drops) < FULL_SETS:
        sentence += _FEW_SETS
    if predicted.unread >= 0.01:
        sentence += f" {predicted.unread:.0%} of the relevance lies on voxels of no intensity and predicts nothing."
    if math.isnan(value):
        sentence = "The map, or the model's answer, does not change between segments of the brain."
    return pass_or_fail(method, CORRELATION, value, threshold, passed, sentence)


def curve_gains(
    explained: ExplainedImage,
    segments: Segments,
    kind: str,
    seed: int = 0,
    progress: ProgressCallback = silent,
    fill: str = "imputed",
    unsigned: bool = False,
) -> CurveGains:
    """Areas of deletion or insertion curves against random orders and the order by brightness.

    Parameters
    ----------
    explained
        What was explained.
    segments
        Blocks or regions, (I, J, K).
    kind
        "deletion" or "insertion".
    seed
        Random seed of the random orders and of the imputation's noise.
    fill
        What takes the place of segments: "imputed" (the explained image's own, or the blurred brain) or "road" (noisy
        linear imputation, slower).
    unsigned
        The maps say where the evidence is, for or against the target: a good order makes the value change fast, in
        either direction.
    """
    if fill not in ("imputed", "road"):
        raise ValueError(f"fill must be imputed or road, not {fill!r}")
    image = explained.intensity

    def impute(missing: NDArray[np.bool_]) -> NDArray[np.float32]:
        return noisy_linear_imputation(image, missing, explained.inside, np.random.default_rng(seed))

    imputed = impute if fill == "road" else imputed_image(explained)
    values = values_without(
        explained.network,
        explained.image,
        explained.target,
        segments,
        imputed,
        progress=progress,
        output=explained.output,
    )
    make_curve = deletion_curve if kind == DELETION else insertion_curve
    # A good order has a small area under deletion, a large one under insertion, and a large one of changes.
    sign = -1.0 if kind == DELETION and not unsigned else 1.0
    rng = np.random.default_rng(seed)
    count = int(segments.max(initial=0))
    seen: list[float] = []

    def area(order: NDArray[np.intp]) -> float:
        curve = make_curve(order, segments, values, STEPS)
        if unsigned:
            curve = Curve(curve.share, np.abs(curve.value - curve.value[0]))
        seen.extend(curve.value.tolist())
        return curve.area()

    areas = {}
    for name, relevance in explained.maps.items():
        sums, sizes = sums_and_sizes(relevance, segments)
        # A map that rates all segments the same has no order.
        has_order = np.ptp(sums / sizes) > 1e-9 * np.abs(sums / sizes).max()
        areas[name] = area(order_by(relevance, segments)) if has_order else math.nan
    by_brightness = area(order_by(image, segments))
    random = np.array([area(rng.permutation(count)) for _ in range(RANDOM_ORDERS)])
    # Not the change from the whole to the imputed image: that may be next to nothing while the curve swings.
    span = max(seen) - min(seen)

    def gain(one: float, reference: float) -> float:
        return sign * (one - reference) / span if span > 0 else math.nan

    others = [float(np.delete(random, index).mean()) for index in range(RANDOM_ORDERS)]
    chance = max(gain(float(one), rest) for one, rest in zip(random, others, strict=True))
    mean = float(random.mean())
    return CurveGains({name: gain(one, mean) for name, one in areas.items()}, gain(by_brightness, mean), chance)


def check_curves(explained: ExplainedImage, seed: int = 0, progress: ProgressCallback = silent) -> list[Verdict]:
    """For each map: deletion by blocks, deletion by atlas regions, insertion by blocks.

    Segments are ordered by the change that the map predicts for their replacement. For maps that are read by size, what
    counts is how fast the model's value changes in either direction.
    """
    imputed = imputed_image(explained)
    predicted = {name: predicted_change(explained, name, imputed) for name in explained.maps}
    verdicts: list[Verdict] = []
    for by_size in (False, True):
        maps = {name: one.drop for name, one in predicted.items() if one.by_size == by_size}
        if maps:
            verdicts += _curves(replace(explained, maps=maps), seed, progress, by_size)
    return verdicts


def _curves(explained: ExplainedImage, seed: int, progress: ProgressCallback, unsigned: bool) -> list[Verdict]:
    size = block_size(explained)
    by_block = blocks(explained.inside, size)
    by_region = atlas_segments(explained.labels, explained.inside, size)
    has_regions = bool((np.asarray(explained.labels)[explained.inside] > 0).any())
    verdicts = []
    for check, kind, segments, what in (
        (f"{DELETION} (blocks)", DELETION, by_block, f"blocks of {size} voxels"),
        (f"{DELETION} (regions)", DELETION, by_region, "atlas regions"),
        (f"{INSERTION} (blocks)", INSERTION, by_block, f"blocks of {size} voxels"),
    ):
        reason = ""
        if int(segments.max(initial=0)) < 2:
            reason = "The brain is one segment."
        elif segments is by_region and not has_regions:
            reason = "No labels of regions were given."
        if reason:
            verdicts += [not_applicable(name, check, reason) for name in explained.maps]
            continue
        gains = curve_gains(explained, segments, kind, seed, progress, unsigned=unsigned)
        verdicts += [_verdict(name, check, value, gains, kind, what) for name, value in gains.methods.items()]
    return verdicts


def _verdict(method: str, check: str, value: float, gains: CurveGains, kind: str, what: str) -> Verdict:
    if math.isnan(value):
        return not_applicable(method, check, _NO_ORDER)
    passed = value > gains.threshold
    doing = "Removing" if kind == DELETION else "Putting back"
    when = "earlier" if value >= 0 else "later"
    rival = "a random order" if gains.chance >= gains.intensity else "the order of the voxels' brightness"
    sentence = (
        f"{doing} {what} in the map's order changes the model's value {when} than in random order, by {abs(value):.0%} "
        f"of the range of values met; {rival} reaches {gains.threshold:.0%}."
    )
    return pass_or_fail(method, check, value, gains.threshold, passed, sentence)
