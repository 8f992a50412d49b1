"""How long work tells what it is doing, and how it is asked to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from .errors import Cancelled

ProgressCallback = Callable[[str, float], None]
"""Called as ``callback(step, fraction)``: the step's name for people, and how much of that step is done, 0 to 1.
It may raise :class:`Cancelled`; the work then stops at once and leaves nothing half-done."""


def silent(step: str, fraction: float) -> None:
    """The callback that shows nothing."""


def cancellable(callback: ProgressCallback, is_cancelled: Callable[[], bool]) -> ProgressCallback:
    """A callback that raises :class:`Cancelled` as soon as ``is_cancelled()`` is true, and else passes on."""

    def checked(step: str, fraction: float) -> None:
        if is_cancelled():
            raise Cancelled(step)
        callback(step, fraction)

    return checked


@contextmanager
def step(callback: ProgressCallback, name: str) -> Iterator[None]:
    """Report ``name`` as begun (0) and, if the block succeeds, as done (1)."""
    callback(name, 0.0)
    yield
    callback(name, 1.0)


class StepClock:
    """Times the steps that a callback reports, and estimates the time left.

    Parameters
    ----------
    typical
        Step to its typical duration in seconds, in the order of the work. What matters is their ratio: the estimate
        scales them by how fast the steps so far went.
    now
        The clock, in seconds.
    """

    def __init__(self, typical: Mapping[str, float], now: Callable[[], float] = time.monotonic) -> None:
        self._typical = dict(typical)
        self._now = now
        self._start = self._last = now()
        self._current = ""
        self._fraction = 0.0
        self._first: tuple[float, float] | None = None
        self.seconds: dict[str, float] = {}

    def update(self, step: str, fraction: float) -> None:
        """Take a report; the time since the last one belongs to the step that was under way."""
        now = self._now()
        owner = self._current or step
        self.seconds[owner] = self.seconds.get(owner, 0.0) + now - self._last
        self._last = now
        self._current = step if fraction < 1 else ""
        self._fraction = fraction
        if self._first is None:
            self._first = now, fraction

    def overall(self) -> float:
        """How much of the whole is done, 0 to 1, by typical durations; without any, what the last report said."""
        if not self._typical:
            return self._fraction
        done = 0.0
        for name, duration in self._typical.items():
            if name == self._current:
                done += duration * self._fraction
            elif name in self.seconds:
                done += duration
        return min(1.0, done / sum(self._typical.values()))

    def seconds_left(self) -> float | None:
        """Estimated seconds to the end; None before there is anything to go by.

        Without typical durations only what was done since the first report counts: resumed work begins in the middle.
        """
        begun, before = self._first if self._first is not None and not self._typical else (self._start, 0.0)
        done = self.overall() - before
        if done <= 0.02 * (1 - before):
            return None
        return (self._now() - begun) * (1 - before - done) / done


def time_left(seconds: float | None) -> str:
    """The time left in words; empty if it is not known."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s left"
    return f"about {round(seconds / 60)} min left"
