"""The worker process that explains a scan: ``python -m mri_interpret.worker.explain_worker FOLDER``.

It reads FOLDER/job.json and writes FOLDER/result: what the scene shows of the explanation, and the explanation itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ..progress import StepClock
from .child import Send, run_worker
from .messages import BUILDING, WRITING, Done, Progress


def explain(folder: Path, send: Send) -> None:
    """Read the request in ``folder``, explain the scan, write the result."""
    send(Progress("Starting", 0.0, 0.0))
    from ..explanation.job import TYPICAL_SECONDS
    from ..explanation.saved_folder import MappedFiles
    from ..images.array_files import ArrayFiles, read_array_file
    from ..scene_content.content import content_of
    from ..scene_content.content_files import write_content
    from .explain_request import ExplainRequest, carry_out

    clock = StepClock({"Starting": 3.0, **TYPICAL_SECONDS, WRITING: 4.0, BUILDING: 1.0})
    clock.update("Starting", 1.0)

    furthest = 0.0

    def progress(step: str, fraction: float) -> None:
        nonlocal furthest
        clock.update(step, fraction)
        furthest = max(furthest, clock.overall())  # a step may start again for each method; the bar never goes back
        send(Progress(step, fraction, furthest, clock.seconds_left()))

    request = ExplainRequest.read(folder / "job.json")
    mask = read_array_file(request.mask_volume, folder) if request.mask_volume else None
    own = read_array_file(request.segmentation_volume, folder) if request.segmentation_volume else None
    scan = read_array_file(request.scan, folder)
    inputs = {channel: read_array_file(record, folder) for channel, record in request.inputs.items()}
    explanation = carry_out(request, scan, mask, progress, inputs, segmentation=own)
    progress(WRITING, 0.0)
    result = folder / "result"
    result.mkdir()
    written = ArrayFiles(result)
    write_content(content_of(explanation), result, written)
    progress(WRITING, 0.7)
    explanation.save(result, storage=MappedFiles(written))
    progress(WRITING, 1.0)
    send(Done(str(result)))


if __name__ == "__main__":
    sys.exit(run_worker(Path(sys.argv[1]), explain))
