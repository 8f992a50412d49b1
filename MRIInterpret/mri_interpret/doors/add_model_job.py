"""Adding a model through a worker process: a request in, the model in the user's folder out."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from pathlib import Path

from ..models.adding import Added, partial_folder
from ..worker import messages
from ..worker.add_model_request import AddModelRequest
from ..worker.add_model_worker import ADDED
from ..worker.process import WorkerProcess, python_executable


def start(request: AddModelRequest, *, command: Sequence[str] | None = None) -> WorkerProcess:
    """Start to add a model. Poll the worker; when it is done, hand it to :func:`finish`."""

    def prepare(folder: Path) -> None:
        request.write(folder)

    worker = WorkerProcess(prepare, command or [python_executable(), "-m", "mri_interpret.worker.add_model_worker"])
    worker.also_deleted.append(partial_folder(worker.folder.name))
    return worker


def finish(worker: WorkerProcess, done: messages.Done) -> Generator[float, None, Added]:
    """What was added."""
    try:
        record = json.loads((Path(done.folder) / ADDED).read_text(encoding="utf-8"))
        yield 1.0
    finally:
        worker.clean_up()
    return Added(record["name"], Path(record["path"]), tuple(record["notes"]))


def added_text(added: Added) -> str:
    """What a front end says of it: one sentence, then the notes, one to a line."""
    first = f"Added {added.name}; it is chosen in the panel. Research use only, not for diagnosis."
    return "\n".join([first, *added.notes])
