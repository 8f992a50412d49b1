"""A worker process and the steps that put its result into the scene, driven by a front end's timer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator
from typing import Any, Protocol

from ..errors import UserError
from ..worker import messages
from ..worker.process import WorkerProcess

Finish = Callable[[messages.Done], Generator[float, None, Any]]

_POLL_MS = 100  # between looks at what the worker wrote
_TURN_SECONDS = 0.01  # time spent on the result before the front end gets its turn


class Timer(Protocol):
    """What a job needs of a front end's event loop."""

    def every(self, milliseconds: int, call: Callable[[], None]) -> None:
        """Call again and again, at this interval from now on; 0: whenever nothing else is to do."""

    def stop(self) -> None:
        """Call no more."""


class BackgroundJob:
    """Drives a worker process from a timer and calls back from it; it never holds up the event loop.

    Parameters
    ----------
    worker
        As :func:`explain_job.start`, :func:`open_job.start` or :func:`cohort_job.start` returned it.
    finish
        Given the worker's Done message, makes a generator: each step of it takes some milliseconds and yields how much
        is done, 0 to 1; it returns the result, which the front end then shows: 1 ends the turn before. Closed before
        its end, it leaves the scene as it was.
    on_progress
        Given a Progress or Notice message.
    on_finished
        Called once: with a result and "", or with None and one sentence.
    timer
        The front end's.
    """

    def __init__(
        self,
        worker: WorkerProcess,
        finish: Finish,
        on_progress: Callable[[messages.Message], None],
        on_finished: Callable[[Any, str], None],
        timer: Timer,
    ) -> None:
        self.worker = worker
        self._finish: Finish | None = finish
        self._building: Generator[float, None, Any] | None = None
        self._overall = 0.0  # the worker's last word on how much of the whole is done
        self._on_progress = on_progress
        self._on_finished: Callable[[Any, str], None] | None = on_finished
        self._timer = timer
        timer.every(_POLL_MS, self.step)

    @property
    def running(self) -> bool:
        """Whether the worker is at work, or its result is being put into the scene."""
        return self._on_finished is not None

    @property
    def building(self) -> bool:
        """Whether the result is being put into the scene."""
        return self.running and self._building is not None

    def step(self) -> None:
        """Pass on the worker's messages, or build the scene for a moment."""
        if self._building is not None:
            self._build()
            return
        for message in self.worker.poll():
            if isinstance(message, messages.Done):
                assert self._finish is not None
                self._building = self._finish(message)
                self._timer.every(0, self.step)
                self._report(0.0)
            elif isinstance(message, messages.Failed):
                logging.error("MRIInterpret: %s\n%s", message.sentence, message.details)
                self._end(None, message.sentence)
            else:
                if isinstance(message, messages.Progress):
                    self._overall = message.overall
                self._on_progress(message)

    def _build(self) -> None:
        assert self._building is not None
        end = time.perf_counter() + _TURN_SECONDS
        fraction = 0.0
        try:
            while time.perf_counter() < end and fraction < 1.0:  # the result is told in a turn of its own
                fraction = next(self._building)
        except StopIteration as last:
            self._end(last.value, "")
        except UserError as error:
            self._fail(str(error))
        except Exception as error:
            logging.exception("MRIInterpret: the result could not be put into the scene")
            self._fail(f"The result could not be put into the scene ({error}).")
        else:
            self._report(fraction)

    def _report(self, fraction: float) -> None:
        overall = self._overall + (1.0 - self._overall) * fraction
        self._on_progress(messages.Progress(messages.BUILDING, fraction, overall))

    def _fail(self, sentence: str) -> None:
        self.worker.clean_up()
        self._end(None, sentence)

    def _end(self, result: Any, sentence: str) -> None:
        """Report the outcome, once, and let go of the callback."""
        self._timer.stop()
        on_finished, self._on_finished, self._finish, self._building = self._on_finished, None, None, None
        if on_finished is not None:
            on_finished(result, sentence)

    def cancel(self) -> None:
        """End the worker, or take what was built out of the scene; then ``on_finished`` is called with "Cancelled."."""
        if not self.running:
            return
        if self._building is not None:
            self._building.close()
        self.worker.cancel()
        self._end(None, "Cancelled.")
