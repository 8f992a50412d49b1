"""Baselines: maps that know nothing of the decision, which a method has to beat to be worth anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ...errors import UserError
from ...models.randomise import layer_groups, randomised
from ..method import Method, Reading
from .gradient import Gradient

if TYPE_CHECKING:
    from torch import Tensor

    from ..recorded_pass import RecordedPass


@dataclass(frozen=True)
class RandomMap(Method):
    """Normal noise, voxel by voxel.

    Parameters
    ----------
    seed
        Seed of the noise; the global random state is not touched.
    """

    seed: int = 0

    name: ClassVar[str] = "random"
    title: ClassVar[str] = "Random map"
    reference: ClassVar[str] = "Baseline"
    description: ClassVar[str] = "Noise: a map that looks at nothing."
    units: ClassVar[str] = "none"
    class_discriminative: ClassVar[bool] = False

    def compute(self, recorded: RecordedPass) -> tuple[Tensor, dict[str, Any]]:
        import torch

        generator = torch.Generator().manual_seed(self.seed)
        noise = torch.randn((recorded.x.shape[0], *recorded.shape), generator=generator)
        return noise.to(recorded.x.device), {}


@dataclass(frozen=True)
class Intensity(Method):
    """The scan itself."""

    name: ClassVar[str] = "intensity"
    title: ClassVar[str] = "Input intensity"
    reference: ClassVar[str] = "Baseline; Adebayo et al. 2018, Sanity checks for saliency maps, section 5"
    description: ClassVar[str] = "The scan's own brightness: a map that ignores the model."
    units: ClassVar[str] = "intensity"
    signed: ClassVar[bool] = False
    class_discriminative: ClassVar[bool] = False

    def compute(self, recorded: RecordedPass) -> tuple[Tensor, dict[str, Any]]:
        return recorded.x.detach().sum(1), {}


@dataclass(frozen=True)
class Edges(Method):
    """The magnitude of the scan's spatial gradient, smoothed by a Gaussian of one voxel."""

    name: ClassVar[str] = "edges"
    title: ClassVar[str] = "Edge magnitude"
    reference: ClassVar[str] = "Baseline; Adebayo et al. 2018, Sanity checks for saliency maps, section 5"
    description: ClassVar[str] = "The scan's edges: a map that ignores the model."
    units: ClassVar[str] = "intensity per voxel"
    signed: ClassVar[bool] = False
    class_discriminative: ClassVar[bool] = False

    def compute(self, recorded: RecordedPass) -> tuple[Tensor, dict[str, Any]]:
        import torch

        from ...metrics.reference_maps import edge_map

        scans = recorded.x.detach().sum(1)
        edges = [torch.from_numpy(edge_map(scan.cpu().numpy())) for scan in scans]
        return torch.stack(edges).to(scans), {}


@dataclass(frozen=True)
class RandomisedModel(Method):
    """A method's map of the same network with random weights.

    They are drawn by :func:`mri_interpret.models.randomise.randomised`.

    Parameters
    ----------
    base
        Any method.
    seed
        Random seed; the global random state is not touched.
    """

    base: Method = field(default_factory=Gradient)
    seed: int = 0

    name: ClassVar[str] = "randomised_model"
    title: ClassVar[str] = "Randomised model"
    reference: ClassVar[str] = "Adebayo et al. 2018, Sanity checks for saliency maps, section 3"
    description: ClassVar[str] = "The map of a network that has learned nothing."
    class_discriminative: ClassVar[bool] = False

    @property
    def read_as(self) -> Reading:
        return self.base.read_as

    def components(self) -> tuple[Method, ...]:
        return (self.base,)

    @property
    def map_units(self) -> str:
        return self.base.map_units

    def compute(self, recorded: RecordedPass) -> tuple[Tensor, dict[str, Any]]:
        layers = [name for group in layer_groups(recorded.model, recorded.x) for name in group]
        if not layers:
            raise UserError(
                f"{self.title} needs a network with parameters, but this one has none (a frozen program keeps its "
                "weights as constants): leave this method out."
            )
        other = randomised(recorded.model, layers, recorded.x.detach(), self.seed)
        random_map, _ = recorded.record_with(other).map_of(self.base)
        return random_map, {"base": self.base.name}
