"""The worker process that draws a report: ``python -m mri_interpret.worker.report_worker FOLDER``.

FOLDER/source.txt names the folder of the saved explanation; the page is written to FOLDER/report.html.
"""

from __future__ import annotations

import sys
from pathlib import Path

from .child import Send, run_worker
from .messages import Done, Progress

_READING, _DRAWING = "Reading the result", "Drawing the report"


def draw(folder: Path, send: Send) -> None:
    """Read the explanation, draw its page."""
    send(Progress(_READING, 0.0, 0.0))
    from ..explanation.saving import load
    from ..report.page import report_page

    explanation = load(Path((folder / "source.txt").read_text(encoding="utf-8")))
    send(Progress(_DRAWING, 0.0, 0.3))
    (folder / "report.html").write_text(report_page(explanation), encoding="utf-8")
    send(Done(str(folder)))


if __name__ == "__main__":
    sys.exit(run_worker(Path(sys.argv[1]), draw))
