"""Read a saved folder: every file is checked against the index, and volumes and tables come back to the last bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import __version__
from ..errors import UserError
from ..images.array_files import map_array
from ..images.displacement_field import DisplacementField, read_displacement
from ..images.volume import Volume
from ..models.bundle import file_hash
from .layout import Layout
from .saved_folder import FORMAT, VERSION, MappedFiles, lies_within

if TYPE_CHECKING:
    import pandas as pd


class FolderReader:
    """A saved folder, checked against its index; each part is read when it is asked for.

    Parameters
    ----------
    folder
        The folder, or one of its index files.

    Raises
    ------
    UserError
        If it is no saved explanation, is incomplete, was changed, or was written by a newer version.
    """

    def __init__(self, folder: Path) -> None:
        index = find_index(folder)
        self.folder = index.parent
        try:
            record = json.loads(index.read_text(encoding="utf-8"))
            known = record["format"] == FORMAT
            version = int(record["version"]) if known else 0
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{index} is damaged or not of a saved explanation: explain the scan again.") from error
        if not known:
            raise UserError(f"{index} is not of a saved explanation: choose a folder that an explanation was saved to.")
        if version > VERSION:
            raise UserError(
                f"{self.folder} was saved by a newer version ({record.get('written_by', 'unknown')}; this is "
                f"mri-interpret {__version__}): update this one."
            )
        self._index = record
        try:
            self.facts: dict[str, Any] = record["facts"]
            fields = record.get("fields", {})  # earlier versions had none
            for entries in (record["volumes"], record["tables"], fields):
                for entry in entries.values():
                    self._check(entry)
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{index} is damaged ({error!r} is missing): explain the scan again.") from error

    def _check(self, entry: dict[str, Any]) -> None:
        path = self.folder / entry["file"]
        if not lies_within(entry["file"]) or not path.is_file():
            raise UserError(f"{self.folder} is incomplete ({entry['file']} is missing): explain the scan again.")
        changed = path.stat().st_size != entry["bytes"]
        if changed or ("sha256" in entry and file_hash(path) != entry["sha256"]):
            raise UserError(
                f"{path} was changed after it was saved, or is damaged: put the original back, or explain again."
            )

    def has_volume(self, key: str) -> bool:
        """Whether a volume of that key is stored."""
        return key in self._index["volumes"]

    def volume(self, key: str) -> Volume:
        """A volume as it was saved: values, type, affine, name, notes."""
        entry = self._index["volumes"].get(key)
        if entry is None:
            raise UserError(
                f"{self.folder} was saved without {key}, so it cannot be opened again: save it with maps on the scan's "
                "own grid."
            )
        path = self.folder / entry["file"]
        if path.suffix == MappedFiles.suffix:
            array = map_array(path)
        else:
            import nibabel

            image: Any = nibabel.load(path)
            array = np.asarray(image.dataobj).astype(np.dtype(entry["dtype"]), copy=False)
        return Volume(array, np.array(entry["affine"], float), entry["name"], tuple(entry["notes"]))

    def field(self, key: str) -> DisplacementField:
        """A displacement field as it was saved."""
        entry = self._index["fields"].get(key)
        if entry is None:
            raise UserError(f"{self.folder} was saved without {key}, so it cannot be opened again: explain again.")
        return read_displacement(self.folder / entry["file"])

    def has_table(self, name: str) -> bool:
        """Whether a table of that name is stored."""
        return name in self._index["tables"]

    def table(self, name: str) -> pd.DataFrame:
        """A table as it was saved: values to the last bit, and types."""
        import pandas as pd

        entry = self._index["tables"][name]
        path = self.folder / entry["file"]
        separator = "\t" if path.suffix == ".tsv" else ","
        # As text first: then numbers are read to the last bit, and a region called "NA" stays one.
        frame = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False)
        for column, kind in entry["columns"].items():
            if kind not in ("object", "str", "string"):
                frame[column] = frame[column].replace(entry["missing"], "nan")
            if kind == "bool":
                frame[column] = frame[column] == "True"
        return frame.astype(entry["columns"])


def scan_file_of(folder: Path) -> str:
    """The file or folder that a saved explanation's scan was read from; empty if that is not known."""
    try:
        record = json.loads(find_index(folder).read_text(encoding="utf-8"))
        return str(record["facts"]["provenance"]["scan_file"])
    except (UserError, OSError, ValueError, KeyError, TypeError):
        return ""


def find_index(folder: Path) -> Path:
    """The index of a saved folder, which may be named itself; a cohort's begins with the subject's name."""
    if folder.is_file() and folder.name.endswith(Layout.index):
        return folder
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder: choose one that an explanation was saved to.")
    found = sorted(folder.glob(f"*{Layout.index}"))
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"{folder} holds {len(found)} saved explanations: choose one by its *{Layout.index} file.")
    raise UserError(
        f"{folder} holds no complete saved explanation ({Layout.index} is missing): choose another folder, or explain "
        "the scan again."
    )
