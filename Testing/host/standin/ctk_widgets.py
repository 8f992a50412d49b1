"""The ctk widgets that the panel uses, as far as it uses them."""

from __future__ import annotations

import types
from typing import Any

from PySide6 import QtCore, QtWidgets

from .pythonqt import pythonqt

Property, Signal = QtCore.Property, QtCore.Signal
_Widget: Any = pythonqt(QtWidgets.QWidget)
_GroupBox: Any = pythonqt(QtWidgets.QGroupBox)


def _hide_children(parent: Any, collapsed: bool, keep: Any = None) -> None:
    """Hide what is below a heading; when it is opened, what was hidden by itself stays so."""
    if collapsed:
        children = parent.findChildren(QtWidgets.QWidget, options=QtCore.Qt.FindDirectChildrenOnly)
        for child in children:
            if child is not keep and not QtWidgets.QWidget.isHidden(child):
                QtWidgets.QWidget.setVisible(child, False)
                parent.put_away.append(child)
    else:
        for child in parent.put_away:
            QtWidgets.QWidget.setVisible(child, True)
        parent.put_away.clear()


class ctkCollapsibleButton(_Widget):
    """A heading that shows and hides what is below it."""

    contentsCollapsed = Signal(bool)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._collapsed, self.put_away = False, []
        self._button = QtWidgets.QToolButton(self)
        self._button.setToolButtonStyle(QtCore.Qt.ToolButtonTextBesideIcon)
        self._button.setAutoRaise(True)
        self._button.clicked.connect(lambda: self._collapse(not self._collapsed))
        self._collapse(False)

    def _collapse(self, collapsed: bool) -> None:
        self._collapsed = collapsed
        self._button.setArrowType(QtCore.Qt.RightArrow if collapsed else QtCore.Qt.DownArrow)
        _hide_children(self, collapsed, self._button)
        self.setMaximumHeight(self._button.sizeHint().height() + 4 if collapsed else 16777215)
        self.contentsCollapsed.emit(collapsed)

    def showEvent(self, event: Any) -> None:
        layout = self.layout()
        if layout is not None:
            layout.setContentsMargins(9, self._button.sizeHint().height() + 6, 9, 9)
        self._collapse(self._collapsed)
        super().showEvent(event)

    def resizeEvent(self, event: Any) -> None:
        self._button.setFixedWidth(self.width if not callable(self.width) else self.width())
        super().resizeEvent(event)

    collapsed = Property(bool, lambda self: self._collapsed, lambda self, value: self._collapse(value))
    text = Property(str, lambda self: self._button.text(), lambda self, value: self._button.setText(value))


class ctkCollapsibleGroupBox(_GroupBox):
    """A group box whose content can be hidden."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._collapsed, self.put_away = False, []

    def _collapse(self, collapsed: bool) -> None:
        self._collapsed = collapsed
        _hide_children(self, collapsed)

    def showEvent(self, event: Any) -> None:
        self._collapse(self._collapsed)
        super().showEvent(event)

    collapsed = Property(bool, lambda self: self._collapsed, lambda self, value: self._collapse(value))


class ctkSliderWidget(_Widget):
    """A slider and a spin box for the same number."""

    valueChanged = Signal(float)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._spin = QtWidgets.QDoubleSpinBox(self)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Horizontal, self)
        self._slider.setRange(0, 1000)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider)
        layout.addWidget(self._spin)
        self._spin.setRange(0, 100)
        self._spin.valueChanged.connect(self._on_value)
        self._slider.valueChanged.connect(self._on_slider)

    def _on_value(self, value: float) -> None:
        low, high = self._spin.minimum(), self._spin.maximum()
        self._slider.blockSignals(True)
        self._slider.setValue(round(1000 * (value - low) / (high - low or 1)))
        self._slider.blockSignals(False)
        self.valueChanged.emit(value)

    def _on_slider(self, position: int) -> None:
        low, high = self._spin.minimum(), self._spin.maximum()
        self._spin.setValue(low + (high - low) * position / 1000)

    value = Property(float, lambda self: self._spin.value(), lambda self, v: self._spin.setValue(v))
    minimum = Property(float, lambda self: self._spin.minimum(), lambda self, v: self._spin.setMinimum(v))
    maximum = Property(float, lambda self: self._spin.maximum(), lambda self, v: self._spin.setMaximum(v))
    singleStep = Property(float, lambda self: self._spin.singleStep(), lambda self, v: self._spin.setSingleStep(v))
    decimals = Property(int, lambda self: self._spin.decimals(), lambda self, v: self._spin.setDecimals(v))
    suffix = Property(str, lambda self: self._spin.suffix(), lambda self, v: self._spin.setSuffix(v))


class ctkPathLineEdit(_Widget):
    """A path, typed or chosen."""

    Dirs, Files = 0x1, 0x2  # of the real one's filters, as QDir has them
    currentPathChanged = Signal(str)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._filters, self._name_filters = self.Dirs | self.Files, []
        self._edit = QtWidgets.QLineEdit(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._edit)
        layout.addWidget(QtWidgets.QToolButton(self, text="..."))
        self._edit.textChanged.connect(self.currentPathChanged)

    def _set_filters(self, filters: int) -> None:
        self._filters = filters

    def _set_name_filters(self, filters: list[str]) -> None:
        self._name_filters = list(filters)

    currentPath = Property(str, lambda self: self._edit.text(), lambda self, v: self._edit.setText(v))
    filters = Property(int, lambda self: self._filters, _set_filters)
    nameFilters = Property("QVariant", lambda self: tuple(self._name_filters), _set_name_filters)


class ctkDirectoryButton(_Widget):
    """A button that shows and changes a folder; a text of its own, be it empty, is shown instead of the folder."""

    directoryChanged = Signal(str)
    directorySelected = Signal(str)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._directory, self._text = ".", None
        self._button = QtWidgets.QPushButton(".", self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._button)

    def choose(self, folder: str) -> None:
        """What a user does in the dialog."""
        self._set_directory(folder)

    def _set_directory(self, folder: str) -> None:
        changed, self._directory = folder != self._directory, folder
        self._button.setText(folder if self._text is None else self._text)
        self.directorySelected.emit(folder)  # like the real one, whoever set it
        if changed:
            self.directoryChanged.emit(folder)

    def _set_text(self, text: str) -> None:
        self._text = text
        self._button.setText(text)

    directory = Property(str, lambda self: self._directory, _set_directory)
    text = Property(str, lambda self: self._text or "", _set_text)


CLASSES = {
    cls.__name__: cls
    for cls in (ctkCollapsibleButton, ctkCollapsibleGroupBox, ctkSliderWidget, ctkPathLineEdit, ctkDirectoryButton)
}


def ctk_module() -> types.ModuleType:
    """A module to be found as ``ctk``."""
    module = types.ModuleType("ctk")
    for name, cls in CLASSES.items():
        setattr(module, name, cls)
    return module
