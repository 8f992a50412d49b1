"""The worker process that adds a model: ``python -m mri_interpret.worker.add_model_worker FOLDER``.

It reads FOLDER/job.json and writes FOLDER/result/added.json. The code of a trusted class runs here, never in Slicer.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ..progress import StepClock
from .child import Send, run_worker
from .messages import Done, Progress

ADDED = "added.json"


def add(folder: Path, send: Send) -> None:
    """Read the request in ``folder``, add the model, write what it is called now."""
    clock = StepClock({"Starting": 3.0, "Reading the model": 3.0, "Writing the model": 4.0, "Trying the model": 4.0})

    def progress(step: str, fraction: float) -> None:
        clock.update(step, fraction)
        send(Progress(step, fraction, clock.overall(), clock.seconds_left()))

    progress("Starting", 0.0)
    from .add_model_request import AddModelRequest, carry_out

    request = AddModelRequest.read(folder / "job.json")
    progress("Starting", 1.0)
    added = carry_out(request, place=folder.name, progress=progress)
    result = folder / "result"
    result.mkdir()
    record = {"name": added.name, "path": str(added.path), "notes": list(added.notes)}
    (result / ADDED).write_text(json.dumps(record), encoding="utf-8")
    send(Done(str(result)))


def _partial(folder: Path) -> Path:
    from ..models.adding import partial_folder

    return partial_folder(folder.name)


if __name__ == "__main__":
    job = Path(sys.argv[1])
    sys.exit(run_worker(job, add, also_deleted=(_partial(job),)))
