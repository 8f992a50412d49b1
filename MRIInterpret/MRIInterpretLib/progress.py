"""How long work tells what it is doing, and how it is asked to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
