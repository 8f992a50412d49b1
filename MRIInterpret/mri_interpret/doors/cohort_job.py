"""Explaining a cohort: a worker process runs it, and its group results come into the scene in steps."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..explanation.options import DEFAULTS
from ..worker import messages
from ..worker.cohort_request import CohortRequest
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
    """Start a cohort in a worker process; without ``participants``, only read the group results in ``output``.

    Raises
    ------
    UserError
        If the table does not exist, or the output folder is missing or holds no group results.
    """
    if participants and not Path(participants).expanduser().exists():
        raise UserError(f"{participants} does not exist: choose a participants table, or a BIDS folder that holds one.")
    if not output:
        raise UserError("No output folder is chosen: choose where the results of the cohort go.")
    if not participants and not has_group_results(output):
        raise UserError(f"{output} holds no group results: run the cohort first.")
    # The worker runs in a folder of its own: relative paths would mean something else there.
    participants = str(Path(participants).expanduser().absolute()) if participants else ""
    output = str(Path(output).expanduser().absolute())
    given = {name: value for name, value in options.items() if value is not None}
    request = CohortRequest(participants, output, device, workers, given)

    def prepare(folder: Path) -> None:
        request.write(folder)

    return WorkerProcess(prepare, command or [python_executable(), "-m", "mri_interpret.worker.cohort_worker"])


def finish(
    scene: Any, worker: WorkerProcess, done: messages.Done, show_3d: bool = True
) -> Generator[float, None, GroupNodes]:
    """Put the group results into the scene, in steps; then the worker's files are deleted."""
    from ..scene.group import arrange_group_steps, group_steps
    from ..scene.result_nodes import remove_result
    from ..scene_content.content_files import read_content

    try:
        content = read_content(Path(done.folder))
        yield 0.01
        nodes: GroupNodes = yield from group_steps(content, scene)
        del content  # Windows does not delete files that are mapped into memory
        try:
            for _ in arrange_group_steps(scene, nodes, show_3d):
                yield 0.99
        except BaseException:
            remove_result(scene, nodes.run)
            raise
    finally:
        worker.clean_up()
    return nodes


def has_group_results(output: str) -> bool:
    """Whether a folder holds complete group results."""
    return bool(output) and (Path(output) / "group" / "group.json").is_file()


def has_begun(output: str) -> bool:
    """Whether a cohort was run into this folder before, finished or not."""
    return bool(output) and (Path(output) / "participants.tsv").is_file()
