"""The feature maps of a recorded pass, and which of them is the last that the scores were computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Feature:
    """A feature map that was computed: its node in torch's graph, its layer, and whether it was pooled on the fly."""

    node: Any
    layer: str
    pooled: bool


def last_that_leads_to(scores: Tensor, features: Sequence[Feature]) -> int | None:
    """Number of the last of ``features`` that ``scores`` were computed from; None if there is none.

    A decoder or an auxiliary head may run after the classifier's, and its features say nothing about the scores.
    """
    numbers = {feature.node: number for number, feature in enumerate(features)}
    waiting, visited, found = [scores.grad_fn], {scores.grad_fn}, -1
    while waiting and found < len(features) - 1:
        node = waiting.pop()
        if node is None:
            continue
        found = max(found, numbers.get(node, -1))
        parents = {parent for parent, _ in node.next_functions if parent is not None} - visited
        waiting += parents
        visited |= parents
    return None if found < 0 else found
