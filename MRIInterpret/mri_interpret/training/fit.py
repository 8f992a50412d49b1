"""The training loop: it resumes after a kill at any moment, and is deterministic for a seed on the CPU."""

from __future__ import annotations

import copy
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from ..metrics.classification import auc
from ..metrics.similarity import correlation
from ..models.evidence_cnn import EvidenceCNN3d, ScaleNorm3d
from ..progress import ProgressCallback, silent
from ..simulation.acquisition import crop
from ..simulation.region_shares import OWN_REGIONS
from .checkpoint import load_checkpoint, save_checkpoint
from .heads import OWN, LossWeights, Trainable, TrainingHeads, is_regional, losses
from .log import TrainingLog
from .optimiser import GAIN_FACTOR, optimiser_for, set_rate

Samples = Dataset[dict[str, Tensor]]


@dataclass(frozen=True)
class FitSettings:
    """How to train.

    Attributes
    ----------
    samples
        Total number of scans to train on. A finished training continues when this is raised.
    batch
        Scans per step.
    rate
        Peak learning rate of AdamW (of gains by place :data:`.optimiser.GAIN_FACTOR` times as much): rises over the
        first 2 %, stays, and falls linearly to zero over the last ``decay`` of all samples.
    average
        Decay of the exponential moving average of the weights, which is what is validated and kept.
    every
        Samples between validations, each followed by a checkpoint.
    margin, whole_from
        Until this share of the samples, the training samples lack this many voxels at each face (a multiple of 4), see
        :class:`.samples.BankSamples`: two fifths of a model grid are empty space.
    patience
        Stop after so many validations without a better loss; 0 never stops early.
    constant_scales
        Leave the running scales of a network without biases as they are: saves a third of the time in fine-tuning.
    bfloat16
        Convolutions in bfloat16 (twice as fast where the CPU or GPU has it); weights stay float32.
    """

    samples: int
    seed: int
    batch: int = 4
    rate: float = 1.0e-3
    decay: float = 0.5
    average: float = 0.998
    weight_decay: float = 1e-3
    every: int = 2000
    margin: int = 0
    whole_from: float = 0.65
    patience: int = 0
    constant_scales: bool = False
    bfloat16: bool = True
    workers: int = 1
    device: str = "cpu"

    def margin_at(self, sample: int) -> int:
        """Voxels to crop at each face after ``sample`` samples."""
        return self.margin if sample < int(self.whole_from * self.samples) // self.batch * self.batch else 0

    def rate_at(self, sample: int) -> float:
        """Learning rate after ``sample`` samples."""
        done = sample / self.samples
        return self.rate * min(1.0, (done + 1e-3) / 0.02, max(0.0, (1 - done) / self.decay))


