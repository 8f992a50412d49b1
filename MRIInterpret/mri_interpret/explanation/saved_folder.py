"""A folder of volumes, tables and facts that is complete or absent: written aside, with an index that comes last.

The index names every file with its size (and hash), and everything that files alone would lose: types, exact affines,
names. Reading needs no layout, only the index.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .. import __version__
from ..errors import UserError
from ..images.array_files import ArrayFiles
from ..images.displacement_field import DisplacementField
from ..images.volume import Volume
from ..json_text import jsonable, to_json
from ..models.bundle import file_hash
from ..progress import ProgressCallback, silent
from .layout import PLAIN, Layout

if TYPE_CHECKING:
    import pandas as pd

    from ..images.writing import Space

FORMAT, VERSION = "MRIInterpret explanation", 1
STEP = "Writing files"
_ASIDE = ".partial-"
_REPLACING = ".replacing.json"
_TABLES = ("volumes", "regions", "agreement", "trust", "reference", "volume_changes")
_KINDS = ("volumes", "tables", "records", "fields")


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
    fields: Mapping[str, DisplacementField] = field(default_factory=dict)  # NIfTI in every storage, for ITK


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
        from ..images.writing import nifti_image, write_image

        path = folder / f"{name}{self.suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = nifti_image(
            entry.volume, space=entry.world, labels=entry.labels, description=entry.description, exact=True
        )
        write_image(image, path)
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
    """Write ``content``; what an index in the folder names before is replaced, other files are never touched.

    Returns
    -------
    dict
        Path by name; sidecars as "<volume's key>/sidecar", the index as "explanation".

    Raises
    ------
    UserError
        If something cannot be written, or a file that no result wrote lies in the way. What lay in the folder is then
        complete as it was.
    """
    with _aside(folder) as aside:
        index: dict[str, Any] = {"format": FORMAT, "version": VERSION, "written_by": f"mri-interpret {__version__}"}
        index |= {"volumes": {}, "tables": {}, "records": {}, "fields": {}, "facts": content.facts}
        files = _write_volumes(content, layout, storage or NiftiFiles(), folder, aside, progress, index["volumes"])
        for name, displacement in content.fields.items():
            place = layout.volume(name)
            if place is not None:
                files[name] = _write_field(displacement, aside, place)
                index["fields"][name] = _fingerprint(aside, files[name])
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
        reason = error.strerror or error
        raise UserError(f"Cannot write {folder}: {reason}. Choose another output folder.", option="output") from error
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


def _write_field(displacement: DisplacementField, folder: Path, place: str) -> str:
    import nibabel

    file = f"{place}{NiftiFiles.suffix}"
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(displacement.to_nibabel(), folder / file)
    return file


def _fingerprint(folder: Path, file: str, hashed: bool = True) -> dict[str, Any]:
    path = folder / file
    found: dict[str, Any] = {"file": file, "bytes": path.stat().st_size}
    return found | ({"sha256": file_hash(path)} if hashed else {})


def _put_in_place(aside: Path, folder: Path, layout: Layout, index: dict[str, Any]) -> None:
    """Move the files into the folder: from the removal of the old index to the new one, the folder is incomplete."""
    staged = [path for path in aside.rglob("*") if path.is_file()]
    new = {folder / entry["file"] for kind in _KINDS for entry in index[kind].values()}
    old = files_of_result(folder, layout)
    drawn = {folder / name for name in layout.drawn} if old else set()
    for path in staged:
        _refuse_if_foreign(folder / path.relative_to(aside), old, folder)
    # Until the new index is there, this says whose files these are, also to a run after a power cut.
    names = sorted(path.relative_to(folder).as_posix() for path in (*old, *new))
    marker = folder / _REPLACING
    (aside / _REPLACING).write_text(to_json({"volumes": {name: {"file": name} for name in names}}), encoding="utf-8")
    (aside / layout.index).write_text(to_json(index), encoding="utf-8")
    os.replace(aside / _REPLACING, marker)
    (folder / layout.index).unlink(missing_ok=True)
    for path in staged:
        place = folder / path.relative_to(aside)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, place)
        old.discard(place)
    for path in (old | drawn) - new:
        path.unlink(missing_ok=True)
    os.replace(aside / layout.index, folder / layout.index)
    marker.unlink(missing_ok=True)


def files_of_result(folder: Path, layout: Layout = PLAIN) -> set[Path]:
    """The files of a saved result in the folder, its index among them; empty if there is none."""
    found = _files_of(folder / layout.index) | _files_of(folder / _REPLACING)
    return found | {folder / layout.index} if found else found


def check_folder(folder: Path, inputs: Iterable[Path] = (), layout: Layout = PLAIN) -> None:
    """Refuse, before any long work, a folder in which a result would replace what others put there.

    Parameters
    ----------
    folder
        Where a result is to be saved; it need not exist.
    inputs
        Files that the result is made of.
    layout
        How its files are called.

    Raises
    ------
    UserError
        If an input, or another file that no result wrote, has the name of one of its files.
    """
    ours = files_of_result(folder, layout)
    records = [layout.record(name) for name in ("prediction", "provenance")]
    tables = [layout.table(name) for name in _TABLES]
    volumes = [f"{layout.volume(name)}{NiftiFiles.suffix}" for name in ("anatomy", "scan/scan", "scan/mask")]
    usual = {folder / name for name in (*records, *tables, *volumes, *layout.drawn)}
    replaced = {path.resolve() for path in ours | usual}
    for path in inputs:
        if path.resolve() in replaced:
            raise UserError(
                f"The result would take the place of {path}, which it is made of: choose another output folder.",
                option="output",
            )
    drawn = {folder / name for name in layout.drawn} if ours else set()
    for path in sorted(usual - drawn):
        _refuse_if_foreign(path, ours, folder)


def _refuse_if_foreign(path: Path, ours: set[Path], folder: Path) -> None:
    if path not in ours and path.exists():
        raise UserError(
            f"{folder} holds {path.relative_to(folder).as_posix()}, which no result there wrote: choose another output "
            "folder, or delete it.",
            option="output",
        )


def _files_of(index: Path) -> set[Path]:
    """The files that an earlier index in the folder names, as far as they lie within it."""
    try:
        record = json.loads(index.read_text(encoding="utf-8"))
        named = [entry["file"] for kind in _KINDS for entry in record.get(kind, {}).values()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()
    return {index.parent / name for name in named if isinstance(name, str) and lies_within(name)}


def lies_within(name: str) -> bool:
    path = Path(name)
    return not path.is_absolute() and ".." not in path.parts
