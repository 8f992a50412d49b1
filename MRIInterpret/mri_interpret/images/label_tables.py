"""Tables of labels: names and colours of structures, in the formats that neuroimaging tools write."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ..errors import UserError

Colour = tuple[float, float, float]  # red, green, blue from 0 to 1

_UNDERSTOOD = (
    "give a CSV or TSV with columns index and name, a FreeSurfer lookup table (label, name, red, green, blue, alpha), "
    "an ITK-SNAP label description, an FSL atlas XML, or a Slicer color table"
)
# Column names, lower case, the most specific first. "label" is a number in some tables and a name in others.
_INDEX_COLUMNS = ("index", "labelvalue", "value", "id", "label")
_NAME_COLUMNS = ("name", "region", "structure", "label")
_COLOUR_COLUMNS = (("r", "g", "b"), ("red", "green", "blue"), ("color_r", "color_g", "color_b"))
_HEX_COLUMNS = ("color", "colour")
_MISSING = ("", "n/a")
_ITK_SNAP = re.compile(r'(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+[\d.]+\s+\d+\s+\d+\s+["“](.*)["”]')


@dataclass(frozen=True)
class LabelEntry:
    """What a table says about one label."""

    name: str
    colour: Colour | None = None


class _BadRow(Exception):
    """A row that is wrong: its line, and what is wrong with it."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line


_Rows = Iterator[tuple[int, int, LabelEntry]]  # line of the file, label, entry


def read_label_table(path: str | Path) -> dict[int, LabelEntry]:
    """Read a table of labels.

    Parameters
    ----------
    path
        One of

        - CSV or TSV with a header: ``index`` and ``name``, colours in ``r``, ``g``, ``b`` (0 to 255) if there; BIDS
          ``dseg.tsv`` with hexadecimal ``color``; Slicer's color table CSV;
        - FreeSurfer's lookup table: label, name, red, green, blue, alpha;
        - Slicer's .ctbl, whose underscores in names stand for spaces;
        - ITK-SNAP's label description: label, red, green, blue, alpha, two flags, name in quotes;
        - FSL's atlas XML. In the label image of a probabilistic atlas a structure's value is its index plus one.

    Returns
    -------
    dict
        Label to its entry, in the table's order.

    Raises
    ------
    UserError
        If it cannot be read or is in none of these formats. A row that is too short, is no number where one is
        needed, or names a label a second time is refused with its line.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The label table {path} cannot be read ({error}).") from error
    entries: dict[int, LabelEntry] = {}
    try:
        for line, label, entry in _rows(text, path):
            if entries.setdefault(label, entry) != entry:
                raise _BadRow(line, f"names label {label} again, differently")
    except _BadRow as error:
        raise UserError(
            f"The label table {path} is not understood: line {error.line} {error}. Correct the line, or {_UNDERSTOOD}."
        ) from error
    if not entries:
        raise UserError(f"The label table {path} names no label: {_UNDERSTOOD}.")
    return entries


def _rows(text: str, path: Path) -> _Rows:
    suffix = path.suffix.lower()
    if suffix == ".xml" or text.lstrip().startswith("<"):
        return _fsl_rows(text)
    if suffix in (".csv", ".tsv"):
        return _column_rows(text, "\t" if suffix == ".tsv" else _delimiter(text))
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if lines and _ITK_SNAP.fullmatch(lines[0][1]):
        return _itk_snap_rows(lines)
    slicer = suffix == ".ctbl" or text.startswith("# Color table file")
    return _lookup_rows(lines, slicer)


def _delimiter(text: str) -> str:
    header = text.split("\n", 1)[0]
    return max(",;\t", key=header.count)  # a comma unless another is more frequent


def _column_rows(text: str, delimiter: str) -> _Rows:
    reader = _strictly(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    header = [cell.strip().lower() for cell in next(reader, (1, []))[1]]
    index = next((header.index(name) for name in _INDEX_COLUMNS if name in header), None)
    name = next((header.index(name) for name in _NAME_COLUMNS if name in header and header.index(name) != index), None)
    if index is None or name is None:
        raise _BadRow(1, f"has no columns index and name (it has: {', '.join(header)})")
    channels = next((names for names in _COLOUR_COLUMNS if all(channel in header for channel in names)), ())
    hexadecimal = next((header.index(name) for name in _HEX_COLUMNS if name in header), None)
    for line, row in reader:
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if len(cells) != len(header):
            raise _BadRow(line, f"has {len(cells)} entries for {len(header)} columns")
        colour = None
        texts = [cells[header.index(channel)] for channel in channels]
        if texts and not all(text.lower() in _MISSING for text in texts):
            colour = _colour(texts, line)
        elif hexadecimal is not None and cells[hexadecimal].lower() not in _MISSING:
            colour = _hex_colour(cells[hexadecimal], line)
        yield line, _label(cells[index], line), LabelEntry(_name(cells[name], line), colour)


def _strictly(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line each ends on; a name that runs over a line's end has a quote that nothing closes."""
    line = 0
    try:
        for row in reader:
            line = reader.line_num
            if any("\n" in cell or "\r" in cell for cell in row):
                raise _BadRow(line, "ends an entry that began on an earlier line: check the quotes")
            yield line, row
    except csv.Error as error:
        raise _BadRow(line + 1, f"has a quote that is not closed ({error})") from error


