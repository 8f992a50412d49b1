"""Writing a model bundle: one place for networks that were trained, imported or exported."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..atomic import replacing
from ..errors import UserError
from .bundle import WEIGHTS

if TYPE_CHECKING:
    from torch import Tensor


def write_bundle_folder(
    folder: str | Path,
    metadata: Mapping[str, Any],
    card: str,
    *,
    definition: Mapping[str, Any] | None = None,
    weights: Mapping[str, Tensor] | None = None,
    program: Path | None = None,
    transforms: Mapping[str, Any] | None = None,
) -> Path:
    """Write everything aside, then rename weights first and metadata last: no half bundle passes for a whole one.

    What the folder held of another model, its weights under another name, is removed when all of this is in place.

    Parameters
    ----------
    folder
        The bundle's folder; files in it that are no bundle's are left alone.
    metadata
        What configs/metadata.json holds.
    card
        The model card, Markdown.
    definition, weights
        The network's ``_target_`` with its arguments, and its state dict; or
    program
        a file of torch.export (.pt2) or TorchScript (.ts), which is copied.
    transforms
        MONAI's own preprocessing, beside ``definition``, where the metadata lists no steps.

    Returns
    -------
    The folder.

    Raises
    ------
    UserError
        If the folder cannot be written; what it held is then still there.
    """
    folder = Path(folder)
    name, data = _weights_file(weights, program)
    files = {
        f"models/{name}": data,
        # `mri-interpret check` compares the hash, to find a damaged copy.
        "models/SHA256SUMS": f"{hashlib.sha256(data).hexdigest()}  {name}\n".encode(),
        "docs/README.md": card.encode(),
    }
    if definition is not None:
        preprocessing = {} if transforms is None else {"preprocessing": dict(transforms)}
        files["configs/inference.json"] = _text({"network_def": dict(definition)} | preprocessing)
    files["configs/metadata.json"] = _text(metadata)  # last: without it a folder is no bundle
    stale = [f"models/{other}" for other in WEIGHTS if other != name]
    if program is not None and definition is None:
        stale.append("configs/inference.json")
    _write_together(folder, files)
    _remove(folder, stale)
    return folder


def _weights_file(weights: Mapping[str, Tensor] | None, program: Path | None) -> tuple[str, bytes]:
    """The file's name and its content."""
    if weights is not None:
        from safetensors.torch import save

        # Tensors that share memory are written once each: safetensors refuses views.
        data = save({key: value.detach().cpu().clone().contiguous() for key, value in weights.items()})
        return "model.safetensors", data
    if program is None:
        raise ValueError("a bundle needs weights or a program")
    return f"model{program.suffix}", program.read_bytes()


def _write_together(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all files aside before the first is renamed, so that a full disk leaves the old ones as they were."""
    with ExitStack() as renamed_at_end:
        # The stack is undone from its top: the first file is renamed first.
        for name, data in reversed(list(files.items())):
            renamed_at_end.enter_context(replacing(folder / name)).write_bytes(data)


def _remove(folder: Path, names: list[str]) -> None:
    """Take away what is left of another model: it would be read in place of this one."""
    for name in names:
        try:
            (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise UserError(
                f"{folder / name} is of the model that was there before and cannot be removed "
                f"({error.strerror or error}): delete it by hand."
            ) from error


def _text(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
