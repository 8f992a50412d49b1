"""Streams of training samples: sample number and seed alone decide a sample, so a stream resumes anywhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ..errors import UserError
from ..simulation.acquisition import AcquisitionRange, acquire
from ..simulation.bank import load_item
from ..simulation.fill_bank import item_path
from ..simulation.groups import GROUPS, group_posterior
from ..simulation.published import YOUNGEST_PATIENT, volumes_of_both_sides

# Of the stylised disease, half of what a group label is worth comes from the drawn group, half from what its fraction
# says of it: the second has no sampling noise, the first keeps what the cortex and the ventricles tell beyond the
# hippocampus. Of the published disease all volumes' posterior is known, and the drawn group adds nothing but noise;
# but it was learnt from people of the patients' ages, and younger ones are healthy.
_POSTERIOR_SHARE = 0.5
_SAMPLES_PER_NEW_BRAIN = 8
PATIENCE_S = 300


class BankSamples(Dataset[dict[str, Tensor]]):
    """A fresh scan of a random brain of a bank for every number.

    The bank may still be growing: sample ``index`` chooses among the first ``first + index / 8`` items, and waits for
    the one that it chose. So training can begin while brains are still being
    simulated, and a seed still gives the same training.

    Parameters
    ----------
    folder
        The bank's folder.
    items
        Number of items in the full bank.
    length
        Number of samples.
    seed
        Random seed of order and acquisition.
    ranges
        Ranges of the acquisition.
    in_order
        Take item ``index`` instead of a random one: for evaluation.
    margin_at
        Voxels to crop at each face, by sample number: :meth:`.fit.FitSettings.margin_at`.
    first
        Items present when training begins; all by default.
    targets_mm
        Voxel size of the dense targets, 4 or 8.
    chosen
        Numbers of the items to take, ascending; all by default. A fold leaves out those of its anatomies.
    """

    def __init__(
        self,
        folder: Path,
        items: int,
        length: int,
        seed: int,
        ranges: AcquisitionRange | None = None,
        in_order: bool = False,
        first: int | None = None,
        margin_at: Callable[[int], int] | None = None,
        targets_mm: int = 8,
        chosen: Sequence[int] | NDArray[np.int64] | None = None,
    ) -> None:
        self.folder, self.items, self.length, self.seed = folder, items, length, seed
        self.ranges, self.in_order, self.first = ranges, in_order, items if first is None else first
        self.margin_at, self.targets_mm = margin_at, targets_mm
        self.chosen = np.arange(items) if chosen is None else np.asarray(chosen, dtype=np.int64)

    def __len__(self) -> int:
        return self.length

    def facts(self, index: int) -> dict[str, Any]:
        """Group, age, base anatomy ... of sample ``index`` of a bank taken in order."""
        found: dict[str, Any] = load_item(item_path(self.folder, self._in_order(index))).facts
        return found

    def _in_order(self, index: int) -> int:
        return int(self.chosen[index % len(self.chosen)])

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.seed, index])
        there = min(self.items, self.first + index // _SAMPLES_PER_NEW_BRAIN)
        if self.in_order:
            choice = self._in_order(index)
        else:
            choice = int(self.chosen[rng.integers(max(1, int(np.searchsorted(self.chosen, there))))])
        item = load_item(_wait_for(item_path(self.folder, choice)))
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        margin = self.margin_at(index) if self.margin_at else 0
        scan = acquire(item, generator, self.ranges, margin, targets_mm=self.targets_mm)
        return {"image": scan.image, "targets": scan.targets, **labels_of(item.facts)}


def _wait_for(path: Path) -> Path:
    """The path as soon as it exists."""
    for _ in range(PATIENCE_S):
        if path.exists():
            return path
        time.sleep(1)
    raise UserError(f"{path} is missing, and nothing has made it for {PATIENCE_S} s: fill the bank first.")


def labels_of(facts: dict[str, Any]) -> dict[str, Tensor]:
    """Class probabilities, hard label and fraction of a bank item; of the published disease its volumes, too."""
    group = GROUPS.index(str(facts["group"]))
    fraction = float(facts["reached"])
    drawn = np.eye(len(GROUPS))[group]
    share = _POSTERIOR_SHARE
    if "chances" in facts:
        known = np.asarray(facts["chances"])
        share = 1.0 if float(facts["age"]) >= YOUNGEST_PATIENT else _POSTERIOR_SHARE
    else:
        known = group_posterior([fraction])[0]
    found = {
        "classes": torch.tensor((1 - share) * drawn + share * known, dtype=torch.float32),
        "label": torch.tensor(group),
        "fraction": torch.tensor(fraction, dtype=torch.float32),
    }
    if "volumes" in facts:
        volumes = volumes_of_both_sides(facts["volumes"])
        found["volumes"] = torch.tensor(volumes, dtype=torch.float32)
    return found
