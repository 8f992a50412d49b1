"""Writing a model bundle: one place for networks that were trained, imported or exported."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError

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
    replace: bool = True,
) -> Path:
    """Write a bundle aside and rename it, so that no half bundle passes for a whole one.

    Parameters
    ----------
    folder
        The bundle's folder.
    metadata
        What configs/metadata.json holds.
    card
        The model card, Markdown.
    definition, weights
        The network's ``_target_`` with its arguments, and its state dict; or
    program
        a file of torch.export (.pt2) or TorchScript (.ts), which is copied.
    replace
        Whether a bundle that lies there is replaced.

    Returns
    -------
    The folder.

    Raises
    ------
    UserError
        If the folder cannot be written, or something lies there that may not be replaced.
    """
    folder = Path(folder).expanduser()
    if folder.exists() and (not replace or not (folder / "configs" / "metadata.json").is_file()):
        what = "a model" if (folder / "configs" / "metadata.json").is_file() else "something that is no model"
        raise UserError(f"{folder} holds {what} already: choose another name, or remove it first.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder.parent) as aside:
            made = Path(aside) / "bundle"
            _fill(made, metadata, card, definition, weights, program)
            if folder.exists():
                os.replace(folder, Path(aside) / "before")
            os.replace(made, folder)
    except OSError as error:
        raise UserError(f"Cannot write the model {folder} ({error.strerror or error}): choose another folder.") from error
    return folder


def _fill(
    made: Path,
    metadata: Mapping[str, Any],
    card: str,
    definition: Mapping[str, Any] | None,
    weights: Mapping[str, Tensor] | None,
    program: Path | None,
) -> None:
    for name in ("configs", "models", "docs"):
        (made / name).mkdir(parents=True)
    if weights is not None:
        from safetensors.torch import save

        data = save({name: tensor.detach().contiguous().cpu().clone() for name, tensor in weights.items()})
        file = made / "models" / "model.safetensors"
        file.write_bytes(data)
    elif program is not None:
        file = made / "models" / f"model{program.suffix}"
        shutil.copyfile(program, file)
    else:
        raise ValueError("a bundle needs weights or a program")
    # So that a damaged copy can be told from the original: `mri-interpret check` compares.
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    (made / "models" / "SHA256SUMS").write_text(f"{digest}  {file.name}\n", encoding="utf-8")
    if definition is not None:
        _write_json(made / "configs" / "inference.json", {"network_def": dict(definition)})
    (made / "docs" / "README.md").write_text(card, encoding="utf-8")
    _write_json(made / "configs" / "metadata.json", metadata)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
