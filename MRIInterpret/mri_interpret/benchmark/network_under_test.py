"""A network under test, its methods, and what its maps are compared on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..attribution.result import resolution_mm
from ..images.volume import Grid
from ..models.randomise import layer_groups, randomised

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ..attribution import Attribution, Method


@dataclass
class NetworkUnderTest:
    """A network under test, and what its maps are compared on.

    Attributes
    ----------
    network
        In evaluation mode; returns logits (N, classes).
    target
        A weight for each logit: the contrast that is explained, the disease's class minus the healthy one's.
    grid
        The model's.
    labels
        Atlas on that grid, (I, J, K).
    structures
        By name, the labels (left and right) of each structure that the disease changes.
    methods, slow
        Configured methods by key; the slow ones run on a few subjects only.
    summary_methods
        Keys of the methods in this model's summary score.
    summary_weights
        Their weights by key; 1 for others.
    device
        Where to compute; where the network is if None.
    """

    network: nn.Module
    target: Sequence[float]
    grid: Grid
    labels: NDArray[np.int64]
    structures: Mapping[str, tuple[int, ...]]
    methods: Mapping[str, Method]
    slow: Mapping[str, Method] = field(default_factory=dict)
    summary_methods: Sequence[str] = ()
    summary_weights: Mapping[str, float] = field(default_factory=dict)
    device: str | None = None

    @property
    def affected(self) -> tuple[int, ...]:
        return tuple(label for labels in self.structures.values() for label in labels)

    def explain(
        self,
        network: nn.Module,
        image: torch.Tensor,
        mask: NDArray[np.bool_],
        methods: Mapping[str, Method],
        fluid: NDArray[np.floating] | None = None,
    ) -> tuple[dict[str, NDArray[np.float32]], dict[str, float]]:
        """Maps by key, and the resolution in mm of coarse ones (0 for others)."""
        found = self.attributions(network, image, mask, methods, fluid)
        maps = {key: map_of(one) for key, one in found.items()}
        return maps, {key: resolution_mm(one.details, self.grid.spacing) for key, one in found.items()}

    def attributions(
        self,
        network: nn.Module,
        image: torch.Tensor,
        mask: NDArray[np.bool_],
        methods: Mapping[str, Method],
        fluid: NDArray[np.floating] | None = None,
    ) -> dict[str, Attribution]:
        """What the methods found, by key.

        Parameters
        ----------
        network
            This one, or another one of the same kind.
        image
            (1, C, I, J, K).
        mask
            Brain, (I, J, K).
        methods
            Configured methods by key.
        fluid
            Share of each voxel that is fluid, (I, J, K), for volume methods.
        """
        import torch

        from ..attribution import Explainer

        if not methods:
            return {}
        # The explainer's own keys depend on which other methods are asked for; the order does not.
        unique = {method: None for method in methods.values()}
        found = Explainer(network).explain(
            image,
            target=list(self.target),
            methods=list(unique),
            device=self.device,
            brain_mask=torch.as_tensor(mask),
            regions=torch.as_tensor(self.labels),
            spacing=[float(size) for size in self.grid.spacing],
            fluid=None if fluid is None else torch.as_tensor(fluid),
        )
        by_method = dict(zip(unique, found.values(), strict=True))
        return {key: by_method[method] for key, method in methods.items()}


def map_of(found: Attribution) -> NDArray[np.float32]:
    """The map of one image, (I, J, K)."""
    array = found.map.detach().cpu().numpy().astype(np.float32)
    return array.reshape(array.shape[-3:])


def random_copy(under_test: NetworkUnderTest, image: torch.Tensor, seed: int) -> nn.Module:
    """The network with random parameters in every layer: its maps show what the architecture alone brings about."""
    layers = tuple(name for group in layer_groups(under_test.network, image) for name in group)
    return randomised(under_test.network, layers, image, seed)
