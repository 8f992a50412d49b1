"""Verdicts on faithfulness: the quick correlation for all methods at once, and the curves for each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..images.volume import Array
from ..progress import ProgressCallback, silent
from ..summary import DEFAULT_PART
from .faithfulness import (
    Curve,
    chance_correlation,
    deletion_curve,
    faithfulness_correlation,
    insertion_curve,
    order_by,
    perturbed_values,
    random_sets,
)
from .parts import Labels, blocks, blurred_brain, noisy_linear_imputation, regions, sums_and_sizes
from .subject import explained_values
from .verdict import Verdict, judge, not_applicable

if TYPE_CHECKING:
    from .subject import Subject

CORRELATION, DELETION, INSERTION = "faithfulness", "deletion", "insertion"
SETS, GROUPS = 32, 8  # an eighth of the brain at a time; larger sets leave what the network knows as a brain
BLOCK_MM = 16.0
BLUR_MM = 12.0
STEPS, RANDOM_ORDERS = 8, 4
UNSIGNED = ("summary",) if DEFAULT_PART == "absolute" else ()
# On simulated subjects the true effect itself does not pass on every single one: Testing/benchmarks/README.md.
_ONE_SCAN = " On a single scan this check is noisy; it reads better as a mean over many subjects."
_NO_ORDER = "The map rates all parts of the brain the same, or the model's value does not change with them."


@dataclass(frozen=True)
class Gains:
    """How much better than a random order each order is, as a part of the range of values met.

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
        return max(self.intensity, self.chance, 0.0)


def _neutral(subject: Subject, image: Array) -> NDArray[np.float32]:
    if subject.neutral is not None:
        return np.asarray(subject.neutral, dtype=np.float32)
    return blurred_brain(image, subject.inside, BLUR_MM / float(np.mean(subject.spacing)))


def _block_size(subject: Subject) -> int:
    return max(1, round(BLOCK_MM / float(np.mean(subject.spacing))))


def _image(subject: Subject) -> NDArray[np.float32]:
    return np.asarray(subject.image[0, 0].detach().cpu().numpy(), dtype=np.float32)


def check_correlation(
    subject: Subject,
    seed: int = 0,
    progress: ProgressCallback = silent,
    sets: int = SETS,
    unsigned: Sequence[str] = UNSIGNED,
) -> list[Verdict]:
    """One verdict per map, the summary's included, from the same few answers of the network.

    Maps named in ``unsigned`` say where the evidence is, for or against the target: what they mark should move the
    model's value in whichever direction, so they are compared with the size of the change.
    """
    parts = blocks(subject.inside, _block_size(subject))
    taken = random_sets(parts, sets, GROUPS, np.random.default_rng(seed))
    neutral = _neutral(subject, _image(subject))
    values = perturbed_values(subject.network, subject.image, subject.target, parts, neutral, progress=progress)
    drops = explained_values(subject.network, subject.image, subject.target)[0] - values(taken)
    verdicts = []
    for method, relevance in subject.maps.items():
        moved = np.abs(drops) if method in unsigned else drops
        threshold = chance_correlation(relevance, parts, taken, moved, np.random.default_rng(seed))
        value = faithfulness_correlation(relevance, parts, taken, moved)
        passed = value > threshold
        sentence = (
            f"With random eighths of the brain made neutral ({sets} times), the relevance taken out and the change of "
            f"the model's value correlate with {value:.2f}: "
        )
        sentence += (
            "what the map marks matters to the model."
            if passed
            else f"not more than chance allows (up to {threshold:.2f} in 95 of 100 shuffled maps)."
        )
        sentence += _ONE_SCAN
        if math.isnan(value):
            sentence = "The map, or the model's answer, does not change between parts of the brain."
        verdicts.append(judge(method, CORRELATION, value, threshold, passed, sentence))
    return verdicts


