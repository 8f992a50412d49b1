"""A folder of volumes, tables and facts that is complete or absent: written aside, with an index that comes last.

The index names every file with its size (and hash), and everything that files alone would lose: types, exact affines,
names. Reading needs no layout, only the index.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .. import __version__
from ..errors import UserError
from ..images.array_files import ArrayFiles, map_array
from ..images.volume import Volume
from ..json_text import jsonable, to_json
from ..progress import ProgressCallback, silent
from .layout import Layout

if TYPE_CHECKING:
    import pandas as pd

    from ..images.writing import Space

FORMAT, VERSION = "MRIInterpret explanation", 1
STEP = "Writing files"
_ASIDE = ".partial-"


@dataclass(frozen=True)
class SavedVolume:
    """A volume and how its file describes it."""

    volume: Volume
    world: Space  # "scanner" or "mni": what the affine's RAS mm are relative to
    labels: bool
    description: str


@dataclass(frozen=True)
class SavedFolder:
    """What a folder holds."""

    volumes: Mapping[str, SavedVolume]
    tables: Mapping[str, pd.DataFrame]
    records: Mapping[str, Any]  # JSON files for readers; loading does not need them
    facts: dict[str, Any]  # JSON values, kept in the index


class VolumeStorage(Protocol):
    """How the voxels of a volume are stored."""

    suffix: str

    def write(self, entry: SavedVolume, folder: Path, name: str) -> str:
        """Write a volume as ``folder / name`` with the suffix; the path of its file relative to the folder."""
        ...


class NiftiFiles:
    """Compressed NIfTI files, which every other program reads."""

    suffix = ".nii.gz"

    def write(self, entry: SavedVolume, folder: Path, name: str) -> str:
        import nibabel

        from ..images.writing import nifti_image

        path = folder / f"{name}{self.suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = nifti_image(
            entry.volume, space=entry.world, labels=entry.labels, description=entry.description, exact=True
        )
        nibabel.save(image, path)
        return path.relative_to(folder).as_posix()


class MappedFiles:
    """Uncompressed .npy files that are mapped into memory when they are read: Slicer's window does not wait for them.

    Parameters
    ----------
    written
        Knows arrays that lie in the folder already, which are not written again.
    """

    suffix = ".npy"

    def __init__(self, written: ArrayFiles) -> None:
        self._written = written

    def write(self, entry: SavedVolume, folder: Path, name: str) -> str:
        return str(self._written.record(entry.volume, name.replace("/", "_"))["file"])


def write_folder(
    folder: Path,
    content: SavedFolder,
    layout: Layout,
    storage: VolumeStorage | None = None,
    progress: ProgressCallback = silent,
) -> dict[str, Path]:
    """Write ``content``; what an index in the folder names before is replaced, other files are left alone.

    Returns
    -------
    dict
        Path by name; sidecars as "<volume's key>/sidecar", the index as "explanation".

    Raises
    ------
    UserError
        If something cannot be written. What lay in the folder is then complete as it was.
    """
    with _aside(folder) as aside:
        index: dict[str, Any] = {"format": FORMAT, "version": VERSION, "written_by": f"mri-interpret {__version__}"}
        index |= {"volumes": {}, "tables": {}, "records": {}, "facts": content.facts}
        files = _write_volumes(content, layout, storage or NiftiFiles(), folder, aside, progress, index["volumes"])
        for name, frame in content.tables.items():
            files[name] = layout.table(name)
            separator = "\t" if files[name].endswith(".tsv") else ","
            frame.to_csv(
                aside / files[name], sep=separator, na_rep=layout.missing, index=False, lineterminator="\n",
                encoding="utf-8",
            )  # fmt: skip
            kinds = {str(column): str(kind) for column, kind in frame.dtypes.items()}
            index["tables"][name] = {"missing": layout.missing, "columns": kinds} | _fingerprint(aside, files[name])
        for name, record in content.records.items():
            files[name] = layout.record(name)
            (aside / files[name]).write_text(to_json(record), encoding="utf-8")
            index["records"][name] = _fingerprint(aside, files[name])
        _put_in_place(aside, folder, layout, index)
        files["explanation"] = layout.index
    return {name: folder / path for name, path in files.items()}


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """An empty folder within ``folder`` that goes away again; a folder that is made for nothing goes away too."""
    made = not folder.exists()
    aside: Path | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=folder))
        yield aside
    except OSError as error:
        raise UserError(f"Cannot write {folder}: {error.strerror or error}. Choose another output folder.") from error
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)
        if made and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _write_volumes(
    content: SavedFolder,
    layout: Layout,
    storage: VolumeStorage,
    folder: Path,
    aside: Path,
    progress: ProgressCallback,
    index: dict[str, Any],
) -> dict[str, str]:
    files: dict[str, str] = {}
    places = {key: place for key in content.volumes if (place := layout.volume(key)) is not None}
    progress(STEP, 0.0)
    for done, (key, place) in enumerate(places.items(), start=1):
        entry = content.volumes[key]
        # Files that are mapped into memory may lie in the folder already, for the scene; the index still comes last.
        mapped = storage.suffix == MappedFiles.suffix
        files[key] = storage.write(entry, folder if mapped else aside, place)
        index[key] = {
            "dtype": entry.volume.array.dtype.str,
            "affine": jsonable(np.asarray(entry.volume.affine, float)),
            "name": entry.volume.name,
            "notes": list(entry.volume.notes),
        } | _fingerprint(folder if mapped else aside, files[key], hashed=not mapped)
        beside = layout.sidecar(key)
        if beside is not None:
            files[f"{key}/sidecar"] = place + ".json"
            (aside / files[f"{key}/sidecar"]).write_text(to_json(beside), encoding="utf-8")
        progress(STEP, done / len(places))
    return files


def _fingerprint(folder: Path, file: str, hashed: bool = True) -> dict[str, Any]:
    path = folder / file
    found: dict[str, Any] = {"file": file, "bytes": path.stat().st_size}
    return found | ({"sha256": file_hash(path)} if hashed else {})


def file_hash(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _put_in_place(aside: Path, folder: Path, layout: Layout, index: dict[str, Any]) -> None:
    """Move the files into the folder: from the removal of the old index to the new one, the folder is incomplete."""
    staged = [path for path in aside.rglob("*") if path.is_file()]
    (aside / layout.index).write_text(to_json(index), encoding="utf-8")
    old = _files_of(folder / layout.index)
    (folder / layout.index).unlink(missing_ok=True)
    for path in staged:
        place = folder / path.relative_to(aside)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, place)
        old.discard(place)
    new = {folder / entry["file"] for kind in ("volumes", "tables", "records") for entry in index[kind].values()}
    for path in (old | {folder / name for name in layout.drawn}) - new:
        path.unlink(missing_ok=True)
    os.replace(aside / layout.index, folder / layout.index)


def _files_of(index: Path) -> set[Path]:
    """The files that an earlier index in the folder names, as far as they lie within it."""
    try:
        record = json.loads(index.read_text(encoding="utf-8"))
        named = [entry["file"] for kind in ("volumes", "tables", "records") for entry in record[kind].values()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()
    return {index.parent / name for name in named if isinstance(name, str) and _lies_within(name)}


def _lies_within(name: str) -> bool:
    path = Path(name)
    return not path.is_absolute() and ".." not in path.parts


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
        index = _find_index(folder)
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
            for kind in ("volumes", "tables"):
                for entry in record[kind].values():
                    self._check(entry)
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{index} is damaged ({error!r} is missing): explain the scan again.") from error

    def _check(self, entry: dict[str, Any]) -> None:
        path = self.folder / entry["file"]
        if not _lies_within(entry["file"]) or not path.is_file():
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


def _find_index(folder: Path) -> Path:
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
