"""Wide T1-like contrasts: each tissue's mean and spread, drawn anew for every head.

Far wider than the classifier's (:mod:`...simulation.contrast`): deep grey matter anywhere between grey and white, CSF
from black to nearly grey, skin and fat at will; and a share of heads with any intensity anywhere (Billot 2023).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...simulation.structures import NAMES

_ANY_CONTRAST = 0.08  # share of heads whose tissues have any intensity
# Where between grey (0) and white matter (1) a structure lies: lowest and highest.
_BETWEEN = {
    "Thalamus": (0.1, 1.1),
    "Caudate": (-0.15, 0.8),
    "Putamen": (-0.05, 0.95),
    "Pallidum": (0.35, 1.2),
    "Accumbens-area": (-0.15, 0.7),
    "Hippocampus": (-0.15, 0.4),
    "Amygdala": (-0.15, 0.4),
    "Brain-Stem": (0.4, 1.15),
    "VentralDC": (0.35, 1.1),
    "Cerebellum-Cortex": (-0.3, 0.45),
    "Cerebellum-White-Matter": (0.7, 1.15),
    "Lesion": (-0.3, 0.8),
    "vessel": (-0.8, 0.8),
    "Optic-Chiasm": (0.2, 1.0),
}
_FLUIDS = ("Lateral-Ventricle", "Inf-Lat-Vent", "3rd-Ventricle", "4th-Ventricle", "CSF")


def draw_wide_contrast(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mean and spread of each structure code's intensity, (codes,) each; white matter is about 1."""

    def draw(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    spread = torch.tensor([draw(0.0, 0.09) for _ in NAMES])
    if draw(0, 1) < _ANY_CONTRAST:
        return torch.tensor([draw(0.0, 1.2) for _ in NAMES]), spread
    white, grey = 1.0, draw(0.45, 0.85)
    fluid = draw(0.02, 0.75) * grey
    common = {name: draw(low, high) for name, (low, high) in _BETWEEN.items()}
    # The basal ganglia vary together: iron and field strength act on all of them.
    together = draw(-0.15, 0.85)
    for name, offset in (("Caudate", -0.05), ("Putamen", 0.05), ("Accumbens-area", -0.05)):
        if draw(0, 1) < 0.6:
            common[name] = together + offset + draw(-0.12, 0.12)
    plexus = draw(fluid, grey)
    means = []
    for name in NAMES:
        one = name.removeprefix("Left-").removeprefix("Right-")
        if one in common:
            value = grey + common[one] * (white - grey)
        elif one == "Cerebral-White-Matter":
            value = white
        elif one == "Cerebral-Cortex":
            value = grey
        elif one in _FLUIDS:
            value = fluid * (1 + draw(-0.1, 0.1))
        elif one == "choroid-plexus":
            value = plexus
        elif one == "Background":
            value = draw(0.0, 0.06)
        else:  # skull, skin, fat, eyes, muscle
            value = draw(0.0, 1.5) if draw(0, 1) < 0.8 else draw(0.0, 0.15)
        means.append(max(value, 0.0))
    return torch.tensor(means), spread
