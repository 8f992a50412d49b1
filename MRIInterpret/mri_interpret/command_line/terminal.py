"""Progress on a terminal: the step's name, a bar over the whole, and the time left."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ..progress import ProgressCallback, StepClock, time_left


@contextmanager
def shown_progress(typical: Mapping[str, float], quiet: bool = False) -> Iterator[ProgressCallback]:
    """Yield a callback that shows progress on stderr: a bar on a terminal, a line per step elsewhere.

    Parameters
    ----------
    typical
        Step to typical seconds: see :class:`StepClock`.
    quiet
        Show nothing.
    """
    clock = StepClock(typical)
    if quiet:
        yield clock.update
    elif sys.stderr.isatty():
        with _bar(clock) as callback:
            yield callback
    else:
        yield _lines(clock)


@contextmanager
def _bar(clock: StepClock) -> Iterator[ProgressCallback]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description:<34}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[left]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Starting", total=1.0, left="")

        def callback(step: str, fraction: float) -> None:
            clock.update(step, fraction)
            bar.update(task, description=step, completed=clock.overall(), left=time_left(clock.seconds_left()))

        yield callback


def _lines(clock: StepClock) -> ProgressCallback:
    begun: set[str] = set()
    said = 0.0

    def callback(step: str, fraction: float) -> None:
        nonlocal said
        clock.update(step, fraction)
        # Steps that differ by a number only ("scan 8 of 12000") are told at each hundredth of the whole.
        kind = re.sub(r"\d+", "", step)
        if kind not in begun or (step not in begun and clock.overall() >= said + 0.01):
            begun.update((kind, step))
            said = clock.overall()
            left = time_left(clock.seconds_left())
            print(f"[{clock.overall():4.0%}] {step}" + (f" ({left})" if left else ""), file=sys.stderr, flush=True)

    return callback
