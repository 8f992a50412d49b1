"""What a real Slicer's classes offer, from slicer_api.json: names, properties, slots and signals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PySide6 import QtWidgets

API: dict[str, Any] = json.loads((Path(__file__).parent / "slicer_api.json").read_text(encoding="utf-8"))
# The Qt class that a class of ctk or Slicer is made from.
_BASES = {"ctkCollapsibleButton": "QAbstractButton", "ctkCollapsibleGroupBox": "QGroupBox"}


def names(cls: str) -> set[str]:
    """All attributes of a class; those that it inherits, too."""
    if cls in API["widgets"]:
        return set(API["QWidget"]) | set(API["widgets"][cls])
    return set(API["others"][cls])


def properties(cls: str) -> dict[str, bool]:
    """Names of a class's Qt properties, the inherited ones included, and whether they can be set.

    The dump has no abstract classes; their properties are those of the Qt that the tests run on, as far as the real
    class has the name.
    """
    qt_class = getattr(QtWidgets, cls if cls.startswith("Q") else _BASES.get(cls, "QWidget"), QtWidgets.QWidget)
    meta = qt_class.staticMetaObject
    found = {meta.property(n).name(): meta.property(n).isWritable() for n in range(meta.propertyCount())}
    found |= {name: "w" in access for name, access in API["properties"].get(cls, {}).items()}
    return {name: writable for name, writable in found.items() if name in names(cls)}


def slots(cls: str) -> set[str]:
    """Names of a class's own slots and of QWidget's."""
    return set(API["slots"].get(cls, [])) | set(API["slots"]["QWidget"])
