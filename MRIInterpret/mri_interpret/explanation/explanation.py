"""What the main job returns: prediction, maps, summary, regions, and all that is needed to judge and show them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..anatomy.atlas import Region
from ..checks.verdict import Verdict
from ..images.volume import Affine, Volume

__all__ = [
    "Explanation",
    "MethodMap",
    "ModelInfo",
    "Prediction",
    "Region",
    "Registration",
    "Target",
]

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ModelInfo:
    """What every output says about the model that was explained."""

    name: str
    version: str
    hash: str  # SHA-256 of the weights file, hexadecimal
    description: str  # one line
    training_data: str
    intended_use: str
    banner: str  # "Research use only. Trained on ...": shown with everything that shows the model's output
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Prediction:
    """The model's answer. Objects keyed by class name, in the order of the model's outputs."""

    logits: dict[str, float]
    probabilities: dict[str, float]
    predicted: str


@dataclass(frozen=True)
class Target:
    """The contrast that is explained: a weight for each logit, for instance AD - CN."""

    name: str
    weights: dict[str, float]
    value: float  # the weighted sum of the logits of this scan


@dataclass(frozen=True)
class MethodMap:
    """One attribution method's map, raw: never normalised, float32."""

    name: str  # the registry's name, for instance "grad_cam_pp"
    title: str  # for people, for instance "Grad-CAM++"
    native: Volume  # on the voxel grid of the scan
    template: Volume  # on the model's grid, in template space
    signed: bool
    units: str  # for colour bars, for instance "logit per model voxel"
    seconds: float
    details: dict[str, Any] = field(default_factory=dict)  # parameters, conservation error, target layer, ...


@dataclass(frozen=True)
class Registration:
    """How the scan lies in template space, and how well that was found."""

    to_template: Affine  # 4 x 4: RAS mm of the scan to RAS mm of the template
    method: str  # "affine", or "none" for a scan that is already in template space
    correlation: float  # normalised cross-correlation with the template inside the brain, -1..1
    overlap: float  # Dice of the scan's brain mask with the template's, 0..1
    verdict: str  # "good" or "poor"
    sentence: str  # what a reader should know about it


@dataclass(frozen=True)
class Explanation:
    """The result of explaining one scan."""

    scan: Volume  # as it was read: its own grid and intensities
    mask: Volume  # brain, uint8 0/1, on the scan's grid
    model: ModelInfo
    prediction: Prediction
    target: Target
    maps: dict[str, MethodMap]  # in the order the methods were asked for
    summary: Volume  # 0..1, on the scan's grid
    consensus: Volume  # uint8 labels on the scan's grid: top voxels of at least 1 half, 2 two thirds, 3 all methods
    summary_template: Volume  # 0..1, on the model's grid
    consensus_template: Volume  # uint8, on the model's grid
    model_input: Volume  # what the network saw: on the model's grid, normalised, 0 outside the brain
    template_in_scan: Volume  # the template's T1 brain (0..1) on the scan's grid, to check the registration by eye
    atlas_name: str
    atlas_in_scan: Volume  # uint16 labels on the scan's grid
    regions: tuple[Region, ...]
    region_table: pd.DataFrame  # columns: see regions/statistics.py
    agreement: pd.DataFrame  # one row for each pair of methods: see summary.py
    registration: Registration
    warnings: tuple[str, ...]  # sentences that every output must show
    provenance: dict[str, Any]  # JSON-serialisable
    verdicts: tuple[Verdict, ...] = ()  # of the trust checks, if they were run
    # How far the methods in the summary disagree: standard deviation of their ranks in the brain, 0 to 0.5.
    spread: Volume | None = None  # on the scan's grid
    spread_template: Volume | None = None  # on the model's grid
