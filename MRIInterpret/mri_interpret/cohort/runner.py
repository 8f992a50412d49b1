"""Jobs to a dask client and outcomes back, whatever happens to workers in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from typing import Any

from ..errors import UserError
from ..progress import ProgressCallback, silent
from . import process
from .subjects import Job, Outcome
from .tally import Tally
from .unit import note_failure

STEP = "Explaining the subjects"
_POLL = 0.5  # seconds between looks at whether the user cancelled


def run_jobs(
    jobs: Sequence[Job],
    client: Any,
    *,
    tally: Tally,
    progress: ProgressCallback = silent,
    on_subject: Callable[[Tally], None] = lambda tally: None,
) -> None:
    """Run all jobs; outcomes go into ``tally``.

    A worker that dies takes nothing with it: dask gives its subjects to the others. A subject whose worker died
    several times is recorded as failed.

    Parameters
    ----------
    jobs
        One per subject.
    client
        dask's.
    tally
        Counted into.
    progress
        Told the share of subjects at an end, at least twice a second; may raise to cancel.
    on_subject
        Called after each subject.

    Raises
    ------
    UserError
        If the disk is full, or the scheduler is lost. What was complete stays complete.
    """
    from distributed import wait

    process.STOP.clear()
    progress(STEP, 0.0)
    futures = {
        client.submit(process.process_subject, job, key=f"{job.subject.name}-{job.key[:12]}", pure=False): job
        for job in jobs
    }
    pending = set(futures)
    try:
        while pending:
            try:
                with client.as_current():
                    wait(pending, timeout=_POLL, return_when="FIRST_COMPLETED")
            except (TimeoutError, CancelledError):
                pass  # what came to an end is told by each future itself
            finished = {future for future in pending if future.done()}
            if not finished and client.status not in ("running", "connecting"):
                raise UserError("The connection to the scheduler was lost: run the same command again to go on.")
            for future in finished:
                outcome = _outcome(future, futures[future])
                pending.discard(future)
                future.release()
                if outcome.disk_full:
                    raise UserError(
                        f"The disk of {futures[future].output} is full: {len(tally.done) + tally.skipped} subjects are "
                        "complete and kept; free space and run the same command again to go on."
                    )
                tally.add(outcome)
                on_subject(tally)
            progress(STEP, tally.fraction)
    except BaseException:
        process.STOP.set()
        client.cancel(list(pending), force=True)
        raise


def _outcome(future: Any, job: Job) -> Outcome:
    name = job.subject.name
    if future.status == "finished":
        result: Outcome = future.result()
        return result
    error = future.exception() if future.status == "error" else None
    if error is not None and type(error).__name__ == "KilledWorker":
        reason = "Its worker process died again and again, most likely for lack of memory: start fewer workers."
    elif error is not None:
        reason = f"Unexpected {type(error).__name__}: {' '.join(str(error).split())[:300]}"
    else:
        reason = f"The scheduler gave it up ({future.status}): run the same command again."
    note_failure(job.output, name, reason)
    return Outcome(name, 0.0, reason)
