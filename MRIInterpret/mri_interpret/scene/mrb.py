"""An explanation as a .mrb file: a scene with all its data, which 3D Slicer opens by double click or drop."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import slicer

from ..atomic import replacing
from ..explanation.explanation import Explanation
from ..progress import ProgressCallback, silent
from .build import build_scene
from .headless import HeadlessScene, same_directory
from .views import add_views


def write_mrb(explanation: Explanation, path: str | Path, progress: ProgressCallback = silent) -> Path:
    """Build a fresh scene with the explanation and write it; nothing half-written is ever seen under ``path``.

    Parameters
    ----------
    explanation
        What the main job returned.
    path
        The file; its name ends in .mrb.
    progress
        Told about each part; may raise to cancel.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    UserError
        If the file cannot be written.
    ValueError
        If the name does not end in .mrb.
    """
    path = Path(path)
    if path.suffix.lower() != ".mrb":
        raise ValueError(f"a scene's name ends in .mrb, not {path.name}")
    with HeadlessScene() as headless:
        add_views(headless.scene)
        build_scene(explanation, headless.scene, progress=progress)
        progress("Writing the scene", 0.0)
        with replacing(path) as aside, tempfile.TemporaryDirectory(prefix=".partial-", dir=aside.parent) as folder:
            # The archive's inner folder takes the file's name, so the scene is packed under the final name.
            packed = Path(folder) / path.name
            pack(headless.scene, packed)
            os.replace(packed, aside)
    progress("Writing the scene", 1.0)
    return path


def pack(scene: Any, path: Path) -> None:
    """Write a scene with all its data to ``path``, whose folder exists. Raises OSError if Slicer cannot."""
    messages = slicer.vtkMRMLMessageCollection()
    with same_directory():
        written = scene.WriteToMRB(str(path.absolute()), None, messages)
    if not written or not path.is_file():
        raise OSError(messages.GetAllMessagesAsString().strip() or "Slicer could not pack the scene")
