"""What is attached to the network during training only: dense targets and the hippocampal fraction, and their losses.

Class labels alone teach slowly: one number a scan. The simulator knows the truth at every voxel, so the features are
also asked, by one linear map per voxel, for the share of each structure there. The mean of that linear map over the
brain is the same linear map of the pooled features, so what the dense targets teach is what the classifier needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..models.plain_cnn import PlainCNN3d
from ..simulation.structures import TARGETS

# Of the squared error of each dense target; a hippocampus fills one voxel in four hundred, cortex one in four.
DENSE_WEIGHTS = {
    "hippocampus": 100.0,
    "amygdala": 60.0,
    "inferior lateral ventricle": 60.0,
    "lateral ventricle": 8.0,
    "cortex": 1.0,
    "white matter": 1.0,
    "CSF": 1.0,
}
FRACTION_CENTRE, FRACTION_SCALE = 4.3, 0.8  # per mille


class TrainingHeads(nn.Module):
    """Network plus heads; the classifier works on standardised pooled features until it is folded back.

    The pooled features differ in scale by orders of magnitude and hardly vary between subjects: without standardising
    them (running mean and variance, no gradient) the linear layer would learn at a crawl.
    """

    pooled_mean: Tensor
    pooled_var: Tensor
    seen: Tensor

    def __init__(self, network: PlainCNN3d, num_classes: int = 3) -> None:
        super().__init__()
        self.network = network
        width = network.classifier.in_features
        self.dense = nn.Conv3d(width, len(TARGETS), 1)
        self.fraction = nn.Linear(width, 1)
        self.classes = nn.Linear(width, num_classes)
        self.register_buffer("pooled_mean", torch.zeros(width))
        self.register_buffer("pooled_var", torch.ones(width))
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))
        if self.dense.bias is not None:
            nn.init.zeros_(self.dense.bias)
        nn.init.normal_(self.classes.weight, std=0.02)
        nn.init.normal_(self.fraction.weight, std=0.02)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Dense shares (N, T, i, j, k), scaled fraction (N,), logits (N, C); float32 whatever the autocast."""
        features = self.network.features(image)
        with torch.autocast(image.device.type, enabled=False):
            features = features.float()
            pooled = features.mean((2, 3, 4))
            if self.training:
                self._update(pooled.detach())
            standard = (pooled - self.pooled_mean) / torch.sqrt(self.pooled_var + 1e-10)
            return self.dense(features), self.fraction(standard).squeeze(1), self.classes(standard)

    @torch.no_grad()
    def _update(self, pooled: Tensor) -> None:
        self.seen += 1
        momentum = max(0.02, 1.0 / float(self.seen))
        self.pooled_mean.lerp_(pooled.mean(0), momentum)
        self.pooled_var.lerp_((pooled - self.pooled_mean).square().mean(0), momentum)

    @torch.no_grad()
    def match_whole_grid(self, images: Tensor, margin: int) -> None:
        """After training on images cropped by ``margin`` voxels, make the pooled statistics fit whole images.

        Empty space adds the same to every scan's pooled features and dilutes the rest, so the standardised features,
        and all that was learnt on them, stay as they were: only their mean and variance are set anew.
        """
        was_training = self.training
        self.eval()
        cropped = crop(images, margin)
        whole_mean = self.network.features(images).float().mean((0, 2, 3, 4))
        cropped_mean = self.network.features(cropped).float().mean((0, 2, 3, 4))
        dilution = cropped[0].numel() / images[0].numel()
        self.pooled_mean.copy_(whole_mean + dilution * (self.pooled_mean - cropped_mean))
        self.pooled_var.mul_(dilution**2)
        self.train(was_training)

    @torch.no_grad()
    def start_from_network(self) -> None:
        """Take the class layer from the network's own classifier, for fine-tuning."""
        std = torch.sqrt(self.pooled_var + 1e-10)
        self.classes.weight.copy_(self.network.classifier.weight * std)
        self.classes.bias.copy_(self.network.classifier.bias + self.network.classifier.weight @ self.pooled_mean)

    @torch.no_grad()
    def fold(self) -> PlainCNN3d:
        """The network by itself, its classifier set so that its logits equal this module's."""
        std = torch.sqrt(self.pooled_var + 1e-10)
        weight = self.classes.weight / std
        self.network.classifier.weight.copy_(weight)
        self.network.classifier.bias.copy_(self.classes.bias - weight @ self.pooled_mean)
        return self.network


def crop(volumes: Tensor, margin: int) -> Tensor:
    """(..., I, J, K) without ``margin`` voxels at each face."""
    if margin == 0:
        return volumes
    return volumes[..., margin:-margin, margin:-margin, margin:-margin]


@dataclass(frozen=True)
class LossWeights:
    """How much each part counts."""

    dense: float
    fraction: float
    classes: float

    @classmethod
    def at(cls, done: float) -> LossWeights:
        """Dense targets first, classes last; ``done`` runs from 0 to 1."""
        return cls(dense=1.0 - 0.6 * done, fraction=0.3, classes=0.1 + 0.4 * done)


def losses(
    predicted: tuple[Tensor, Tensor, Tensor], batch: dict[str, Tensor], weights: LossWeights
) -> tuple[Tensor, dict[str, float]]:
    """Total loss, and its parts for the log.

    Parameters
    ----------
    predicted
        From :meth:`TrainingHeads.forward`.
    batch
        ``classes`` (N, C) probabilities, and ``targets`` (N, T, i, j, k), ``fraction`` (N,) in per mille where known
        (simulated scans; a table of real scans has none).
    weights
        Of the parts.
    """
    dense, fraction, logits = predicted
    total = weights.classes * functional.cross_entropy(logits, batch["classes"])
    parts = {"classes": float(total.detach()) / max(weights.classes, 1e-9)}
    if "targets" in batch:
        scale = torch.tensor([DENSE_WEIGHTS[name] for name in TARGETS], device=dense.device)
        error = ((dense - batch["targets"]).square().mean((0, 2, 3, 4)) * scale).sum()
        total = total + weights.dense * error
        parts["dense"] = float(error.detach())
    if "fraction" in batch:
        goal = (batch["fraction"] - FRACTION_CENTRE) / FRACTION_SCALE
        error = functional.smooth_l1_loss(fraction, goal)
        total = total + weights.fraction * error
        parts["fraction"] = float(error.detach())
    return total, parts
