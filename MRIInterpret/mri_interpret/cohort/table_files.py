"""The files of a row of the participants table: named in its columns, or found by their BIDS names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..errors import UserError
from ..images.paths import existing_path
from . import bids
from .participants_table import Table

Row = Mapping[str, str]


def scan_of(
    table: Table, row: Row, root: Path, identity: str, session: str, where: str, problems: list[str]
) -> Path | None:
    """The row's T1-weighted scan; None, and a sentence in ``problems``, if it has none or several."""
    text = table.value(row, "scan")
    if text:
        return existing(table, text, where, problems)
    found = bids.find_images(root, "T1w", identity, session)
    return _only(found, "T1w", "path", root, identity, session, where, problems)


def input_of(
    table: Table, row: Row, channel: str, root: Path, identity: str, session: str, where: str, problems: list[str]
) -> Path | None:
    """The row's file for a further input of the model, as :func:`scan_of`.

    Parameters
    ----------
    channel
        What the model calls it, such as "flair": the column of that name, or the image with that BIDS suffix, with or
        without a w at its end ("t2" is T2w), whatever its case.
    """
    if channel in table.roles:
        text = table.value(row, channel)
        if text:
            return existing(table, text, where, problems)
        problems.append(f"{where}: the column '{table.roles[channel]}' is empty, and the model wants that input.")
        return None
    found = bids.find_images(root, channel, identity, session)
    return _only(found, channel, channel, root, identity, session, where, problems)


def optional_file(table: Table, row: Row, role: str, where: str, problems: list[str]) -> Path | None:
    """The file that a column names, None where it names none."""
    text = table.value(row, role)
    return existing(table, text, where, problems) if text else None


def existing(table: Table, text: str, where: str, problems: list[str]) -> Path | None:
    """A path of the table; relative ones belong to the table's folder, wherever the command is run."""
    path = Path(text).expanduser() if text.startswith("~/") else Path(text)
    return _checked(path if path.is_absolute() else table.path.parent.absolute() / path, where, problems)


def _checked(path: Path, where: str, problems: list[str]) -> Path | None:
    """The path itself, not where a link leads: the name of what a data set keeps elsewhere says nothing."""
    try:
        return existing_path(path)
    except UserError as error:
        problems.append(f"{where}: {error}")
        return None


def _only(
    found: list[Path],
    kind: str,
    column: str,
    root: Path,
    identity: str,
    session: str,
    where: str,
    problems: list[str],
) -> Path | None:
    if len(found) == 1:
        return _checked(found[0].absolute(), where, problems)
    if not found:
        folder = root / f"sub-{identity}" / (f"ses-{session}" if session else "")
        problems.append(
            f"{where}: no {kind} image lies in {folder}: name it in a column '{column}', or the BIDS root "
            "in the option 'bids-root'."
        )
    else:
        names = ", ".join(path.name for path in found)
        problems.append(f"{where}: there are {len(found)} {kind} images ({names}): name one in a column '{column}'.")
    return None