def _lookup_rows(lines: list[tuple[int, str]], slicer: bool) -> _Rows:
    """FreeSurfer's and Slicer's tables: label, name, red, green, blue, and alpha, which may be left out."""
    for number, line in lines:
        fields = line.split()
        if len(fields) < 5:
            raise _BadRow(number, f"has {len(fields)} entries, not label, name, red, green, blue and alpha")
        label = _label(fields[0], number)
        # A name with spaces, which neither program writes, is taken as one only where alpha ends the line.
        end = 2 if len(fields) <= 6 else len(fields) - 4
        name = " ".join(fields[1:end])
        if slicer:
            name = name.strip("'").replace("_", " ")
        yield number, label, LabelEntry(_name(name, number), _colour(fields[end : end + 3], number))


def _itk_snap_rows(lines: list[tuple[int, str]]) -> _Rows:
    for number, line in lines:
        match = _ITK_SNAP.fullmatch(line)
        if match is None:
            raise _BadRow(number, "is not label, red, green, blue, alpha, two flags, and a name in quotes")
        label, *colour, name = match.groups()
        yield number, _label(label, number), LabelEntry(_name(name, number), _colour(colour, number))


def _fsl_rows(text: str) -> _Rows:
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise _BadRow(error.position[0], f"is not XML ({error})") from error
    # Structures of a probabilistic atlas are counted from 0, but 0 in its label image is "no structure".
    probabilistic = "prob" in (root.findtext("header/type") or "").lower()
    starts = [number for number, line in enumerate(text.splitlines(), 1) for _ in re.findall(r"<label[\s>]", line)]
    for number, element in zip(starts, root.iterfind("data/label"), strict=False):
        value = element.get("value")
        label = _label(element.get("index", "") if value is None else value, number)
        yield number, label + int(probabilistic and value is None), LabelEntry(_name(element.text or "", number))


def _label(text: str, line: int) -> int:
    if not re.fullmatch(r"\+?\d+(\.0*)?", text):
        raise _BadRow(line, f"has the label '{text}', which is not a whole number from 0 up")
    return int(float(text))


def _name(text: str, line: int) -> str:
    name = " ".join(text.split())
    if not name:
        raise _BadRow(line, "has no name")
    return name


def _colour(texts: Sequence[str], line: int) -> Colour:
    if any(re.fullmatch(r"\d{1,3}(\.0*)?", text) is None or float(text) > 255 for text in texts):
        raise _BadRow(line, f"has the colour {', '.join(texts)}, which is not three whole numbers from 0 to 255")
    red, green, blue = (int(float(text)) / 255 for text in texts)
    return red, green, blue


def _hex_colour(text: str, line: int) -> Colour:
    if not re.fullmatch(r"#?[0-9a-fA-F]{6}", text):
        raise _BadRow(line, f"has the colour '{text}', which is not hexadecimal like #FF8000")
    digits = text.lstrip("#")
    red, green, blue = (int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4))
    return red, green, blue
