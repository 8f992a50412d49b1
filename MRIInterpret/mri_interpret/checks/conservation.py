"""Conservation: does the relevance add up to what it explains?

LRP distributes the explained logit, integrated gradients the difference to a baseline; their maps must add up to it.
Sources: Bach et al. 2015, "On pixel-wise explanations for non-linear classifier decisions by layer-wise relevance
propagation", equation 2 (conservation); Sundararajan et al. 2017, "Axiomatic attribution for deep networks",
proposition 1 (completeness).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..thresholds import CONSERVATION_ERROR
from .explained_image import explained_values
from .verdict import Verdict, not_applicable, pass_or_fail

if TYPE_CHECKING:
    from ..images.volume import Array
    from .explained_image import ExplainedImage

CHECK = "conservation"


def relative_error(relevance: Array, expected: float) -> float:
    """|sum of the map - expected| / |expected|; NaN if there is nothing to add up to."""
    if not math.isfinite(expected) or expected == 0:
        return math.nan
    return float(abs(np.asarray(relevance, dtype=np.float64).sum() - expected) / abs(expected))


def expected_sum(explained: ExplainedImage, method: str) -> float | None:
    """What a method's map should add up to; None for a method that promises nothing.

    The explained value, less the value of the baseline for a method whose details name one; or what the details give
    as "adds_up_to".
    """
    import torch

    from ..attribution.registry import available_methods

    details = explained.details.get(method, {})
    if "adds_up_to" in details:
        return float(details["adds_up_to"])
    # A configured method's key carries its parameters, as in "lrp(composite=epsilon)".
    info = available_methods().get(method.split("(")[0])
    if info is None or not info.conserving:
        return None
    value = float(explained_values(explained.network, explained.image, explained.target, explained.output)[0])
    if "baseline" in {**info.parameters, **details}:
        start = torch.full_like(explained.image, explained.baseline_of(method))
        value -= float(explained_values(explained.network, start, explained.target, explained.output)[0])
    return value


def check_conservation(explained: ExplainedImage, threshold: float = CONSERVATION_ERROR) -> list[Verdict]:
    """One verdict for each method that promises its map adds up to something."""
    verdicts = []
    for method in explained.methods:
        expected = expected_sum(explained, method)
        if expected is None:
            sentence = "This method does not promise that its map adds up to anything."
            verdicts.append(not_applicable(method, CHECK, sentence))
            continue
        error = relative_error(explained.maps[method], expected)
        if not math.isfinite(error):
            sentence = "The explained value is zero, so there is nothing to add up to."
            verdicts.append(not_applicable(method, CHECK, sentence))
            continue
        total = float(np.asarray(explained.maps[method], dtype=np.float64).sum())
        sentence = f"The map adds up to {total:.3g} and should add up to {expected:.3g}: off by {error:.1%}."
        if error > threshold:
            sentence += " Part of the decision is not in the map, for instance what the network's biases contribute."
        verdicts.append(pass_or_fail(method, CHECK, error, threshold, error <= threshold, sentence))
    return verdicts
