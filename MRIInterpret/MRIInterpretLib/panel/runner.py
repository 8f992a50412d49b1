"""A worker process, driven by a timer of Slicer's window."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from ..errors import UserError
from . import messages
from .process import WorkerProcess
from .result import MRIInterpretResult


class Runner:
    """Drives a worker process from a timer, and calls back in the window's thread.

    Parameters
    ----------
    worker
        As :func:`logic.start` returned it.
    finish
        Turns Done into a result.
    on_progress
        Given a Progress or Notice message.
    on_finished
        Called once: with a result, or with None and one sentence.
    """

    def __init__(
        self,
        worker: WorkerProcess,
        finish: Callable[[messages.Done], MRIInterpretResult],
        on_progress: Callable[[messages.Message], None],
        on_finished: Callable[[MRIInterpretResult | None, str], None],
    ) -> None:
        import qt

        self._worker = worker
        self._finish = finish
        self._on_progress = on_progress
        self._on_finished = on_finished
        self._timer = qt.QTimer()
        self._timer.interval = 100
        self._timer.connect("timeout()", self.step)
        self._timer.start()

    @property
    def running(self) -> bool:
        return self._worker.running

    def step(self) -> None:
        """Take what is new."""
        for message in self._worker.poll():
            if isinstance(message, messages.Done):
                self._timer.stop()
                self._over(partial(self._finish, message))
            elif isinstance(message, messages.Failed):
                self._timer.stop()
                logging.error("MRIInterpret: %s\n%s", message.sentence, message.details)
                self._on_finished(None, message.sentence)
            else:
                self._on_progress(message)

    def _over(self, finish: Callable[[], MRIInterpretResult]) -> None:
        try:
            result = finish()
        except UserError as error:
            self._on_finished(None, str(error))
        except Exception as error:
            logging.exception("MRIInterpret: the result could not be put into the scene")
            self._on_finished(None, f"The result could not be put into the scene ({error}).")
        else:
            self._on_finished(result, "")

    def cancel(self) -> None:
        """End the worker. ``on_finished`` is told so, unless it was over."""
        self._timer.stop()
        if self._worker.running:
            self._worker.cancel()
            self._on_finished(None, "Cancelled.")
