"""A cohort's run: every subject that is not complete, then the group results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..errors import UserError
from ..progress import ProgressCallback, silent
from .cluster import open_client
from .derivatives import write_dataset, write_tsv
from .folders import locked, sweep
from .group import typical_group_seconds, write_group
from .planning import Plan
from .run_subjects import STEP, SubjectCounts, run_subjects
from .subject_warnings import subject_warnings
from .subjects import Outcome

__all__ = ["CohortResult", "run_cohort", "typical_seconds"]


@dataclass(frozen=True)
class CohortResult:
    """What a run did."""

    output: Path
    done: int  # subjects explained by this run
    skipped: int  # complete before
    failures: tuple[Outcome, ...]
    files: dict[str, Path]  # "report", "predictions", ...; empty if no subject is complete
    warnings: tuple[str, ...] = ()  # what must be known about the subjects

    @property
    def sound(self) -> bool:
        """Whether every subject of the table is complete."""
        return not self.failures


def typical_seconds(plan: Plan) -> dict[str, float]:
    """Steps of the run with typical durations, for :class:`~mri_interpret.progress.StepClock`."""
    workers = plan.capacity.workers if plan.capacity else 1
    return {STEP: 15.0 * len(plan.jobs) / workers} | typical_group_seconds(plan)


def run_cohort(
    plan: Plan,
    progress: ProgressCallback = silent,
    on_subject: Callable[[SubjectCounts], None] = lambda counts: None,
) -> CohortResult:
    """Run a plan.

    Parameters
    ----------
    plan
        From :func:`planning.make_plan`.
    progress
        Gets each step and its share done; may raise :class:`~mri_interpret.errors.Cancelled`. Subjects that are
        complete by then stay complete, and a new plan goes on with the others.
    on_subject
        Called after each subject with the counts so far.

    Returns
    -------
    CohortResult
        It lists the subjects that failed, with reasons; a failed subject is no error of the run.

    Raises
    ------
    UserError
        If another run holds the output folder, no scheduler or worker is there, or the disk is full.
    """
    output = plan.output
    with locked(output):
        sweep(output)
        write_dataset(output, sorted({str(plan.cohort.table.parent)}))
        _write_participants(plan)
        counts = SubjectCounts(len(plan.jobs), len(plan.complete))
        if plan.jobs:
            with open_client(plan.options.cluster, plan.capacity, output) as client:
                run_subjects(plan.jobs, client, counts=counts, progress=progress, on_subject=on_subject)
            sweep(output)
        failures = tuple(counts.failures)
        _write_failures(output, failures)
        results = plan.subject_results()
        files = write_group(plan, results, failures, progress) if results else {}
    if not results:
        raise UserError(
            f"No subject could be explained. {failures[0].name}: {failures[0].reason} All reasons are in "
            f"{output / 'failures.tsv'}."
        )
    return CohortResult(
        output, len(counts.done) - len(failures), len(plan.complete), failures, files, tuple(subject_warnings(results))
    )


_OWN_COLUMNS = ("participant_id", "session_id", "group")


def _write_participants(plan: Plan) -> None:
    """participants.tsv as BIDS has it, with groups named as the model's classes."""
    rows = [
        {
            "participant_id": f"sub-{subject.id}",
            "session_id": f"ses-{subject.session}" if subject.session else None,
            "group": subject.group or None,
            # A column that is called like one of these, but has another role in the table, would take its place.
            **{name: subject.covariates.get(name) for name in plan.cohort.covariates if name not in _OWN_COLUMNS},
        }
        for subject in plan.cohort.subjects
    ]
    frame = pd.DataFrame(rows)
    if frame["session_id"].isna().all():
        frame = frame.drop(columns="session_id")
    write_tsv(frame, plan.output / "participants.tsv")


def _write_failures(output: Path, failures: tuple[Outcome, ...]) -> None:
    path = output / "failures.tsv"
    if not failures:
        path.unlink(missing_ok=True)
        return
    rows = [{"subject": outcome.name, "reason": outcome.reason} for outcome in failures]
    write_tsv(pd.DataFrame(rows), path)
