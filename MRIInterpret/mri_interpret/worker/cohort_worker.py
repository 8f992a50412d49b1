"""The worker process of a cohort: ``python -m mri_interpret.worker.cohort_worker FOLDER``.

It reads FOLDER/job.json and writes FOLDER/result: what the scene shows of the group results. It starts dask workers,
which end with it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..progress import ProgressCallback, StepClock
from .child import Send, run_worker
from .messages import BUILDING, WRITING, Done, Notice, Progress

_READING = "Reading the table"


def explain_cohort(folder: Path, send: Send) -> None:
    """Run the cohort that is requested in ``folder``, then write what the scene shows of its group results."""
    send(Progress(_READING, 0.0, 0.0))
    from ..cohort.run_subjects import STEP
    from ..scene_content.content_files import write_content
    from ..scene_content.group_content import group_content
    from .cohort_request import CohortRequest

    request = CohortRequest.read(folder / "job.json")
    clock = StepClock({WRITING: 5.0, BUILDING: 1.0})
    counts = ""

    def progress(step: str, fraction: float) -> None:
        clock.update(step, fraction)
        text = f"{step}: {counts}" if counts and step == STEP else step
        send(Progress(text, fraction, clock.overall(), clock.seconds_left()))

    def on_subject(subjects: Any) -> None:
        nonlocal counts
        counts = subjects.sentence()
        outcome = subjects.done[-1]
        if outcome.failed:
            send(Notice(f"{outcome.name} failed: {outcome.reason}"))

    if request.participants:
        from ..cohort.planning import make_plan
        from ..cohort.run import typical_seconds

        plan = make_plan(request.participants, request.output, request.planning())
        clock = StepClock(typical_seconds(plan) | {WRITING: 5.0, BUILDING: 1.0})
        _run(plan, progress, on_subject, send)
    result = folder / "result"
    result.mkdir()
    content = group_content(request.output, lambda _step, fraction: progress(WRITING, 0.8 * fraction))
    write_content(content, result)
    progress(WRITING, 1.0)
    send(Done(str(result)))


def _run(plan: Any, progress: ProgressCallback, on_subject: Callable[[Any], None], send: Send) -> None:
    from ..cohort.run import run_cohort

    for note in plan.notes:
        send(Notice(note))
    result = run_cohort(plan, progress, on_subject)
    failed = f", {len(result.failures)} failed: see failures.tsv" if result.failures else ""
    before = f", {result.skipped} complete before" if result.skipped else ""
    send(Notice(f"{result.done} participants explained{before}{failed}. Report: {plan.output / 'report.html'}"))


if __name__ == "__main__":
    sys.exit(run_worker(Path(sys.argv[1]), explain_cohort))
