"""What the arguments that commands share stand for, each checked before any long work."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..errors import UserError
from ..explanation.options import DEFAULTS


def atlas_files(atlas: Path | None, labels: Path | None) -> tuple[str, str] | None:
    """The two files of an atlas as absolute paths, None for the atlas that ships.

    Raises
    ------
    UserError
        If one of them is missing.
    """
    if (atlas is None) != (labels is None):
        raise UserError("--atlas and --atlas-labels belong together: give both or neither.")
    return (str(atlas.resolve()), str(labels.resolve())) if atlas and labels else None


def method_names(text: str) -> list[str]:
    """The methods that ``default``, ``all`` or names separated by commas stand for.

    Raises
    ------
    UserError
        For an unknown name (the message lists those there are), or none.
    """
    from ..attribution import available_methods

    known = available_methods()
    if text.strip() in ("default", "panel"):  # "panel" is what it was called at first
        return list(DEFAULTS.methods)
    if text.strip() == "all":
        return list(known)
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        what = f"The method '{unknown[0]}' is not known" if unknown else "No method was given"
        raise UserError(f"{what}: give default, all, or some of {', '.join(known)} separated by commas.")
    return list(dict.fromkeys(names))


def check_writable(folder: Path) -> None:
    """Fail before the long work if the output folder cannot be made or written."""
    try:
        str(folder.absolute()).encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError(f"The name of the output folder {folder} is no UTF-8: choose another one with -o.") from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"0" * 65536)
            probe.flush()
    except OSError as error:
        raise UserError(
            f"Cannot write into the output folder {folder} ({error.strerror or error}): choose another one.",
            option="output",
        ) from error


def pairs(text: str, option: str) -> dict[str, str]:
    """ "Control=CN,Patient=AD" as a dictionary.

    Raises
    ------
    UserError
        For an entry that is no pair.
    """
    found = {}
    for part in filter(None, (entry.strip() for entry in text.split(","))):
        key, sign, value = part.partition("=")
        if not (sign and key.strip() and value.strip()):
            raise UserError(f"{option} does not understand '{part}': give pairs such as Control=CN,Patient=AD.")
        found[key.strip()] = value.strip()
    return found


def input_files(entries: Sequence[str] | None) -> dict[str, Path]:
    """["flair=flair.nii.gz"] as a dictionary: the files of further images by the channel that they fill.

    Raises
    ------
    UserError
        For an entry that is no pair, or a channel that is given twice.
    """
    found: dict[str, Path] = {}
    for entry in entries or ():
        name, sign, file = entry.partition("=")
        if not (sign and name.strip() and file.strip()):
            raise UserError(f"--input does not understand '{entry}': give a pair such as flair=flair.nii.gz.")
        if name.strip() in found:
            raise UserError(f"--input gives '{name.strip()}' twice: give one file for each channel.")
        found[name.strip()] = Path(file.strip())
    return found


def gibibytes(value: float) -> int:
    """GiB as bytes."""
    if not 0 < value < 1e6:
        raise UserError(f"--memory {value:g} cannot be: give the GiB that one subject takes.")
    return int(value * 2**30)
