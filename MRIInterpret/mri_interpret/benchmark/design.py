"""What the benchmark does: which methods, which ways to join them, and which subjects get the costly checks.

Everything follows from the plan's numbers alone, so a run that was stopped goes on with the same subjects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UserError
from .simulated_subjects import GROUPS

if TYPE_CHECKING:
    from ..attribution import Method

SEED = 20261122
ILL = "AD"
# Composites of LRP. Left out: "zero" (gradient x input on ReLU networks), alpha-1 beta-0 (z+ there), and alpha-2 beta-1
# without its flat first layer.
COMPOSITES = (
    "epsilon",
    "epsilon-plus",
    "epsilon-plus-flat",
    "epsilon-plus-flat-foreground",
    "epsilon-alpha2beta1-flat",
    "epsilon-gamma-box",
)
FAST = (
    "lrp",
    "guided_backprop",
    "grad_cam",
    "grad_cam_pp",
    "guided_grad_cam_pp",
    "lrp_grad_cam_pp",
    "gradient",
    "gradient_x_input",
    "hires_cam",
    "guided_grad_cam",
)
# Many passes through the network each: explained for a few subjects, with these settings.
SLOW: dict[str, dict[str, Any]] = {
    "smoothgrad": {"samples": 8},
    "integrated_gradients": {"steps": 16},
    "occlusion": {"patch": 16, "stride": 16},
    "region_occlusion": {},
}


@dataclass(frozen=True)
class ExtraMeasurements:
    """What is measured on one subject besides localisation and hippocampal relevance."""

    faithfulness: bool = False
    random_network: bool = False
    randomisation: bool = False
    stability: bool = False
    slow_methods: bool = False
    pictured: bool = False


@dataclass(frozen=True)
class BenchmarkDesign:
    """Numbers of a benchmark.

    Attributes
    ----------
    subjects
        How many; groups in turn.
    seed
        Of everything random.
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
        ill = [index for index in range(self.subjects) if self.group(index) == ILL]
        shuffled = [ill[place] for place in np.random.default_rng(self.seed).permutation(len(ill))]
        halves = [[index for index in shuffled if self.half(index, anatomies) == name] for name in ("choose", "report")]
        longest = max(len(half) for half in halves)
        return [half[place] for place in range(longest) for half in halves if place < len(half)]

    def record(self) -> dict[str, int]:
        return asdict(self)


def lrp_key(composite: str) -> str:
    return f"lrp {composite}"


def fast_methods(names: Sequence[str] = FAST) -> dict[str, Method]:
    """Configured methods by key: those named, and every composite of LRP if LRP is among them."""
    from ..attribution.methods.combined import LrpGradCamPlusPlus
    from ..attribution.methods.lrp import LRP
    from ..attribution.registry import create_method

    found: dict[str, Method] = {name: create_method(name) for name in names if name not in SLOW}
    if "lrp" in found:
        usual = found.pop("lrp")
        composites = {lrp_key(name): LRP(composite=name) for name in COMPOSITES}
        found = {**composites, **found}
        if usual not in composites.values():  # a default that is not among them is measured too
            found["lrp"] = usual
    if "lrp_grad_cam_pp" in found and "lrp epsilon-plus" in found:
        found["lrp_grad_cam_pp"] = LrpGradCamPlusPlus(fine=LRP(composite="epsilon-plus"))
        found["lrp_grad_cam_pp flat"] = LrpGradCamPlusPlus(fine=LRP(composite="epsilon-plus-flat-foreground"))
    return found


def slow_methods(names: Sequence[str] = tuple(SLOW)) -> dict[str, Method]:
    """Methods of many passes, with the settings of :data:`SLOW`."""
    from ..attribution.registry import create_method

    return {name: create_method(name, **settings) for name, settings in SLOW.items() if name in names}


def titles() -> dict[str, str]:
    """Names for people, by key."""
    from ..attribution import available_methods

    found = {name: info.title for name, info in available_methods().items()}
    found |= {lrp_key(name): f"LRP ({name})" for name in COMPOSITES}
    found |= {
        "lrp_grad_cam_pp": "LRP (epsilon-plus) x Grad-CAM++",
        "lrp_grad_cam_pp flat": "LRP (epsilon-plus-flat-foreground) x Grad-CAM++",
        "uniform": "*every voxel the same*",
        "brightness": "*brightness of the scan*",
        "edges": "*edges of the scan*",
        "effect": "*the true effect itself*",
        "summary": "**Summary score**",
    }
    return found | {name: f"{found[name]} ({_settings(values)})" for name, values in SLOW.items() if values}


def _settings(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
