"""Jobs go to a dask client and outcomes come back, whatever happens to workers in between; progress is counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import Any

from ..errors import UserError
from ..progress import ProgressCallback, silent
from . import explain_subject
from .subject_result import note_failure
from .subjects import Outcome, SubjectJob

STEP = "Explaining the subjects"
_POLL = 0.5  # seconds between checks for the user's cancelling


@dataclass
class SubjectCounts:
    """Counts of a run, as outcomes come in.

    Attributes
    ----------
    total
        Subjects to be explained now.
    skipped
        Subjects that were complete before.
    """

    total: int
    skipped: int = 0
    now: Callable[[], float] = time.monotonic
    done: list[Outcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._start = self.now()

    def add(self, outcome: Outcome) -> None:
        """Count one."""
        self.done.append(outcome)

    @property
    def failures(self) -> list[Outcome]:
        return [outcome for outcome in self.done if outcome.failed]

    @property
    def fraction(self) -> float:
        """Share of the subjects that are finished, failed ones included."""
        return len(self.done) / self.total if self.total else 1.0

    def seconds_each(self) -> float | None:
        """Mean seconds that a worker takes for a subject, failed ones not counted; None before the first."""
        times = [outcome.seconds for outcome in self.done if not outcome.failed]
        return sum(times) / len(times) if times else None

    def seconds_left(self) -> float | None:
        """Estimated seconds left, from the pace of all workers together; None before the first."""
        if not self.done:
            return None
        return (self.now() - self._start) / len(self.done) * (self.total - len(self.done))

    def sentence(self) -> str:
        """ "12 of 133 subjects done, 1 failed, 8.2 s per subject"."""
        parts = [f"{len(self.done)} of {self.total} subjects done"]
        if self.failures:
            parts.append(f"{len(self.failures)} failed")
        each = self.seconds_each()
        if each is not None:
            parts.append(f"{each:.1f} s per subject")
        if self.skipped:
            parts.append(f"{self.skipped} were complete before")
        return ", ".join(parts)


def run_subjects(
    jobs: Sequence[SubjectJob],
    client: Any,
    *,
    counts: SubjectCounts,
    progress: ProgressCallback = silent,
    on_subject: Callable[[SubjectCounts], None] = lambda counts: None,
) -> None:
    """Run all jobs and count their outcomes.

    If a worker dies, dask gives its subjects to the others. A subject whose worker died several times is recorded as
    failed.

    Parameters
    ----------
    jobs
        One per subject.
    client
        dask's.
    counts
        Updated with each outcome.
    progress
        Gets the share of finished subjects, at least twice a second; may raise to cancel.
    on_subject
        Called after each subject.

    Raises
    ------
    UserError
        If the disk is full, or the scheduler is lost. What was complete stays complete.
    """
    from distributed import wait

    explain_subject.STOP.clear()
    progress(STEP, 0.0)
    futures = {
        client.submit(explain_subject.explain_subject, job, key=f"{job.subject.name}-{job.key[:12]}", pure=False): job
        for job in jobs
    }
    pending = set(futures)
    try:
        while pending:
            try:
                with client.as_current():
                    wait(pending, timeout=_POLL, return_when="FIRST_COMPLETED")
            except (TimeoutError, CancelledError):
                pass  # each future knows its own state
            finished = {future for future in pending if future.done()}
            if not finished and client.status not in ("running", "connecting"):
                raise UserError("The connection to the scheduler was lost: start the same run again to go on.")
            for future in finished:
                outcome = _outcome(future, futures[future])
                pending.discard(future)
                future.release()
                if outcome.disk_full:
                    raise UserError(
                        f"The disk of {futures[future].output} is full: {len(counts.done) + counts.skipped} subjects "
                        "are complete and kept: free space and start the same run again to go on."
                    )
                counts.add(outcome)
                on_subject(counts)
            progress(STEP, counts.fraction)
    except BaseException:
        explain_subject.STOP.set()
        client.cancel(list(pending), force=True)
        raise


def _outcome(future: Any, job: SubjectJob) -> Outcome:
    name = job.subject.name
    if future.status == "finished":
        result: Outcome = future.result()
        return result
    error = future.exception() if future.status == "error" else None
    if error is not None and type(error).__name__ == "KilledWorker":
        reason = "Its worker process died several times, most likely for lack of memory: use fewer workers."
    elif error is not None:
        reason = f"Unexpected {type(error).__name__}: {' '.join(str(error).split())[:300]}"
    else:
        reason = f"The scheduler dropped it ({future.status}): start the same run again."
    note_failure(job.output, name, reason)
    return Outcome(name, 0.0, reason)
