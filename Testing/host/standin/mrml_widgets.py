"""qMRMLWidget and qMRMLNodeComboBox, as far as the panel uses them."""

from __future__ import annotations

import weakref
from typing import Any, ClassVar

from PySide6 import QtCore, QtWidgets

from .pythonqt import pythonqt

Property, Signal = QtCore.Property, QtCore.Signal
_Widget: Any = pythonqt(QtWidgets.QWidget)


class qMRMLWidget(_Widget):
    """Hands the scene on to the widgets in it."""

    mrmlSceneChanged = Signal(object)
    isEntered = True

    def setMRMLScene(self, scene: Any) -> None:
        for child in self.findChildren(QtWidgets.QWidget):
            if isinstance(child, qMRMLNodeComboBox):
                child.setMRMLScene(scene)
        self.mrmlSceneChanged.emit(scene)


class qMRMLNodeComboBox(_Widget):
    """Chooses a node of some classes; follows the scene."""

    currentNodeChanged = Signal(object)
    alive: ClassVar[weakref.WeakSet[qMRMLNodeComboBox]] = weakref.WeakSet()

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._tags: list[int] = []
        self.alive.add(self)
        self._ids: list[str] = []
        self._types: list[str] = []
        self._none = False
        self._box = QtWidgets.QComboBox(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self._box.currentIndexChanged.connect(lambda _i: self.currentNodeChanged.emit(self.currentNode()))

    def setMRMLScene(self, scene: Any) -> None:
        self.release()
        self._scene = scene
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent, scene.EndImportEvent):
            self._tags.append(scene.AddObserver(event, lambda *_: self._refresh()))
        self._refresh()

    def release(self) -> None:
        """Let go of the scene, before either is destroyed."""
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._tags.clear()
        self._scene = None

    def _refresh(self) -> None:
        current = self.currentNodeID
        found = []
        for index in range(self._scene.GetNumberOfNodes()):
            node = self._scene.GetNthNode(index)
            # Like the real one with showChildNodeTypes off: the class itself, not classes derived from it.
            if node.GetClassName() in self._types and not node.GetHideFromEditors():
                found.append((node.GetName(), node.GetID()))
        self._box.blockSignals(True)
        self._box.clear()
        if self._none:
            self._box.addItem("None", "")
        for name, node_id in found:
            self._box.addItem(name, node_id)
        self._box.setCurrentIndex(max(0, self._box.findData(current)) if self._box.count() else -1)
        self._box.blockSignals(False)
        if self.currentNodeID != current:
            self.currentNodeChanged.emit(self.currentNode())

    def currentNode(self) -> Any:
        node_id = self.currentNodeID
        return self._scene.GetNodeByID(node_id) if self._scene is not None and node_id else None

    def setCurrentNode(self, node: Any) -> None:
        self._box.setCurrentIndex(self._box.findData(node.GetID() if node is not None else ""))

    def setCurrentNodeID(self, node_id: str) -> None:
        self._box.setCurrentIndex(self._box.findData(node_id))

    def _set_types(self, types: list[str]) -> None:
        self._types = list(types)

    def _set_none(self, enabled: bool) -> None:
        self._none = enabled

    currentNodeID = Property(str, lambda self: self._box.currentData() or "", setCurrentNodeID)
    nodeTypes = Property("QVariant", lambda self: tuple(self._types), _set_types)
    noneEnabled = Property(bool, lambda self: self._none, _set_none)
    addEnabled = Property(bool, lambda _self: False, lambda _self, _value: None)
    removeEnabled = Property(bool, lambda _self: False, lambda _self, _value: None)
    showChildNodeTypes = Property(bool, lambda _self: False, lambda _self, _value: None)


CLASSES = {cls.__name__: cls for cls in (qMRMLWidget, qMRMLNodeComboBox)}
