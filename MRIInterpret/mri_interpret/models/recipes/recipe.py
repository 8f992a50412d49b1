"""What a recipe makes of somebody's files: the parts of a bundle."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ...errors import UserError
from ..answers import output_entries, read_range
from ..output_entry import read_output
from ..program_check import check_archive

if TYPE_CHECKING:
    from torch import Tensor

#: What a user may say of the outputs of a network whose files do not say it; an answer of this name sets it too.
OUTPUT_OPTIONS = {"output": "", "unit": "", "range": ""}
_HOLDERS = ("model", "state_dict", "model_state_dict", "network", "net")  # what checkpoints call the state dict


@dataclass(frozen=True)
class Imported:
    """A network in parts.

    Attributes
    ----------
    target, arguments
        The network's dotted name and its constructor's arguments, as configs/inference.json holds them.
    weights
        The state dict.
    metadata
        What configs/metadata.json says, without what the writer adds.
    card
        The model card, Markdown.
    notes
        What the user should read: choices made, what the source leaves open.
    transforms
        MONAI's own preprocessing as a Compose with plain values, where the source has that and no list of steps.
    """

    target: str
    arguments: dict[str, Any]
    weights: Mapping[str, Tensor]
    metadata: dict[str, Any]
    card: str
    notes: tuple[str, ...] = field(default=())
    transforms: Mapping[str, Any] | None = None


class Recipe(ABC):
    """How to read one kind of published network."""

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]  # what the user must have, and where it is published
    reference: ClassVar[str]
    options: ClassVar[dict[str, str]] = {}  # option -> its default
    takes_file: ClassVar[bool] = False  # a file rather than a folder
    says_preprocessing: ClassVar[bool] = True  # its files, or its authors, say how scans are prepared

    @abstractmethod
    def read(self, source: Path, options: Mapping[str, str]) -> Imported:
        """The network in ``source``.

        Raises
        ------
        UserError
            If the files are not what the recipe expects; the sentence says what is missing.
        """

    def checked(self, options: Mapping[str, str]) -> dict[str, str]:
        """The options with their defaults.

        Raises
        ------
        UserError
            For an option that the recipe does not have.
        """
        unknown = sorted(set(options) - set(self.options))
        if unknown:
            known = ", ".join(self.options) or "none"
            raise UserError(f"The recipe {self.name} has no option '{unknown[0]}'; it has: {known}.")
        return {**self.options, **options}


def output_said(options: Mapping[str, str], names: Sequence[str], width: int, source: Path) -> dict[str, Any] | None:
    """The metadata's entries on the outputs, as the options in :data:`OUTPUT_OPTIONS` say; None if they do not.

    Parameters
    ----------
    options
        All of the recipe's options.
    names
        Of the classes, or of the quantity.
    width
        How many numbers the network returns; 0 if that is not known.
    source
        What is read, for messages.

    Raises
    ------
    UserError
        If what they say is no meaning of outputs, or of another number of them.
    """
    kind, unit, ends = options["output"], options["unit"].strip(), read_range(options["range"])
    if not (kind or unit or ends):
        return None
    if not names:
        raise UserError(f"{source}: the outputs have no names: give the classes, or the quantity's name.")
    entries = output_entries(names, kind or "logits", unit, ends)
    meaning = read_output(entries, source)
    if width and meaning.count != width:
        outputs = "1 output" if width == 1 else f"{width} outputs"
        raise UserError(f"{source} has {outputs}, and '{kind}' of {', '.join(names)} needs {meaning.count}.")
    return entries


def read_state(path: Path, expected: Collection[str] = ()) -> dict[str, Any]:
    """The tensors of a .pth file; nothing is unpickled but tensors and plain containers.

    Parameters
    ----------
    path
        A state dict, or a checkpoint that holds one under "model", "state_dict" or a name like these.
    expected
        Names of the network's own tensors, where they are known.

    Raises
    ------
    UserError
        If it is damaged or holds other objects.
    """
    import torch

    check_archive(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and file errors have no common base
        raise UserError(
            f"{path} is damaged, or holds pickled objects, which are never loaded: save network.state_dict() alone."
        ) from error
    return _of_one_device(_state_in(content, path), expected)


def read_weights(path: Path, expected: Collection[str] = ()) -> dict[str, Any]:
    """The tensors of a .safetensors or .pth file; see :func:`read_state`.

    Raises
    ------
    UserError
        If it is damaged or holds other objects.
    """
    if path.suffix != ".safetensors":
        return read_state(path, expected)
    from safetensors.torch import load_file

    try:
        state = load_file(path)
    except Exception as error:  # safetensors' errors have no common base
        raise UserError(f"{path} is damaged: it cannot be read as safetensors.") from error
    return _of_one_device(state, expected)


def _state_in(content: Any, path: Path) -> dict[str, Any]:
    """The state dict that a file is, or that its checkpoint holds beside the epoch and such."""
    if _is_state(content):
        return dict(content)
    held = [name for name in _HOLDERS if _is_state(content.get(name))] if isinstance(content, dict) else []
    if len(held) > 1:
        raise UserError(f"{path} holds several state dicts ({', '.join(held)}): save the network's alone.")
    if not held:
        raise UserError(f"{path} holds no state dict (names to tensors): save network.state_dict().")
    return dict(content[held[0]])


def _is_state(content: Any) -> bool:
    import torch

    tensors = isinstance(content, dict) and all(isinstance(value, torch.Tensor) for value in content.values())
    return tensors and bool(content)


def _of_one_device(state: dict[str, Any], expected: Collection[str]) -> dict[str, Any]:
    """Names without the "module." that DataParallel puts before them, unless the network itself has such names."""
    if any(name in expected for name in state):
        return state
    return {name.removeprefix("module."): value for name, value in state.items()}
