"""The report: one self-contained HTML page that fetches nothing and prints well."""

from __future__ import annotations

from pathlib import Path

from ..drawing.html import render
from ..explanation.explanation import Explanation
from ..progress import ProgressCallback, silent
from .content import page_content
from .pictures import ReportPictures, draw_pictures

_TEMPLATES = Path(__file__).with_name("templates")


def report_page(explanation: Explanation, progress: ProgressCallback = silent, *, in_3d: bool = True) -> str:
    """The page as text, with the trust checks' verdicts if the explanation has any.

    Parameters
    ----------
    explanation
        What to report.
    progress
        Told after each figure; may raise :class:`~mri_interpret.errors.Cancelled`.
    in_3d
        Draw the summary score in 3D too.
    """
    return page_with(explanation, draw_pictures(explanation, progress, in_3d=in_3d))


def page_with(explanation: Explanation, pictures: ReportPictures) -> str:
    """The page around pictures that are drawn already."""
    return render(
        _TEMPLATES,
        "report.html.j2",
        explanation=explanation,
        model=explanation.model,
        pictures=pictures,
        **page_content(explanation),
    )
