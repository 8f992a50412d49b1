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
from ..simulation.acquisition import crop
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
_EPSILON = 1e-12


class TrainingHeads(nn.Module):
    """Network plus heads; the classifier sees standardised features until it is folded back.

    Its inputs are the pooled features and the means of the dense maps, that is, the structures' volumes. Both differ in
    scale by orders of magnitude and hardly vary between subjects: without standardising them (running mean and
    variance, no gradient) the linear layers would learn at a crawl. The dense maps being linear in the features,
    everything is one linear layer on the pooled features in the end.
    """

    mean: Tensor
    var: Tensor
    seen: Tensor

    def __init__(self, network: PlainCNN3d, num_classes: int = 3) -> None:
        super().__init__()
        self.network = network
        width = network.classifier.in_features
        self.dense = nn.Conv3d(width, len(TARGETS), 1)
        self.fraction = nn.Linear(width + len(TARGETS), 1)
        self.classes = nn.Linear(width + len(TARGETS), num_classes)
        self.register_buffer("mean", torch.zeros(width + len(TARGETS)))
        self.register_buffer("var", torch.ones(width + len(TARGETS)))
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))
        for layer in (self.classes, self.fraction):
            nn.init.normal_(layer.weight, std=0.02)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Dense shares (N, T, i, j, k), scaled fraction (N,), logits (N, C); float32 whatever the autocast."""
        features = self.network.features(image)
        with torch.autocast(image.device.type, enabled=False):
            features = features.float()
            inputs = self._inputs(features.mean((2, 3, 4)))
            if self.training:
                self._update(inputs.detach())
            standard = (inputs - self.mean) / torch.sqrt(self.var + _EPSILON)
            return self.dense(features), self.fraction(standard).squeeze(1), self.classes(standard)

    def _inputs(self, pooled: Tensor) -> Tensor:
        """Pooled features (N, F) and the means of the dense maps (N, T), side by side."""
        weight, bias = self._dense_layer()
        return torch.cat((pooled, pooled @ weight.T + bias), 1)

    def _dense_layer(self) -> tuple[Tensor, Tensor]:
        assert self.dense.bias is not None
        return self.dense.weight.flatten(1), self.dense.bias

    @torch.no_grad()
    def _update(self, inputs: Tensor) -> None:
        self.seen += 1
        momentum = max(0.02, 1.0 / float(self.seen))
        self.mean.lerp_(inputs.mean(0), momentum)
        self.var.lerp_((inputs - self.mean).square().mean(0), momentum)

    @torch.no_grad()
    def match_whole_grid(self, images: Tensor, margin: int) -> None:
        """After training on images cropped by ``margin`` voxels, make the running statistics fit whole images.

        Empty space adds the same to every scan's pooled features and dilutes the rest, so the standardised features,
        and all that was learnt on them, stay as they were: only mean and variance are set anew.
        """
        was_training = self.training
        self.eval()
        whole = self._inputs(self.network.features(images).float().mean((2, 3, 4))).mean(0)
        cropped_images = crop(images, margin)
        cropped = self._inputs(self.network.features(cropped_images).float().mean((2, 3, 4))).mean(0)
        dilution = cropped_images[0].numel() / images[0].numel()
        self.mean.copy_(whole + dilution * (self.mean - cropped))
        self.var.mul_(dilution**2)
        self.train(was_training)

    @torch.no_grad()
    def start_from_network(self) -> None:
        """Take the class layer from the network's own classifier, for fine-tuning: pooled features only at first."""
        width = self.network.classifier.in_features
        weight = self.network.classifier.weight
        self.classes.weight.zero_()
        self.classes.weight[:, :width] = weight * torch.sqrt(self.var[:width] + _EPSILON)
        self.classes.bias.copy_(self.network.classifier.bias + weight @ self.mean[:width])

    @torch.no_grad()
    def fold(self) -> PlainCNN3d:
        """The network by itself, its classifier set so that its logits equal this module's."""
        width = self.network.classifier.in_features
        dense_weight, dense_bias = self._dense_layer()
        weight = self.classes.weight / torch.sqrt(self.var + _EPSILON)
        bias = self.classes.bias - weight @ self.mean
        self.network.classifier.weight.copy_(weight[:, :width] + weight[:, width:] @ dense_weight)
        self.network.classifier.bias.copy_(bias + weight[:, width:] @ dense_bias)
        return self.network


@dataclass(frozen=True)
class LossWeights:
    """How much each part counts."""

    dense: float
    fraction: float
    classes: float

    @classmethod
    def at(cls, done: float) -> LossWeights:
        """Dense targets first, classes last; ``done`` runs from 0 to 1."""
        return cls(dense=1.0 - 0.6 * done, fraction=0.5, classes=0.1 + 0.4 * done)


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
