"""The button "Compare methods": the map list as a light-box, four maps side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from .context import PanelContext
from .job_timer import JobTimer
from .saving_section import NO_RESULT_YET
from .widgets import enable, quiet

if TYPE_CHECKING:
    from ..doors.result import MRIInterpretResult


class CompareSection:
    """Wires the button with the result that is shown.

    Parameters
    ----------
    context
        Widgets and parameters.
    shown
        The result that is shown, or None, and the map that is chosen.
    """

    def __init__(self, context: PanelContext, shown: Callable[[], tuple[MRIInterpretResult | None, str]]) -> None:
        self.context = context
        self.button = context.ui.compareButton
        self._shown = shown
        self._timer = JobTimer()
        self._magnitudes: dict[str, tuple[Any, Any]] = {}  # by the node's identifier: its image, and Magnitudes
        self.button.connect("toggled(bool)", self.on_compare)
        context.display_changed.connect(self.show)

    def update(self) -> None:
        """Whether it can be pressed, and whether it is: the layout may be chosen in Slicer's toolbar, too."""
        from ..scene import light_box

        light_box.offer(slicer.mrmlScene)
        result, _key = self._shown()
        enable(
            self.button,
            "" if result or light_box.is_open(slicer.mrmlScene) else _(NO_RESULT_YET),
            _("Show four maps side by side, in linked slice views: those of the list around the chosen one."),
        )
        with quiet(self.button):
            self.button.checked = light_box.is_open(slicer.mrmlScene)

    def forget(self) -> None:
        """The scene was closed: no map is to be remembered."""
        self._magnitudes.clear()

    def on_compare(self, wanted: bool) -> None:
        """Open the layout, or go back to the one before."""
        if not wanted:
            self.context.logic.stopComparing()
            return
        result, key = self._shown()
        if result is not None:
            self.context.logic.compareMethods(result, key, self.context.parameters.opacity)
            self.show()
            self._timer.every(0, self._fit)  # the new views have their sizes only then

    def _fit(self) -> None:
        self._timer.stop()
        from ..scene import light_box

        result, _key = self._shown()
        if result is not None and light_box.is_open(slicer.mrmlScene):
            light_box.fit(slicer.mrmlScene, result.nodes)

    def show(self) -> None:
        """The chosen map or how it is shown has changed: the four around it follow, with the same share shown."""
        from ..scene import light_box, map_display

        result, key = self._shown()
        if result is None or not light_box.is_open(slicer.mrmlScene):
            return
        parameters = self.context.parameters
        keys = light_box.page_of(list(result.nodes.volumes), key)
        for other in keys:
            if other != key and map_display.has_threshold(result.nodes, other):
                share = self._magnitudes_of(map_display.node_of(result.nodes, other)).value_of_top
                map_display.set_threshold(result.nodes, other, share(parameters.topPercent))
        light_box.show(slicer.mrmlScene, result.nodes, keys, parameters.opacity)

    def _magnitudes_of(self, node: Any) -> Any:
        """Of a map, sorted once: the slider asks for them at every step."""
        from ..scene.map_display import Magnitudes

        image = node.GetImageData()
        if node.GetID() not in self._magnitudes or self._magnitudes[node.GetID()][0] is not image:
            self._magnitudes[node.GetID()] = image, Magnitudes(node)
        return self._magnitudes[node.GetID()][1]
