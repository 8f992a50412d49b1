"""Methods against the ground truth: everything that is measured on one simulated subject."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..summary import summarise
from ..volume import Grid
from .checks import explain_again
from .faithfulness_checks import check_correlation
from .localisation import edge_detector, localise, uniform_map
from .neutral import template_neutral
from .randomisation import upper_half_similarity
from .simulated import TruthSubject
from .stability import stability
from .subject import Maps, Subject, explained_values

if TYPE_CHECKING:
    from torch import nn

CONTRAST = (-1.0, 0.0, 1.0)  # AD - CN


def measure_subject(
    network: nn.Module,
    given: TruthSubject,
    methods: Sequence[Any],
    labels: NDArray[np.int64],
    affected: Sequence[int],
    grid: Grid,
    *,
    device: str | None = None,
    with_stability: bool = False,
    seed: int = 0,
) -> tuple[pd.DataFrame, Maps]:
    """All measurements of one subject.

    Parameters
    ----------
    network
        Of three classes CN, MCI, AD, in evaluation mode; the contrast AD - CN is explained.
    given
        The simulated scan and its truth.
    methods
        Names or configured methods of the attribution room.
    labels, affected
        Atlas on the model's grid, and the labels that the disease changes.
    grid
        The model's.
    device
        Where to compute; where the network is if left out.
    with_stability
        Also explain changed copies of the scan (three more explanations).
    seed
        Of everything random.

    Returns
    -------
    rows, maps
        Long table: method, measure, value; and the maps by method, "summary" included.
    """
    import torch

    image = given.image.to(device) if device else given.image
    network = network.to(device) if device else network
    explain = explain_again(methods, given.mask, labels, device)
    names = tuple(_keys(methods))
    maps: dict[str, NDArray[np.floating]] = dict(explain(network, image, CONTRAST, names))
    summary = summarise(maps, given.mask, grid, labels)
    everything = {**maps, "summary": np.asarray(summary.score.array)}
    spacing = tuple(float(size) for size in grid.spacing)
    subject = Subject(
        network,
        image,
        CONTRAST,
        everything,
        given.mask,
        labels,
        (spacing[0], spacing[1], spacing[2]),
        explain,
        neutral=template_neutral(given.image[0, 0].numpy(), given.mask, grid),
    )
    rows: list[tuple[str, str, float]] = []
    for verdict in check_correlation(subject, seed):
        rows.append((verdict.method, "faithfulness", verdict.value))
    rows += [(name, "randomised", found.spearman) for name, found in upper_half_similarity(subject, seed).items()]
    if with_stability:
        rows += [(name, "icc", found.icc) for name, found in stability(subject).items()]
    intensity = given.image[0, 0].numpy()
    baselines = {
        "uniform": uniform_map(given.mask),
        "brightness": intensity,
        "edges": edge_detector(intensity, given.mask),
    }
    for name, values in {**everything, **baselines}.items():
        if given.truth.any():
            rows += _localisation(name, values, given, labels, affected)
        rows.append((name, "hippocampal density", _density(values, given)))
    logit = float(explained_values(network, image, CONTRAST)[0])
    with torch.inference_mode():
        predicted = int(torch.argmax(network(image), dim=1))
    frame = pd.DataFrame(rows, columns=["method", "measure", "value"])
    frame.insert(0, "subject", given.name)
    frame.insert(1, "group", given.group)
    frame["predicted"], frame["contrast"], frame["fraction"] = predicted, logit, given.fraction
    return frame, everything


def _keys(methods: Sequence[Any]) -> list[str]:
    from ..attribution.registry import resolve_methods

    return list(resolve_methods(list(methods)))


def _localisation(
    name: str, values: NDArray[Any], given: TruthSubject, labels: NDArray[np.int64], affected: Sequence[int]
) -> list[tuple[str, str, float]]:
    found = localise(values, given.truth, given.mask, labels, affected)
    gain = found.mass / found.chance if found.chance > 0 else math.nan
    measured = {**found.as_dict(), "times chance": gain}
    return [(name, measure, value) for measure, value in measured.items() if measure != "chance"]


def _density(values: NDArray[Any], given: TruthSubject) -> float:
    """Positive relevance per voxel in the subject's own hippocampi over that of the whole brain."""
    positive = np.maximum(np.asarray(values, dtype=np.float64), 0)
    inside = given.hippocampus & given.mask
    whole = positive[given.mask].mean()
    return float(positive[inside].mean() / whole) if whole > 0 and inside.any() else math.nan
