"""Random logit: is the map of one class different from the map of another?

Source: Sixt et al. 2020, "When explanations lie: why many modified BP attributions fail", section 4 (random logit).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..metrics.similarity import spearman
from ..progress import ProgressCallback, silent
from .verdict import Verdict, judge, not_applicable

if TYPE_CHECKING:
    from .subject import Subject

CHECK = "other class"
THRESHOLD = 0.9
STEP = "Checking: another class"


def other_target(target: Sequence[float]) -> list[float] | None:
    """Another class to explain: the first logit of those with the lowest weight; None for a model of one class."""
    if len(target) < 2:
        return None
    lowest = min(range(len(target)), key=lambda index: target[index])
    return [1.0 if index == lowest else 0.0 for index in range(len(target))]


def check_random_logit(
    subject: Subject, progress: ProgressCallback = silent, threshold: float = THRESHOLD
) -> list[Verdict]:
    """One verdict per method: rank correlation of its map with its map of another class, signs included."""
    other = other_target(subject.target)
    if subject.explain is None or other is None:
        reason = (
            "The model has one class only." if other is None else "The maps cannot be made again for another class."
        )
        return [not_applicable(method, CHECK, reason) for method in subject.methods]
    progress(STEP, 0.0)
    found = subject.explain(subject.network, subject.image, other, subject.methods)
    verdicts = []
    for method in subject.methods:
        value = spearman(subject.maps[method], found[method], subject.inside)
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
        verdicts.append(judge(method, CHECK, value, threshold, passed, sentence))
    progress(STEP, 1.0)
    return verdicts
