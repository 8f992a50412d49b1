"""Real scans: what the network predicts for them, and whether atrophy added to one changes CN to AD."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..deformation.displacement import COARSE, resized, warp
from ..images.reading import read_scan
from ..images.volume import Volume
from ..metrics.classification import softmax
from ..preprocessing.pipeline import PreprocessedScan, preprocess
from ..progress import ProgressCallback, silent
from ..simulation.acquisition import normalise
from ..simulation.anatomy import MODEL_GRID
from ..simulation.atrophy import drive, fractions_of, hippocampal_volume
from ..simulation.groups import DISEASE
from ..simulation.template_anatomy import template_anatomy

SEVERITIES = (0.0, 0.25, 0.5, 0.75, 1.0)
_HIPPOCAMPUS_LEFT = 0.55  # share of the hippocampal volume that severity 1 leaves


@dataclass(frozen=True)
class RealScan:
    """One scan's result: AD probability by severity of the atrophy that was put in; the first is the scan itself."""

    name: str
    probabilities: np.ndarray  # (severities, classes)
    correlation: float  # of the registration

    @property
    def is_monotonic(self) -> bool:
        """Whether more atrophy always meant a higher AD probability."""
        return bool((np.diff(self.probabilities[:, -1]) > 0).all())


def try_real_scan(
    network: nn.Module, path: str | Path, temperature: float, progress: ProgressCallback = silent
) -> RealScan:
    """Preprocess a scan and put atrophy of rising severity into it.

    The hippocampi are where the template's are, so the deformation hits a real scan's only as well as the affine
    registration does.
    """
    return assess_scan(network, preprocess(read_scan(path), MODEL_GRID, progress=progress), temperature)


def assess_scan(network: nn.Module, scan: PreprocessedScan, temperature: float) -> RealScan:
    """The same from a preprocessed scan."""
    images = torch.stack([with_atrophy(scan.image, scan.model_mask, severity) for severity in SEVERITIES])
    with torch.no_grad():
        logits = torch.cat([network(image[None, None]) for image in images]).numpy()
    return RealScan(scan.scan.name, softmax(logits, temperature), scan.correlation)


def with_atrophy(image: Volume, mask: Volume, severity: float) -> Tensor:
    """An image on the model's grid with the template's disease pattern put in by deformation, normalised again."""
    if severity <= 0:
        return torch.from_numpy(np.ascontiguousarray(image.array, dtype=np.float32))
    return deformed(image, mask, atrophy_field(severity))[0]


@lru_cache(maxsize=len(SEVERITIES))
def atrophy_field(severity: float) -> Tensor:
    """The displacement (3, i, j, k) in mm, backwards, that gives the template the disease's pattern at a severity."""
    fractions = fractions_of(template_anatomy())
    rest = torch.zeros(3, *COARSE)
    target = hippocampal_volume(fractions, rest) * (1 - severity * (1 - _HIPPOCAMPUS_LEFT))
    return drive(fractions, rest, target, {region: severity * change for region, change in DISEASE.items()}).u


def deformed(image: Volume, mask: Volume, u: Tensor) -> tuple[Tensor, Tensor]:
    """An image on the model's grid after a deformation, normalised again, and its brain mask: both (I, J, K)."""
    whole = torch.from_numpy(np.ascontiguousarray(image.array, dtype=np.float32))
    inside = torch.from_numpy(np.asarray(mask.array) > 0)
    seen, moved = warp(torch.stack((whole, inside.float())), resized(u, MODEL_GRID.shape))
    return normalise(seen, moved > 0.5), moved > 0.5


def real_scan_table(results: list[RealScan]) -> str:
    """Markdown for the card."""
    lines = [
        "AD probability of real, healthy brains, and of the same scans with the simulated disease put in by "
        f"deformation (severity 1 leaves {_HIPPOCAMPUS_LEFT:.0%} of the hippocampi). "
        "The first column is the scan as it is.",
        "",
        "| scan | " + " | ".join(f"severity {s:g}" for s in SEVERITIES) + " | called | monotonic |",
        "|---" * (len(SEVERITIES) + 3) + "|",
    ]
    for result in results:
        values = " | ".join(f"{p:.3f}" for p in result.probabilities[:, -1])
        called = ("CN", "MCI", "AD")[int(result.probabilities[0].argmax())]
        lines.append(f"| {result.name} | {values} | {called} | {'yes' if result.is_monotonic else '**no**'} |")
    return "\n".join(lines)
