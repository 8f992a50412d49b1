"""Where a training starts: a new network, a bundle's, or a checkpoint.

Checkpoints survive a kill at any moment, and refuse to continue a different training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..atomic import replacing
from ..errors import UserError
from ..models import DEFAULT_NETWORK
from ..models.evidence_cnn import EvidenceCNN3d
from ..models.evidence_committee import EvidenceCommittee3d
from ..models.evidence_ensemble import EvidenceEnsemble3d
from ..models.plain_cnn import PlainCNN3d
from ..models.registry import find_model
from .new_network import new_network

#: Networks that can be trained, by name.
TRAINABLE: dict[str, type[PlainCNN3d] | type[EvidenceCNN3d]] = {
    "PlainCNN3d": PlainCNN3d,
    "EvidenceCNN3d": EvidenceCNN3d,
}


def save_checkpoint(path: Path, state: dict[str, Any], identity: dict[str, Any]) -> None:
    """Write ``state`` (tensors, numbers, strings in containers) aside and rename it.

    ``identity`` says which training this is; :func:`load_checkpoint` compares it.
    """
    with replacing(path) as aside:
        try:
            torch.save({"identity": identity, "state": state}, aside)
        except RuntimeError as error:  # torch's zip writer hides a full disk in it
            raise OSError(f"no space or not writable ({str(error).splitlines()[0][:120]})") from error


def load_checkpoint(path: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """The state in ``path``, or None if there is none.

    Raises
    ------
    UserError
        If the file is damaged, or belongs to another network, seed or data set than ``identity``.
    """
    if not path.exists():
        return None
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        theirs, state = stored["identity"], stored["state"]
    except Exception as error:  # zip, pickle and key errors have no common base
        raise UserError(f"The checkpoint {path} is damaged: delete it to train from the start.") from error
    different = sorted(key for key in identity | theirs if identity.get(key) != theirs.get(key))
    if different:
        raise UserError(
            f"The checkpoint {path} belongs to another training (different: {', '.join(different)}): choose another "
            "output folder, or delete it to train from the start."
        )
    result: dict[str, Any] = state
    return result


def check_network(name: str) -> None:
    """Raise a UserError unless a network of this name can be trained."""
    if name not in TRAINABLE:
        raise UserError(f"The network '{name}' cannot be trained here: give one of {', '.join(TRAINABLE)}.")


def start_network(
    init: str | Path | None, seed: int, name: str = DEFAULT_NETWORK
) -> tuple[PlainCNN3d | EvidenceCNN3d, bool]:
    """The network to train: a new one, or a bundle's (of several, the first) to fine-tune; and whether the latter.

    Parameters
    ----------
    init
        Bundle to fine-tune, or None.
    seed
        Random seed of a new network's weights.
    name
        Of a new network: a key of :data:`TRAINABLE`.

    Raises
    ------
    UserError
        If the name is not known, the bundle cannot be read, or it holds another kind of network.
    """
    torch.manual_seed(seed)
    check_network(name)
    if init is None:
        return new_network(name), False
    network = find_model(init).network
    if isinstance(network, EvidenceEnsemble3d):
        network = network.networks()[0]
    if isinstance(network, EvidenceCommittee3d):
        network = network.first()
    if not isinstance(network, PlainCNN3d | EvidenceCNN3d):
        raise UserError(
            f"{init} holds a {type(network).__name__}; only these networks can be fine-tuned here: "
            f"{', '.join(TRAINABLE)}."
        )
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    return network, True
