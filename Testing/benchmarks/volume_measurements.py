"""What the study of the volume methods measures of one subject: rows of method, measure and value."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mri_interpret.attribution.registry import create_method
from mri_interpret.benchmark.benchmarked_model import BenchmarkedModel, benchmarked_model
from mri_interpret.benchmark.map_measurements import gain
from mri_interpret.benchmark.network_under_test import NetworkUnderTest, map_of
from mri_interpret.benchmark.simulated_subjects import SimulatedSubject
from mri_interpret.benchmark.volume_truth import FLUID, REACHED, STRUCTURES, boundary_rows, volume_rows
from mri_interpret.checks.stability import interior, noise, shift
from mri_interpret.checks.volume_maps import COUNTERFACTUAL
from mri_interpret.images.smoothing import box_around
from mri_interpret.metrics.agreement import intraclass_correlation
from mri_interpret.metrics.similarity import region_profile
from mri_interpret.models.bundle import load_bundle
from mri_interpret.models.goals import Goal
from mri_interpret.simulation.anatomy import PUBLISHED
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from torch import nn

if TYPE_CHECKING:
    from mri_interpret.attribution import Method
    from mri_interpret.attribution.deformation_result import Deformation

# Before measures of counterfactuals that lead further than to the boundary: until the network answers as for the
# subject without the disease, or as for a typical healthy brain.
TWIN, TYPICAL = "twin: ", "typical: "
MARGIN = 8  # voxels around a structure that may move into its place


def add_fold_arguments(parser: argparse.ArgumentParser) -> None:
    """What :func:`models_of_folds` and a stream of subjects need."""
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--unseen", nargs="+", required=True, help="per bundle, the anatomies that it never saw")
    parser.add_argument("--label-maps", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="where simulated subjects are kept")


def models_of_folds(bundles: Sequence[Path], unseen: Sequence[str]) -> dict[str, BenchmarkedModel]:
    """By the label of each anatomy ("08"), the model that never saw it; ``unseen`` has a bundle's as "08,15,17"."""
    models: dict[str, BenchmarkedModel] = {}
    for path, names in zip(bundles, unseen, strict=True):
        one = benchmarked_model(load_bundle(path), methods=["gradient"], disease=PUBLISHED)
        models |= dict.fromkeys(names.split(","), one)
    return models


def methods_of(names: tuple[str, ...], **settings: Any) -> dict[str, Method]:
    """The counterfactual without further starts, which cost as much again each, and with the settings given."""
    search = {"starts": 0, **settings}
    return {name: create_method(name, **(search if name == COUNTERFACTUAL else {})) for name in names}


def map_rows(
    under_test: NetworkUnderTest, network: nn.Module, given: SimulatedSubject, prefix: str
) -> list[tuple[str, str, float]]:
    """Place, sign and size of what each method says; and of the counterfactual, whether it arrived."""
    started = time.process_time()
    found = under_test.attributions(network, given.image, given.mask, under_test.methods, given.shares.get(FLUID))
    rows = [(name, prefix + "CPU seconds, together", time.process_time() - started) for name in found]
    for name, attribution in found.items():
        values = map_of(attribution)
        rows.append((name, prefix + "times chance", gain(np.abs(values), given.mask, given.truth)))
        said = volume_rows(given, name, values) + boundary_rows(given, name, values)
        rows += [(name, prefix + measure, value) for _, measure, value in said]
        for deformation in getattr(attribution, "deformations", ()):
            for structure in STRUCTURES:
                change = warped_change(given.shares[structure], deformation)
                rows.append((name, f"{prefix}{structure}: by warping", change))
        details = attribution.details
        for key in (REACHED, "plausible", "size"):
            if key in details:
                rows.append((name, prefix + key, float(details[key][0])))
        if "path" in details:
            rows.append((name, prefix + "steps", float(len(details["path"][0]) - 1)))
    return rows


def goal_rows(
    under_test: NetworkUnderTest, given: SimulatedSubject, level: float, prefix: str
) -> list[tuple[str, str, float]]:
    """The counterfactual for which the explained value is ``level``; ``prefix`` is put before its measures."""
    goal = Goal(prefix.removesuffix(": "), level=level)
    towards = replace(under_test, methods=methods_of((COUNTERFACTUAL,), goal=goal))
    rows = map_rows(towards, towards.network, given, prefix)
    return [*rows, (COUNTERFACTUAL, prefix + "contrast", level)]


def warped_change(share: NDArray[np.float32], deformation: Deformation) -> float:
    """Log of a structure's volume in the counterfactual over its volume in the scan, by moving the structure along.

    The map's mean over the structure should say the same; it is made of differences between cells of the field.

    Parameters
    ----------
    share
        Share of each voxel of the scan that belongs to the structure, (I, J, K).
    """
    inside = box_around(share > 0, MARGIN)
    axes = [np.arange(*part.indices(size), dtype=np.float64) for part, size in zip(inside, share.shape, strict=True)]
    places = np.stack(np.meshgrid(*axes, indexing="ij"))

    def along(values: Sequence[float]) -> NDArray[np.float64]:
        return np.asarray(values, dtype=np.float64).reshape(3, 1, 1, 1)

    cells = (places - along(deformation.origin)) / along(deformation.step)
    u = np.stack([map_coordinates(part, cells, order=1, mode="nearest") for part in deformation.displacement.numpy()])
    moved = map_coordinates(share, places + u / along(deformation.spacing), order=1, mode="nearest")
    before, after = float(share.sum()), float(moved.sum())
    return math.log(after / before) if before > 0 and after > 0 else math.nan


def stability_rows(under_test: NetworkUnderTest, given: SimulatedSubject, seed: int) -> list[tuple[str, str, float]]:
    """ICC of the region profile over the scan, the scan with noise, and the scan moved by half a voxel."""
    scan, core = given.image[0, 0].numpy(), interior(given.mask)
    changes = (None, noise(seed), shift())
    profiles: dict[str, list[np.ndarray]] = {name: [] for name in under_test.methods}
    for change in changes:
        image = scan if change is None else np.ascontiguousarray(change.apply(scan))
        found, _ = under_test.explain(
            under_test.network,
            torch.as_tensor(image)[None, None],
            given.mask,
            under_test.methods,
            given.shares.get(FLUID),
        )
        for name, values in found.items():
            back = values if change is None else change.undo(values)
            profiles[name].append(region_profile(back, under_test.labels, core))
    rows = []
    for name, found in profiles.items():
        rows.append((name, "icc", intraclass_correlation(np.stack(found))))
        for change, profile in zip(changes[1:], found[1:], strict=True):
            label = "" if change is None else change.name
            rows.append((name, f"icc: {label}", intraclass_correlation(np.stack([found[0], profile]))))
    return rows
