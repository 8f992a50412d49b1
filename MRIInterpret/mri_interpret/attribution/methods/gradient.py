"""Gradient methods: how the score changes when the input does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ...errors import UserError
from ..deformation_result import NOTICES
from ..method import Method, Reading

if TYPE_CHECKING:
    from torch import Tensor

    from ..recorded_pass import RecordedPass

_RECTIFIERS = {"relu", "relu6"}  # where guided backpropagation is what its paper says


@dataclass(frozen=True)
class Gradient(Method):
    """The gradient of the score with respect to the input."""

    name: ClassVar[str] = "gradient"
    title: ClassVar[str] = "Gradient"
    reference: ClassVar[str] = "Simonyan et al. 2014, Deep inside convolutional networks, equation 3"
    description: ClassVar[str] = "How much the score would rise if a voxel became brighter."
    units: ClassVar[str] = "logit per intensity"
    reading: ClassVar[Reading] = "slope"

    def compute(self, recorded: RecordedPass) -> tuple[Tensor, dict[str, Any]]:
        return recorded.input_gradient().sum(1), {}


@dataclass(frozen=True)
class GradientTimesInput(Method):
    """Gradient times input: a first-order share of the score for every voxel."""

    name: ClassVar[str] = "gradient_x_input"
    title: ClassVar[str] = "Gradient x input"
    reference: ClassVar[str] = "Shrikumar et al. 2017, Learning important features, section 1"
    description: ClassVar[str] = "The gradient weighted by the voxel's own intensity."
    reading: ClassVar[Reading] = "share"

    def compute(self, recorded: RecordedPass) -> tuple[Tensor, dict[str, Any]]:
        return (recorded.input_gradient() * recorded.x.detach()).sum(1), {}


@dataclass(frozen=True)
class GuidedBackpropagation(Method):
    """The gradient, gated at every activation: it passes where it is positive and the activation's output is.

    For a ReLU that is the method as published; other activations (leaky ReLU, ELU, GELU, SiLU, tanh, ...) are gated in
    the same way, and the title names them. Gates such as a sigmoid in squeeze-and-excitation are no activations of
    features and pass the gradient. A network without an activation that can be gated has its plain gradient as the map,
    and the title says so.
    """

    name: ClassVar[str] = "guided_backprop"
    title: ClassVar[str] = "Guided backpropagation"
    reference: ClassVar[str] = "Springenberg et al. 2015, Striving for simplicity, section 3.4"
    description: ClassVar[str] = "A sharp gradient that keeps only what excites; depends little on the target."
    units: ClassVar[str] = "logit per intensity"
    class_discriminative: ClassVar[bool] = False
    strict: ClassVar[bool] = True

    def compute(self, recorded: RecordedPass) -> tuple[Tensor, dict[str, Any]]:
        gradient = recorded.input_gradient("guided").sum(1)
        backward = recorded.backward
        return gradient, {"gated": dict(backward.gated), "not_gated": dict(backward.not_gated)}

    def title_of(self, details: Mapping[str, Any]) -> str:
        if not details["gated"]:
            return f"{self.title} (no activation to gate: the plain gradient)"
        others = sorted(set(details["gated"]) - _RECTIFIERS)
        return f"{self.title} (gated at {', '.join(others)})" if others else self.title


@dataclass(frozen=True)
class SmoothGrad(Method):
    """The mean map of a gradient method over noisy copies of the input.

    Parameters
    ----------
    base
        Any method; the gradient by default.
    samples
        Number of noisy copies.
    noise
        Standard deviation of the noise as a fraction of the input's range.
    seed
        Seed of the noise; the global random state is not touched.
    """

    base: Method = field(default_factory=Gradient)
    samples: int = 16
    noise: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1 or not 0 <= self.noise < float("inf"):
            raise UserError(f"SmoothGrad needs samples >= 1 and noise >= 0, not {self.samples} and {self.noise}.")

    name: ClassVar[str] = "smoothgrad"
    title: ClassVar[str] = "SmoothGrad"
    reference: ClassVar[str] = "Smilkov et al. 2017, SmoothGrad: removing noise by adding noise, section 3"
    description: ClassVar[str] = "The gradient, averaged over noisy copies of the scan."
    reading: ClassVar[Reading] = "slope"

    @property
    def read_as(self) -> Reading:
        return self.base.read_as

    def components(self) -> tuple[Method, ...]:
        return (self.base,)

    @property
    def map_units(self) -> str:
        return self.base.map_units

    def compute(self, recorded: RecordedPass) -> tuple[Tensor, dict[str, Any]]:
        import torch

        x = recorded.x.detach()
        generator = torch.Generator().manual_seed(self.seed)
        spread = self.noise * (
            x.amax((*range(1, x.dim()),), keepdim=True) - x.amin((*range(1, x.dim()),), keepdim=True)
        )
        total = torch.zeros(x.shape[0], *recorded.shape, dtype=x.dtype, device=x.device)
        for number in range(self.samples):
            recorded.progress(self.title, number / self.samples)
            noise = torch.randn(x.shape, generator=generator, dtype=torch.float32).to(x)
            total += recorded.record(x + spread * noise).map_of(self.base)[0]
        return total / self.samples, {"base": self.base.name}


@dataclass(frozen=True)
class IntegratedGradients(Method):
    """The gradient integrated along the straight path from a baseline, times the way from it.

    Parameters
    ----------
    steps
        Points of the Gauss-Legendre rule.
    baseline
        Intensity of the start of the path, everywhere the same.
    batch
        Points that are run together.
    """

    steps: int = 32
    baseline: float = 0.0
    batch: int = 1

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1:
            raise UserError(f"Integrated gradients need steps and batch >= 1, not {self.steps} and {self.batch}.")

    name: ClassVar[str] = "integrated_gradients"
    title: ClassVar[str] = "Integrated gradients"
    reference: ClassVar[str] = "Sundararajan et al. 2017, Axiomatic attribution for deep networks, equation 1"
    description: ClassVar[str] = "Each voxel's share of the change from an empty scan to this one."
    conserving: ClassVar[bool] = True
    reading: ClassVar[Reading] = "share"

    def compute(self, recorded: RecordedPass) -> tuple[Tensor, dict[str, Any]]:
        import numpy as np
        import torch

        x = recorded.x.detach()
        start = torch.full_like(x, self.baseline)
        nodes, weights = np.polynomial.legendre.leggauss(self.steps)
        points, weights = (nodes + 1) / 2, weights / 2
        total = torch.zeros(x.shape[0], *recorded.shape, dtype=x.dtype, device=x.device)
        samples = x.shape[0]
        batch = self.batch if self.batch == 1 or recorded.accepts_batches else 1
        for first in range(0, self.steps, batch):
            recorded.progress(self.title, first / self.steps)
            chosen = points[first : first + batch]
            path = torch.cat([start + float(point) * (x - start) for point in chosen])
            gradients = recorded.record(path).input_gradient()
            for index, weight in enumerate(weights[first : first + batch]):
                part = gradients[index * samples : (index + 1) * samples]
                total += float(weight) * (part * (x - start)).sum(1)
        change = recorded.explained - (recorded.weights * recorded.logits_of(start)).sum(1)
        error = (total.flatten(1).sum(1) - change).abs() / change.abs().clamp(min=1e-12)
        details = {"completeness_error": error.tolist(), "steps": self.steps, "baseline": self.baseline}
        if not bool(torch.isfinite(error).all()):
            details[NOTICES] = [
                f"The model's score of a scan that is {self.baseline:g} everywhere is not finite, so what integrated "
                "gradients should add up to is not known: choose another baseline, or another method."
            ]
        return total, details