def fit(
    network: Trainable,
    train: Samples,
    validation: Samples,
    settings: FitSettings,
    folder: Path,
    *,
    identity: dict[str, Any],
    fine_tune: bool = False,
    progress: ProgressCallback = silent,
) -> Trainable:
    """Train, resuming from ``folder`` if a checkpoint of the same training lies there.

    Parameters
    ----------
    network
        Changed in place and returned with the averaged weights of the best validation (with ``patience``), else the
        last.
    train
        One sample for every number below ``settings.samples``.
    validation
        Samples to validate on.
    folder
        For checkpoint.pt, log.csv and curve.png.
    identity
        What makes this training this one (data, seed, network); a checkpoint with another identity is refused.
    fine_tune
        Start from the network's own classifier instead of a fresh one.
    progress
        Called with the number of scans so far.

    Raises
    ------
    UserError
        If a file cannot be written, or the checkpoint there belongs to another training.
    """
    torch.manual_seed(settings.seed)
    folder.mkdir(parents=True, exist_ok=True)
    device = torch.device(settings.device)
    classes = network.num_classes
    heads = TrainingHeads(network, classes, fresh=not fine_tune).to(device)
    heads.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    if fine_tune:
        heads.start_from_network(_several(validation, settings))
    average = copy.deepcopy(heads).eval()
    optimiser = optimiser_for(heads, settings.weight_decay)
    log = TrainingLog(folder / "log.csv")
    checkpoint = folder / "checkpoint.pt"
    seen, best, waited, spent = 0, float("inf"), 0, 0.0
    best_state: dict[str, Tensor] = {}
    margin = settings.margin_at(0)
    state = load_checkpoint(checkpoint, identity)
    if state is not None:
        heads.load_state_dict(state["heads"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        seen, best, waited, spent = state["seen"], state["best"], state["waited"], state["spent"]
        margin = state["margin"]
        best_state = state["best_state"]
    log.cut_after(seen)
    begun = time.perf_counter() - spent
    sums: dict[str, float] = {}
    steps = 0
    # Reported before the first step, so that the time left counts from where this run began.
    progress(f"Training, scan {seen} of {settings.samples}", min(1.0, seen / settings.samples))
    # When more samples are asked for than a finished training saw, it simply goes on with the new schedule.
    for batch in _loader(train, settings, seen):
        if seen >= settings.samples or (settings.patience and waited >= settings.patience):
            break
        set_rate(optimiser, settings.rate_at(seen))
        if margin != settings.margin_at(seen):
            for module in (heads, average):
                module.match_whole_grid(_several(validation, settings), margin)
            margin = 0
        parts = _step(heads, batch, optimiser, LossWeights.at(seen / settings.samples), settings, device)
        seen += len(batch["image"])
        steps += 1
        _update_average(average, heads, min(settings.average, (4 + seen) / (40 + seen)))
        for name, value in parts.items():
            sums[name] = sums.get(name, 0.0) + float(value)
        spent = time.perf_counter() - begun
        progress(f"Training, scan {seen} of {settings.samples}", seen / settings.samples)
        if seen % settings.every < len(batch["image"]) or seen >= settings.samples:
            found = validate(average, validation, settings, margin)
            log.add(
                sample=seen,
                seconds=spent,
                rate=settings.rate_at(seen),
                **{name: value / steps for name, value in sums.items()},
                **{key: value for key, value in found.items() if key != "loss"},
            )
            sums, steps = {}, 0
            waited = 0 if found["loss"] < best else waited + 1
            if found["loss"] < best:
                best, best_state = found["loss"], copy.deepcopy(average.state_dict())
            save_checkpoint(
                checkpoint,
                {
                    "heads": heads.state_dict(),
                    "average": average.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "best_state": best_state,
                    "margin": margin,
                    "seen": seen,
                    "best": best,
                    "waited": waited,
                    "spent": spent,
                },
                identity,
            )
            log.draw(folder / "curve.png")
    if settings.patience and best_state:
        average.load_state_dict(best_state)
    return average.cpu().fold().eval()


def _loader(train: Samples, settings: FitSettings, seen: int) -> DataLoader[dict[str, Tensor]]:
    rest = Subset(train, range(seen, settings.samples))
    return DataLoader(
        rest,
        batch_size=settings.batch,
        num_workers=settings.workers,
        worker_init_fn=_one_thread if settings.workers else None,
        prefetch_factor=4 if settings.workers else None,
    )


def _one_thread(worker: int) -> None:
    torch.set_num_threads(1)


def _step(
    heads: TrainingHeads,
    batch: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    weights: LossWeights,
    settings: FitSettings,
    device: torch.device,
) -> dict[str, Tensor]:
    heads.train()
    if settings.constant_scales:
        for module in heads.modules():
            if isinstance(module, ScaleNorm3d):
                module.eval()
    batch = {name: tensor.to(device) for name, tensor in batch.items()}
    image = batch["image"].contiguous(memory_format=torch.channels_last_3d)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=settings.bfloat16):
        predicted = heads(image)
    total, parts = losses(predicted, batch, weights, heads.dense_weights)
    optimiser.zero_grad(set_to_none=True)
    total.backward()
    torch.nn.utils.clip_grad_norm_(heads.parameters(), 1.0)
    optimiser.step()
    return parts


@torch.no_grad()
def _update_average(average: TrainingHeads, heads: TrainingHeads, decay: float) -> None:
    theirs = heads.state_dict()
    for name, mine in average.state_dict().items():
        if mine.is_floating_point():
            mine.lerp_(theirs[name], 1 - decay)
        else:
            mine.copy_(theirs[name])


@torch.no_grad()
def validate(heads: TrainingHeads, samples: Samples, settings: FitSettings, margin: int = 0) -> dict[str, float]:
    """Loss on the drawn labels, AUCs of the logit differences, and correlation of AD - CN with the fraction."""
    heads.eval()
    logits, labels, fractions = [], [], []
    loader = DataLoader(
        samples,
        batch_size=settings.batch,
        num_workers=settings.workers,
        worker_init_fn=_one_thread if settings.workers else None,
    )
    for batch in loader:
        image = crop(batch["image"], margin).to(settings.device).contiguous(memory_format=torch.channels_last_3d)
        with torch.autocast(image.device.type, dtype=torch.bfloat16, enabled=settings.bfloat16):
            logits.append(heads(image).logits.cpu())
        labels.append(batch["label"])
        if "fraction" in batch:
            fractions.append(batch["fraction"])
    scores, truth = torch.cat(logits), torch.cat(labels)
    found = {"loss": float(torch.nn.functional.cross_entropy(scores, truth))}
    last = scores.shape[1] - 1
    for name, positive in (("auc_ad", last), ("auc_mci", 1)):
        chosen = (truth == positive) | (truth == 0)
        if (truth == positive).any() and (truth == 0).any():
            found[name] = auc((scores[:, positive] - scores[:, 0])[chosen], truth[chosen] == positive)
    if fractions:
        found["correlation"] = correlation((scores[:, last] - scores[:, 0]).numpy(), torch.cat(fractions).numpy())
    return found


def _several(samples: Samples, settings: FitSettings, number: int = 24) -> Tensor:
    """A few images at once, to measure features on."""
    count = min(number, len(samples))  # type: ignore[arg-type]
    return torch.stack([samples[index]["image"] for index in range(count)]).to(settings.device)


def settings_to_go_on(settings: FitSettings, folder: Path, identity: dict[str, Any]) -> FitSettings:
    """Settings without a margin if the checkpoint in ``folder`` has already left the cropped part behind.

    More samples than before move the end of that part, but statistics that fit whole images do not fit cropped ones.

    Raises
    ------
    UserError
        If the checkpoint is damaged or of another training.
    """
    state = load_checkpoint(folder / "checkpoint.pt", identity)
    return replace(settings, margin=0) if state is not None and state["margin"] == 0 else settings


def identity_of(network: Trainable, settings: FitSettings, data: str) -> dict[str, Any]:
    """What a checkpoint must agree on: the network's layout, seed, batch and data, but not the number of samples."""
    fixed = {key: value for key, value in asdict(settings).items() if key in ("seed", "batch")}
    shapes = ";".join("x".join(map(str, tensor.shape)) for tensor in network.state_dict().values())
    gains = {"gain_factor": GAIN_FACTOR} if isinstance(network, EvidenceCNN3d) and network.gain is not None else {}
    regional = {"regional": len(OWN), "own": len(OWN_REGIONS)} if is_regional(network) else {}
    return {"network": shapes, "data": data, **fixed, **gains, **regional}
