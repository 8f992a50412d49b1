"""T1-like contrast: an intensity for each structure, drawn anew for every synthetic scan.

The priors are stylised T1 statistics on a 0..255 scale. They are widened, because a network trained on typical
contrasts only fails on the next scanner (domain randomisation, Billot 2023). That is for networks that have to find
structures. Each tissue is drawn by itself there, though tissues of one scan go together, so that grey matter can have
any intensity between CSF and white matter, and on average a darker one than T1-weighted scans show: a small network
cannot tell such tissues apart well enough to measure a cortex. Scans as preprocessing leaves them have T1 contrast,
within wide limits (:func:`draw_t1_contrast`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from .structures import NAMES, STRUCTURES

# Tissue: mean intensity, SD of that mean between subjects.
PRIORS: dict[str, tuple[float, float]] = {
    "background": (7.0, 5.0),
    "white matter": (160.0, 16.0),
    "grey matter": (96.0, 19.0),
    "CSF": (44.0, 22.0),
    "cerebellar white matter": (140.0, 16.0),
    "cerebellar grey matter": (90.0, 18.0),
    "thalamus": (130.0, 18.0),
    "putamen": (122.0, 14.0),
    "pallidum": (150.0, 10.0),
    "brain stem": (133.0, 17.0),
    "ventral diencephalon": (142.0, 20.0),
    "lesion": (116.0, 20.0),
    "vessel": (87.0, 18.0),
    "choroid plexus": (60.0, 22.0),
}
_EXTRA_CEREBRAL = (80.0, 45.0)  # skin, fat, bone, muscle, eyes: anything
#: The same by kind, for heads that a mask tool has to find its way in: bone is dark and fat is bright.
HEAD_PRIORS: dict[str, tuple[float, float]] = {
    "extra-cerebral 502": (126.0, 40.0),
    "extra-cerebral 506": (18.0, 10.0),
    "extra-cerebral 507": (94.0, 25.0),
    "extra-cerebral 508": (117.0, 30.0),
    "extra-cerebral 509": (70.0, 20.0),
    "extra-cerebral 511": (114.0, 35.0),
    "extra-cerebral 512": (68.0, 20.0),
    "extra-cerebral 514": (48.0, 15.0),
    "extra-cerebral 515": (30.0, 12.0),
    "extra-cerebral 516": (94.0, 25.0),
    "extra-cerebral 530": (144.0, 30.0),
}
#: T1 contrast: CSF and grey matter over white matter, and where the other tissues lie on the way from grey (0) to white
#: matter (1); means and SDs. Ours: about what six real scans show after preprocessing, two to three times as wide
#: (Testing/benchmarks/contrast.md); the places on the way are those of the priors above.
T1_CSF, T1_GREY = (0.42, 0.09), (0.81, 0.05)
T1_BETWEEN: dict[str, tuple[float, float]] = {
    "cerebellar white matter": (0.69, 0.12),
    "cerebellar grey matter": (-0.10, 0.12),
    "thalamus": (0.53, 0.12),
    "putamen": (0.41, 0.12),
    "pallidum": (0.84, 0.10),
    "brain stem": (0.58, 0.12),
    "ventral diencephalon": (0.72, 0.12),
    "lesion": (0.31, 0.15),
}
_T1_LEAST_GREY_WHITE, _T1_LEAST_CSF_GREY = 0.12, 0.12  # of the white matter's intensity
WIDENING = 1.25
_STRUCTURE_SD = 4.0  # of a structure about its tissue's mean
_HIPPOCAMPUS_ABOVE_CORTEX = 5.0  # in real T1 scans it is a little brighter than cortex, being mixed with white matter
_LEAST_GREY_WHITE = 28.0
_LEAST_CSF_GREY = 16.0


def draw_contrast(generator: torch.Generator, widening: float = WIDENING, *, any_head: bool = True) -> Tensor:
    """Mean intensity of each structure code, (len(STRUCTURES),), on the 0..255 scale.

    Tissues keep the order of a T1 contrast: CSF darker than grey, grey darker than white matter.

    Parameters
    ----------
    generator
        Random generator.
    widening
        Factor on the SD of the tissues' mean intensities.
    any_head
        Skull, fat and skin of any intensity; otherwise each kind about its own.
    """
    drawn: dict[str, float] = {}
    for tissue, (mean, sd) in PRIORS.items():
        drawn[tissue] = mean + sd * widening * float(torch.randn((), generator=generator).clamp(-2.5, 2.5))
    drawn["grey matter"] = min(drawn["grey matter"], drawn["white matter"] - _LEAST_GREY_WHITE)
    drawn["CSF"] = float(np.clip(drawn["CSF"], 0.0, drawn["grey matter"] - _LEAST_CSF_GREY))
    drawn["choroid plexus"] = max(drawn["choroid plexus"], drawn["CSF"])
    drawn["cerebellar grey matter"] = min(drawn["cerebellar grey matter"], drawn["cerebellar white matter"] - 20.0)
    return _by_structure(drawn, generator, widening, any_head=any_head)


def draw_t1_contrast(generator: torch.Generator, widening: float = WIDENING, *, any_head: bool = False) -> Tensor:
    """As :func:`draw_contrast`, with the contrast of T1-weighted scans: tissues of one scan go together.

    Parameters
    ----------
    generator, any_head
        As there.
    widening
        Factor on the SDs; those of the table hold at its usual value.
    """

    def draw(mean: float, sd: float) -> float:
        return mean + sd * widening / WIDENING * float(torch.randn((), generator=generator).clamp(-2.5, 2.5))

    white = draw(*PRIORS["white matter"])
    grey = white * min(draw(*T1_GREY), 1 - _T1_LEAST_GREY_WHITE)
    fluid = float(np.clip(white * draw(*T1_CSF), 0.0, grey - white * _T1_LEAST_CSF_GREY))
    drawn = {"white matter": white, "grey matter": grey, "CSF": fluid}
    drawn |= {name: grey + (white - grey) * draw(*place) for name, place in T1_BETWEEN.items()}
    for name in ("background", "vessel", "choroid plexus"):
        drawn[name] = draw(*PRIORS[name])
    drawn["choroid plexus"] = max(drawn["choroid plexus"], fluid)
    return _by_structure(drawn, generator, widening, any_head=any_head)


def _by_structure(drawn: Mapping[str, float], generator: torch.Generator, widening: float, *, any_head: bool) -> Tensor:
    """Each structure's intensity: its tissue's, and a little of its own."""
    offsets: dict[str, float] = {}
    means = []
    for name, structure in zip(NAMES, STRUCTURES, strict=True):
        if structure.tissue.startswith("extra"):
            mean, sd = _EXTRA_CEREBRAL if any_head else HEAD_PRIORS[structure.tissue]
            value = mean + sd * widening * float(torch.randn((), generator=generator))
        else:
            value = drawn[structure.tissue]
        both_sides = name.removeprefix("Left-").removeprefix("Right-")
        if both_sides not in offsets:
            offsets[both_sides] = _STRUCTURE_SD * float(torch.randn((), generator=generator))
        if structure.tissue not in ("background", "CSF"):
            value += offsets[both_sides]
        if both_sides in ("Hippocampus", "Amygdala"):
            value += _HIPPOCAMPUS_ABOVE_CORTEX
        means.append(max(value, 0.0))
    return torch.tensor(means)
