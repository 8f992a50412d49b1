"""The pass before anything runs: rows to subjects, and everything that is wrong with the table, all at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import UserError
from ..images.reading import check_header
from ..models.outputs import OutputMeaning
from . import bids
from .label_truth import label_columns, notes_on_labels, read_labels
from .participants_table import Table
from .subjects import UNKNOWN, Subject
from .table_files import input_of, optional_file, scan_of

_SESSIONS = (
    "Some subjects have several sessions, which are treated as independent scans: confidence intervals are too narrow "
    "and p-values too small."
)


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
    classes: tuple[str, ...]  # of the model; for a model that returns a quantity, the table's groups
    covariates: tuple[str, ...]  # columns of the table
    notes: tuple[str, ...] = ()  # what a reader of the results should know about the table
    truth: str = ""  # the column of the quantity's true values
    # Covariates of numbers that hold something else, too, with the line and the first such entry.
    odd: Mapping[str, tuple[int, str]] = field(default_factory=dict)


def read_cohort(
    table: Table,
    output: OutputMeaning,
    *,
    inputs: Sequence[str] = (),
    bids_root: Path | None = None,
    group_map: Mapping[str, str] | None = None,
) -> Cohort:
    """Turn a table into subjects.

    Parameters
    ----------
    table
        As read.
    output
        What the model returns. A group must be one of its classes; of a quantity, groups may be called anything, and
        the role "truth", or the column that has the quantity's name, holds the true values. Of labels, columns with
        their names say for which subjects they hold.
    inputs
        Names of the further inputs that the model takes beside the scan.
    bids_root
        Where images are looked for if the table has no column of paths; by default, the table's own folder.
    group_map
        From the table's name of a group to the model's class.

    Raises
    ------
    InvalidTable
        With every problem found: missing files, unreadable headers, subjects named twice, unknown groups.
    """
    problems: list[str] = []
    subjects: list[Subject] = []
    truth = _truth_column(table, output)
    labels = label_columns(table, output)
    classes = None if output.is_quantity else output.classes
    root = bids_root or table.path.parent
    seen: dict[str, int] = {}
    sessions: dict[str, tuple[bool, int]] = {}
    for line, row in zip(table.lines, table.rows, strict=True):
        where = f"Line {line}"
        identity = bids.subject_label(table.value(row, "subject"))
        session = bids.session_label(table.value(row, "session"))
        if not identity:
            problems.append(f"{where}: the subject's name has no letters or digits.")
            continue
        where += f" (sub-{identity})"
        group = _group(table.value(row, "group"), classes, group_map or {}, where, problems)
        scan = scan_of(table, row, root, identity, session, where, problems)
        mask = optional_file(table, row, "mask", where, problems)
        segmentation = optional_file(table, row, "segmentation", where, problems)
        further = {name: input_of(table, row, name, root, identity, session, where, problems) for name in inputs}
        covariates = {name: table.number(row[name]) for name in table.covariates if row[name]}
        true = _truth(covariates, truth, where, problems)
        subject = Subject(
            identity, scan or Path(), group, session, mask, segmentation, covariates, true,
            read_labels(row, labels, where, problems), {name: path for name, path in further.items() if path},
        )  # fmt: skip
        in_session, earlier = sessions.setdefault(identity, (bool(session), line))
        if in_session != bool(session):  # the one's folder would hold the other's
            problems.append(
                f"{where}: the subject is named with a session and without one (line {earlier}): name the session in "
                "each row."
            )
        if subject.name in seen:
            problems.append(
                f"{where}: {subject.name} is on line {seen[subject.name]} already: give each row its own "
                "participant_id, or name the sessions in a column session_id."
            )
        seen.setdefault(subject.name, line)
        for path in (scan, *subject.inputs.values()):
            try:
                if path is not None:
                    check_header(path)
            except UserError as error:
                problems.append(f"{where}: {error}")
        if scan is not None:
            subjects.append(subject)
    groups = tuple(dict.fromkeys(subject.group for subject in subjects if subject.group))
    problems += _names_in_files(groups) if classes is None else []
    if problems:
        raise InvalidTable(table.path, problems)
    if classes is None:
        classes = groups
        notes = _notes_on_quantity(subjects, output, truth, table)
    elif output.has_labels:
        notes = notes_on_labels(subjects, output, labels)
        notes += [_SESSIONS] if len({subject.id for subject in subjects}) < len(subjects) else []
    else:
        notes = _notes(subjects, classes)
    odd = {name: entry for name, entry in table.odd_entries().items() if name != truth}
    notes += [_odd_entry(name, *entry) for name, entry in odd.items()]
    own = sum(subject.segmentation is not None for subject in subjects)
    if 0 < own < len(subjects):
        notes.append(
            f"{own} of {len(subjects)} subjects bring their own segmentation: its volumes, and shares of the brain's "
            "outline instead of the skull's inside, are not comparable with those of the others."
        )
    return Cohort(table.path, tuple(subjects), classes, table.covariates, tuple(notes), truth, odd)


def _odd_entry(column: str, line: int, text: str) -> str:
    return (
        f"Line {line}: the {column} '{text}' is no number as the others are, so the column is taken as words: correct "
        "it, or leave it empty."
    )


def _names_in_files(groups: Sequence[str]) -> list[str]:
    """What is wrong with the names of groups that are free: files are called after their letters and digits."""
    seen: dict[str, str] = {}
    problems = []
    for group in groups:
        short = bids.label(group).lower()
        if short in ("", "all"):
            problems.append(f"The group '{group}' cannot be called that: give it a name with letters, and not 'all'.")
        elif short in seen:
            problems.append(f"The groups '{seen[short]}' and '{group}' would share their files: rename one of them.")
        seen.setdefault(short, group)
    return problems


def _truth_column(table: Table, output: OutputMeaning) -> str:
    """The column of true values; "" if there is none."""
    named = table.roles.get("truth", "")
    if named and not output.is_quantity:
        raise UserError(
            f"The model tells classes ({', '.join(output.classes)}), so the truth stands in the column of groups: name "
            "that one, and no column 'truth'.",
            option="columns",
        )
    return named or (table.matching_column(output.classes[0]) if output.is_quantity else "")


def _truth(covariates: Mapping[str, float | str], column: str, where: str, problems: list[str]) -> float | None:
    value = covariates.get(column) if column else None
    if isinstance(value, str) or (value is not None and not math.isfinite(value)):
        problems.append(f"{where}: the {column} '{value}' is no number: correct it, or leave it empty.")
        return None
    return value


def _group(
    text: str, classes: Sequence[str] | None, group_map: Mapping[str, str], where: str, problems: list[str]
) -> str:
    if not text:
        return UNKNOWN
    if classes is None:
        return group_map.get(text, text)
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
        notes.append(_SESSIONS)
    missing = [name for name in classes if groups and name not in groups]
    if missing and len(groups) > 1:
        notes.append(f"No subject is {' or '.join(missing)}.")
    return notes


def _notes_on_quantity(subjects: Sequence[Subject], output: OutputMeaning, truth: str, table: Table) -> list[str]:
    """Sentences on what this table cannot show of a model that returns a quantity."""
    (name,) = output.classes
    notes = []
    unknown = sum(1 for subject in subjects if subject.truth is None)
    if not truth:
        notes.append(
            f"No column of the table is called '{name}', so the model's error is not known: if one holds the true "
            f"values, name it as the column 'truth' (there are {', '.join(table.covariates) or 'none'})."
        )
    elif unknown:
        notes.append(f"{unknown} of {len(subjects)} subjects have no {truth}: they do not count in the model's error.")
    if len({subject.id for subject in subjects}) < len(subjects):
        notes.append(_SESSIONS)
    return notes
