"""Report pages: drawn in worker processes, one for each result at most, kept in the scene, written when wanted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..atomic import write_text
from ..errors import UserError
from . import report_job
from .background_job import BackgroundJob, Timer

if TYPE_CHECKING:
    from .result import MRIInterpretResult

OnSaved = Callable[[Path | None, str], None]  # the file and "", or None and one sentence
NO_REPORT = "This result came with a saved scene without its report: run Explain again to save it."


@dataclass
class _Drawing:
    """A page that is being drawn, and who waits for it."""

    job: BackgroundJob | None = None
    waiting: list[tuple[Path, OnSaved]] = field(default_factory=list)


class Reports:
    """Draws and saves the pages of results, so that the window never waits.

    Parameters
    ----------
    make_timer
        Makes a timer of the front end's event loop.
    """

    def __init__(self, make_timer: Callable[[], Timer]) -> None:
        self._make_timer = make_timer
        self._drawings: dict[str, _Drawing] = {}

    def drawing(self, run: str) -> bool:
        """Whether a result's page is being drawn."""
        return run in self._drawings

    def keep(self, scene: Any, result: MRIInterpretResult, clean_up: Callable[[], None]) -> None:
        """Draw a page in the background and keep it in the scene; then ``clean_up`` deletes the numbers' files.

        If it cannot be drawn, the files stay, and :meth:`save` tries again.
        """
        self._cancel(result.run)  # of a result that had the same name

        def kept(page: str) -> None:
            result.let_go()
            clean_up()
            report_job.put_into_scene(scene, result.run, page)

        try:
            self._draw(result, kept)
        except OSError:  # no process can be started: the result is there all the same
            logging.exception("MRIInterpret: the report of %s is not drawn now", result.run)

    def save(self, result: MRIInterpretResult, path: str | Path, on_saved: OnSaved) -> None:
        """Write a result's page to a file, at once or as soon as it is drawn.

        Parameters
        ----------
        result
            The result.
        path
            The file.
        on_saved
            Called once.
        """
        page = result.page
        if page:
            _write(Path(path), page, on_saved)
        elif self.drawing(result.run):
            self._drawings[result.run].waiting.append((Path(path), on_saved))
        elif result.source is None:
            on_saved(None, NO_REPORT)
        else:
            try:
                self._draw(result, lambda page: None, (Path(path), on_saved))
            except OSError as error:
                on_saved(None, f"The report could not be drawn ({error}).")

    def _draw(self, result: MRIInterpretResult, drawn: Callable[[str], None], *waiting: tuple[Path, OnSaved]) -> None:
        assert result.source is not None
        run = result.run
        worker = report_job.start(result.source)
        drawing = self._drawings[run] = _Drawing(waiting=list(waiting))

        def finished(page: str | None, sentence: str) -> None:
            if self._drawings.get(run) is drawing:
                del self._drawings[run]
            if page is not None:
                drawn(page)
            for path, on_saved in drawing.waiting:
                if page is None:
                    on_saved(None, sentence)
                else:
                    _write(path, page, on_saved)

        drawing.job = BackgroundJob(
            worker,
            lambda done: report_job.finish(worker, done),
            lambda message: None,
            finished,
            self._make_timer(),
        )

    def _cancel(self, run: str) -> None:
        drawing = self._drawings.get(run)
        if drawing is not None and drawing.job is not None:
            drawing.job.cancel()

    def leave(self) -> None:
        """The module is reloaded: pages go on being drawn and kept in the scene, but nobody is left to be told."""
        for drawing in self._drawings.values():
            drawing.waiting = [(path, lambda _path, _sentence: None) for path, _ in drawing.waiting]
        self._drawings.clear()

    def cancel_all(self) -> None:
        """The scene is closed, or the module is reloaded: nothing goes on."""
        for run in list(self._drawings):
            self._cancel(run)


def _write(path: Path, page: str, on_saved: OnSaved) -> None:
    try:
        write_text(path, page)
    except UserError as error:
        on_saved(None, str(error))
    else:
        on_saved(path, "")
