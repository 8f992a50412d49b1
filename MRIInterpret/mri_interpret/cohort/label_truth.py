"""What the participants table says of each label of a model whose labels may hold together: a column for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..models.outputs import OutputMeaning
from .participants_table import Table
from .subjects import Subject

_YES, _NO = ("1", "1.0", "yes", "y", "true"), ("0", "0.0", "no", "n", "false")


def label_columns(table: Table, output: OutputMeaning) -> dict[str, str]:
    """Label to the column that is called so, whatever its case, blanks and underscores; none for other outputs."""
    if not output.has_labels:
        return {}
    found = {name: table.matching_column(name) for name in output.classes}
    return {name: column for name, column in found.items() if column}


def read_labels(row: Mapping[str, str], columns: Mapping[str, str], where: str, problems: list[str]) -> dict[str, bool]:
    """Whether each label holds for a row; labels whose entry is empty are left out."""
    truth = {}
    for name, column in columns.items():
        text = row[column].lower()
        if text in _YES or text in _NO:
            truth[name] = text in _YES
        elif text:
            problems.append(f"{where}: the {column} '{row[column]}' is neither 1 nor 0 (yes, no): correct it.")
    return truth


def notes_on_labels(subjects: Sequence[Subject], output: OutputMeaning, columns: Mapping[str, str]) -> list[str]:
    """Sentences on what the table cannot show of such a model."""
    notes = ["The model's labels do not exclude one another: in maps by prediction, a subject counts by its likeliest."]
    if not columns:
        notes.append(
            "No column is called as one of the model's labels, so how well it tells them is not known: give a column "
            f"of 1 and 0 for each ({', '.join(output.classes)})."
        )
        return notes
    missing = [name for name in output.classes if name not in columns]
    if missing:
        notes.append(f"No column tells of {' or '.join(missing)}: how well the model tells that is not known.")
    for name in columns:
        known = [subject.labels[name] for subject in subjects if name in subject.labels]
        if known and len(set(known)) == 1:
            words = "All" if known[0] else "No"
            notes.append(f"{words} subjects have the label {name}: it has no ROC curve.")
    return notes
