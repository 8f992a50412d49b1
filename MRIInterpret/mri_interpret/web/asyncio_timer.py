"""The timer of the server's event loop that drives a background job."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager

_NOTHING_ELSE = 0.005  # seconds: messages from the browser come in between


class AsyncioTimer:
    """A :class:`~mri_interpret.doors.background_job.Timer` on asyncio.

    Parameters
    ----------
    flush
        Entered around each call; on leaving it, what the call changed is sent to the browser.
    """

    def __init__(self, flush: AbstractContextManager[object]) -> None:
        self._flush = flush
        self._handle: asyncio.TimerHandle | None = None
        self._seconds = 0.0
        self._call: Callable[[], None] | None = None

    def every(self, milliseconds: int, call: Callable[[], None]) -> None:
        """Call at this interval from now on."""
        self._seconds, self._call = milliseconds / 1000 or _NOTHING_ELSE, call
        if self._handle is None:
            self._wait()

    def stop(self) -> None:
        """Call no more, and let go of what was called."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._call = None

    def _wait(self) -> None:
        self._handle = asyncio.get_running_loop().call_later(self._seconds, self._on_time)

    def _on_time(self) -> None:
        if self._call is not None:
            with self._flush:
                self._call()
        if self._call is not None:
            self._wait()
