"""The training loop of the segmentation network; it resumes after a kill at any moment."""

from __future__ import annotations

import copy
import csv
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.nn import functional
from torch.utils.data import DataLoader, Subset

from ...models.anatomy_unet import AnatomyUNet
from ...progress import ProgressCallback, silent
from ..checkpoint import load_checkpoint, save_checkpoint
from .losses import CALIBRATING, LEARNING, segmentation_loss
from .samples import HeadSamples


@dataclass(frozen=True)
class SegmentationSettings:
    """How to train.

    Attributes
    ----------
    samples
        Number of scans in all, one per step. A training that ended continues when this is raised.
    rate
        Peak learning rate of AdamW: rises over the first 200 scans, falls linearly to zero over the last ``decay`` of
        all.
    average
        Decay of the moving average of the weights, which is what is kept.
    every
        Scans between checkpoints.
    calibration
        Scans after ``samples`` that are trained on without Dice, from a small rate down to zero; see
        :data:`.losses.CALIBRATING`.
    """

    samples: int
    seed: int = 1
    rate: float = 2e-3
    decay: float = 0.6
    average: float = 0.998
    weight_decay: float = 1e-4
    every: int = 100
    workers: int = 1
    calibration: int = 400
    calibration_rate: float = 4e-4

    @property
    def total(self) -> int:
        """Scans with and without Dice."""
        return self.samples + self.calibration

    def rate_at(self, sample: int) -> float:
        """Learning rate after ``sample`` scans."""
        if sample >= self.samples:
            return self.calibration_rate * (1 - (sample - self.samples) / max(1, self.calibration))
        return self.rate * min(1.0, (sample + 1) / 200, max(0.0, 1 - sample / self.samples) / self.decay)


def fit_segmentation(
    network: AnatomyUNet,
    bank: Path,
    heads: int,
    settings: SegmentationSettings,
    folder: Path,
    *,
    voxels: int = 90_000,
    progress: ProgressCallback = silent,
) -> AnatomyUNet:
    """Train on a bank of heads (:mod:`...simulation.wide_anatomies`), resuming from ``folder``.

    Parameters
    ----------
    network
        Changed in place.
    bank, heads
        The bank's folder and its number of heads; it may still be filling.
    folder
        For checkpoint.pt and log.csv.
    voxels
        That the loss looks at in each scan.

    Returns
    -------
    A network with the averaged weights.

    Raises
    ------
    UserError
        If a file cannot be written, or the checkpoint belongs to another training.
    """
    torch.manual_seed(settings.seed)
    folder.mkdir(parents=True, exist_ok=True)
    identity = {"network": repr(network), "seed": settings.seed, "heads": heads}
    network.train().to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    average = copy.deepcopy(network).eval()
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=settings.weight_decay)
    checkpoint, log = folder / "checkpoint.pt", folder / "log.csv"
    seen, spent = 0, 0.0
    state = load_checkpoint(checkpoint, identity)
    if state is not None:
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        seen, spent = state["seen"], state["spent"]
    begun = time.perf_counter() - spent
    data = HeadSamples(bank, heads, settings.total, settings.seed, voxels=voxels)
    loader = DataLoader(
        Subset(data, range(min(seen, settings.total), settings.total)),
        batch_size=None,
        num_workers=settings.workers,
        worker_init_fn=_one_thread if settings.workers else None,
        prefetch_factor=8 if settings.workers else None,
    )
    sums: dict[str, float] = {}
    for sample in loader:
        image = sample["image"][None].contiguous(memory_format=torch.channels_last_3d)
        for group in optimiser.param_groups:
            group["lr"] = settings.rate_at(seen)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            features = network.features(image)
            chosen = features.permute(0, 2, 3, 4, 1).reshape(-1, features.shape[1])[sample["index"]]
        # The last layer on the chosen voxels only: a softmax over 33 classes everywhere would cost as much as the rest.
        logits = functional.linear(chosen.float(), network.head.weight.flatten(1), network.head.bias)
        weights = LEARNING if seen < settings.samples else CALIBRATING
        loss, parts = segmentation_loss(logits, sample["counts"].float() / 4, sample["weight"], weights)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        seen += 1
        with torch.no_grad():
            decay = min(settings.average, (4 + seen) / (40 + seen))
            for mine, theirs in zip(average.parameters(), network.parameters(), strict=True):
                mine.lerp_(theirs, 1 - decay)
        for name, value in parts.items():
            sums[name] = sums.get(name, 0.0) + value
        progress(f"Training, scan {seen} of {settings.total}", seen / settings.total)
        if seen % settings.every == 0 or seen == settings.total:
            spent = time.perf_counter() - begun
            steps = settings.every if seen % settings.every == 0 else seen % settings.every
            _log(log, {"sample": seen, "seconds": round(spent, 1), "rate": settings.rate_at(seen)}
                 | {name: round(value / steps, 5) for name, value in sums.items()})  # fmt: skip
            sums = {}
            save_checkpoint(
                checkpoint,
                {
                    "network": network.state_dict(),
                    "average": average.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "seen": seen,
                    "spent": spent,
                    "settings": asdict(settings),
                },
                identity,
            )
    return average


def _log(path: Path, row: dict[str, float]) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, row)
        if new:
            writer.writeheader()
        writer.writerow(row)


def _one_thread(worker: int) -> None:
    torch.set_num_threads(1)
