"""Several networks trained side by side on one stream of simulated scans: each fold's, and those on all anatomies.

Making a scan costs more than a small network's step on a GPU, and a scan serves every network whose fold does not hold
its anatomy. Each step has equally many scans of every fold, so that each network always gets batches of one size.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from ..errors import UserError
from ..models.evidence_cnn import EvidenceCNN3d
from ..progress import ProgressCallback, silent
from ..simulation.acquisition import BrainOnDevice, acquired, on_device
from ..simulation.bank import load_item
from ..simulation.fill_bank import bank_items
from .heads import LossWeights, TrainingHeads, losses
from .optimiser import optimiser_for, set_rate
from .samples import PATIENCE_S, labels_of

_LOOK_AGAIN_S = 10.0  # a bank may grow while its scans are drawn
_DENSE_LEVELS = 255  # shares travel as uint8, as the bank keeps them


@dataclass(frozen=True)
class Stream:
    """Where scans come from.

    Attributes
    ----------
    bank
        Folder of simulated brains; item ``k`` is of anatomy ``k % len(fold_of)``. It may still be growing.
    fold_of
        Fold of each anatomy, from 1.
    per_fold
        Scans of each fold in a step.
    seed
        Random seed. With a growing bank or more than one worker, a seed does not give the same training again.
    margin
        Voxels to crop at each face.
    device
        Where scans are made. On a GPU each worker keeps all brains there, 7 MB each.
    """

    bank: Path
    fold_of: NDArray[np.int64]
    per_fold: int = 2
    seed: int = 1
    margin: int = 8
    device: str = "cpu"

    @property
    def folds(self) -> int:
        return int(self.fold_of.max())


class FoldBatches(IterableDataset[dict[str, Tensor]]):
    """Steps without end: ``per_fold`` scans of fold 1, then of fold 2, and so on.

    Images are float16, (folds x per_fold, 1, I, J, K); targets uint8, 255 for a share of 1.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._kept: dict[Path, tuple[BrainOnDevice, dict[str, Tensor]]] = {}

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        worker = get_worker_info()
        rng = np.random.default_rng([self.stream.seed, worker.id if worker else 0])
        looked, items = -_LOOK_AGAIN_S, [list[Path]() for _ in range(self.stream.folds)]
        begun = time.monotonic()
        while True:
            if time.monotonic() - looked > _LOOK_AGAIN_S:
                looked, items = time.monotonic(), self._items()
            if min(map(len, items)) == 0:
                if time.monotonic() - begun > PATIENCE_S:
                    raise UserError(
                        f"{self.stream.bank} holds no brains of fold {1 + list(map(len, items)).index(0)}, and nothing "
                        f"has made any for {PATIENCE_S} s: fill the bank first."
                    )
                time.sleep(0.5)
                looked = -_LOOK_AGAIN_S
                continue
            yield self._step(rng, items)

    def _items(self) -> list[list[Path]]:
        found = [list[Path]() for _ in range(self.stream.folds)]
        for path in bank_items(self.stream.bank):
            number = int(path.stem.rpartition("_")[2])
            found[int(self.stream.fold_of[number % len(self.stream.fold_of)]) - 1].append(path)
        return found

    def _step(self, rng: np.random.Generator, items: Sequence[Sequence[Path]]) -> dict[str, Tensor]:
        parts: list[dict[str, Tensor]] = []
        for there in items:
            for _ in range(self.stream.per_fold):
                brain, labels = self._brain(there[int(rng.integers(len(there)))])
                generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
                scan = acquired(brain, generator, None, self.stream.margin, targets_mm=4)
                targets = (scan.targets * _DENSE_LEVELS).round().to(torch.uint8)
                parts.append({"image": scan.image.half(), "targets": targets, **labels})
        return {name: torch.stack([part[name] for part in parts]).cpu() for name in parts[0]}

    def _brain(self, path: Path) -> tuple[BrainOnDevice, dict[str, Tensor]]:
        if path in self._kept:
            return self._kept[path]
        item = load_item(path)
        found = on_device(item, self.stream.device), labels_of(item.facts)
        if self.stream.device != "cpu":
            self._kept[path] = found
        return found


@dataclass(frozen=True)
class SideBySide:
    """How to train.

    Attributes
    ----------
    finals
        Networks on all anatomies, beside one for each fold.
    steps, seconds
        The training ends after so many steps, or so much time if that comes first; the learning rate follows
        whichever is nearer its end.
    rate, decay, average, weight_decay
        As in :class:`.fit.FitSettings`; the average's decay is of each step.
    workers
        Processes that make scans; 0 makes them in this one.
    device
        Where the networks train.
    """

    finals: int = 3
    steps: int = 5000
    seconds: float = float("inf")
    rate: float = 1.5e-3
    decay: float = 0.5
    average: float = 0.998
    weight_decay: float = 1e-3
    workers: int = 0
    device: str = "cpu"

    def rate_at(self, done: float) -> float:
        """Learning rate when the share ``done`` of the training is done."""
        return self.rate * min(1.0, (done + 1e-3) / 0.02, max(0.0, (1 - done) / self.decay))


