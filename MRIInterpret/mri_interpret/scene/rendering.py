"""Views draw nothing while nodes change: half of a result is never seen, and no frame is drawn in vain."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import slicer

Yielded = TypeVar("Yielded")
Returned = TypeVar("Returned")


@contextmanager
def paused() -> Iterator[None]:
    """Let the views of Slicer's window draw once, at the end, and not at each change. Without a window, nothing waits.

    A 3D view draws at once what is asked of it more than a moment after the request before, which takes a second where
    there is no graphics card: many small changes would draw as many frames.
    """
    if not hasattr(getattr(slicer, "app", None), "pauseRender"):
        yield
        return
    with slicer.util.RenderBlocker():
        yield


def paused_steps(steps: Generator[Yielded, None, Returned]) -> Generator[Yielded, None, Returned]:
    """Run each step with the views paused; between steps the window lives, and draws."""
    try:
        while True:
            with paused():
                try:
                    value = next(steps)
                except StopIteration as end:
                    returned: Returned = end.value
                    return returned
            yield value
    finally:
        with paused():
            steps.close()


def run_paused(steps: Generator[Any, None, Returned]) -> Returned:
    """Run all steps at once, with the views paused; what they return."""
    with paused():
        while True:
            try:
                next(steps)
            except StopIteration as end:
                returned: Returned = end.value
                return returned
