"""The cohort job behind the panel: a worker process runs it, and its group results come into the scene in steps."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..explanation.options import DEFAULTS
from ..worker import messages
from ..worker.cohort_job import CohortJob
from ..worker.process import WorkerProcess, python_executable

if TYPE_CHECKING:
    from ..scene.group import GroupNodes


def start(
    participants: str,
    output: str,
    *,
    device: str = DEFAULTS.device,
    workers: int | None = None,
    command: Sequence[str] | None = None,
    **options: Any,
) -> WorkerProcess:
    """Start a cohort in a worker process; with no ``participants``, only read what lies in ``output``.

    Raises
    ------
    UserError
        If the table or the output folder cannot be what they should be.
    """
    if participants and not Path(participants).expanduser().exists():
        raise UserError(f"{participants} does not exist: choose a participants table, or a BIDS folder that holds one.")
    if not output:
        raise UserError("No output folder is chosen: choose where the results of the cohort go.")
    if not participants and not has_results(output):
        raise UserError(f"{output} holds no group results: run the cohort first.")
    # The worker runs in a folder of its own: relative paths would mean something else there.
    participants = str(Path(participants).expanduser().absolute()) if participants else ""
    output = str(Path(output).expanduser().absolute())
    job = CohortJob(participants, output, device, workers, {k: v for k, v in options.items() if v is not None})

    def prepare(folder: Path) -> None:
        job.write(folder)

    return WorkerProcess(prepare, command or [python_executable(), "-m", "mri_interpret.worker.cohort_worker"])


def finish(scene: Any, worker: WorkerProcess, done: messages.Done) -> Generator[float, None, GroupNodes]:
    """Put the group results into the scene, in steps; then the worker's files are deleted."""
    from ..scene.group import arrange_group, group_steps
    from ..scene_content.content_files import read_content

    try:
        content = read_content(Path(done.folder))
        yield 0.01
        nodes: GroupNodes = yield from group_steps(content, scene)
        del content  # Windows does not delete files that are mapped into memory
        arrange_group(scene, nodes)
    finally:
        worker.clean_up()
    return nodes


def has_results(output: str) -> bool:
    """Whether a folder holds complete group results."""
    return bool(output) and (Path(output) / "group" / "group.json").is_file()


def has_begun(output: str) -> bool:
    """Whether a cohort was run into this folder before, be it to its end or not."""
    return bool(output) and (Path(output) / "participants.tsv").is_file()
