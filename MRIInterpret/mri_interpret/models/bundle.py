"""A model bundle (MONAI Bundle layout) from disk: weights are read, never unpickled."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from .metadata import Metadata, read_json, read_metadata
from .networks import build_network
from .program_check import check_archive, check_program
from .shape_check import output_without_values
from .training_mode import trained_operation

if TYPE_CHECKING:
    import torch
    from torch import nn

#: What a bundle's weights may be called; a bundle holds one of them.
WEIGHTS = ("model.safetensors", "model.pt2", "model.ts", "model.pt")
PROGRAMS = (".pt2", ".ts")
#: What is read of a bundle.
FILES = (
    *("configs/metadata.json", "configs/inference.json", "docs/README.md"),
    *(f"models/{name}" for name in WEIGHTS),
)
_NOT_FINITE = "{} holds NaN or infinite weights: the training failed or the file is damaged."
_TENSORS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


@dataclass(frozen=True)
class ModelBundle:
    """A model ready to be explained."""

    path: Path
    metadata: Metadata
    hash: str  # SHA-256 of the weights file
    network: nn.Module  # in eval mode, on the CPU, parameters without gradients

    @property
    def is_program(self) -> bool:
        """Whether the network is a program of torch.export or TorchScript, with its code in the file."""
        return find_weights(self.path).suffix in PROGRAMS

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
    for name in FILES:
        check_inside(path, path / name)
    metadata = read_metadata(path)
    weights = find_weights(path)
    network = _load_program(weights, metadata) if weights.suffix in PROGRAMS else _load_network(path, weights, metadata)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return ModelBundle(path, metadata, file_hash(weights), network)


def find_weights(bundle: Path) -> Path:
    """The bundle's weights file, or a UserError if it holds none, or several of which one would be taken by chance."""
    found = [bundle / "models" / name for name in WEIGHTS if (bundle / "models" / name).is_file()]
    if not found:
        raise UserError(f"{bundle / 'models'} holds no weights: one of {', '.join(WEIGHTS)} is needed.")
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise UserError(f"{bundle / 'models'} holds {names}: delete all but the one that belongs to this model.")
    return found[0]


def check_inside(bundle: Path, file: Path) -> None:
    """Refuse a file of a bundle that is a link to somewhere else on this computer."""
    try:
        inside = file.resolve().is_relative_to(bundle.resolve())
    except (OSError, RuntimeError) as error:  # links in a circle
        raise UserError(f"{file} is a link that leads nowhere: replace it by the file itself.") from error
    if not inside:
        raise UserError(f"{file} is a link that leads out of the model's folder: replace it by the file itself.")


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
    path = bundle / "configs" / "inference.json"
    target, arguments = network_definition(path)
    _check_outputs(target, arguments, metadata, path)
    return fill_network(build_network(target, arguments), weights, path)


def fill_network(network: nn.Module, weights: Path, path: Path) -> nn.Module:
    """Give a network the weights of a file; ``path`` is the configuration that described it.

    Raises
    ------
    UserError
        If the file is damaged, does not fit the network, or holds NaN.
    """
    import torch

    state = _read_state(weights)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).partition(":")[2].split())[:200]
        raise UserError(f"{weights} does not fit the network in {path}: {reason}") from error
    if not all(torch.isfinite(value).all() for value in state.values() if value.is_floating_point()):
        raise UserError(_NOT_FINITE.format(weights))
    return network.eval()


def network_definition(path: Path) -> tuple[str, dict[str, Any]]:
    """The network's name and its constructor's arguments from configs/inference.json."""
    definition = read_json(path).get("network_def")
    if isinstance(definition, str) and definition.startswith(("@", "$", "%")):
        raise UserError(
            f"{path}: 'network_def' is '{definition}', which is not evaluated here: write the network's '_target_' and "
            "its arguments."
        )
    if not isinstance(definition, dict) or not isinstance(definition.get("_target_"), str):
        raise UserError(f"{path}: 'network_def' with the network's '_target_' is missing.")
    if definition.get("_disabled_") not in (None, False) or definition.get("_mode_", "default") != "default":
        raise UserError(f"{path}: 'network_def' is disabled or no plain network ('_disabled_', '_mode_').")
    return definition["_target_"], {key: value for key, value in definition.items() if not key.startswith("_")}


