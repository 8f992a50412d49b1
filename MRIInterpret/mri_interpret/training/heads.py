"""What is attached to the network during training only: dense targets and the hippocampal fraction, and their losses.

Class labels alone teach slowly: one number a scan. The simulator knows the truth at every voxel, so the features are
also asked for the share of each structure there. Pooled, these shares are volumes: what the classifier needs.
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
    """Network plus what it needs in training; the classifier sees standardised features until it is folded back.

    The first channels of the last block are asked to be the shares of ``structures.TARGETS``. Behind a ReLU they can be
    exactly zero wherever the structure is not, so that their mean over the whole image is the structure's volume: a
    linear map of the features would add up the noise of ten thousand empty voxels to the signal of twenty.

    Pooled features hardly vary between subjects: without standardising them (running mean and variance, no gradient)
    the linear layers would learn at a crawl.
    """

    mean: Tensor
    var: Tensor
    seen: Tensor

    def __init__(self, network: PlainCNN3d, num_classes: int = 3, *, fresh: bool = True) -> None:
        super().__init__()
        width = network.classifier.in_features
        if width < len(TARGETS):
            raise ValueError(f"{width} features cannot hold {len(TARGETS)} dense targets")
        self.network = network
        self.fraction = nn.Linear(width, 1)
        self.classes = nn.Linear(width, num_classes)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("var", torch.ones(width))
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))
        for layer in (self.classes, self.fraction):
            nn.init.normal_(layer.weight, std=0.02)
        if fresh:
            with torch.no_grad():  # shares are small and mostly zero; begin near there
                self._last_norm().weight[: len(TARGETS)] = 0.3
                self._last_norm().bias[: len(TARGETS)] = -0.2

    def _last_norm(self) -> nn.BatchNorm3d:
        norm = self.network.blocks[-1][1]  # type: ignore[index]
        assert isinstance(norm, nn.BatchNorm3d)
        return norm

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Shares before their ReLU (N, T, i, j, k), scaled fraction (N,), logits (N, C); float32 in any autocast."""
        *early, last = self.network.blocks
        for block in early:
            image = block(image)
        before = last[1](last[0](image))  # type: ignore[index]
        with torch.autocast(image.device.type, enabled=False):
            before = before.float()
            pooled = before.relu().mean((2, 3, 4))
            if self.training:
                self._update(pooled.detach())
            standard = (pooled - self.mean) / torch.sqrt(self.var + _EPSILON)
            return before[:, : len(TARGETS)], self.fraction(standard).squeeze(1), self.classes(standard)

    @torch.no_grad()
    def _update(self, pooled: Tensor) -> None:
        self.seen += 1
        momentum = max(0.03, 1.0 / float(self.seen))
        self.mean.lerp_(pooled.mean(0), momentum)
        self.var.lerp_((pooled - self.mean).square().mean(0), momentum)

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
        dilution = cropped_images[0].numel() / images[0].numel()
        self.mean.copy_(whole + dilution * (self.mean - cropped))
        self.var.mul_(dilution**2)
        self.train(was_training)

    @torch.no_grad()
    def start_from_network(self, images: Tensor) -> None:
        """Take the class layer from the network's own classifier, for fine-tuning; ``images`` set mean and variance."""
        was_training = self.training
        self.eval()
        pooled = self.network.features(images).float().mean((2, 3, 4))
        self.mean.copy_(pooled.mean(0))
        self.var.copy_(pooled.var(0))
        self.seen.fill_(len(images))
        weight = self.network.classifier.weight
        self.classes.weight.copy_(weight * torch.sqrt(self.var + _EPSILON))
        self.classes.bias.copy_(self.network.classifier.bias + weight @ self.mean)
        self.train(was_training)

    @torch.no_grad()
    def fold(self) -> PlainCNN3d:
        """The network by itself, its classifier set so that its logits equal this module's."""
        weight = self.classes.weight / torch.sqrt(self.var + _EPSILON)
        self.network.classifier.weight.copy_(weight)
        self.network.classifier.bias.copy_(self.classes.bias - weight @ self.mean)
        return self.network


@dataclass(frozen=True)
class LossWeights:
    """How much each part counts."""

    dense: float
    fraction: float
    classes: float

    @classmethod
    def at(cls, done: float) -> LossWeights:
        """Dense targets first, the fraction and the classes as soon as there are volumes; ``done`` from 0 to 1."""
        ready = min(1.0, max(0.0, (done - 0.05) / 0.1))
        return cls(dense=1.0 - 0.5 * done, fraction=0.3 * ready, classes=(0.1 + 0.4 * done) * ready)


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
        Weights of the parts.
    """
    dense, fraction, logits = predicted
    entropy = functional.cross_entropy(logits, batch["classes"])
    total = weights.classes * entropy
    parts = {"classes": float(entropy.detach())}
    if "targets" in batch:
        scale = torch.tensor([DENSE_WEIGHTS[name] for name in TARGETS], device=dense.device)
        # Outside a structure every value below zero is right, because the ReLU makes it zero.
        truth = batch["targets"]
        gap = torch.where(truth > 0, dense - truth, dense.relu())
        error = (gap.square().mean((0, 2, 3, 4)) * scale).sum()
        total = total + weights.dense * error
        parts["dense"] = float(error.detach())
    if "fraction" in batch:
        goal = (batch["fraction"] - FRACTION_CENTRE) / FRACTION_SCALE
        error = functional.smooth_l1_loss(fraction, goal)
        total = total + weights.fraction * error
        parts["fraction"] = float(error.detach())
    return total, parts
