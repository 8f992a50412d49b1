"""Writing a model bundle: one place for networks that were trained, imported or exported."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..atomic import write_bytes, write_text

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
    """Write weights first and metadata last, each aside and renamed, so that no half bundle passes for a whole one.

    Parameters
    ----------
    folder
        The bundle's folder; other files in it are left alone.
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
        If the folder cannot be written.
    """
    folder = Path(folder)
    if weights is not None:
        from safetensors.torch import save

        name = "model.safetensors"
        # Tensors that share memory are written once each: safetensors refuses views.
        data = save({key: value.detach().cpu().clone().contiguous() for key, value in weights.items()})
    elif program is not None:
        name, data = f"model{program.suffix}", program.read_bytes()
    else:
        raise ValueError("a bundle needs weights or a program")
    write_bytes(folder / "models" / name, data)
    # `mri-interpret check` compares the hash, to find a damaged copy.
    write_text(folder / "models" / "SHA256SUMS", f"{hashlib.sha256(data).hexdigest()}  {name}\n")
    if definition is not None:
        preprocessing = {} if transforms is None else {"preprocessing": dict(transforms)}
        write_text(folder / "configs" / "inference.json", _text({"network_def": dict(definition)} | preprocessing))
    write_text(folder / "docs" / "README.md", card)
    write_text(folder / "configs" / "metadata.json", _text(metadata))
    return folder


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
