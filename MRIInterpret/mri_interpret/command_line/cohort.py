"""`mri-interpret cohort`: many subjects, and the group results."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from ..errors import UserError
from .arguments import check_writable
from .terminal import shown_progress, time_left


def cohort_command(table: Path, output: Path, options: Any, *, dry_run: bool, scene: bool, as_json: bool) -> bool:
    """Run a cohort; whether every subject of the table is complete.

    Parameters
    ----------
    table, output
        See :func:`cohort.planning.make_plan`.
    options
        :class:`cohort.planning.Options`.
    dry_run
        Print the plan and stop.
    scene
        Write the group scene, cohort.mrb.
    as_json
        Print the result for programs.
    """
    from ..cohort.planning import make_plan
    from ..cohort.run import run_cohort, typical_seconds
    from ..cohort.validation import InvalidTable

    try:
        plan = make_plan(table, output, options)
    except InvalidTable as error:
        if as_json:
            raise
        for problem in error.problems:
            typer.echo(f"  {problem}", err=True)
        count = "1 problem" if len(error.problems) == 1 else f"{len(error.problems)} problems"
        raise UserError(f"{table} has {count}, listed above: nothing was run.") from error
    if dry_run:
        _print_plan(plan, as_json)
        return True
    check_writable(plan.output)
    typical = typical_seconds(plan) | ({"Writing the Slicer scene": 15.0} if scene else {})
    if not as_json:
        for note in plan.notes:
            typer.echo(f"Note: {note}", err=True)
    with shown_progress(typical, quiet=as_json) as progress:
        result = run_cohort(plan, progress, _told(as_json))
        if scene and result.files:
            from ..scene.group import write_group_mrb

            progress("Writing the Slicer scene", 0.0)
            result.files["scene"] = write_group_mrb(plan.output, plan.output / "cohort.mrb")
            progress("Writing the Slicer scene", 1.0)
    _print_result(result, as_json)
    return result.sound


def _told(quiet: bool) -> Callable[[Any], None]:
    """A line per subject on stderr; beneath a progress bar, only for subjects that fail."""

    def on_subject(counts: Any) -> None:
        outcome = counts.done[-1]
        if quiet:
            return
        if outcome.failed:
            print(f"{outcome.name} failed: {outcome.reason}", file=sys.stderr, flush=True)
        if outcome.failed or not sys.stderr.isatty():
            left = time_left(counts.seconds_left())
            print(f"  {outcome.name}: {counts.sentence()}" + (f", {left}" if left else ""), file=sys.stderr, flush=True)

    return on_subject


def _print_plan(plan: Any, as_json: bool) -> None:
    where = plan.options.cluster
    workers = plan.capacity.workers if plan.capacity else 0
    record = {
        "output": str(plan.output),
        "model": plan.model.name,
        "methods": list(plan.settings.methods),
        "target": plan.settings.target,
        "to_run": [job.subject.name for job in plan.jobs],
        "complete": [result.subject.name for result in plan.complete],
        "groups": {
            name: sum(1 for subject in plan.cohort.subjects if subject.group == name) for name in plan.cohort.classes
        },
        "workers": where.scheduler or where.slurm or workers,
        "notes": list(plan.notes),
    }
    if as_json:
        typer.echo(json.dumps(record, indent=2, ensure_ascii=False))
        return
    groups = ", ".join(f"{count} {name}" for name, count in record["groups"].items())
    typer.echo(f"{len(plan.cohort.subjects)} subjects{f' ({groups})' if groups else ''}; results in {plan.output}")
    typer.echo(f"Model {plan.model.name} {plan.model.version}; target {plan.settings.target}")
    typer.echo(f"Methods: {', '.join(plan.settings.methods)}")
    place = where.scheduler or where.slurm or f"{workers} {'threads' if where.threads else 'worker processes'} here"
    typer.echo(f"To be run: {len(plan.jobs)} on {place if plan.jobs else 'nothing'}; complete: {len(plan.complete)}")
    for job in plan.jobs:
        further = "".join(f"  {name} {path}" for name, path in job.subject.inputs.items())
        typer.echo(f"  {job.subject.name}  {job.subject.group or 'no group'}  {job.subject.scan}{further}")
    for note in plan.notes:
        typer.echo(f"Note: {note}")


def _print_result(result: Any, as_json: bool) -> None:
    if as_json:
        record = {
            "done": result.done,
            "skipped": result.skipped,
            "failed": {outcome.name: outcome.reason for outcome in result.failures},
            "warnings": list(result.warnings),
            "files": {name: str(path) for name, path in result.files.items()},
        }
        typer.echo(json.dumps(record, indent=2, ensure_ascii=False))
        return
    before = f", {result.skipped} were complete before" if result.skipped else ""
    subjects = "subject" if result.done == 1 else "subjects"
    typer.echo(f"{result.done} {subjects} explained{before}, {len(result.failures)} failed.")
    for outcome in result.failures:
        typer.echo(f"  {outcome.name}: {outcome.reason}")
    for sentence in result.warnings:
        typer.echo(f"Warning: {sentence}")
    typer.echo(f"Report: {result.files['report']}")
