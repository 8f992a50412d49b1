"""The base classes of scripted modules, as far as the module relies on them."""

from __future__ import annotations

import importlib
import os
import types
import unittest
from typing import Any

import slicer
from PySide6 import QtWidgets

from .mrml_widgets import qMRMLWidget


class ScriptedLoadableModule:
    def __init__(self, parent: Any) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__


class ScriptedLoadableModuleWidget:
    def __init__(self, parent: Any = None) -> None:
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Widget")
        if parent is None:
            parent = qMRMLWidget()
            QtWidgets.QVBoxLayout(parent)
            parent.setMRMLScene(slicer.mrmlScene)
        self.parent = parent
        self.layout = parent.layout()

    def resourcePath(self, filename: str) -> str:
        module = importlib.import_module(type(self).__module__)
        return os.path.join(os.path.dirname(module.__file__), "Resources", filename)  # type: ignore[type-var, arg-type]

    def setup(self) -> None:
        """Slicer adds its developer buttons here."""

    def cleanup(self) -> None:
        """For derived classes."""


class ScriptedLoadableModuleLogic:
    def __init__(self, parent: Any = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self) -> Any:
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
            node.SetSingletonTag(self.moduleName)
            node.SetAttribute("ModuleName", self.moduleName)
            node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
            node = slicer.mrmlScene.AddNode(node)
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    def __init__(self, *arguments: Any) -> None:
        # Slicer's own makes an instance without naming a test, and calls runTest.
        super().__init__(*(arguments or ("runTest",)))

    def runTest(self) -> None:
        """For derived classes."""

    def delayDisplay(self, message: str, requestedDelay: Any = None, msec: Any = None) -> None:
        QtWidgets.QApplication.processEvents()


def module() -> types.ModuleType:
    """A module to be found as ``slicer.ScriptedLoadableModule``."""
    made = types.ModuleType("slicer.ScriptedLoadableModule")
    for cls in (
        ScriptedLoadableModule,
        ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest,
    ):
        setattr(made, cls.__name__, cls)
    return made
