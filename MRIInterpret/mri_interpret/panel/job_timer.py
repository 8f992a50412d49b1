"""The timer of Slicer's event loop that drives a background job: all that a job needs of Qt."""

from __future__ import annotations

from collections.abc import Callable

import qt


class JobTimer:
    """A :class:`~mri_interpret.doors.background_job.Timer` on QTimer."""

    def __init__(self) -> None:
        self._timer = qt.QTimer()
        self._call: Callable[[], None] | None = None
        self._timer.connect("timeout()", self._on_timeout)

    def every(self, milliseconds: int, call: Callable[[], None]) -> None:
        """Call at this interval from now on."""
        self._call = call
        self._timer.interval = milliseconds
        if not self._timer.active:
            self._timer.start()

    def stop(self) -> None:
        """Call no more, and let go of what was called."""
        self._timer.stop()
        self._call = None

    def _on_timeout(self) -> None:
        if self._call is not None:
            self._call()