class _Learner:
    """One network with its heads, their average and their optimiser."""

    def __init__(self, network: EvidenceCNN3d, mine: Sequence[int], settings: SideBySide) -> None:
        device = torch.device(settings.device)
        self.heads = TrainingHeads(network).to(device)
        self.heads.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.mine = torch.tensor(mine, device=device)
        self.average = copy.deepcopy(self.heads).eval()
        self.optimiser = optimiser_for(self.heads, settings.weight_decay, fused=device.type == "cuda")
        self.sums: dict[str, Tensor] = {}

    def step(self, batch: dict[str, Tensor], rate: float, weights: LossWeights, decay: float) -> None:
        set_rate(self.optimiser, rate)
        mine = {name: tensor.index_select(0, self.mine) for name, tensor in batch.items()}
        self.heads.train()
        image = mine["image"].contiguous(memory_format=torch.channels_last_3d)
        with torch.autocast(image.device.type, dtype=torch.bfloat16):
            predicted = self.heads(image)
        total, parts = losses(predicted, mine, weights, self.heads.dense_weights)
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.heads.parameters(), 1.0)
        self.optimiser.step()
        self._follow(decay)
        for name, value in parts.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value

    @torch.no_grad()
    def _follow(self, decay: float) -> None:
        theirs, mine = list(self.heads.state_dict().values()), list(self.average.state_dict().values())
        floats = [index for index, tensor in enumerate(mine) if tensor.is_floating_point()]
        torch._foreach_lerp_([mine[index] for index in floats], [theirs[index] for index in floats], 1 - decay)
        for index in set(range(len(mine))) - set(floats):
            mine[index].copy_(theirs[index])

    def means(self, steps: int) -> dict[str, float]:
        """Mean of each part of the loss since the last call."""
        found = {name: float(value) / steps for name, value in self.sums.items()}
        self.sums = {}
        return found


def train_side_by_side(
    networks: Sequence[EvidenceCNN3d],
    stream: Stream,
    settings: SideBySide,
    whole: Tensor,
    *,
    every: int = 200,
    log: list[dict[str, float]] | None = None,
    progress: ProgressCallback = silent,
) -> list[EvidenceCNN3d]:
    """Train all networks.

    Parameters
    ----------
    networks
        Fresh ones: one for each fold of ``stream`` in order, then ``settings.finals`` for all anatomies.
    stream, settings
        What to train on, and how.
    whole
        (N, 1, I, J, K): some whole scans, on which the step from cropped to whole images is measured.
    every
        Steps between rows of the log and calls of ``progress``.
    log
        Gets a row for every so many steps: step, seconds, rate, and each network's loss by part.
    progress
        Called with the step.

    Returns
    -------
    The networks, averaged over the last steps, for whole images, on the CPU.

    Raises
    ------
    ValueError
        If the networks are not as many as folds and finals.
    """
    if len(networks) != stream.folds + settings.finals:
        raise ValueError(f"{len(networks)} networks for {stream.folds} folds and {settings.finals} others")
    of_scan = np.repeat(np.arange(1, stream.folds + 1), stream.per_fold)
    learners = [
        _Learner(network, np.flatnonzero(of_scan != number).tolist(), settings)
        for number, network in enumerate(networks, start=1)
    ]
    loader = DataLoader(
        FoldBatches(stream),
        batch_size=None,
        num_workers=settings.workers,
        prefetch_factor=4 if settings.workers else None,
        pin_memory=settings.device.startswith("cuda"),
        # A forked process cannot use the GPU that its parent uses.
        multiprocessing_context="spawn" if settings.workers and stream.device != "cpu" else None,
        worker_init_fn=_one_thread if settings.workers else None,
    )
    begun, steps_since = time.monotonic(), 0
    for step, batch in enumerate(loader):
        spent = time.monotonic() - begun
        done = max(step / settings.steps, spent / settings.seconds)
        if done >= 1:
            break
        batch = {name: tensor.to(settings.device, non_blocking=True) for name, tensor in batch.items()}
        batch["image"] = batch["image"].float()
        batch["targets"] = batch["targets"].float() / _DENSE_LEVELS
        for learner in learners:
            average = min(settings.average, (1 + step) / (10 + step))
            learner.step(batch, settings.rate_at(done), LossWeights.at(done), average)
        steps_since += 1
        if (step + 1) % every == 0:
            rows = [learner.means(steps_since) for learner in learners]
            steps_since = 0
            if log is not None:
                named = {f"{name} {number}": value for number, row in enumerate(rows, 1) for name, value in row.items()}
                log.append(
                    {"step": step + 1, "seconds": time.monotonic() - begun, "rate": settings.rate_at(done)} | named
                )
            progress(f"Training, step {step + 1}", done)
    for learner in learners:
        learner.average.match_whole_grid(whole.to(settings.device), stream.margin)
    return [learner.average.cpu().fold().eval() for learner in learners]  # type: ignore[misc]


def _one_thread(worker: int) -> None:
    torch.set_num_threads(1)
