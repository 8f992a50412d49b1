"""What networks have in common whose logits are sums over places: features, one ReLU, one linear layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class EvidenceSum(nn.Module):
    """Logits from the mean of non-negative features over the grid, without a bias.

    Attributes
    ----------
    last_relu
        Makes the features.
    evidence
        Reads the logits from their mean.
    """

    last_relu: nn.ReLU
    evidence: nn.Linear

    def before_last_relu(self, image: Tensor) -> Tensor:
        """Images (N, in_channels, I, J, K) to features of either sign, (N, width, I / 2, J / 2, K / 2)."""
        raise NotImplementedError

    def features(self, image: Tensor) -> Tensor:
        """The features: (N, width, I / 2, J / 2, K / 2), non-negative."""
        found: Tensor = self.last_relu(self.before_last_relu(image))
        return found

    def places(self, image: Tensor) -> Tensor:
        """Evidence for each class at each place: (N, num_classes, I / 2, J / 2, K / 2); its mean is the logits."""
        return torch.einsum("oc,ncijk->noijk", self.evidence.weight, self.features(image))

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, num_classes) of images (N, in_channels, I, J, K), sides divisible by 4."""
        found: Tensor = self.evidence(self.features(image).mean((2, 3, 4)))
        return found

    @property
    def num_classes(self) -> int:
        """Number of logits."""
        return self.evidence.out_features

    @property
    def width(self) -> int:
        """Number of the features that are averaged."""
        return self.evidence.in_features
