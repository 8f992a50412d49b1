"""Puts the stand-in into place: modules ``qt``, ``ctk``, ``slicer.*``, and ``slicer.app``, ``slicer.mrmlScene``."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
from mri_interpret.scene.headless import HeadlessScene
from mri_interpret.scene.views import add_views
from PySide6 import QtCore, QtWidgets

from . import ctk_widgets, mrml_widgets, parameter_node, scripted_module, ui_files
from .pythonqt import pythonqt, qt_module, signal_and_count


class _Application:
    """slicer.app: what the module asks of it."""

    def __init__(self, application: QtWidgets.QApplication) -> None:
        self._application = application
        self.startup: list[Any] = []
        self.paused = 0
        self.resumed: list[Any] = []  # called when the views may draw again

    def pauseRender(self) -> None:
        self.paused += 1

    def resumeRender(self) -> None:
        self.paused -= 1
        assert self.paused >= 0, "rendering was resumed more often than it was paused"
        if not self.paused:
            for function in list(self.resumed):
                function()

    def connect(self, signature: str, function: Any) -> None:
        name, _ = signal_and_count(signature)
        assert name == "startupCompleted", signature
        self.startup.append(function)

    def processEvents(self, flags: Any = QtCore.QEventLoop.AllEvents) -> None:
        self._application.processEvents(flags)

    def style(self) -> Any:
        return self._application.style()

    def testingEnabled(self) -> bool:
        return True


class _SampleData(types.ModuleType):
    """Keeps what is registered."""

    def __init__(self) -> None:
        super().__init__("SampleData")
        self.sources: list[dict[str, Any]] = []
        self.SampleDataLogic = types.SimpleNamespace(
            registerCustomSampleDataSource=lambda **source: self.sources.append(source)
        )


class Host:
    """The stand-in, once installed.

    Attributes
    ----------
    messages
        What was shown in the status bar, in error dialogs or in questions.
    agrees
        What the user answers to questions.
    """

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.agrees = True
        self.module_widgets: dict[str, Any] = {}
        self.qt_application = QtWidgets.QApplication.instance() or pythonqt(QtWidgets.QApplication)([])
        self.headless: HeadlessScene | None = None
        self.layout_logic: Any = None
        self.new_scene()
        atexit.register(self.close_scene)

    def new_scene(self) -> None:
        """An empty scene with the views of the four-up layout; the one before is destroyed in good order."""
        self.close_scene()
        self.headless = HeadlessScene()
        add_views(self.headless.scene)
        self.layout_logic = slicer.vtkMRMLLayoutLogic()  # makes the view nodes of a layout
        self.layout_logic.SetMRMLScene(self.headless.scene)
        slicer.mrmlScene = self.headless.scene

    def close_scene(self) -> None:
        """Nothing that still looks at a scene may outlive it."""
        for combo in list(mrml_widgets.qMRMLNodeComboBox.alive):
            combo.release()
        slicer.mrmlScene = None
        if self.layout_logic is not None:
            self.layout_logic.SetMRMLScene(None)
            self.layout_logic = None
        if self.headless is not None:
            self.headless.close()
        self.headless = None
        gc.collect()

    def load_volume(self, path: str, properties: dict[str, Any] | None = None) -> Any:
        """slicer.util.loadVolume, through the Volumes logic."""
        from vtkmodules.vtkCommonCore import vtkStringArray

        logic = self.headless.application_logic.GetModuleLogic("Volumes")
        node = logic.AddArchetypeVolume(path, (properties or {}).get("name", "volume"), 0, vtkStringArray())
        if node is None:
            raise RuntimeError(f"cannot load {path}")
        return node

    def set_layers(self, background: Any = None, foreground: Any = None, fit: bool = False, **_: Any) -> None:
        """slicer.util.setSliceViewerLayers."""
        from mri_interpret.scene import views

        views.show_over_scan(slicer.mrmlScene, background, foreground)
        if fit and background is not None:
            views.fit_slices(slicer.mrmlScene, background)

    @contextmanager
    def try_with_error_display(self, message: str = "", show: bool = True, waitCursor: bool = False) -> Iterator[None]:
        """slicer.util.tryWithErrorDisplay: the dialog's text is kept instead of shown."""
        try:
            yield
        except Exception as error:
            self.messages.append(f"{message}\n\n{error}")

    def confirm(self, text: str, windowTitle: str | None = None, **_: Any) -> bool:
        """slicer.util.confirmOkCancelDisplay: the question is kept, and answered without a dialog."""
        self.messages.append(text)
        return self.agrees


def install() -> Host:
    """Put everything into place; once per process."""
    present = getattr(slicer, "standin_host", None)
    if present is not None:
        return present
    host = Host()
    slicer.standin_host = host
    slicer.app = _Application(host.qt_application)
    slicer.modules = types.SimpleNamespace()
    for name, cls in mrml_widgets.CLASSES.items():
        setattr(slicer, name, cls)
    translation = types.ModuleType("slicer.i18n")
    translation.tr = lambda text: text  # type: ignore[attr-defined]
    translation.translate = lambda _context, text: text  # type: ignore[attr-defined]
    packaging = types.ModuleType("slicer.packaging")
    packaging.load_requirements = lambda path: [path]  # type: ignore[attr-defined]
    packaging.pip_check = lambda _requirements: True  # type: ignore[attr-defined]
    packaging.pip_ensure = lambda *_, **__: None  # type: ignore[attr-defined]
    made = {
        "qt": qt_module(),
        "ctk": ctk_widgets.ctk_module(),
        "slicer.ScriptedLoadableModule": scripted_module.module(),
        "slicer.parameterNodeWrapper": parameter_node.module(),
        "slicer.i18n": translation,
        "slicer.packaging": packaging,
        "SampleData": _SampleData(),
    }
    sys.modules.update(made)
    for name, module in made.items():
        if name.startswith("slicer."):
            setattr(slicer, name.partition(".")[2], module)
    util = slicer.util
    util.loadUI = ui_files.load_ui
    util.childWidgetVariables = ui_files.child_widget_variables
    util.loadVolume = host.load_volume
    util.setSliceViewerLayers = host.set_layers
    util.tryWithErrorDisplay = host.try_with_error_display
    util.confirmOkCancelDisplay = host.confirm
    util.showStatusMessage = lambda text, _msec=0: host.messages.append(text)
    util.mainWindow = lambda: None
    util.getModuleWidget = host.module_widgets.__getitem__
    return host
