"""Simulated subjects kept in a folder: made once, used for every network and every further run.

A subject follows from anatomy, seed, number and the simulator's edition alone, so the folder may be deleted at any
time; it is made again.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..atomic import replacing
from ..simulation.acquisition_ranges import AS_PREPROCESSED
from ..simulation.anatomy import STYLISED
from ..simulation.contrast import PRIORS, T1_BETWEEN, T1_CSF, T1_GREY
from ..simulation.published import edition
from .simulated_subjects import GROUPS, SimulatedSubject, simulate_subject, simulate_twin, strong_effect

if TYPE_CHECKING:
    import torch

    from ..simulation.anatomy import Anatomy
    from ..simulation.atrophy import Fractions


_FINE = 8  # voxels at 1 mm in each voxel of the model grid: shares are eighths


class SubjectStream:
    """Subjects by number, from a folder where it has them, else simulated (and kept there).

    Parameters
    ----------
    anatomies
        Base anatomies, used in turn; for a benchmark, ones that the network was not trained on.
    seed
        Random seed.
    folder
        Where subjects are kept; nowhere if None.
    groups
        Groups to simulate, in turn.
    disease
        "published" or "stylised"; the anatomies are read for it.
    """

    def __init__(
        self,
        anatomies: Sequence[Anatomy],
        seed: int,
        folder: Path | None = None,
        groups: Sequence[str] = GROUPS,
        disease: str = STYLISED,
    ) -> None:
        self.disease = disease
        self.anatomies = list(anatomies)
        self.seed = seed
        self.folder = folder
        self.groups = tuple(groups)
        self._fractions: dict[str, Fractions] = {}
        self._names: dict[str, str] = {}

    def __getitem__(self, index: int) -> SimulatedSubject:
        """Subject number ``index``, counted from 0."""
        group = self.groups[index % len(self.groups)]
        anatomy = self.anatomy_of(index)
        kind = "" if self.disease == STYLISED else f"_{self.disease}-{scan_edition()}"
        name = f"{self._name(anatomy)}_{self.seed}_{index:05d}_{group}{kind}.npz"
        path = self.folder / name if self.folder else None
        found = load_subject(path) if path is not None else None
        if found is not None:
            return found
        fractions = self._fractions_of(anatomy)
        made = simulate_subject(anatomy, fractions, group, self.seed, index, disease=self.disease)
        if path is not None:
            save_subject(made, path)
        return made

    def twin(self, index: int) -> torch.Tensor:
        """The scan of subject number ``index`` without the disease, (1, 1, I, J, K); made anew each time."""
        group = self.groups[index % len(self.groups)]
        anatomy = self.anatomy_of(index)
        return simulate_twin(anatomy, self._fractions_of(anatomy), group, self.seed, index, disease=self.disease)

    def first(self, number: int) -> Iterator[SimulatedSubject]:
        """Subjects 0 to ``number`` - 1, one by one."""
        return (self[index] for index in range(number))

    def anatomy_of(self, index: int) -> Anatomy:
        """Every anatomy meets every group, whatever the two counts have in common."""
        return self.anatomies[(index // len(self.groups)) % len(self.anatomies)]

    def _name(self, anatomy: Anatomy) -> str:
        """With a checksum of the labels: another anatomy of the same name must not be taken for this one."""
        if anatomy.name not in self._names:
            self._names[anatomy.name] = f"{anatomy.name}-{zlib.crc32(anatomy.labels.tobytes()):08x}"
        return self._names[anatomy.name]

    def _fractions_of(self, anatomy: Anatomy) -> Fractions:
        from ..simulation.disease import fractions_for

        if anatomy.name not in self._fractions:
            self._fractions[anatomy.name] = fractions_for(anatomy, self.disease)
        return self._fractions[anatomy.name]


def scan_edition() -> str:
    """Eight digits that change with what subjects of the published disease, or scans of them, are drawn from."""
    numbers = (edition(), AS_PREPROCESSED, PRIORS, T1_BETWEEN, T1_CSF, T1_GREY)
    return f"{zlib.crc32(repr(numbers).encode()):08x}"


def save_subject(subject: SimulatedSubject, path: Path) -> None:
    """Write one .npz; what is zero outside the brain's mask is kept inside it only, so nothing is lost."""
    mask = subject.mask
    with replacing(path) as aside:
        np.savez_compressed(
            aside,
            image=subject.image[0, 0].numpy()[mask],
            mask=np.packbits(mask),
            shape=np.array(mask.shape),
            effect=subject.effect,
            hippocampus=np.packbits(subject.hippocampus),
            facts=np.array([subject.name, subject.group, subject.anatomy]),
            fraction=np.array(subject.fraction),
            shares=np.stack([np.round(share * _FINE).astype(np.uint8) for share in subject.shares.values()]),
            share_names=np.array(list(subject.shares)),
            undoing_names=np.array(list(subject.undoing)),
            undoing=np.array(list(subject.undoing.values())),
        )


def load_subject(path: Path) -> SimulatedSubject | None:
    """Read one subject; None if it is not there, of an older kind or damaged (it is then made again)."""
    import torch

    try:
        with np.load(path) as stored:
            shape = tuple(int(size) for size in stored["shape"])
            count = int(np.prod(shape))
            mask = np.unpackbits(stored["mask"], count=count).reshape(shape).astype(bool)
            image = np.zeros(shape, dtype=np.float32)
            image[mask] = stored["image"]
            name, group, anatomy = (str(value) for value in stored["facts"])
            effect = stored["effect"]
            return SimulatedSubject(
                name=name,
                group=group,
                anatomy=anatomy,
                image=torch.from_numpy(image)[None, None],
                mask=mask,
                effect=effect,
                truth=strong_effect(effect, mask),
                hippocampus=np.unpackbits(stored["hippocampus"], count=count).reshape(shape).astype(bool),
                fraction=float(stored["fraction"]),
                shares={
                    str(key): share.astype(np.float32) / _FINE
                    for key, share in zip(stored["share_names"], stored["shares"], strict=True)
                },
                undoing={
                    str(key): float(value)
                    for key, value in zip(stored["undoing_names"], stored["undoing"], strict=True)
                },
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
