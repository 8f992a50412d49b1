"""Random logit: is the map of one class different from the map of another?

Source: Sixt et al. 2020, "When explanations lie: why many modified BP attributions fail", section 4 (random logit).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..metrics.similarity import spearman
from ..progress import ProgressCallback, silent
from ..thresholds import OTHER_CLASS_SIMILARITY
from .verdict import Verdict, not_applicable, pass_or_fail

if TYPE_CHECKING:
    from .explained_image import ExplainedImage

CHECK = "other class"
STEP = "Checking: another class"


def other_target(target: Sequence[float]) -> list[float] | None:
    """Another class to explain: the first logit of those with the lowest weight; None for a model of one output."""
    if len(target) < 2:
        return None
    lowest = min(range(len(target)), key=lambda index: target[index])
    return [1.0 if index == lowest else 0.0 for index in range(len(target))]


def check_random_logit(
    explained: ExplainedImage, progress: ProgressCallback = silent, threshold: float = OTHER_CLASS_SIMILARITY
) -> list[Verdict]:
    """One verdict per method: rank correlation of its map with its map of another class, signs included."""
    other = other_target(explained.target)
    reason = ""
    if other is None:
        reason = "The model has one output only."
    elif explained.explain is None:
        reason = "No function was given that computes the map again, here for another class."
    elif not explained.other_targets:
        reason = "The function that computes the map takes no target, so it cannot explain another class."
    if reason or other is None or explained.explain is None:
        return [not_applicable(method, CHECK, reason) for method in explained.methods]
    progress(STEP, 0.0)
    found = explained.explain(explained.network, explained.image, other, explained.methods)
    verdicts = []
    for method in explained.methods:
        value = spearman(explained.maps[method], found[method], explained.inside)
        passed = value < threshold
        if math.isnan(value):
            sentence = "The map is constant for one of the classes, so they cannot be compared."
        elif passed:
            sentence = f"The map differs from the map of another class (rank correlation {value:.2f})."
        else:
            sentence = (
                f"The map is nearly that of another class (rank correlation {value:.2f}): it shows what the network "
                "looks at, not what speaks for this class."
            )
        verdicts.append(pass_or_fail(method, CHECK, value, threshold, passed, sentence))
    progress(STEP, 1.0)
    return verdicts
