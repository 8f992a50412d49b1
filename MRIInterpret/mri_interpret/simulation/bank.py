"""A bank of simulated brains at 2 mm: only what a new contrast needs, a few megabytes per brain."""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from ..atomic import replacing
from ..deformation.construction import smooth
from ..errors import UserError
from .anatomy import MODEL_GRID, Anatomy
from .published import group_chances
from .region_shares import region_shares
from .structures import BRAIN, INTRACRANIAL, TARGETS
from .subject import SimulatedBrain

ENVELOPE_SIGMA_MM = 3.0
# Of the published disease: deepbet's mask follows the skull's inside, smoothed by the first, where brain is within
# about the second; chosen on the anatomies 02 and 13 (Testing/benchmarks/geometry.md).
_SKULL_SIGMA_MM, _NEAR_BRAIN_SIGMA_MM, _NEAR_BRAIN_GAIN = 4.0, 10.0, 2.5
_ENVELOPE_FLOOR = 0.05  # voxels with a smoothed brain below this are never inside a mask, however dilated
TARGET_SHAPE = (48, 56, 48)  # 4 mm


@dataclass(frozen=True)
class BankItem:
    """A simulated brain, packed.

    Attributes
    ----------
    inside
        bool, model grid: the voxels that are kept, N of them.
    codes
        uint8 (N, 8): structure codes of the eight fine voxels in each.
    envelope
        uint8 (N,): 255 for 1; brain masks of any tightness are its level sets. Of the stylised disease, the tissue
        smoothed by 3 mm; of the published one, the skull's inside smoothed by 4 mm, without the canal below.
    targets
        uint8 (T, 48, 56, 48): share of each of ``structures.TARGETS`` in 4 mm voxels, 255 for 1; of the published
        disease, where they are known, then of each of ``region_shares.OWN_REGIONS``.
    facts
        Group, age, fraction reached, base anatomy, seed ...
    """

    inside: NDArray[np.bool_]
    codes: NDArray[np.uint8]
    envelope: NDArray[np.uint8]
    targets: NDArray[np.uint8]
    facts: dict[str, object]

    @property
    def is_published(self) -> bool:
        """Of the published disease; its masks and misalignments are drawn as preprocessing leaves them."""
        return "chances" in self.facts


def pack(brain: SimulatedBrain, base: str, seed: int, anatomy: Anatomy | None = None) -> BankItem:
    """Reduce a simulated brain to what a bank keeps.

    Parameters
    ----------
    brain
        The brain.
    base, seed
        For its facts: name of the anatomy that it was made from, and seed of its shape.
    anatomy
        That anatomy, if the targets are to hold single regions.
    """
    labels = brain.labels
    i, j, k = MODEL_GRID.shape
    eight = labels.reshape(i, 2, j, 2, k, 2).transpose(0, 2, 4, 1, 3, 5).reshape(i, j, k, 8)
    published = brain.subject.is_published
    envelope = (_skull_outline if published else _tissue_outline)(eight).clamp(0, 1).numpy()
    inside = envelope > _ENVELOPE_FLOOR
    fine = torch.from_numpy(labels).long()
    tables = [torch.from_numpy(table.astype(np.float32)) for table in TARGETS.values()]
    shares = [functional.avg_pool3d(table[fine][None], 4)[0] for table in tables]
    targets = (torch.stack(shares) * 255).round().to(torch.uint8).numpy()
    if published and anatomy is not None and anatomy.parcels is not None:
        targets = np.concatenate((targets, region_shares(anatomy, brain.deformation, labels)))
    return BankItem(
        inside=inside,
        codes=np.ascontiguousarray(eight[inside]),
        envelope=np.round(envelope[inside] * 255).astype(np.uint8),
        targets=targets,
        facts={
            **asdict(brain.subject),
            "reached": brain.fraction,
            "base": base,
            "seed": seed,
            **(_as_reached(brain) if published else {}),
        },
    )


def _as_reached(brain: SimulatedBrain) -> dict[str, object]:
    """What labels are made of: the brain's own volumes, which a scan shows, not those that were drawn."""
    return {"changes": brain.changes, "volumes": brain.volumes, "chances": group_chances(brain.volumes)}


def _tissue_outline(eight: NDArray[np.uint8]) -> torch.Tensor:
    return smooth(_share(BRAIN, eight), ENVELOPE_SIGMA_MM)


def _skull_outline(eight: NDArray[np.uint8]) -> torch.Tensor:
    """The skull's inside without the canal below the brain."""
    near_brain = _NEAR_BRAIN_GAIN * smooth(_share(BRAIN, eight), _NEAR_BRAIN_SIGMA_MM)
    return torch.minimum(smooth(_share(INTRACRANIAL, eight), _SKULL_SIGMA_MM), near_brain)


def _share(table: NDArray[np.bool_], eight: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(table.astype(np.float32)[eight].mean(-1))


def save_item(item: BankItem, path: Path) -> None:
    """Write one .npz, uncompressed: reading speed matters more than size."""
    with replacing(path) as aside:
        np.savez(
            aside,
            inside=np.packbits(item.inside),
            codes=item.codes,
            envelope=item.envelope,
            targets=item.targets,
            facts=np.array(json.dumps(item.facts)),
        )


def load_item(path: str | Path) -> BankItem:
    """Read one item.

    Raises
    ------
    UserError
        If the file is damaged.
    """
    try:
        with np.load(path) as stored:
            size = int(np.prod(MODEL_GRID.shape))
            return BankItem(
                inside=np.unpackbits(stored["inside"], count=size).reshape(MODEL_GRID.shape).astype(bool),
                codes=stored["codes"],
                envelope=stored["envelope"],
                targets=stored["targets"],
                facts=json.loads(str(stored["facts"])),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} in the bank of simulated brains is damaged: delete it; it is made again.") from error
