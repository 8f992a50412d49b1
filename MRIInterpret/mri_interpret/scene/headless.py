"""Slicer's scene and logic without its window, to write scenes to files, read them, and draw them off-screen."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import slicer
from vtkmodules.vtkCommonCore import vtkCollection

from ..errors import UserError
from .nodes import release_all


@contextmanager
def same_directory() -> Iterator[None]:
    """Restore the working directory: Slicer's archive code changes it, and does not change it back if it fails."""
    before = os.getcwd()
    try:
        yield
    finally:
        os.chdir(before)


class HeadlessScene:
    """A new vtkMRMLScene with the logics that register the node classes of Slicer's modules. A context manager.

    Attributes
    ----------
    scene
        The vtkMRMLScene.
    application_logic
        vtkSlicerApplicationLogic of that scene.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="mri-interpret-scene-")
        self.scene: Any = slicer.vtkMRMLScene()
        self.application_logic: Any = slicer.vtkSlicerApplicationLogic()
        self.application_logic.SetHomeDirectory(self._folder.name)
        self.application_logic.SetShareDirectory("share")
        Path(self._folder.name, "share", "ColorFiles").mkdir(parents=True)
        Path(self._folder.name, ".slicer-cache").touch()  # says that Slicer may clean this folder up
        self.application_logic.SetMRMLScene(self.scene)
        self.application_logic.SetSliceLogics(vtkCollection())
        self.application_logic.SetViewLogics(vtkCollection())
        colours = self.application_logic.GetColorLogic()
        colours.SetMRMLScene(self.scene)
        colours.AddDefaultColorNodes()
        self._logics = [
            self._register(cls(), name)
            for cls, name in (
                (slicer.vtkSlicerVolumesLogic, "Volumes"),
                (slicer.vtkSlicerSegmentationsModuleLogic, "Segmentations"),
                (slicer.vtkSlicerVolumeRenderingLogic, "VolumeRendering"),
                (slicer.vtkSlicerSubjectHierarchyModuleLogic, "SubjectHierarchy"),
                (slicer.vtkSlicerColorLogic, "Colors"),
                (slicer.vtkSlicerMarkupsLogic, "Markups"),
            )
        ]
        patient_right_is_screen_left = True
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene, patient_right_is_screen_left)
        self._connect_files()

    def _register(self, logic: Any, name: str) -> Any:
        if hasattr(logic, "SetModuleShareDirectory"):  # else some logics warn that their presets are missing
            logic.SetModuleShareDirectory(self._folder.name)
        logic.SetMRMLApplicationLogic(self.application_logic)
        logic.SetMRMLScene(self.scene)
        self.application_logic.SetModuleLogic(name, logic)
        return logic

    def _connect_files(self) -> None:
        """Reading a .mrb needs file logic with a cache folder to unpack into."""
        self._remote = slicer.vtkMRMLRemoteIOLogic()
        self._remote.SetMRMLScene(self.scene)
        self._remote.SetMRMLApplicationLogic(self.application_logic)
        self._remote.GetCacheManager().SetRemoteCacheDirectory(self._folder.name)
        self._files = slicer.vtkDataIOManagerLogic()
        self._files.SetMRMLScene(self.scene)
        self._files.SetMRMLApplicationLogic(self.application_logic)
        self._files.SetAndObserveDataIOManager(self._remote.GetDataIOManager())
        self._remote.AddDataIOToScene()

    def read(self, path: str | Path) -> None:
        """Add the content of a .mrb file to the scene.

        Raises
        ------
        UserError
            If it cannot be read.
        """
        messages = slicer.vtkMRMLMessageCollection()
        path = Path(path).absolute()
        with same_directory():
            read = path.is_file() and self.scene.ReadFromMRB(str(path), False, messages)
        if not read:
            raise UserError(f"Cannot read the scene {path}: {messages.GetAllMessagesAsString() or 'no such file'}.")

    def close(self) -> None:
        """Free the scene and its temporary files."""
        release_all(self.scene)
        self.scene.Clear(1)
        self._folder.cleanup()

    def __enter__(self) -> HeadlessScene:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
