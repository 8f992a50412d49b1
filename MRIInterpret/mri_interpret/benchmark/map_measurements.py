"""What is measured on the maps of one simulated subject without asking the network again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks.explained_image import Maps
from ..checks.localisation import localise
from ..images.smoothing import box_around
from ..metrics.reference_maps import edge_map, uniform_map
from ..metrics.similarity import region_profile
from .network_under_test import NetworkUnderTest
from .simulated_subjects import SimulatedSubject

Rows = list[tuple[str, str, float]]
"""Method, measure, value."""


def localisation_rows(
    under_test: NetworkUnderTest, given: SimulatedSubject, maps: Maps, joined: Maps, with_baselines: bool = True
) -> Rows:
    """Localisation of absolute values; of single maps' positive part too."""
    box = box_around(given.mask)
    mask, truth, labels = given.mask[box], given.truth[box], under_test.labels[box]
    scan = given.image[0, 0].numpy()[box]
    baselines: dict[str, NDArray[Any]] = {
        "uniform": uniform_map(mask),
        "brightness": scan,
        "edges": np.where(mask, edge_map(scan), 0),
        "effect": np.where(mask, given.effect[box], 0),
    }
    rows: Rows = []
    everything: dict[str, NDArray[Any]] = {key: values[box] for key, values in {**maps, **joined}.items()}
    everything |= baselines if with_baselines else {}
    for key, values in everything.items():
        magnitude = np.abs(values)
        found = localise(magnitude, truth, mask, labels, under_test.affected)
        rows += [(key, measure, value) for measure, value in found.as_dict().items() if measure != "chance"]
        rows.append((key, "times chance", found.mass / found.chance if found.chance > 0 else math.nan))
        if key in maps:
            rows.append((key, "times chance, positive part", gain(np.maximum(values, 0), mask, truth)))
            rows.append((key, "times chance, negative part", gain(np.maximum(-values, 0), mask, truth)))
        rows += _structure_rows(key, magnitude, mask, labels, under_test.structures)
    return rows


def _structure_rows(
    key: str,
    magnitude: NDArray[Any],
    mask: NDArray[np.bool_],
    labels: NDArray[np.int64],
    structures: Mapping[str, tuple[int, ...]],
) -> Rows:
    """Is each affected structure, on one side at least, among the ten and the fifteen regions of highest density?"""
    present = np.unique(labels[mask & (labels > 0)])
    density = region_profile(magnitude, labels, mask)
    order = present[np.argsort(-density, kind="stable")].tolist() if density.any() else []
    both = {label for sides in structures.values() for label in sides}
    rows: Rows = []
    for name, number, suffix in (("ten", 10, ""), ("fifteen", 15, " (top fifteen)")):
        top = set(order[:number])
        found = {structure: bool(top & set(sides)) for structure, sides in structures.items()}
        rows += [(key, f"top {name}: {structure}", float(hit)) for structure, hit in found.items()]
        rows.append((key, f"structures{suffix}", float(np.mean(list(found.values()))) if found else math.nan))
        rows.append((key, f"all structures{suffix}", float(bool(found) and all(found.values()))))
        rows.append((key, f"all structures, both sides{suffix}", float(bool(both) and both <= top)))
    return rows


def hippocampal_rows(given: SimulatedSubject, maps: Maps, joined: Maps) -> Rows:
    """Relevance in the subject's own hippocampi: its mean with signs, and densities relative to the brain's."""
    mask = given.mask
    inside = given.hippocampus[mask]
    rows: Rows = []
    for key, values in {**maps, "summary": joined.get("summary")}.items():
        if values is None:
            continue
        brain = np.asarray(values[mask], dtype=np.float64)
        if key in maps:
            rows.append((key, "hippocampal relevance", float(brain[inside].mean()) if inside.any() else math.nan))
            rows.append((key, "hippocampal density, positive part", _density(np.maximum(brain, 0), inside)))
        rows.append((key, "hippocampal density", _density(np.abs(brain), inside)))
    return rows


def gain(part: NDArray[Any], mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Share of a map's relevance in the truth over the truth's share of the brain; NaN without relevance."""
    brain = np.asarray(part[mask], dtype=np.float64)
    whole, hit = brain.mean(), truth[mask]
    return float(brain[hit].mean() / whole) if whole > 0 and hit.any() else math.nan


def _density(brain: NDArray[np.float64], inside: NDArray[np.bool_]) -> float:
    """Mean in the subject's own hippocampi over the mean of the whole brain."""
    whole = float(brain.mean())
    return float(brain[inside].mean() / whole) if whole > 0 and inside.any() else math.nan
