"""slicer.util.loadUI and childWidgetVariables."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

from PySide6 import QtCore, QtUiTools, QtWidgets

from . import ctk_widgets, mrml_widgets
from .pythonqt import pythonqt


class _Loader(QtUiTools.QUiLoader):
    """Makes our classes for Qt's, ctk's and Slicer's names."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[Any] = []

    def createWidget(self, name: str, parent: Any = None, object_name: str = "") -> Any:
        cls = ctk_widgets.CLASSES.get(name) or mrml_widgets.CLASSES.get(name)
        if cls is None:
            cls = pythonqt(getattr(QtWidgets, name))
        widget = cls(parent)
        self.made.append(widget)
        QtCore.QObject.setObjectName(widget, object_name)
        return widget


def load_ui(path: str) -> Any:
    """The widget tree of a .ui file; connections in it are those of qMRMLWidget.setMRMLScene here."""
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"<connections>.*</connections>", "<connections/>", file.read(), flags=re.DOTALL)
    buffer = QtCore.QBuffer()
    buffer.setData(text.encode())
    buffer.open(QtCore.QIODevice.ReadOnly)
    loader = _Loader()
    widget = loader.load(buffer)
    if widget is None:
        raise RuntimeError(f"cannot load {path}")
    # Without this, PySide forgets that the widgets are of our classes and hands out Qt's own instead.
    widget.kept = loader.made
    return widget


def child_widget_variables(widget: Any) -> SimpleNamespace:
    """All named widgets below ``widget`` as attributes."""
    named = {QtCore.QObject.objectName(child): child for child in widget.kept}
    return SimpleNamespace(**{name: child for name, child in named.items() if name and not name.startswith("qt_")})
