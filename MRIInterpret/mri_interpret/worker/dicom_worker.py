"""The worker process that writes a result as DICOM: ``python -m mri_interpret.worker.dicom_worker FOLDER``.

FOLDER holds the content, and request.json, which names the scan's series and where to write.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from .child import Send, run_worker
from .messages import Done, Progress

REQUEST, WRITTEN = "request.json", "written.json"


def export(folder: Path, send: Send) -> None:
    """Read the content and the series, write the objects, and list them."""
    send(Progress("Reading the series", 0.0, 0.0))
    from ..dicom_export.content import read_content
    from ..dicom_export.export import check_highdicom, series_of, write_objects
    from ..dicom_export.source import read_source

    check_highdicom()
    request = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
    files = [Path(file) for file in request["files"]]
    source = read_source(files) if files else series_of(request["series"])

    def progress(step: str, fraction: float) -> None:
        send(Progress(step, fraction, fraction))

    written = write_objects(read_content(folder), source, Path(request["output"]), progress)
    record = {name: str(path) for name, path in written.items()}
    (folder / WRITTEN).write_text(json.dumps(record), encoding="utf-8")
    send(Done(str(folder)))


if __name__ == "__main__":
    sys.exit(run_worker(Path(sys.argv[1]), export))
