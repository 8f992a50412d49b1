"""The cohort's page: one self-contained HTML file with sortable tables and links to each subject's report."""

from __future__ import annotations

from pathlib import Path

from ..drawing.html import render
from ..planes.viewer import script_hash
from .group_results import GroupResults
from .page_content import page_content
from .planes_of import cohort_viewer

_TEMPLATES = Path(__file__).with_name("templates")


def cohort_page(results: GroupResults) -> str:
    """The page as text; its links are relative to the cohort's output folder."""
    script = (_TEMPLATES / "sort_tables.js").read_text(encoding="utf-8")
    return render(
        _TEMPLATES,
        "cohort.html.j2",
        model=results.plan.model,
        pictures=results.pictures,
        script_hash=script_hash(script),
        planes=cohort_viewer(results),
        **page_content(results),
    )