def gains(
    subject: Subject,
    parts: Labels,
    kind: str,
    seed: int = 0,
    progress: ProgressCallback = silent,
    fill: str = "neutral",
    unsigned: bool = False,
) -> Gains:
    """Areas of deletion or insertion curves against random orders and the order by brightness.

    Parameters
    ----------
    subject
        What was explained.
    parts
        Blocks or regions, (I, J, K).
    kind
        "deletion" or "insertion".
    seed
        Of the random orders, and of the imputation's noise.
    fill
        What takes the place of parts: "neutral" (the subject's neutral brain, or the blurred one) or "road" (noisy
        linear imputation, slower).
    unsigned
        The maps say where the evidence is, for or against the target: a good order makes the value change fast,
        whichever way.
    """
    if fill not in ("neutral", "road"):
        raise ValueError(f"fill must be neutral or road, not {fill!r}")
    image = _image(subject)

    def impute(missing: NDArray[np.bool_]) -> NDArray[np.float32]:
        return noisy_linear_imputation(image, missing, subject.inside, np.random.default_rng(seed))

    neutral = impute if fill == "road" else _neutral(subject, image)
    values = perturbed_values(subject.network, subject.image, subject.target, parts, neutral, progress=progress)
    make = deletion_curve if kind == DELETION else insertion_curve
    # A good order has a small area under deletion, a large one under insertion, and a large one of changes.
    sign = -1.0 if kind == DELETION and not unsigned else 1.0
    rng = np.random.default_rng(seed)
    count = int(parts.max(initial=0))
    seen: list[float] = []

    def area(order: NDArray[np.intp]) -> float:
        curve = make(order, parts, values, STEPS)
        if unsigned:
            curve = Curve(curve.share, np.abs(curve.value - curve.value[0]))
        seen.extend(curve.value.tolist())
        return curve.area()

    areas = {}
    for name, found in subject.maps.items():
        sums, sizes = sums_and_sizes(found, parts)
        # A map that rates all parts the same has no order.
        has_order = np.ptp(sums / sizes) > 1e-9 * np.abs(sums / sizes).max()
        areas[name] = area(order_by(found, parts)) if has_order else math.nan
    bright = area(order_by(image, parts))
    random = np.array([area(rng.permutation(count)) for _ in range(RANDOM_ORDERS)])
    # Not the change from the whole image to the neutral brain: that may be next to nothing while the curve swings.
    span = max(seen) - min(seen)

    def gain(one: float, reference: float) -> float:
        return sign * (one - reference) / span if span > 0 else math.nan

    others = [float(np.delete(random, index).mean()) for index in range(RANDOM_ORDERS)]
    chance = max(gain(float(one), rest) for one, rest in zip(random, others, strict=True))
    mean = float(random.mean())
    return Gains({name: gain(one, mean) for name, one in areas.items()}, gain(bright, mean), chance)


def check_curves(
    subject: Subject, seed: int = 0, progress: ProgressCallback = silent, unsigned: Sequence[str] = UNSIGNED
) -> list[Verdict]:
    """For each map: deletion by blocks, deletion by atlas regions, insertion by blocks.

    Of maps named in ``unsigned`` it is asked how fast the model's value changes in whichever direction.
    """
    kinds = [
        (False, {name: values for name, values in subject.maps.items() if name not in unsigned}),
        (True, {name: values for name, values in subject.maps.items() if name in unsigned}),
    ]
    verdicts: list[Verdict] = []
    for is_unsigned, maps in kinds:
        if maps:
            verdicts += _curves(replace(subject, maps=maps), seed, progress, is_unsigned)
    return verdicts


def _curves(subject: Subject, seed: int, progress: ProgressCallback, unsigned: bool) -> list[Verdict]:
    size = _block_size(subject)
    by_block = blocks(subject.inside, size)
    by_region = regions(subject.labels, subject.inside, size)
    verdicts = []
    for check, kind, parts, what in (
        (f"{DELETION} (blocks)", DELETION, by_block, f"blocks of {size} voxels"),
        (f"{DELETION} (regions)", DELETION, by_region, "atlas regions"),
        (f"{INSERTION} (blocks)", INSERTION, by_block, f"blocks of {size} voxels"),
    ):
        if int(parts.max(initial=0)) < 2:
            verdicts += [not_applicable(name, check, "The brain is one part.") for name in subject.maps]
            continue
        found = gains(subject, parts, kind, seed, progress, unsigned=unsigned)
        verdicts += [_verdict(name, check, value, found, kind, what) for name, value in found.methods.items()]
    return verdicts


def _verdict(method: str, check: str, value: float, found: Gains, kind: str, what: str) -> Verdict:
    if math.isnan(value):
        return not_applicable(method, check, _NO_ORDER)
    passed = value > found.threshold
    doing = "Taking out" if kind == DELETION else "Putting back"
    when = "earlier" if value >= 0 else "later"
    rival = "a random order" if found.chance >= found.intensity else "the order of the voxels' brightness"
    sentence = (
        f"{doing} {what} in the map's order moves the model's value {when} than in random order, by {abs(value):.0%} "
        f"of the range of values met; {rival} reaches {found.threshold:.0%}."
    )
    return judge(method, check, value, found.threshold, passed, sentence)
