"""Checkpoints that survive a kill at any moment, and refuse to continue something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..atomic import replacing
from ..errors import UserError


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
        If the file is damaged, or is of another network, seed or data than ``identity``.
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
            f"The checkpoint {path} is of another training (different: {', '.join(different)}): choose another "
            "output folder, or delete it to train from the start."
        )
    result: dict[str, Any] = state
    return result
