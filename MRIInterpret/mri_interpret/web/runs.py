"""What a page starts: a scan is opened and explained, a saved result is opened; progress, and cancel."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ..attribution.registry import DEFAULT_METHODS, available_methods
from ..doors import choices, explain_job, open_job, status
from ..doors.background_job import BackgroundJob, Timer
from ..doors.models import ModelList
from ..doors.reports import Reports
from ..doors.sample import SAMPLE_NAME, sample_path
from ..errors import UserError
from ..explanation.options import DEFAULTS
from .open_folders import OpenFolders

if TYPE_CHECKING:
    from ..worker.messages import Message
    from .session_scene import SessionScene
    from .shown_result import ShownResult

_CHOICES = {  # what the page's state begins with; names as in the panel's parameter node
    "scanKind": "auto",
    "model": "",
    "target": DEFAULTS.target,
    "methods": list(DEFAULT_METHODS),
    "goal": DEFAULTS.goal,
    "composite": "",
    "layer": "",
    "device": DEFAULTS.device,
    "trust": DEFAULTS.trust,
    "regions": DEFAULTS.regions,
}


class Runs:
    """Starts and ends a page's work.

    Parameters
    ----------
    state
        trame's, shared with the page.
    scene
        The visitor's.
    shown
        Shows what comes of it.
    folders
        That may be read.
    make_timer
        Of the server's event loop.
    """

    def __init__(
        self, state: Any, scene: SessionScene, shown: ShownResult, folders: OpenFolders, make_timer: Callable[[], Timer]
    ) -> None:
        self.state, self.scene, self.shown, self.folders = state, scene, shown, folders
        self._make_timer = make_timer
        self.models = ModelList()
        self.known = available_methods()
        self.reports = Reports(make_timer)
        self._job: BackgroundJob | None = None
        self._status = status.StatusText()
        self._scan: Any = None
        state.update(
            {
                **_CHOICES,
                "running": False,
                "percent": 0,
                "status": "",
                "blocked": "",
                "scan_name": "",
                "presets": _items(choices.PRESET_TITLES),
                "scan_kinds": _items(choices.SCAN_KIND_TITLES),
                "devices": _items(choices.DEVICE_TITLES),
                "trusts": _items(choices.TRUST_TITLES),
                "region_kinds": _items(choices.REGION_TITLES),
                "known_methods": [
                    {"title": self.known[name].title, "value": name}
                    for name in choices.order_of_methods(DEFAULT_METHODS, list(self.known))
                ],
                "models": self.models.names,
                "model": self.models.chosen("").name,
                "saved_results": list(folders.results()),
                "scans": list(folders.scans()),
            }
        )
        self.update()

    def update(self) -> None:
        """What can be chosen and pressed now."""
        model = self.models.chosen(self.state.model)
        offered = choices.targets(model.output, self.state.target)
        self.state.targets = [{"title": choices.target_title(name, model.output), "value": name} for name in offered]
        if self.state.target not in offered:
            self.state.target = DEFAULTS.target
        self.state.model_text = model.description
        self.state.banner = model.banner
        self.state.running = self._job is not None and self._job.running
        missing = next(iter(model.further_inputs), "")
        self.state.blocked = status.explain_blocked(
            status.busy(self.state.running, False), self._scan is not None, model.problem, missing
        )

    def say(self, sentence: str) -> None:
        """Show a sentence in the page."""
        self.state.status = sentence

    def choose_preset(self, name: str) -> None:
        """Tick the methods of a preset."""
        members = choices.presets(DEFAULT_METHODS, list(self.known)).get(name)
        if members is not None:
            self.state.methods = list(members)

    def load_sample(self) -> None:
        """Open the scan that ships with the project."""
        self.add_scan(sample_path(), SAMPLE_NAME)

    def open_scan(self, name: str) -> None:
        """Open a scan of the folders."""
        self._or_say(lambda: self.add_scan(self.folders.scan(name), Path(name).name))

    def add_scan(self, path: Path, name: str) -> None:
        """Open a scan; if it is refused, the page says why, and what was there stays."""

        def add() -> None:
            self._scan = self.scene.add_scan(path, name)
            self.state.scan_name = name
            self.say(f"{name} is open: press Explain.")

        self._or_say(add, str(path), name)

    def _or_say(self, deed: Callable[[], None], path: str = "", name: str = "") -> None:
        """Do it, or say why it cannot be done; by ``name``, where a sentence has a path that the visitor knows not."""
        try:
            deed()
        except UserError as error:
            self.say(str(error).replace(path, name) if path else str(error))
        except Exception as error:
            logging.exception("MRIInterpret: a click failed")
            self.say(f"This could not be done ({type(error).__name__}: {error}).")
        self.update()

    def open_result(self, name: str) -> None:
        """Open a saved result of the folders, through a worker process."""

        def start() -> None:
            folder = self.folders.result(name)
            worker = open_job.start(folder)
            self._begin(worker, lambda done: open_job.finish(self.scene.scene, worker, done, folder))

        self._or_say(start if not self.state.running else lambda: None)

    def explain(self) -> None:
        """Explain the scan, in a worker process."""
        self.update()
        if not self.state.blocked:
            self._or_say(self._explain)

    def _explain(self) -> None:
        methods = [name for name in self.state.methods if name in self.known] or list(DEFAULT_METHODS)
        takes = {name: list(info.parameters) for name, info in self.known.items()}
        parameters = SimpleNamespace(**{name: self.state[name] for name in _CHOICES})
        # Of the listed models only: a page could name a folder, which would be read.
        parameters.model = self.models.chosen(self.state.model).name
        scan = self._scan
        worker = explain_job.start(scan, **choices.explain_options(parameters, methods, takes))

        def finish(done: Any) -> Generator[float, None, Any]:
            result = yield from explain_job.finish(self.scene.scene, worker, done, scan)
            self.reports.keep(self.scene.scene, result, worker.clean_up)
            return result

        self._begin(worker, finish)

    def _begin(self, worker: Any, finish: Any) -> None:
        self.state.percent = 0
        self.say(self._status.start())
        self._job = BackgroundJob(worker, finish, self._on_progress, self._on_finished, self._make_timer())

    def _on_progress(self, message: Message) -> None:
        text = self._status.after(message)
        if text is not None:
            self.state.percent = self._status.percent
            self.say(text)

    def _on_finished(self, result: Any, sentence: str) -> None:
        self.say(self._status.end(sentence))
        if result is not None:
            self.shown.add(result)
            if self._scan is None and result.nodes.scan is not None:  # a saved result brings its scan
                self._scan = result.nodes.scan
                self.state.scan_name = self._scan.GetName()
        self.update()

    def cancel(self) -> None:
        """End the work; the scene stays as it was."""
        if self._job is not None:
            self._job.cancel()
        self.update()

    def close(self) -> None:
        """The visitor is gone: nothing goes on."""
        self.cancel()
        self.reports.cancel_all()


def _items(titles: Any) -> list[dict[str, str]]:
    return [{"title": title, "value": name} for name, title in titles.items()]
