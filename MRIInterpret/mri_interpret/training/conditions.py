"""Conditions of an evaluation: as trained, mirrored, beyond the training range, misregistered, with another mask."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader

from ..progress import ProgressCallback, silent
from ..simulation.acquisition_ranges import AS_PREPROCESSED, MISALIGNMENT, AcquisitionRange
from ..simulation.anatomy import PUBLISHED
from ..simulation.published import YOUNGEST_PATIENT
from .samples import BankSamples

# As a registration leaves it: the network was trained on up to 4 mm and 4 degrees.
PLAIN = replace(AcquisitionRange(), shift_mm=1.0, angle_deg=1.0, scale=0.015, flip=0.0)
CONDITIONS: dict[str, AcquisitionRange] = {
    "plain": PLAIN,
    "gain, bias, noise, resolution 30 % beyond": PLAIN.wider(1.3),
    "misregistered up to 4 mm, 4 degrees": replace(PLAIN, shift_mm=4.0, angle_deg=4.0),
    "mask dilated by a voxel": replace(PLAIN, mask_grow=1),
    "mask eroded by a voxel": replace(PLAIN, mask_grow=-1),
}


# The same for the published disease, whose scans lie as the product's preprocessing leaves them.
_PREPROCESSED = replace(AS_PREPROCESSED, flip=0.0)
_PUBLISHED_CONDITIONS: dict[str, AcquisitionRange] = {
    "plain": _PREPROCESSED,
    "gain, bias, noise, resolution 30 % beyond": _PREPROCESSED.wider(1.3),
    "misregistered twice as far": replace(_PREPROCESSED, left_by_alignment=MISALIGNMENT.times(2.0)),
    "mask dilated by a voxel": replace(_PREPROCESSED, mask_grow=1),
    "mask eroded by a voxel": replace(_PREPROCESSED, mask_grow=-1),
}


def conditions_for(disease: str) -> dict[str, AcquisitionRange]:
    """Conditions of an evaluation by name, "plain" first."""
    return _PUBLISHED_CONDITIONS if disease == PUBLISHED else CONDITIONS


@dataclass
class Scores:
    """Logits of many subjects under one condition, with the truth."""

    logits: NDArray[np.float64]  # (N, C)
    labels: NDArray[np.int64]  # (N,)
    fractions: NDArray[np.float64]  # (N,) per mille
    bases: NDArray[np.str_] = field(default_factory=lambda: np.zeros(0, dtype=str))  # anatomy that each came from
    flipped: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 3)))  # logits of the mirrored images
    chances: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 3)))  # given all volumes, if known
    ages: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))  # years, if known

    @property
    def young(self) -> NDArray[np.bool_]:
        """Who is younger than the patients; nobody where ages are not known."""
        return self.ages < YOUNGEST_PATIENT if len(self.ages) else np.zeros(len(self.labels), dtype=bool)

    def chosen(self, keep: NDArray[np.bool_]) -> Scores:
        """The same of some subjects."""
        return Scores(**{name: values[keep] if len(values) else values for name, values in vars(self).items()})

    @property
    def ad_minus_cn(self) -> NDArray[np.float64]:
        return np.asarray(self.logits[:, -1] - self.logits[:, 0])

    @property
    def mci_minus_cn(self) -> NDArray[np.float64]:
        return np.asarray(self.logits[:, 1] - self.logits[:, 0])


@torch.no_grad()
def score(
    network: nn.Module,
    samples: BankSamples,
    *,
    flipped: bool = False,
    device: str = "cpu",
    workers: int = 0,
    progress: ProgressCallback = silent,
    name: str = "",
) -> Scores:
    """Run a network over samples, float32, one by one; ``workers`` processes make the scans."""
    network.eval().to(device)
    loader = DataLoader(samples, batch_size=None, num_workers=workers, worker_init_fn=_one_thread if workers else None)
    logits, mirrored, labels, fractions, bases, chances, ages = [], [], [], [], [], [], []
    for index, sample in enumerate(loader):
        progress(name or "Evaluating", index / len(samples))
        image = sample["image"][None].to(device).contiguous(memory_format=torch.channels_last_3d)
        logits.append(network(image)[0].cpu().numpy())
        if flipped:
            mirrored.append(network(image.flip(2))[0].cpu().numpy())
        labels.append(int(sample["label"]))
        fractions.append(float(sample["fraction"]))
        facts = samples.facts(index)
        bases.append(str(facts["base"]))
        chances += [facts["chances"]] if "chances" in facts else []
        ages += [float(facts["age"])] if "age" in facts else []
    return Scores(
        np.array(logits, dtype=float),
        np.array(labels),
        np.array(fractions),
        np.array(bases),
        np.array(mirrored, dtype=float) if flipped else np.zeros((0, 3)),
        np.array(chances, dtype=float).reshape(-1, 3),
        np.array(ages),
    )


def _one_thread(worker: int) -> None:
    torch.set_num_threads(1)
