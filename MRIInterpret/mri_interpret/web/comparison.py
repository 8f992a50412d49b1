"""Four maps of a result side by side, in axial views that stay at the same place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..scene import map_display, views
from ..scene.live_views import LiveSliceView

if TYPE_CHECKING:
    from .session_scene import SessionScene
    from .shown_result import ShownResult

NAMES = ("Compare1", "Compare2", "Compare3", "Compare4")


class Comparison:
    """The four views; they are made when they are first asked for.

    Parameters
    ----------
    state
        trame's: ``compare`` says whether they are seen, ``compared`` which maps they show.
    scene, shown
        The visitor's scene, and its result.
    """

    def __init__(self, state: Any, scene: SessionScene, shown: ShownResult) -> None:
        self.state, self._scene, self._shown = state, scene, shown
        self.views: dict[str, LiveSliceView] = {}
        self._moving = False
        state.update({"compare": False, "compared": dict.fromkeys(NAMES, "")})

    def show(self, wanted: bool) -> None:
        """Show the comparison, or the usual views."""
        self.state.compare = bool(wanted) and self._shown.result is not None
        if self.state.compare and not self.views:
            self.views = {name: self._make(name) for name in NAMES}

    def _make(self, name: str) -> LiveSliceView:
        views.add_slice_view(self._scene.scene, name, "Axial", saved=False)
        return LiveSliceView(self._scene.headless, name)

    def choose(self, name: str, key: str) -> None:
        """Show a map in one of the views."""
        if name in NAMES:
            self.state.compared = {**self.state.compared, name: key}

    def update(self) -> None:
        """Whatever was done: each view shows its own map, at the place of the axial view."""
        result = self._shown.result
        if not self.state.compare or result is None:
            return
        keys = list(result.nodes.volumes)
        methods = [*result.nodes.maps, *(key for key in keys if key not in result.nodes.maps)]
        kept = self.state.compared
        self.state.compared = {
            name: kept[name] if kept[name] in keys else methods[number % len(methods)]
            for number, name in enumerate(NAMES)
        }
        scan = result.nodes.scan or map_display.scan_under(result.nodes)
        for name, view in self.views.items():
            foreground = map_display.node_of(result.nodes, self.state.compared[name])
            composite = view.composite
            if composite.GetForegroundVolumeID() != foreground.GetID() or not composite.GetBackgroundVolumeID():
                views.set_layers(composite, scan, foreground, float(self.state.opacity), linked=False)
        self.follow()

    def fit(self) -> None:
        """Every view shows the whole scan."""
        result = self._shown.result
        if result is not None:
            scan = result.nodes.scan or map_display.scan_under(result.nodes)
            views.fit_slices(self._scene.scene, scan, [view.node for view in self.views.values()])
            self.follow()

    def follow(self) -> None:
        """The axial view was moved: the four cut where it does."""
        offset = self._scene.slices["Red"].logic.GetSliceOffset()
        with self._moves() as mine:
            for view in self.views.values() if mine else ():
                if abs(view.logic.GetSliceOffset() - offset) > 1e-6:
                    view.logic.SetSliceOffset(offset)

    def lead(self, name: str) -> None:
        """One of the four was moved by the visitor: the axial view and the others cut where it does.

        To be called after the event, not from within it: while Slicer moves a slice, its place is not certain.
        """
        offset = self.views[name].logic.GetSliceOffset()
        with self._moves() as mine:
            for view in (self._scene.slices["Red"], *self.views.values()) if mine else ():
                if abs(view.logic.GetSliceOffset() - offset) > 1e-6:
                    view.logic.SetSliceOffset(offset)

    @contextmanager
    def _moves(self) -> Iterator[bool]:
        """Views that are moved from here say so while they are half-way: nothing follows from that."""
        mine, self._moving = not self._moving, True
        try:
            yield mine
        finally:
            if mine:
                self._moving = False


__all__ = ["NAMES", "Comparison"]
