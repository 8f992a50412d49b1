"""A participants table of real (or written) scans as training samples: checked, preprocessed once, augmented afresh."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ..atomic import replacing
from ..errors import UserError
from ..images.reading import read_scan
from ..preprocessing.pipeline import preprocess
from ..progress import ProgressCallback, silent
from ..simulation.acquisition import AcquisitionRange, normalise, random_affine, transformed
from ..simulation.anatomy import MODEL_GRID

_PATH_COLUMNS = ("path", "t1", "filename", "scan")
_GROUP_COLUMNS = ("group", "diagnosis", "dx")
_SUBJECT_COLUMNS = ("participant_id", "subject", "subject_id")


@dataclass(frozen=True)
class Participant:
    """One row: who, where the scan is, and the group's number."""

    subject: str
    path: Path
    group: int


def read_participants(table: str | Path, classes: Sequence[str] = ("CN", "MCI", "AD")) -> list[Participant]:
    """Read a participants table, CSV or TSV.

    Parameters
    ----------
    table
        Columns: path (or t1, filename, scan; relative to the table), group (or diagnosis, dx), and, if several scans
        belong to one subject, participant_id (or subject).
    classes
        Names of the groups, in the order of the logits.

    Raises
    ------
    UserError
        If it cannot be read, lacks a column, names a missing file or an unknown group, or holds one class only.
    """
    table = Path(table)
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, delimiter="\t" if table.suffix == ".tsv" else ",")
            rows = []
            for row in reader:
                if None in row or None in row.values():  # so the csv module marks rows that are too long or too short
                    raise UserError(
                        f"Line {reader.line_num} of {table} does not have {len(reader.fieldnames or ())} entries, "
                        "as the header has: check its separators and quotes."
                    )
                rows.append(row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"The table {table} cannot be read ({error}).") from error
    if not rows:
        raise UserError(f"The table {table} lists no participants.")
    path_column = _column(rows[0], _PATH_COLUMNS, table)
    group_column = _column(rows[0], _GROUP_COLUMNS, table)
    subject_column = next((name for name in _SUBJECT_COLUMNS if name in rows[0]), path_column)
    participants = []
    for row in rows:
        if row[group_column] not in classes:
            raise UserError(
                f"The table {table} has the group '{row[group_column]}'; the classes are {', '.join(classes)}."
            )
        path = table.parent / row[path_column]
        participants.append(Participant(row[subject_column], path, list(classes).index(row[group_column])))
    missing = [participant.path for participant in participants if not participant.path.exists()]
    if missing:
        raise UserError(f"{len(missing)} of {len(rows)} scans in {table} are missing, the first is {missing[0]}.")
    if len({participant.group for participant in participants}) < 2:
        raise UserError(f"The table {table} has one class only ({rows[0][group_column]}): a classifier needs two.")
    return participants


def _column(row: dict[str, str], names: Sequence[str], table: Path) -> str:
    for name in names:
        if name in row:
            return name
    raise UserError(f"The table {table} has no column '{names[0]}' (or {', '.join(names[1:])}).")


def folds(participants: Sequence[Participant], number: int, seed: int) -> list[list[int]]:
    """Indices of each fold: by subject, so that no subject is on both sides; the groups evenly spread.

    Raises
    ------
    UserError
        If a group has fewer subjects than there are folds.
    """
    groups: dict[str, int] = {}
    for participant in participants:
        groups.setdefault(participant.subject, participant.group)
    rng = np.random.default_rng(seed)
    fold_of: dict[str, int] = {}
    for group in sorted(set(groups.values())):
        members = sorted(subject for subject, theirs in groups.items() if theirs == group)
        if len(members) < number:
            raise UserError(
                f"A group has {len(members)} subjects, fewer than the {number} folds: "
                "ask for fewer folds or add subjects."
            )
        for place, index in enumerate(rng.permutation(len(members))):
            fold_of[members[index]] = place % number
    return [[i for i, p in enumerate(participants) if fold_of[p.subject] == fold] for fold in range(number)]


def prepare(participants: Sequence[Participant], folder: Path, progress: ProgressCallback = silent) -> list[Path]:
    """Preprocess every scan onto the model's grid, once; files that exist already are kept."""
    prepared = []
    for number, participant in enumerate(participants):
        progress(f"Preparing {participant.path.name}", number / len(participants))
        path = folder / f"prepared_{number:05d}.npz"
        source = f"{participant.path.resolve()}:{participant.path.stat().st_mtime_ns}"
        if not _is_prepared(path, source):
            done = preprocess(read_scan(participant.path), MODEL_GRID)
            with replacing(path) as aside:
                np.savez_compressed(
                    aside,
                    image=(np.asarray(done.image.array) * 65535).round().astype(np.uint16),
                    mask=np.asarray(done.model_mask.array) > 0,
                    source=np.array(source),
                )
        prepared.append(path)
    return prepared


def _is_prepared(path: Path, source: str) -> bool:
    try:
        with np.load(path) as stored:
            return str(stored["source"]) == source
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return False


class TableSamples(Dataset[dict[str, Tensor]]):
    """Prepared scans, augmented by misalignment, flip, gain, noise and gamma unless ``augment`` is off.

    Parameters
    ----------
    prepared, groups
        Paths from :func:`prepare` and the group's number of each.
    length
        Number of samples; every pass shuffles the scans anew.
    seed
        Random seed of order and augmentation.
    classes
        Number of groups.
    """

    def __init__(
        self,
        prepared: Sequence[Path],
        groups: Sequence[int],
        length: int,
        seed: int,
        classes: int,
        augment: bool = True,
    ) -> None:
        self.prepared, self.groups, self.length = list(prepared), list(groups), length
        self.seed, self.classes, self.augment = seed, classes, augment

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        sweep, place = divmod(index, len(self.prepared))
        order = np.random.default_rng([self.seed, sweep]).permutation(len(self.prepared)) if self.augment else None
        choice = place if order is None else int(order[place])
        with np.load(self.prepared[choice]) as stored:
            image = torch.from_numpy(stored["image"].astype(np.float32) / 65535)
            mask = torch.from_numpy(stored["mask"])
        if self.augment:
            generator = torch.Generator().manual_seed(int(np.random.default_rng([self.seed, 1, index]).integers(2**31)))
            image = _augmented(image, mask, generator)
        label = torch.tensor(self.groups[choice])
        classes: NDArray[np.float32] = np.eye(self.classes, dtype=np.float32)[self.groups[choice]]
        return {"image": image[None], "label": label, "classes": torch.from_numpy(classes)}


def _augmented(image: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    ranges = AcquisitionRange()
    matrix = random_affine(generator, ranges)
    image, envelope = transformed(torch.stack((image, mask.float())), matrix)
    strength = float(torch.rand((), generator=generator)) * 0.04
    image = (image + torch.randn(image.shape, generator=generator) * strength).clamp(min=0)
    exponent = float(torch.exp(ranges.gamma * torch.randn((), generator=generator)))
    return normalise(image, envelope > 0.5, exponent=exponent)
