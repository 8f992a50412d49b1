"""The worker process that opens a saved result: ``python -m mri_interpret.worker.open_worker SAVED FOLDER``.

SAVED is the folder of the saved result; what the scene shows of it is written to FOLDER/result.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ..progress import StepClock
from .child import Send, run_worker
from .messages import BUILDING, WRITING, Done, Progress

_READING = "Reading the saved result"


def open_saved(saved: Path, folder: Path, send: Send) -> None:
    """Read the saved result and write what the scene shows of it."""
    clock = StepClock({_READING: 4.0, WRITING: 2.0, BUILDING: 1.0})

    def progress(step: str, fraction: float) -> None:
        clock.update(step, fraction)
        send(Progress(step, fraction, clock.overall(), clock.seconds_left()))

    progress(_READING, 0.0)
    from ..explanation.saving import load
    from ..scene_content.content import content_of
    from ..scene_content.content_files import write_content

    explanation = load(saved)
    progress(_READING, 1.0)
    progress(WRITING, 0.0)
    result = folder / "result"
    result.mkdir()
    write_content(content_of(explanation), result)
    progress(WRITING, 1.0)
    send(Done(str(result)))


if __name__ == "__main__":
    sys.exit(run_worker(Path(sys.argv[2]), lambda folder, send: open_saved(Path(sys.argv[1]), folder, send)))
