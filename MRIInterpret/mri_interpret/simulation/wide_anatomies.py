"""Whole heads of widely varied anatomy, as labels at 1 mm: what the segmentation network trains on.

Far wider than the classifier's subjects: ventricles from slits to threefold, hippocampi from severe atrophy to young
adults, whatever the group; a network that segments must not care who is likely.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..atomic import replacing
from ..errors import UserError
from ..images.volume import Grid
from ..progress import ProgressCallback, silent
from .anatomy import Anatomy
from .atrophy import Fractions, fractions_of
from .groups import Subject
from .subject import simulate_brain

# The part of the template's box that the segmentation network sees, at 2 mm and at 1 mm. A head's brain fits into it
# when it is a tenth larger than the template's along every axis.
_CORNER, SEGMENTATION_SHAPE = (8, 2, 4), (80, 104, 88)
SEGMENTATION_GRID = Grid(
    SEGMENTATION_SHAPE, np.array([[2.0, 0, 0, -79], [0, 2, 0, -124], [0, 0, 2, -80], [0, 0, 0, 1]])
)
FINE_BOX = tuple(
    slice(2 * corner, 2 * (corner + size)) for corner, size in zip(_CORNER, SEGMENTATION_SHAPE, strict=True)
)

# Change of log-volume: mean and SD between subjects.
_CHANGES = {
    "amygdala": (-0.05, 0.18),
    "medial temporal cortex": (-0.08, 0.12),
    "temporal cortex": (-0.06, 0.10),
    "parietal cortex": (-0.06, 0.10),
    "other cortex": (-0.06, 0.08),
    "inferior lateral ventricle": (0.1, 0.40),
    "lateral ventricle": (0.1, 0.50),
}
_LARGEST_CHANGE = 1.1  # of log-volume: threefold
_FRACTIONS = (2.0, 6.6)  # hippocampal share of the intracranial volume, per mille
_STRENGTH = (0.6, 1.7)  # of the random deformation


def draw_wide_subject(rng: np.random.Generator, fraction: float) -> Subject:
    """A subject with any anatomy, its hippocampal fraction within a factor of the base anatomy's own.

    Parameters
    ----------
    rng
        Random generator.
    fraction
        The base anatomy's hippocampal fraction, per mille: a small hippocampus blown up to twice its volume is no
        anatomy any more.
    """
    drawn = float(np.clip(fraction * np.exp(rng.uniform(-0.4, 0.4)), *_FRACTIONS))
    variation = {
        region: float(np.clip(rng.normal(mean, sd), -_LARGEST_CHANGE, _LARGEST_CHANGE))
        for region, (mean, sd) in _CHANGES.items()
    }
    return Subject("CN", 70.0, drawn, drawn, 0.0, variation)


def wide_labels(anatomy: Anatomy, fractions: Fractions, seed: Sequence[int]) -> NDArray[np.uint8]:
    """Structure codes of one varied head in the network's box, (160, 208, 176) at 1 mm."""
    rng = np.random.default_rng(list(seed))
    volume = float(fractions.hippocampus.sum()) * 8.0 / (float(fractions.intracranial.sum()) * 64.0)
    subject = draw_wide_subject(rng, 1e3 * volume)
    brain = simulate_brain(
        anatomy, fractions, subject, int(rng.integers(2**31)), strength=float(rng.uniform(*_STRENGTH))
    )
    return np.ascontiguousarray(brain.labels[FINE_BOX])


def wide_path(folder: Path, index: int) -> Path:
    """Where one head of the bank lies."""
    return folder / f"head_{index:05d}.npz"


def fill_wide_bank(
    folder: str | Path, anatomies: Sequence[Anatomy], number: int, seed: int, *, progress: ProgressCallback = silent
) -> None:
    """Make the heads that a bank lacks, the anatomies in turn; a head depends on its number and the seed alone."""
    folder = Path(folder)
    fractions = {anatomy.name: fractions_of(anatomy) for anatomy in anatomies}
    for index in range(number):
        path = wide_path(folder, index)
        if path.exists():
            continue
        progress("Simulating heads", index / number)
        anatomy = anatomies[index % len(anatomies)]
        labels = wide_labels(anatomy, fractions[anatomy.name], (seed, index))
        with replacing(path) as aside:
            np.savez_compressed(aside, labels=labels, name=anatomy.name)
    progress("Simulating heads", 1.0)


def read_wide(path: Path) -> NDArray[np.uint8]:
    """The codes of one head of a bank.

    Raises
    ------
    UserError
        If the file is damaged.
    """
    try:
        with np.load(path) as stored:
            return np.asarray(stored["labels"])
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise UserError(f"{path} in the bank of simulated heads is damaged: delete it; it is made again.") from error
