"""What a file that is to be added holds, told by its content: a program, or weights alone."""

from __future__ import annotations

import zipfile
from pathlib import Path

from ..errors import UserError
from .recipes.recipe import read_weights

_WEIGHTS = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".tar")


def program_suffix(source: Path) -> str:
    """ ".pt2" for a program of torch.export, ".ts" for one of TorchScript, whatever the file is called.

    Raises
    ------
    UserError
        If it is neither; the sentence says what it is and what to give.
    """
    parts = _entries(source)
    if "code" in parts:
        return ".ts"
    if "archive_format" in parts or "serialized_exported_program.json" in parts:
        return ".pt2"
    suffix = source.suffix.lower()
    if suffix in (".pt2", ".ts") and "data.pkl" not in parts:
        return suffix  # it is damaged, which its reader says
    if suffix in (*_WEIGHTS, ".pt2", ".ts"):
        read_weights(source)  # what is damaged or a whole pickled network is refused by that name
        raise UserError(f"{source.name} holds weights alone: name the recipe or the trusted class that they belong to.")
    if suffix == ".onnx":
        raise UserError(
            f"{source.name} is an ONNX file, which is not read: export the network by torch.export or TorchScript."
        )
    raise UserError(
        f"{source.name} is neither a program of torch.export or TorchScript (.pt2, .ts, .pt) nor a file of weights: "
        "name the recipe that it belongs to."
    )


def _entries(source: Path) -> set[str]:
    """Every part of the names in an archive; none of another file."""
    if not zipfile.is_zipfile(source):
        return set()
    try:
        with zipfile.ZipFile(source) as archive:
            return {part.lower() for name in archive.namelist() for part in name.split("/")}
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return set()
