"""The line below the map list that says what lies under the mouse, in whichever view it is."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from ..doors.shown_map import cursor_text
from .context import PanelContext


class CursorReadout:
    """Follows Slicer's crosshair while the panel is open.

    Parameters
    ----------
    context
        The panel's.
    shown
        Gives the result that is shown, the key of its map, and the map's magnitudes; None for what is not there.
    """

    def __init__(self, context: PanelContext, shown: Any) -> None:
        self.ui = context.ui
        self._shown = shown
        self._observed: tuple[Any, int] | None = None

    def follow(self, wanted: bool) -> None:
        """Observe the scene's crosshair, or nothing."""
        if self._observed is not None:
            node, tag = self._observed
            node.RemoveObserver(tag)
            self._observed = None
        self.ui.cursorLabel.text = ""
        crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode") if wanted else None
        if crosshair is not None:
            event = slicer.vtkMRMLCrosshairNode.CursorPositionModifiedEvent
            self._observed = crosshair, crosshair.AddObserver(event, self.on_moved)

    def on_moved(self, crosshair: Any, _event: Any = None) -> None:
        """The mouse moved in a view, or left it."""
        point = [0.0, 0.0, 0.0]
        result, key, magnitudes = self._shown()
        there = result is not None and crosshair.GetCursorPositionRAS(point)
        self.ui.cursorLabel.text = cursor_text(result.nodes, key, magnitudes, point, _) if there else ""
