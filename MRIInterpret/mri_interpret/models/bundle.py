"""A model bundle (MONAI Bundle layout) from disk: weights are read, never unpickled."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from .metadata import Metadata, read_json, read_metadata
from .networks import build_network

if TYPE_CHECKING:
    from torch import nn

# In the order in which they are looked for.
WEIGHTS = ("model.safetensors", "model.pt2", "model.ts", "model.pt")


@dataclass(frozen=True)
class ModelBundle:
    """A model ready to be explained."""

    path: Path
    metadata: Metadata
    hash: str  # SHA-256 of the weights file
    network: nn.Module  # in eval mode, on the CPU, parameters without gradients

    @property
    def card(self) -> Path:
        """The model card, which a bundle should have and may lack."""
        return self.path / "docs" / "README.md"


def load_bundle(path: str | Path) -> ModelBundle:
    """Read a bundle and check it.

    Parameters
    ----------
    path
        The bundle's folder, with configs/metadata.json, configs/inference.json and models/model.safetensors
        (or .pt2 by torch.export, .ts by TorchScript, .pt with a plain state dict).

    Raises
    ------
    UserError
        One sentence that says what is missing, does not fit, or is damaged.
    """
    path = Path(path).expanduser()
    if not path.is_dir():
        raise UserError(f"The model {path} is not a folder: give a bundle's folder or the name of an installed model.")
    metadata = read_metadata(path)
    weights = find_weights(path)
    is_program = weights.suffix in (".pt2", ".ts")
    network = _load_program(weights) if is_program else _load_network(path, weights, metadata)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return ModelBundle(path, metadata, file_hash(weights), network)


def find_weights(bundle: Path) -> Path:
    """The bundle's weights file, or a UserError that names the files that are looked for."""
    for name in WEIGHTS:
        if (bundle / "models" / name).is_file():
            return bundle / "models" / name
    raise UserError(f"{bundle / 'models'} holds no weights: one of {', '.join(WEIGHTS)} is needed.")


def file_hash(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _hash(stream)


def _hash(stream: Any) -> str:
    digest = hashlib.sha256()  # hashlib.file_digest is there from Python 3.11 on
    while block := stream.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def _load_network(bundle: Path, weights: Path, metadata: Metadata) -> nn.Module:
    import torch

    path = bundle / "configs" / "inference.json"
    definition = read_json(path).get("network_def")
    if not isinstance(definition, dict) or not isinstance(definition.get("_target_"), str):
        raise UserError(f"{path}: 'network_def' with the network's '_target_' is missing.")
    arguments = {key: value for key, value in definition.items() if not key.startswith("_")}
    _check_outputs(definition["_target_"], arguments, metadata, path)
    network = build_network(definition["_target_"], arguments)
    state = _read_state(weights)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).partition(":")[2].split())[:200]
        raise UserError(f"{weights} does not fit the network in {path}: {reason}") from error
    if not all(torch.isfinite(value).all() for value in state.values() if value.is_floating_point()):
        raise UserError(f"{weights} holds NaN or infinite weights: the training failed or the file is damaged.")
    return network.eval()


def _read_state(weights: Path) -> dict[str, Any]:
    import torch

    try:
        if weights.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(weights)
        state = torch.load(weights, map_location="cpu", weights_only=True)
    except Exception as error:  # safetensors, zip and unpickling errors have no common base
        raise UserError(
            f"{weights} is damaged, or holds pickled objects, which are never loaded: "
            "save the weights as a state dict with safetensors."
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UserError(f"{weights} holds no state dict (names to tensors): save network.state_dict().")
    return state


def _load_program(weights: Path) -> nn.Module:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if weights.suffix == ".ts":
                return torch.jit.load(str(weights), map_location="cpu").eval()
            return torch.export.load(str(weights)).module()
    except Exception as error:
        raise UserError(f"{weights} is damaged or was not written by torch.export or TorchScript.") from error


def _check_outputs(target: str, arguments: dict[str, Any], metadata: Metadata, path: Path) -> None:
    """Run shapes, not numbers, through the network: its grid must fit and it must return one logit for each class."""
    import torch

    with torch.device("meta"):
        network = build_network(target, arguments).eval()
        image = torch.empty(1, 1, *metadata.grid.shape)
        try:
            output = network(image)
        except RuntimeError as error:
            shape = " x ".join(map(str, metadata.grid.shape))
            raise UserError(f"The network in {path} cannot take a grid of {shape}: {str(error)[:160]}") from error
    if isinstance(output, tuple | list):
        output = output[0]
    if tuple(output.shape) != (1, len(metadata.classes)):
        raise UserError(
            f"The network in {path} returns {tuple(output.shape)[1:]} values for {len(metadata.classes)} classes "
            f"({', '.join(metadata.classes)})."
        )