def _read_state(weights: Path) -> dict[str, Any]:
    import torch

    try:
        if weights.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(weights)
        check_archive(weights)
        state = torch.load(weights, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except Exception as error:  # safetensors, zip and unpickling errors have no common base
        raise UserError(
            f"{weights} is damaged, or holds pickled objects, which are never loaded: "
            "save the weights as a state dict with safetensors."
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UserError(f"{weights} holds no state dict (names to tensors): save network.state_dict().")
    return state


def _load_program(weights: Path, metadata: Metadata) -> nn.Module:
    network = _opened_program(weights)
    _check_exported_shape(network, weights, metadata)
    trained = trained_operation(network)
    if trained:
        raise UserError(
            f"{weights} was exported in training mode ({trained} in it works as in training): call .eval() on the "
            "network first, and export it again."
        )
    check_numbers(network, weights)
    return network


def _opened_program(weights: Path) -> nn.Module:
    import torch

    check_program(weights)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if weights.suffix == ".ts":
                return torch.jit.load(str(weights), map_location="cpu").eval()
            with _nothing_unpickled():
                return torch.export.load(str(weights)).module()
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{weights} is damaged, holds pickled objects, or was not written by torch.export or TorchScript."
        ) from error


def _check_exported_shape(network: nn.Module, weights: Path, metadata: Metadata) -> None:
    """A program of torch.export tells the shape that it was exported for."""
    graph = getattr(network, "graph", None) if weights.suffix == ".pt2" else None
    if graph is None:
        return
    needed = (1, *(metadata.input_shape or ()))
    exported = next((node.meta.get("val") for node in graph.nodes if node.op == "placeholder"), None)
    if exported is not None and not all(
        not isinstance(size, int) or size == given for size, given in zip(exported.shape, needed, strict=False)
    ):
        raise UserError(
            f"{weights} was exported for inputs of shape {tuple(exported.shape)}, but the preprocessing in the "
            f"metadata makes {needed}."
        )


def check_numbers(network: nn.Module, weights: Path) -> None:
    """Refuse a network whose weights are not finite; ``weights`` is the file they came from.

    Of other tensors minus infinity is sound, in a mask; NaN is in none, and a spread that overflowed is infinite.

    Raises
    ------
    UserError
        One sentence that names the file.
    """
    import torch

    parameters = all(bool(torch.isfinite(one).all()) for one in network.parameters())
    if not parameters or any(bool((torch.isnan(one) | torch.isposinf(one)).any()) for one in _floats(network)):
        raise UserError(_NOT_FINITE.format(weights))


def _floats(network: nn.Module) -> Iterator[torch.Tensor]:
    return (buffer for buffer in network.buffers() if buffer.is_floating_point())


@contextmanager
def _nothing_unpickled() -> Iterator[None]:
    """Let torch.export.load read tensors only: it would unpickle whatever else a file holds."""
    before = os.environ.get(_TENSORS_ONLY)
    os.environ[_TENSORS_ONLY] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_TENSORS_ONLY]
        else:
            os.environ[_TENSORS_ONLY] = before


def _check_outputs(target: str, arguments: dict[str, Any], metadata: Metadata, path: Path) -> None:
    """Run shapes, not numbers, through the network: its grid must fit, and its outputs the metadata."""
    import torch

    if metadata.input_shape is None:  # it depends on the scan, and is told when the network runs
        return
    try:
        output = output_without_values(target, arguments, (1, *metadata.input_shape))
    except UserError:  # there is no such network
        raise
    except Exception as error:  # whatever a network raises for an input that it cannot take
        shape = " x ".join(map(str, metadata.input_shape[1:]))
        reason = str(error).strip().partition("\n")[0][:160]
        names = metadata.preprocessing.channels
        what = f"the {len(names)} channels {', '.join(names)} on a grid" if len(names) > 1 else "a grid"
        raise UserError(f"The network in {path} cannot take {what} of {shape}: {reason}") from error
    if isinstance(output, torch.Tensor):  # of several, the right one is told when the network runs
        width = output.shape[1] if output.dim() == 2 else 1 if output.dim() == 1 else None
        if width != metadata.output.count:
            raise UserError(f"{path}: the network returns {_values(output)}, but {metadata.output.expected}.")


def _values(output: torch.Tensor) -> str:
    """What a network returned for one input, as words."""
    shape = tuple(output.shape[1:])
    if len(shape) > 1:
        return f"an array of shape {shape}"
    count = shape[0] if shape else 1
    return f"{count} {'value' if count == 1 else 'values'}"
