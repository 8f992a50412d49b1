"""A visitor's scene with its four views, and the scans that are put into it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..images.reading import read_scan
from ..images.volume import Volume
from ..scene import views
from ..scene.geometry import fill_volume_node
from ..scene.headless import HeadlessScene
from ..scene.live_views import LiveSliceView, LiveView, LiveView3D, add_crosshair

SLICES = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}
THREE_D = "3D"


class SessionScene:
    """A scene and the views of Slicer's four-up layout."""

    def __init__(self) -> None:
        self.headless = HeadlessScene()
        self.scene: Any = self.headless.scene
        self.crosshair = add_crosshair(self.scene)
        views.add_views(self.scene)
        self.slices = {name: LiveSliceView(self.headless, name) for name in SLICES}
        self.three_d = LiveView3D(self.headless)

    @property
    def views(self) -> dict[str, LiveView]:
        """By the name in the page."""
        return {**self.slices, THREE_D: self.three_d}

    def add_scan(self, path: Path, name: str) -> Any:
        """Read a scan and show it.

        Returns
        -------
        vtkMRMLScalarVolumeNode

        Raises
        ------
        UserError
            If it is refused: why, in one sentence. The scene is then as it was.
        """
        volume = read_scan(path)
        node = self.scene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
        node.SetName(name)
        fill_volume_node(node, volume)
        node = self.scene.AddNode(node)
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetAutoWindowLevel(0)
        display.SetWindowLevelMinMax(*_window(volume))
        self.show_scan(node)
        return node

    def show_scan(self, node: Any) -> None:
        """Show a scan alone, whole, through its middle."""
        views.show_over_scan(self.scene, node, None)
        views.fit_slices(self.scene, node)
        views.aim_camera(self.scene, node)

    def close(self) -> None:
        """Free views and scene."""
        for view in self.views.values():
            view.close()
        self.headless.close()


def _window(scan: Volume) -> tuple[float, float]:
    """Grey values from black to white, before anything is known of the brain."""
    values = np.asarray(scan.array)[::3, ::3, ::3]
    low, high = np.quantile(values, (0.01, 0.995))
    return (float(low), float(high)) if high > low else (float(values.min()), float(values.max()) + 1.0)
