"""Whether a folder may take a cohort's results: nothing that others put there is replaced."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from ..errors import UserError
from .subject_result import has_result
from .subjects import Subject

MADE_BY = "MRIInterpret"  # in dataset_description.json
_WRITTEN = (
    "dataset_description.json", "participants.tsv", "README", ".bidsignore", "failures.tsv", "report.html",
    "cohort.mrb", "group",
)  # fmt: skip


def check_output(output: Path, table: Path, subjects: Iterable[Subject]) -> None:
    """Refuse a folder in which results would take the place of a scan, a table, or another data set's files.

    Parameters
    ----------
    output
        Where results go; it need not exist.
    table
        The participants table.
    subjects
        With their files. Each subject's folder in ``output`` is replaced as a whole.

    Raises
    ------
    UserError
        If it is such a folder.
    """
    subjects = list(subjects)
    replaced = {(output / subject.folder).parts for subject in subjects}
    for subject in subjects:
        for path in (subject.scan, subject.mask, subject.segmentation, *subject.inputs.values()):
            if path is None:
                continue
            # The place that the table names, not where a link in it leads.
            parts = (path.parent.resolve() / path.name).parts
            if any(parts[:length] in replaced for length in range(len(parts))):
                raise _refused(output, f"the cohort's own file {path} lies where results would go")
    if table.resolve() == output / "participants.tsv":
        raise _refused(output, "the participants table itself lies there")
    if _is_ours(output):
        return
    names = (*_WRITTEN, *(one.folder.as_posix() for one in subjects if not has_result(output, one)))
    there = next((name for name in names if (output / name).exists()), "")
    if there:
        raise _refused(output, f"it holds {there}, which MRIInterpret did not make")


def _is_ours(output: Path) -> bool:
    """Whether a cohort of any version wrote into the folder."""
    try:
        made = json.loads((output / "dataset_description.json").read_text(encoding="utf-8"))["GeneratedBy"]
        return any(one["Name"] == MADE_BY for one in made)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _refused(output: Path, why: str) -> UserError:
    return UserError(
        f"Results cannot be written into {output}: {why}. Choose an empty folder, such as derivatives/mri-interpret "
        "in the BIDS root.",
        option="output",
    )
