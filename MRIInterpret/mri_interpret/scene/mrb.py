"""An explanation as a .mrb file: a scene with all its data, which 3D Slicer opens by double click or drop."""

from __future__ import annotations

import os
import re
import tempfile
from itertools import count
from pathlib import Path
from typing import Any

import slicer

from ..atomic import replacing
from ..errors import UserError
from ..explanation.explanation import Explanation
from ..progress import ProgressCallback, silent
from .build import build_scene
from .headless import HeadlessScene, same_directory
from .views import add_views

# Slicer escapes none of these in the names of files that a scene refers to ("&" makes it unreadable), and does not
# find a scene again in a folder whose name has brackets.
_ODD = re.compile(r"[^\w .()+=,-]+")


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
        save_scene(headless.scene, path)
    progress("Writing the scene", 1.0)
    return path


def save_scene(scene: Any, path: Path) -> None:
    """Write a scene with all its data, aside and renamed.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    try:
        str(path.absolute()).encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError(f"Cannot write {path}: Slicer writes to paths in UTF-8 only. Choose another folder.") from error
    with replacing(path) as aside, tempfile.TemporaryDirectory(prefix=".partial-", dir=aside.parent) as folder:
        # The archive's inner folder takes the file's name, so the scene is packed under the final name.
        packed = Path(folder) / f"{_plain(path.stem)}.mrb"
        pack(scene, packed)
        os.replace(packed, aside)


def pack(scene: Any, path: Path) -> None:
    """Write a scene with all its data to ``path``, whose folder exists. Raises OSError if Slicer cannot."""
    messages = slicer.vtkMRMLMessageCollection()
    _name_files(scene)
    with same_directory():
        written = scene.WriteToMRB(str(path.absolute()), None, messages)
    if not written or not path.is_file():
        raise OSError(messages.GetAllMessagesAsString().strip() or "Slicer could not pack the scene")


def _plain(name: str) -> str:
    """A name for a file inside the archive, or for its folder."""
    return _ODD.sub("_", name)


def _name_files(scene: Any) -> None:
    """Name the files of nodes whose own name Slicer would write into the scene's XML without escaping it."""
    taken: set[str] = set()
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLStorableNode")):
        node = scene.GetNthNodeByClass(index, "vtkMRMLStorableNode")
        plain = _plain(node.GetName() or "")
        if plain == node.GetName() or not node.GetSaveWithScene() or not node.AddDefaultStorageNode():
            continue
        name = next(name for number in count() if (name := f"{plain}_{number}" if number else plain) not in taken)
        taken.add(name)
        storage = node.GetStorageNode()
        storage.SetFileName(f"{name}.{storage.GetDefaultWriteFileExtension()}")
