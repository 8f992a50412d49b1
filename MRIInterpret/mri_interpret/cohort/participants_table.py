"""The participants table: rows of text from any CSV or TSV, and the role of each column."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError

MISSING = {"", "n/a", "na", "nan", "none", "null"}
# Column names that people use, lower case, the BIDS one first.
_KNOWN = {
    "subject": ("participant_id", "subject_id", "subject", "participant", "id"),
    "session": ("session_id", "session", "ses", "visit"),
    "group": ("group", "diagnosis", "dx", "class", "label"),
    "scan": ("path", "scan", "t1w", "t1", "image", "file", "filename"),
    "mask": ("mask", "brain_mask"),
    "segmentation": ("segmentation", "aseg", "aparc+aseg", "aparcaseg"),
    "truth": (),  # of a model that returns a quantity: the column that has the quantity's name, see matching_column
}
# A column without a name, and what pandas calls it when such a table is read and written again.
_UNNAMED = re.compile(r"|Unnamed: \d+")
_COMMA_NUMBER = re.compile(r"[+-]?\d+,\d+")


@dataclass(frozen=True)
class Table:
    """A table as text."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]  # column to text; missing values are ""
    lines: tuple[int, ...]  # the line of the file that each row stands on, for messages
    # "subject", "session", "group", "scan", "mask", "segmentation", "truth", and the names of a model's further inputs
    # -> column, where there is one
    roles: dict[str, str]
    decimal_comma: bool

    @property
    def covariates(self) -> tuple[str, ...]:
        """Named columns without a role; true values are a covariate too."""
        taken = {column for role, column in self.roles.items() if role != "truth"}
        return tuple(column for column in self.columns if not _UNNAMED.fullmatch(column) and column not in taken)

    def matching_column(self, name: str) -> str:
        """The covariate that has a name, whatever its case, blanks and underscores; "" if there is none."""
        return next((column for column in self.covariates if _plain(column) == _plain(name)), "")

    def value(self, row: Mapping[str, str], role: str) -> str:
        """The entry of a role, "" where it is missing."""
        return row[self.roles[role]] if role in self.roles else ""

    def number(self, text: str) -> float | str:
        """``text`` as a number if it is a finite one."""
        try:
            value = float(text.replace(",", ".") if self.decimal_comma else text)
        except ValueError:
            return text
        return value if math.isfinite(value) else text

    def odd_entries(self) -> dict[str, tuple[int, str]]:
        """Covariates of numbers that hold something else, too: column to the line and the first such entry.

        A number with a decimal comma, where the table does not have them, is something else: "72,5" may also be 725.
        """
        found = {}
        for column in self.covariates:
            entries = [(line, row[column]) for line, row in zip(self.lines, self.rows, strict=True) if row[column]]
            odd = [(line, text) for line, text in entries if isinstance(self.number(text), str)]
            words = [text for _, text in odd if not _COMMA_NUMBER.fullmatch(text)]
            if odd and len(words) < len(entries) / 2:
                found[column] = odd[0]
        return found


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()


def read_table(path: Path, columns: dict[str, str] | None = None, inputs: Sequence[str] = ()) -> Table:
    """Read a table.

    Parameters
    ----------
    path
        CSV (comma, semicolon) or TSV, UTF-8, with a header; or a BIDS root that holds participants.tsv.
    columns
        Role to column, where the usual names do not tell.
    inputs
        Names of the further inputs that the model takes: roles too, whose usual column has their name.

    Raises
    ------
    UserError
        If the file cannot be read, is empty, has a row that does not fit the header, or no column of subjects.
    """
    if path.is_dir():
        path = path / "participants.tsv"
    if not path.exists():
        raise UserError(f"{path} does not exist: give a participants table, or a BIDS root that holds one.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The table {path} cannot be read ({error}): save it as CSV or TSV in UTF-8.") from error
    delimiter = _delimiter(path, text)
    lines = [(number, row) for number, row in _numbered(path, text, delimiter) if any(cell.strip() for cell in row)]
    if not lines:
        raise UserError(f"The table {path} is empty: it needs a header and one row for each subject.")
    header = [cell.strip() for cell in lines[0][1]]
    # A column without a name, as pandas writes its index, plays no role and is no covariate; there may be several.
    repeated = {name for name in header if name and header.count(name) > 1}
    if repeated:
        raise UserError(f"The table {path} has the column '{min(repeated)}' twice: rename one of them.")
    if len(lines) == 1:
        raise UserError(f"The table {path} lists no subject: it has a header and no rows.")
    rows = []
    for number, cells in lines[1:]:
        if len(cells) != len(header):
            raise UserError(
                f"Line {number} of {path} has {len(cells)} entries for {len(header)} columns: "
                "check its separators and quotes."
            )
        rows.append({name: _text(cell) for name, cell in zip(header, cells, strict=True)})
    return Table(
        path,
        tuple(header),
        tuple(rows),
        tuple(number for number, _ in lines[1:]),
        _roles(header, columns or {}, path, {**{name: (name.lower(),) for name in inputs}, **_KNOWN}),
        delimiter == ";",
    )


def _numbered(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line each begins on; in a CSV, a quoted entry may hold line ends."""
    # BIDS knows no quotes in a TSV: a quote there is a letter, and must not swallow what follows.
    plain = delimiter == "\t"
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, strict=True,
        quoting=csv.QUOTE_NONE if plain else csv.QUOTE_MINIMAL,
    )  # fmt: skip
    start = 1
    try:
        for row in reader:
            yield start, [_unquoted(cell) for cell in row] if plain else row
            start = reader.line_num + 1
    except csv.Error as error:
        raise UserError(
            f"The table {path} is not understood from line {start} on ({error}): check its quotes."
        ) from error


def _unquoted(cell: str) -> str:
    """An entry that a spreadsheet put into quotes, without them."""
    return cell[1:-1].replace('""', '"') if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell


def _delimiter(path: Path, text: str) -> str:
    first = text.split("\n", 1)[0]
    if path.suffix.lower() == ".tsv" or "\t" in first:
        return "\t"
    return ";" if first.count(";") > first.count(",") else ","


def _text(cell: str) -> str:
    value = cell.strip()
    return "" if value.lower() in MISSING else value


def _roles(header: list[str], named: dict[str, str], path: Path, known: Mapping[str, Sequence[str]]) -> dict[str, str]:
    roles = {}
    by_lower = {name.lower(): name for name in header if name}
    alike = [name for name in header if name and by_lower[name.lower()] != name]
    for role, usual in known.items():
        if role in named:
            if named[role] not in header:
                raise UserError(f"The table {path} has no column '{named[role]}'. It has: {', '.join(header)}.")
            roles[role] = named[role]
        else:
            there = [by_lower[name] for name in usual if name in by_lower]
            if there:
                roles[role] = there[0]
                other = next((name for name in alike if name.lower() == there[0].lower()), "")
                if other:
                    raise UserError(
                        f"The table {path} has the columns '{other}' and '{there[0]}', which both may say each "
                        f"subject's {role}: rename one of them."
                    )
    if "subject" not in roles:
        raise UserError(
            f"The table {path} has no column that names the subjects: call it participant_id. "
            f"It has: {', '.join(header)}."
        )
    return roles
