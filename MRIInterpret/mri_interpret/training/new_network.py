"""A network before its training: random weights, and of the template what it knows from the start."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..images.volume import resample
from ..models.evidence_cnn import EvidenceCNN3d
from ..models.plain_cnn import PlainCNN3d
from ..preprocessing.template import load_template
from ..simulation.grids import MODEL_GRID
from .regional_gains import start_by_region

_HIDDEN_CHANNELS, _JOINT_CHANNELS = 112, 64
_GAIN_SHAPE = (16, 18, 16)  # 12 mm: neighbouring gyri may count differently


def new_network(name: str) -> PlainCNN3d | EvidenceCNN3d:
    """A network with fresh weights, drawn from torch's global generator.

    An :class:`.EvidenceCNN3d` gets gains by place, 0 outside the template's brain: behind a mask's edge, features are
    about the mask. Most of its features begin about one region or structure each (:mod:`.regional_gains`).

    Parameters
    ----------
    name
        "PlainCNN3d" or "EvidenceCNN3d".
    """
    if name == "PlainCNN3d":
        return PlainCNN3d()
    network = EvidenceCNN3d(joint_channels=_JOINT_CHANNELS, hidden_channels=_HIDDEN_CHANNELS, gain_shape=_GAIN_SHAPE)
    assert network.gain is not None
    network.gain.inside.copy_(brain_share())
    start_by_region(network.gain)
    return network


@lru_cache(maxsize=1)
def brain_share() -> Tensor:
    """Share of the template's brain in each place of 4 mm, (48, 56, 48), 0 to 1.

    Raises
    ------
    UserError
        If nilearn, which brings the template, is missing.
    """
    _, mask = load_template(1)
    share = resample(mask.with_array(np.asarray(mask.array, dtype=np.float32)), MODEL_GRID)
    return functional.avg_pool3d(torch.from_numpy(np.asarray(share.array, np.float32)).clamp(0, 1)[None], 2)[0]
