"""Opening a saved result: its folder in, the result in the scene out, in this process or through a worker process."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..progress import ProgressCallback, silent
from ..worker import messages
from ..worker.process import WorkerProcess, python_executable
from .explain_job import show, show_steps
from .result import MRIInterpretResult


def open_result(scene: Any, folder: str | Path, progress: ProgressCallback = silent) -> MRIInterpretResult:
    """Add a saved result, its scan included, to the scene; returns when it is there.

    Parameters
    ----------
    scene
        vtkMRMLScene.
    folder
        What ``Explanation.save`` or ``mri-interpret explain`` wrote.
    progress
        Told about each step; may raise Cancelled, which leaves the scene as it was.

    Raises
    ------
    UserError
        If the folder holds no complete result. The scene is then as it was.
    """
    from ..explanation.saving import load

    return show(scene, load(_saved_folder(folder)), progress=progress)


def start(folder: str | Path, *, command: Sequence[str] | None = None) -> WorkerProcess:
    """Start to open a saved result in a worker process. Poll it; when it is done, hand it to :func:`finish`.

    Raises
    ------
    UserError
        If there is no such folder.
    """
    saved = _saved_folder(folder)

    def prepare(_folder: Path) -> None:
        """The worker needs to know the saved folder only, which its command names."""

    return WorkerProcess(
        prepare, command or [python_executable(), "-m", "mri_interpret.worker.open_worker", str(saved)]
    )


def finish(
    scene: Any, worker: WorkerProcess, done: messages.Done, folder: str | Path, show_3d: bool = True
) -> Generator[float, None, MRIInterpretResult]:
    """Put what the worker read into the scene, in steps. A report is made from the saved folder, when it is wanted."""
    try:
        result: MRIInterpretResult = yield from show_steps(
            scene, Path(done.folder), _saved_folder(folder), show_3d=show_3d
        )
    finally:
        worker.clean_up()
    return result


def _saved_folder(folder: str | Path) -> Path:
    """The folder's absolute path: the worker runs in a folder of its own."""
    path = Path(folder).expanduser().absolute()
    if not path.is_dir():
        raise UserError(f"{path} is not a folder: choose the folder of a saved result.")
    return path
