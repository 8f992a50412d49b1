"""Where training starts: a fresh network, or that of a bundle."""

from __future__ import annotations

from pathlib import Path

import torch

from ..errors import UserError
from ..models.plain_cnn import PlainCNN3d
from ..models.registry import find_model


def start_network(init: str | Path | None, seed: int) -> tuple[PlainCNN3d, bool]:
    """A fresh network, or a bundle's, and whether it is the latter.

    Raises
    ------
    UserError
        If the bundle is unsound, or holds another kind of network.
    """
    torch.manual_seed(seed)
    if init is None:
        return PlainCNN3d(), False
    network = find_model(init).network
    if not isinstance(network, PlainCNN3d):
        raise UserError(f"{init} holds a {type(network).__name__}: only the bundled kind of network can be fine-tuned.")
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    return network, True
