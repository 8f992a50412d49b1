"""What Slicer's *Add data* and a drop on its window ask about a file: is it a saved result, and open it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..explanation.layout import Layout

DESCRIPTION, FILE_TYPE = "MRIInterpret result", "MRIInterpretResult"
NAME_FILTERS = [f"{DESCRIPTION} (*{Layout.index})"]
_FORMAT = "MRIInterpret explanation"  # explanation/saved_folder.py says so, but imports much
_LOOKED_AT = 4096  # bytes: the format stands at the beginning


def confidence(path: str) -> float:
    """How sure it is that a file is the index of a saved result: 0 or nearly 1, above Slicer's readers of text."""
    file = Path(path)
    if not file.name.endswith(Layout.index):
        return 0.0
    try:
        with file.open(encoding="utf-8") as stream:
            beginning = stream.read(_LOOKED_AT)
    except (OSError, UnicodeDecodeError):
        return 0.0
    return 0.95 if f'"format": {json.dumps(_FORMAT)}' in beginning else 0.0


def index_of(folder: str) -> str:
    """Path of the file that says what is saved in a folder, whether or not it is there."""
    return str(Path(folder) / Layout.index)


def load(logic: Any, path: str) -> list[str]:
    """Open the result beside an index; the IDs of the nodes that Slicer may list as loaded.

    Raises
    ------
    UserError
        If the folder holds no complete result.
    """
    nodes = logic.openResult(Path(path).parent if Path(path).name == Layout.index else path).nodes
    return [node.GetID() for node in (nodes.scan, *nodes.volumes.values(), nodes.atlas) if node is not None]
