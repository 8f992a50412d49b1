"""A worker process and what is made of its result, driven by a timer of Slicer's window."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator
from typing import Any

from ..errors import UserError
from ..worker import messages
from ..worker.process import WorkerProcess

Finish = Callable[[messages.Done], Generator[float, None, Any]]

_POLL_MS = 100  # between looks at what the worker wrote
_TURN_SECONDS = 0.02  # how long the result may be worked at before the window gets its turn


class Runner:
    """Drives a worker process from a timer, and calls back in the window's thread, which it never holds up.

    Parameters
    ----------
    worker
        As :func:`logic.start` returned it.
    finish
        Makes a generator of Done: each step of it takes some milliseconds and yields how much is done; it returns the
        result. Closed before its end, it leaves the scene as it was.
    on_progress
        Given a Progress or Notice message.
    on_finished
        Called once: with a result, or with None and one sentence.
    """

    def __init__(
        self,
        worker: WorkerProcess,
        finish: Finish,
        on_progress: Callable[[messages.Message], None],
        on_finished: Callable[[Any, str], None],
    ) -> None:
        import qt

        self._worker = worker
        self._finish: Finish | None = finish
        self._building: Generator[float, None, Any] | None = None
        self._done = 0.0  # the worker's last word on how far the whole is
        self._on_progress = on_progress
        self._on_finished: Callable[[Any, str], None] | None = on_finished
        self._timer = qt.QTimer()
        self._timer.interval = _POLL_MS
        self._timer.connect("timeout()", self.step)
        self._timer.start()

    @property
    def running(self) -> bool:
        """Whether it is not over yet: the worker is at work, or its result is being put into the scene."""
        return self._on_finished is not None

    @property
    def building(self) -> bool:
        """Whether the result is being put into the scene."""
        return self.running and self._building is not None

    def step(self) -> None:
        """Take what is new, or go on with the result for a moment."""
        if self._building is not None:
            self._build()
            return
        for message in self._worker.poll():
            if isinstance(message, messages.Done):
                assert self._finish is not None
                self._building = self._finish(message)
                self._timer.interval = 0  # whenever the window has nothing else to do
                self._tell(0.0)
            elif isinstance(message, messages.Failed):
                logging.error("MRIInterpret: %s\n%s", message.sentence, message.details)
                self._over(None, message.sentence)
            else:
                if isinstance(message, messages.Progress):
                    self._done = message.overall
                self._on_progress(message)

    def _build(self) -> None:
        assert self._building is not None
        end = time.perf_counter() + _TURN_SECONDS
        fraction = 0.0
        try:
            while time.perf_counter() < end:
                fraction = next(self._building)
        except StopIteration as last:
            self._over(last.value, "")
        except UserError as error:
            self._fail(str(error))
        except Exception as error:
            logging.exception("MRIInterpret: the result could not be put into the scene")
            self._fail(f"The result could not be put into the scene ({error}).")
        else:
            self._tell(fraction)

    def _tell(self, fraction: float) -> None:
        overall = self._done + (1.0 - self._done) * fraction
        self._on_progress(messages.Progress(messages.BUILDING, fraction, overall))

    def _fail(self, sentence: str) -> None:
        self._worker.clean_up()
        self._over(None, sentence)

    def _over(self, result: Any, sentence: str) -> None:
        """Tell the outcome, once, and let go of whoever was told."""
        self._timer.stop()
        told, self._on_finished, self._finish, self._building = self._on_finished, None, None, None
        if told is not None:
            told(result, sentence)

    def cancel(self) -> None:
        """End the worker, or take away what was put into the scene. ``on_finished`` is told so, unless it was over."""
        if not self.running:
            return
        if self._building is not None:
            self._building.close()
        self._worker.cancel()
        self._over(None, "Cancelled.")
