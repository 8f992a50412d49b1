"""A visitor's application: scene, state and page brought together."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from trame.modules import rca as rca_module

from .asyncio_timer import AsyncioTimer
from .comparison import Comparison
from .files import Files
from .open_folders import OpenFolders
from .page import build_page
from .remote_views import RemoteView
from .runs import Runs
from .session_scene import SLICES, THREE_D, SessionScene
from .shown_result import ShownResult

# By the axis of RAS that a view cuts across: its orientation, and the letters of both directions.
ORIENTATIONS, LETTERS = ("Sagittal", "Coronal", "Axial"), ("RL", "AP", "SI")
NOTHING_THERE = "{folder} holds neither a saved result nor a scan (NIfTI, MGH): load the sample, or send a scan."


class Application:
    """What a visitor sees and does.

    Parameters
    ----------
    server
        trame's.
    folders
        That may be read.
    folder
        For temporary files.
    """

    def __init__(self, server: Any, folders: OpenFolders, folder: Path) -> None:
        self.server, self.state, self.folders = server, server.state, folders
        server.enable_module(rca_module)
        self.scene = SessionScene()
        self.shown = ShownResult(self.state, self.scene, self._say)
        self.runs = Runs(self.state, self.scene, self.shown, folders, lambda: AsyncioTimer(self.state))
        self.comparison = Comparison(self.state, self.scene, self.shown)
        self.files = Files(self.runs, self.shown, folder)
        self.remote: dict[str, RemoteView] = {}
        self.state.update({"dark": True, "slices": {name: self._place(name) for name in self.scene.slices}})
        self.state.trame__title = "MRIInterpret"
        self.state.change("model")(lambda **_state: self.runs.update())
        build_page(self)

    def _say(self, sentence: str) -> None:
        self.runs.say(sentence)

    def begin(self) -> None:
        """The server runs: stream the views, and open what was named if it is one result."""
        for name, view in self.scene.views.items():
            self._stream(RemoteView(view, name), name)
        for name, view in self.scene.slices.items():
            view.on_change(partial(self._follow, name))
        results, scans = self.folders.results(), self.folders.scans()
        with self.state:
            if len(results) == 1:
                self.runs.open_result(next(iter(results)))
            elif self.folders.roots and not results and not scans:
                self.runs.say(NOTHING_THERE.format(folder=", ".join(map(str, self.folders.roots))))

    def _stream(self, view: RemoteView, name: str) -> None:
        self.remote[name] = view
        self.server.controller.rc_area_register(view.adapter)

    def compare(self, wanted: bool) -> None:
        """Show four maps side by side, or the usual views."""
        self.comparison.show(wanted)
        for name, view in self.comparison.views.items():
            if name not in self.remote:
                lead = partial(self.comparison.lead, name)
                self._stream(RemoteView(view, name, self.comparison.fit, lead), name)
        for name, remote in self.remote.items():
            remote.seen = (name in self.comparison.views) == bool(self.state.compare)

    def deed(self, do: Callable[..., None]) -> Callable[..., None]:
        """A click: do it, then draw what it may have changed."""

        def done(*arguments: Any, **_state: Any) -> None:
            do(*arguments)
            self.comparison.update()
            self.draw()

        return done

    def draw(self) -> None:
        """Draw the slice views soon. The 3D view asks for that itself, and only where it must: it costs most."""
        for name, view in self.remote.items():
            if name != THREE_D:
                view.render()

    def move_slice(self, name: str, offset: float) -> None:
        """A slider beside a slice view was moved, to mm along the view's axis."""
        if name in self.scene.slices:
            self.scene.slices[name].logic.SetSliceOffset(float(offset))

    def _follow(self, name: str) -> None:
        """A slice moved, by whatever: its slider follows."""
        now = self._place(name)
        if now != self.state.slices[name]:
            with self.state:
                self.state.slices = {**self.state.slices, name: now}
        if name == "Red" and self.state.compare:
            self.comparison.follow()

    def _place(self, name: str) -> dict[str, Any]:
        """Where a slice view cuts: for its slider, and in words ("R 31.6 mm")."""
        view, axis = self.scene.slices[name], ORIENTATIONS.index(SLICES[name])
        low, high, step = view.range
        at = float(view.node.GetSliceToRAS().GetElement(axis, 3))
        return {
            "value": round(float(view.logic.GetSliceOffset()), 2),
            "min": round(low, 2),
            "max": round(high, 2),
            "step": round(step, 3) or 1.0,
            "text": f"{LETTERS[axis][at < 0]} {abs(at):.1f} mm",
        }
