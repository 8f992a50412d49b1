"""A worker process, driven by a timer of Slicer's window."""

from __future__ import annotations

import logging
from collections.abc import Callable

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
        self._finish: Callable[[messages.Done], MRIInterpretResult] | None = finish
        self._on_progress = on_progress
        self._on_finished: Callable[[MRIInterpretResult | None, str], None] | None = on_finished
        self._timer = qt.QTimer()
        self._timer.interval = 100
        self._timer.connect("timeout()", self.step)
        self._timer.start()

    @property
    def running(self) -> bool:
        """Whether it is not over yet: the worker is at work, or its result is being put into the scene."""
        return self._on_finished is not None

    def step(self) -> None:
        """Take what is new."""
        for message in self._worker.poll():
            if isinstance(message, messages.Done):
                self._timer.stop()
                self._over(*self._result(message))
            elif isinstance(message, messages.Failed):
                self._timer.stop()
                logging.error("MRIInterpret: %s\n%s", message.sentence, message.details)
                self._over(None, message.sentence)
            else:
                self._on_progress(message)

    def _result(self, done: messages.Done) -> tuple[MRIInterpretResult | None, str]:
        assert self._finish is not None
        try:
            return self._finish(done), ""
        except UserError as error:
            return None, str(error)
        except Exception as error:
            logging.exception("MRIInterpret: the result could not be put into the scene")
            return None, f"The result could not be put into the scene ({error})."

    def _over(self, result: MRIInterpretResult | None, sentence: str) -> None:
        """Tell the outcome, once, and let go of whoever was told."""
        told, self._on_finished, self._finish = self._on_finished, None, None
        if told is not None:
            told(result, sentence)

    def cancel(self) -> None:
        """End the worker. ``on_finished`` is told so, unless it was over."""
        self._timer.stop()
        if self._worker.running:
            self._worker.cancel()
            self._over(None, "Cancelled.")
