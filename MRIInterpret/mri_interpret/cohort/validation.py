"""The pass before anything runs: rows to subjects, and everything that is wrong with the table, all at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from ..images.paths import existing_path
from ..images.reading import check_header
from . import bids
from .participants_table import Table
from .subjects import UNKNOWN, Subject


class InvalidTable(UserError):
    """All problems of a table in one error; ``problems`` holds a sentence for each."""

    def __init__(self, table: Path, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"{table.name} has {count}, so nothing was run. " + " ".join(problems))


@dataclass(frozen=True)
class Cohort:
    """Subjects that can be run."""

    table: Path
    subjects: tuple[Subject, ...]
    classes: tuple[str, ...]  # of the model
    covariates: tuple[str, ...]  # columns of the table
    notes: tuple[str, ...] = ()  # what a reader of the results should know about the table


def read_cohort(
    table: Table,
    classes: Sequence[str],
    *,
    bids_root: Path | None = None,
    group_map: Mapping[str, str] | None = None,
) -> Cohort:
    """Turn a table into subjects.

    Parameters
    ----------
    table
        As read.
    classes
        The model's classes; a group must be one of them.
    bids_root
        Where T1w images are looked for if the table has no column of paths; by default, the table's own folder.
    group_map
        From the table's name of a group to the model's class.

    Raises
    ------
    InvalidTable
        With every problem found: missing files, unreadable headers, subjects named twice, unknown groups.
    """
    problems: list[str] = []
    subjects: list[Subject] = []
    root = bids_root or table.path.parent
    seen: dict[str, int] = {}
    for line, row in zip(table.lines, table.rows, strict=True):
        where = f"Line {line}"
        identity = bids.subject_label(table.value(row, "subject"))
        session = bids.session_label(table.value(row, "session"))
        if not identity:
            problems.append(f"{where}: the subject's name has no letters or digits.")
            continue
        where += f" (sub-{identity})"
        group = _group(table.value(row, "group"), classes, group_map or {}, where, problems)
        scan = _scan(table, row, root, identity, session, where, problems)
        mask = _optional(table, row, "mask", where, problems)
        segmentation = _optional(table, row, "segmentation", where, problems)
        covariates = {name: table.number(row[name]) for name in table.covariates if row[name]}
        subject = Subject(identity, scan or Path(), group, session, mask, segmentation, covariates)
        if subject.name in seen:
            problems.append(
                f"{where}: {subject.name} is on line {seen[subject.name]} already: give each row its own "
                "participant_id, or name the sessions in a column session_id."
            )
        seen.setdefault(subject.name, line)
        if scan is not None:
            try:
                check_header(scan)
            except UserError as error:
                problems.append(f"{where}: {error}")
            subjects.append(subject)
    if problems:
        raise InvalidTable(table.path, problems)
    return Cohort(table.path, tuple(subjects), tuple(classes), table.covariates, tuple(_notes(subjects, classes)))


def _group(text: str, classes: Sequence[str], group_map: Mapping[str, str], where: str, problems: list[str]) -> str:
    if not text:
        return UNKNOWN
    known = {name.lower(): name for name in classes} | {
        key.lower(): value for key, value in group_map.items() if value in classes
    }
    found = known.get(text.lower())
    if found is None:
        problems.append(
            f"{where}: the group '{text}' is not among the model's classes ({', '.join(classes)}): "
            "correct it, leave it empty, or say which class it means in the option 'groups'."
        )
    return found or UNKNOWN


def _scan(
    table: Table, row: Mapping[str, str], root: Path, identity: str, session: str, where: str, problems: list[str]
) -> Path | None:
    text = table.value(row, "scan")
    if text:
        return _existing(table, text, where, problems)
    found = bids.find_t1w(root, identity, session)
    if len(found) == 1:
        return found[0].resolve()
    if not found:
        folder = root / f"sub-{identity}" / (f"ses-{session}" if session else "")
        problems.append(
            f"{where}: no T1w image lies in {folder}: name it in a column 'path', or the BIDS root "
            "in the option 'bids-root'."
        )
    else:
        names = ", ".join(path.name for path in found)
        problems.append(f"{where}: there are {len(found)} T1w images ({names}): name one in a column 'path'.")
    return None


def _optional(table: Table, row: Mapping[str, str], role: str, where: str, problems: list[str]) -> Path | None:
    text = table.value(row, role)
    return _existing(table, text, where, problems) if text else None


def _existing(table: Table, text: str, where: str, problems: list[str]) -> Path | None:
    """A path of the table; relative ones belong to the table's folder, wherever the command is run."""
    try:
        path = Path(text).expanduser() if text.startswith("~/") else Path(text)
        return existing_path(path if path.is_absolute() else table.path.parent.absolute() / path).resolve()
    except UserError as error:
        problems.append(f"{where}: {error}")
        return None


def _notes(subjects: Sequence[Subject], classes: Sequence[str]) -> list[str]:
    """Sentences on what this table cannot show."""
    notes = []
    groups = {subject.group for subject in subjects if subject.group}
    unknown = sum(1 for subject in subjects if not subject.group)
    if len(subjects) == 1:
        notes.append("The cohort has one subject: there are no group statistics.")
    elif not groups:
        notes.append("The table names no groups, so the model's performance cannot be measured.")
    elif len(groups) == 1:
        notes.append(f"All subjects are {min(groups)}: there are no groups to compare and no ROC curve.")
    if groups and unknown:
        notes.append(
            f"{unknown} subjects have no group: they are explained, but count only in the maps by predicted class."
        )
    if len({subject.id for subject in subjects}) < len(subjects):
        notes.append(
            "Some subjects have several sessions, which are treated as independent scans: confidence intervals are too "
            "narrow and p-values too small."
        )
    missing = [name for name in classes if groups and name not in groups]
    if missing and len(groups) > 1:
        notes.append(f"No subject is {' or '.join(missing)}.")
    return notes
