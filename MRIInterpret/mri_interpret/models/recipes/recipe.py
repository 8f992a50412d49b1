"""What a recipe makes of somebody's files: the parts of a bundle."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ...errors import UserError
from ..program_check import check_archive

if TYPE_CHECKING:
    from torch import Tensor


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


def read_state(path: Path) -> dict[str, Any]:
    """The tensors of a .pth file; nothing is unpickled but tensors and plain containers.

    Raises
    ------
    UserError
        If it is damaged or holds other objects.
    """
    import torch

    check_archive(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and file errors have no common base
        raise UserError(f"{path} is damaged, or holds pickled objects, which are never loaded.") from error
    if isinstance(state, dict) and isinstance(state.get("model"), dict):
        state = state["model"]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UserError(f"{path} holds no state dict (names to tensors).")
    return {name.removeprefix("module."): value for name, value in state.items()}


def read_weights(path: Path) -> dict[str, Any]:
    """The tensors of a .safetensors or .pth file; see :func:`read_state`.

    Raises
    ------
    UserError
        If it is damaged or holds other objects.
    """
    if path.suffix != ".safetensors":
        return read_state(path)
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except Exception as error:  # safetensors' errors have no common base
        raise UserError(f"{path} is damaged: it cannot be read as safetensors.") from error
