"""What is attached to the network during training only: dense targets and the hippocampal fraction, and their losses.

Class labels alone teach slowly: one number a scan. The simulator knows the truth at every voxel, so the features are
also asked for the share of each structure there. Pooled, these shares are volumes: what the classifier needs; and a
linear reading of all pooled features is asked for the volume of each region that the published disease knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..models.evidence_cnn import EvidenceCNN3d, ScaleNorm3d
from ..models.plain_cnn import PlainCNN3d
from ..simulation.acquisition import crop
from ..simulation.norms import CORTEX_NORM, CORTEX_SHARES, NORMS
from ..simulation.published import VOLUMES
from ..simulation.region_shares import OWN_REGIONS
from ..simulation.structures import TARGETS
from .regional_gains import plan

# Of the squared error of each dense target; a hippocampus fills one voxel in four hundred, cortex one in four. Tissues
# still count more than by their size: the volumes of the cortex's regions are read from them.
DENSE_WEIGHTS = {
    "hippocampus": 100.0,
    "amygdala": 60.0,
    "inferior lateral ventricle": 60.0,
    "lateral ventricle": 8.0,
    "cortex": 3.0,
    "white matter": 3.0,
    "CSF": 3.0,
}
#: The networks that can be trained; both average non-negative features over the grid and read the classes from that.
Trainable = PlainCNN3d | EvidenceCNN3d
#: Voxel size of the dense targets at which each is trained: that of its last features.
TARGETS_MM: dict[type[nn.Module], int] = {PlainCNN3d: 8, EvidenceCNN3d: 4}
FRACTION_CENTRE, FRACTION_SCALE = 4.3, 0.8  # per mille
_EPSILON = 1e-12
_REGION_WEIGHT, _LARGEST_WEIGHT = 1.5, 40.0  # of a region as large as the cortex, and at most


def _own(tissue: str, regions: tuple[str, ...]) -> str | None:
    """The region of its own that a feature about a tissue of some regions is asked for."""
    return regions[0] if len(regions) == 1 and (tissue == "cortex" or regions == ("third ventricle",)) else None


_PLANNED = plan()[len(TARGETS) :]
#: Dense targets of the features behind ``structures.TARGETS``, which begin about one region each: numbers of these for
#: the tissue, and, where the targets go on with ``region_shares.OWN_REGIONS``, of the region by itself if it is there.
REGIONAL = tuple(list(TARGETS).index(tissue) for tissue, _ in _PLANNED)
OWN = tuple(
    number if (name := _own(*row)) is None else len(TARGETS) + OWN_REGIONS.index(name)
    for number, row in zip(REGIONAL, _PLANNED, strict=True)
)


def _region_weight(tissue: str, regions: tuple[str, ...]) -> float:
    """Of a region of its own, by its size as :data:`DENSE_WEIGHTS`; else of the tissue."""
    name = _own(tissue, regions)
    if name is None:
        return DENSE_WEIGHTS[tissue]
    size = NORMS[name] if name in NORMS else CORTEX_NORM * CORTEX_SHARES[name] / 100
    return min(_LARGEST_WEIGHT, _REGION_WEIGHT * (CORTEX_NORM / size) ** 0.75)


OWN_WEIGHTS = tuple(_region_weight(*row) for row in _PLANNED)


class Predicted(NamedTuple):
    """What the heads say of N scans."""

    shares: Tensor  # (N, T, i, j, k): of structures.TARGETS, before their ReLU
    fraction: Tensor  # (N,): hippocampal, scaled
    volumes: Tensor  # (N, V): see VOLUMES
    logits: Tensor  # (N, C)
    regional: Tensor | None = None  # (N, R, i, j, k): features about one region each, before their gains
    places: Tensor | None = None  # (1, R, i, j, k): where these are asked for their tissue, 0 to 1


class TrainingHeads(nn.Module):
    """Network plus what it needs in training; the classifier sees standardised features until it is folded back.

    The first channels of the last block are asked to be the shares of ``structures.TARGETS``. Behind a ReLU they can be
    exactly zero wherever the structure is not, so that their mean over the whole image is the structure's volume: a
    linear map of the features would add up the noise of ten thousand empty voxels to the signal of twenty.

    Where a network has them, the features that begin about one region each (:mod:`.regional_gains`) are asked to be
    the region's share, or their tissue's there if the bank does not know regions. Asked for nothing but volumes and
    classes, 30 of 37 had died in atrophy_cnn 0.5.0: a feature that is below zero everywhere learns nothing any more.

    Pooled features hardly vary between subjects: without standardising them (running mean and variance, no gradient)
    the linear layers would learn at a crawl. A network without biases must not be centred by a constant: there each
    feature over its mean is compared with the mean of all of these, which is near 1 in every scan and grows with the
    image as the feature does, so that the logits stay positively homogeneous.
    """

    dense_weights: Tensor
    mean: Tensor
    var: Tensor
    seen: Tensor

    def __init__(self, network: Trainable, num_classes: int = 3, *, fresh: bool = True) -> None:
        super().__init__()
        width = network.width
        if width < len(TARGETS):
            raise ValueError(f"{width} features cannot hold {len(TARGETS)} dense targets")
        self.network = network
        self.regional = is_regional(network)
        self.fraction = nn.Linear(width, 1)
        self.volumes = nn.Linear(width, len(VOLUMES))
        self.classes = nn.Linear(width, num_classes)
        scale = torch.tensor([DENSE_WEIGHTS[name] for name in TARGETS])
        self.register_buffer("dense_weights", scale, persistent=False)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("var", torch.ones(width))
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))
        for layer in (self.classes, self.fraction, self.volumes):
            nn.init.normal_(layer.weight, std=0.02)
        if fresh:
            with torch.no_grad():  # shares are small and mostly zero; begin near there
                norm = network.joint[1] if isinstance(network, EvidenceCNN3d) else network.blocks[-1][1]  # type: ignore[index]
                assert isinstance(norm, (nn.BatchNorm3d, ScaleNorm3d))
                norm.weight[: len(TARGETS) + (len(OWN) if self.regional else 0)] = 0.3
                if isinstance(norm, nn.BatchNorm3d):
                    norm.bias[: len(TARGETS)] = -0.2

    @property
    def centred(self) -> bool:
        """Whether features are centred by a constant, as only a network with biases may be."""
        return isinstance(self.network, PlainCNN3d)

    def forward(self, image: Tensor) -> Predicted:
        """What the losses are about; float32 in any autocast."""
        joined = None
        if self.regional:
            assert isinstance(self.network, EvidenceCNN3d)
            assert self.network.gain is not None
            joined = self.network.joint(self.network.before_joint(image))
            before = self.network.gain(joined)
        else:
            before = self.network.before_last_relu(image)
        with torch.autocast(image.device.type, enabled=False):
            before = before.float()
            pooled = before.relu().mean((2, 3, 4))
            if self.training:
                self._update(pooled.detach())
            standard, level = self._standard(pooled)

            def read(layer: nn.Linear) -> Tensor:
                return functional.linear(standard, layer.weight) + level * layer.bias

            shares = before[:, : len(TARGETS)]
            found = Predicted(shares, read(self.fraction).squeeze(1), read(self.volumes), read(self.classes))
            if joined is None:
                return found
            own = slice(len(TARGETS), len(TARGETS) + len(REGIONAL))
            return found._replace(regional=joined[:, own].float(), places=self._places(joined)[:, own])

    @torch.no_grad()
    def _places(self, joined: Tensor) -> Tensor:
        """Gains of each feature over its largest, (1, width, i, j, k)."""
        assert isinstance(self.network, EvidenceCNN3d)
        assert self.network.gain is not None
        gains = self.network.gain.gains(joined.shape[2:])
        return gains / gains.amax((2, 3, 4), keepdim=True).clamp(min=_EPSILON)

    def _standard(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Features about as large as their differences between scans, (N, width), and what biases multiply, (N, 1)."""
        deviation = torch.sqrt(self.var + _EPSILON)
        if self.centred:
            return (pooled - self.mean) / deviation, torch.ones_like(pooled[:, :1])
        relative, level = self._relative(pooled)
        return relative / deviation, level

    def _relative(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        over_mean = pooled / self.mean.clamp(min=_EPSILON)
        level = over_mean.mean(1, keepdim=True)
        return over_mean - level, level

    @torch.no_grad()
    def _update(self, pooled: Tensor) -> None:
        self.seen += 1
        momentum = (1.0 / self.seen).clamp(min=0.03)  # a tensor: a number would make the host wait for a GPU
        self.mean.lerp_(pooled.mean(0), momentum)
        away = pooled - self.mean if self.centred else self._relative(pooled)[0]
        self.var.lerp_(away.square().mean(0), momentum)

    @torch.no_grad()
    def match_whole_grid(self, images: Tensor, margin: int) -> None:
        """After training on images cropped by ``margin`` voxels, make the running statistics fit whole images.

        Empty space adds the same to every scan's pooled features and dilutes the rest, so the standardised features,
        and all that was learnt on them, stay as they were: only mean and variance are set anew.
        """
        was_training = self.training
        self.eval()
        whole = self.network.features(images).float().mean((0, 2, 3, 4))
        cropped_images = crop(images, margin)
        cropped = self.network.features(cropped_images).float().mean((0, 2, 3, 4))
        if not self.centred:
            # Empty space adds nothing, but dilutes; and features reach beyond where the image was cut.
            self.mean.mul_(whole / cropped.clamp(min=_EPSILON))
            self.train(was_training)
            return
        dilution = cropped_images[0].numel() / images[0].numel()
        self.mean.copy_(whole + dilution * (self.mean - cropped))
        self.var.mul_(dilution**2)
        self.train(was_training)

    @torch.no_grad()
    def start_from_network(self, images: Tensor) -> None:
        """Take the class layer from the network's own, for fine-tuning; ``images`` set mean and variance."""
        was_training = self.training
        self.eval()
        pooled = self.network.features(images).float().mean((2, 3, 4))
        self.mean.copy_(pooled.mean(0))
        self.seen.fill_(len(images))
        if isinstance(self.network, PlainCNN3d):
            self.var.copy_(pooled.var(0))
            weight: Tensor = self.network.classifier.weight
            bias = self.network.classifier.bias + weight @ self.mean
        else:
            self.var.copy_(self._relative(pooled)[0].square().mean(0))
            # Of features over their means, which is their level plus what each differs from it.
            weight = self.network.evidence.weight * self.mean.clamp(min=_EPSILON)
            bias = weight.sum(1)
        self.classes.weight.copy_(weight * torch.sqrt(self.var + _EPSILON))
        self.classes.bias.copy_(bias)
        self.train(was_training)

    @torch.no_grad()
    def fold(self) -> Trainable:
        """The network by itself, its last layer set so that its logits equal this module's."""
        weight = self.classes.weight / torch.sqrt(self.var + _EPSILON)
        if isinstance(self.network, PlainCNN3d):
            self.network.classifier.weight.copy_(weight)
            self.network.classifier.bias.copy_(self.classes.bias - weight @ self.mean)
            return self.network
        left = (self.classes.bias - weight.sum(1))[:, None] / weight.shape[1]
        folded = (weight + left) / self.mean.clamp(min=_EPSILON)
        self.network.evidence.weight.copy_(folded)
        return self.network


@dataclass(frozen=True)
class LossWeights:
    """How much each part counts."""

    dense: float
    fraction: float
    volumes: float
    classes: float

    @classmethod
    def at(cls, done: float) -> LossWeights:
        """Dense targets first, volumes and classes as soon as the features are about them; ``done`` from 0 to 1."""
        ready = min(1.0, max(0.0, (done - 0.05) / 0.1))
        return cls(
            dense=1.0 - 0.5 * done, fraction=0.3 * ready, volumes=0.5 * ready, classes=(0.1 + 0.4 * done) * ready
        )


def losses(
    predicted: Predicted, batch: dict[str, Tensor], weights: LossWeights, dense_weights: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Total loss, and its parts for the log, detached and where they were computed.

    Parameters
    ----------
    predicted
        From :meth:`TrainingHeads.forward`.
    batch
        ``classes`` (N, C) probabilities, and where known (a table of real scans knows none of them) ``targets``
        (N, T, i, j, k) of ``structures.TARGETS``, perhaps followed by ``region_shares.OWN_REGIONS``; ``fraction``
        (N,) in per mille, ``volumes`` (N, V) as :func:`.published.volumes_of_both_sides` gives them.
    weights
        Weights of the parts.
    dense_weights
        (T,): weights of the dense targets.
    """
    entropy = functional.cross_entropy(predicted.logits, batch["classes"])
    total = weights.classes * entropy
    parts = {"classes": entropy.detach()}
    if "targets" in batch:
        dense, truth = predicted.shares, batch["targets"]
        if truth.shape[2:] != dense.shape[2:]:
            truth = functional.avg_pool3d(truth, truth.shape[2] // dense.shape[2])
        error = _far_from(dense, truth[:, : len(TARGETS)], dense_weights)
        total = total + weights.dense * error
        parts["dense"] = error.detach()
        if predicted.regional is not None and predicted.places is not None:
            known = truth.shape[1] > len(TARGETS)
            asked = list(OWN if known else REGIONAL)
            each = dense_weights.new_tensor(OWN_WEIGHTS) if known else dense_weights[asked]
            error = _far_from(predicted.regional, truth[:, asked], each, predicted.places)
            total = total + weights.dense * error
            parts["regional"] = error.detach()
    if "fraction" in batch:
        goal = (batch["fraction"] - FRACTION_CENTRE) / FRACTION_SCALE
        error = functional.smooth_l1_loss(predicted.fraction, goal)
        total = total + weights.fraction * error
        parts["fraction"] = error.detach()
    if "volumes" in batch:
        error = functional.smooth_l1_loss(predicted.volumes, batch["volumes"])
        total = total + weights.volumes * error
        parts["volumes"] = error.detach()
    return total, parts


def _far_from(shares: Tensor, truth: Tensor, weights: Tensor, places: Tensor | None = None) -> Tensor:
    """Weighted squared error of shares (N, T, i, j, k), at ``places``."""
    # Outside a structure every value below zero is right, because the ReLU makes it zero.
    gap = torch.where(truth > 0, shares - truth, shares.relu()).square()
    return ((gap if places is None else gap * places).mean((0, 2, 3, 4)) * weights).sum()


def is_regional(network: Trainable) -> bool:
    """Whether features of a network begin about one region each, as :func:`.new_network.new_network` makes them."""
    if not isinstance(network, EvidenceCNN3d) or network.gain is None or network.hidden is None:
        return False
    return network.width >= len(TARGETS) + len(REGIONAL)
