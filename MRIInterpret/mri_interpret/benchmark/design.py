"""The design of a benchmark: how many subjects, which half decides, and which subjects get the costly measurements.

Everything follows from the design's numbers alone, so a run that was stopped goes on with the same subjects.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from ..errors import UserError
from .simulated_subjects import GROUPS

SEED = 20261122
DISEASE = "AD"


@dataclass(frozen=True)
class ExtraMeasurements:
    """What is measured on one subject besides localisation and hippocampal relevance: what takes long."""

    faithfulness: bool = False
    random_network: bool = False
    randomisation: bool = False
    stability: bool = False
    slow_methods: bool = False
    pictured: bool = False


@dataclass(frozen=True)
class BenchmarkDesign:
    """How large a benchmark is, and how many subjects each measurement gets.

    Attributes
    ----------
    subjects
        How many; groups in turn.
    seed
        Random seed.
    faithfulness, random_network, randomisation, stability, slow_methods
        How many AD subjects, chosen at random, get these checks, or the slow methods.
    pictured
        How many AD subjects the picture of mean maps takes.
    """

    subjects: int = 60
    seed: int = SEED
    faithfulness: int = 20
    random_network: int = 20
    randomisation: int = 10
    stability: int = 10
    slow_methods: int = 5
    pictured: int = 20

    def __post_init__(self) -> None:
        if self.subjects < len(GROUPS):
            raise UserError(f"The benchmark needs at least {len(GROUPS)} subjects, one of each group.")
        if min(asdict(self).values()) < 0:
            raise UserError("The numbers of a benchmark must not be negative.")

    def group(self, index: int) -> str:
        return GROUPS[index % len(GROUPS)]

    def half(self, index: int, anatomies: int) -> str:
        """ "choose" or "report": defaults are chosen on one half of the subjects and reported on the other.

        With several base anatomies the halves share none of them.
        """
        turn = index // len(GROUPS)
        return ("choose", "report")[(turn % anatomies if anatomies > 1 else turn) % 2]

    def extra(self, index: int, anatomies: int = 1) -> ExtraMeasurements:
        """What subject number ``index`` gets."""
        order = self._order(anatomies)
        if index not in order:
            return ExtraMeasurements()
        place = order.index(index)
        return ExtraMeasurements(
            place < self.faithfulness,
            place < self.random_network,
            place < self.randomisation,
            place < self.stability,
            place < self.slow_methods,
            place < self.pictured,
        )

    def _order(self, anatomies: int) -> list[int]:
        """AD subjects in random order, the two halves in turn."""
        ill = [index for index in range(self.subjects) if self.group(index) == DISEASE]
        shuffled = [ill[place] for place in np.random.default_rng(self.seed).permutation(len(ill))]
        halves = [[index for index in shuffled if self.half(index, anatomies) == name] for name in ("choose", "report")]
        longest = max(len(half) for half in halves)
        return [half[place] for place in range(longest) for half in halves if place < len(half)]

    def record(self) -> dict[str, int]:
        return asdict(self)
