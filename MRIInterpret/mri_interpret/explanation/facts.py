"""The facts of an explanation, each in its own type: model, answer, maps, registration, summary score, provenance."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ..images.volume import Affine, Volume
from ..models.outputs import OutputMeaning

if TYPE_CHECKING:
    from nibabel import Nifti1Image


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
    output: OutputMeaning  # what the network's numbers mean


@dataclass(frozen=True)
class Prediction:
    """The model's answer. Objects keyed by class name, in the order of the model's outputs."""

    logits: dict[str, float]  # of a quantity, its value by its name
    probabilities: dict[str, float]  # empty for a quantity
    predicted: str  # the likeliest class, or the quantity with its name and unit
    # Of a model of several networks, the standard deviation (ddof 1) over them of each probability, or of the quantity
    # in its unit; None of one network: then nothing is known, which is not the same as 0.
    members_sd: dict[str, float] | None = None
    members: int = 1  # networks in the model


@dataclass(frozen=True)
class Target:
    """The number that is explained: a weight for each logit, for instance AD - CN; or a quantity."""

    name: str
    weights: dict[str, float]
    value: float  # the weighted sum of the logits of this scan, less the reference
    reference: float | None = None  # what a quantity is compared with, in its unit


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
    # JSON values only: description, reference, parameters, conservation error, target layer, ...
    details: dict[str, Any] = field(default_factory=dict)
    outside_brain: float = math.nan  # share of the absolute relevance outside the brain mask, scan's grid, 0..1

    def to_nibabel(self, space: Literal["native", "template"] = "native") -> Nifti1Image:
        """The map as a nibabel image, on the scan's grid ("native") or on the model's ("template")."""
        from ..images.writing import nifti_image

        if space not in ("native", "template"):
            raise ValueError(f"space must be 'native' or 'template', not {space!r}")
        chosen = self.native if space == "native" else self.template
        return nifti_image(chosen, space="scanner" if space == "native" else "mni", labels=False)

    def _repr_html_(self) -> str:
        """For notebooks: title, units, and slices through the strongest voxel."""
        from .notebook import map_html

        return map_html(self.title, self.units, self.native, self.signed)


@dataclass(frozen=True)
class Registration:
    """How the scan lies in template space, and how well that was found."""

    to_template: Affine  # 4 x 4: RAS mm of the scan to RAS mm of the template
    method: str  # "affine", or "none" for a scan that is already in template space
    correlation: float  # normalised cross-correlation with the template inside the brain, -1..1
    overlap: float  # Dice of the scan's brain mask with the template's, 0..1
    verdict: str  # "good" or "poor"
    sentence: str  # what a reader should know about it
    offset_mm: float = math.nan  # how far from here, over the brain, the template would be matched best; 0..32


@dataclass(frozen=True)
class SummaryDetails:
    """How the summary score was made."""

    weights: dict[str, float]  # of the methods in the score; they add up to 1
    excluded: dict[str, str]  # method to the reason why it does not count in the score
    kendall_w: float  # concordance of the methods' region rankings, 0..1; NaN for one method
    resolution_mm: float  # full width at half maximum that finer maps were smoothed to
    map_resolution_mm: dict[str, float]  # what each map had of itself; 0: voxel by voxel


@dataclass(frozen=True)
class Provenance:
    """What is needed to make the result again, beyond the other facts."""

    created: str  # ISO 8601, UTC
    versions: dict[str, str]  # of Python and of the packages that compute
    platform: str
    device: str
    seeds: dict[str, int]
    scan_file: str  # absolute path, or "" for a scan that did not come from a file
    scan_hash: str  # SHA-256 of its voxels and affine
    mask: str  # as asked for: "auto", "none", or the name of a mask
    space: str  # as asked for
    trust: str  # which checks were asked for
    brain_mask: str  # how the mask was made
    from_cache: tuple[str, ...]  # steps whose result was there already
    template: str
    model_grid_shape: tuple[int, int, int]
    model_grid_affine: Affine
    temperature: float  # that the logits were divided by for the probabilities
    seconds: dict[str, float]  # by step
    peak_memory_bytes: int | None  # of the process; None where the system does not tell
    # Further images that the model took, by channel: SHA-256 of their voxels and affine.
    further_inputs: dict[str, str] = field(default_factory=dict)
