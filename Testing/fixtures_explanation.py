"""A small Explanation by the real job: the template's brain in a head, on an oblique grid, through a small network.

The network's weights are random, so the maps mean nothing; but everything is as the job makes it: a registration that
had to be found, verdicts that pass and fail, methods excluded from the summary score, warnings, provenance.
"""

from __future__ import annotations

import dataclasses
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from mri_interpret.anatomy.atlas import load_default_atlas
from mri_interpret.anatomy.region_statistics import RegionStatistics
from mri_interpret.anatomy.structures_as_regions import as_regions
from mri_interpret.explanation.explanation import Explanation
from mri_interpret.explanation.job import explain
from mri_interpret.images.volume import Affine, Grid, Volume, resample
from mri_interpret.models.bundle import ModelBundle, load_bundle
from mri_interpret.preprocessing.cache import PreprocessingCache
from mri_interpret.preprocessing.template import load_template
from numpy.typing import NDArray
from safetensors.torch import save_file
from scipy import ndimage

from Testing.models.bundles import NETWORK, write_network, write_small_bundle

METHODS = ("lrp", "guided_backprop", "grad_cam_pp")
SHAPE, SPACING = (40, 48, 44), (4.6, 4.4, 4.1)
MODEL_GRID = {"shape": [48, 56, 48], "spacing": [4, 4, 4], "origin": [-94, -127, -87], "space": "MNI152"}


def rotation(degrees: tuple[float, float, float]) -> NDArray[np.float64]:
    """Rotation about R, then A, then S."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[j, i] = np.sin(angle)
        turn[i, j] = -turn[j, i]
        matrix = turn @ matrix
    return matrix


def oblique_affine(
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    degrees: tuple[float, float, float] = (8.0, -6.0, 11.0),
    signs: tuple[int, int, int] = (1, 1, 1),
    centre: tuple[float, float, float] = (3.0, -12.0, 6.0),
) -> Affine:
    """An affine whose grid is centred at ``centre``; ``signs`` flips axes (an odd number flips the handedness)."""
    affine = np.eye(4)
    affine[:3, :3] = rotation(degrees) @ np.diag(np.multiply(spacing, signs))
    affine[:3, 3] = np.array(centre) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


@lru_cache(maxsize=1)
def kept() -> PreprocessingCache:
    """Masks, bias fields and alignments of this run's scans: where a test is not about them, they are found once."""
    return PreprocessingCache()


@lru_cache(maxsize=1)
def small_bundle() -> ModelBundle:
    """The network, on a grid of 4 mm."""
    with tempfile.TemporaryDirectory() as folder:
        return load_bundle(write_small_bundle(Path(folder) / "small", {"mri_interpret.grid": MODEL_GRID}, seed=2))


AGE = {"kind": "regression", "name": "brain age", "unit": "years", "range": [40, 90]}
AGE_CHANGES = {"mri_interpret.output": AGE, "mri_interpret.classes": None, "network_data_format": None}


def write_age_bundle(folder: Path) -> Path:
    """A small network that returns a number of years around 70."""
    write_small_bundle(folder, {"mri_interpret.grid": MODEL_GRID, **AGE_CHANGES})
    network = write_network(folder, {**NETWORK, "num_classes": 1}, seed=2)
    with torch.no_grad():
        network.classifier.weight.abs_().mul_(20)
        network.classifier.bias.fill_(70)
    save_file(network.state_dict(), folder / "models" / "model.safetensors")
    return folder


@lru_cache(maxsize=1)
def make_age_explanation() -> Explanation:
    """The same brain through a network that returns a quantity: its difference from 65 years is explained."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = load_bundle(write_age_bundle(Path(folder) / "age"))
    return _explain(bundle, "value-65", SHAPE, SPACING, (8.0, -6.0, 11.0), (1, 1, 1), registered=False)


@lru_cache(maxsize=4)
def make_explanation(
    shape: tuple[int, int, int] = SHAPE,
    spacing: tuple[float, float, float] = SPACING,
    degrees: tuple[float, float, float] = (8.0, -6.0, 11.0),
    signs: tuple[int, int, int] = (1, 1, 1),
) -> Explanation:
    """The explanation of a brain on the given grid (oblique by default).

    On the default grid the brain is turned and scaled against the template, and registered; on any other it lies in
    template space, which is quicker.
    """
    moved = (shape, signs) == (SHAPE, (1, 1, 1))
    return _explain(small_bundle(), "AD", shape, spacing, degrees, signs, registered=moved)


def _explain(
    bundle: ModelBundle,
    target: str,
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    degrees: tuple[float, float, float],
    signs: tuple[int, int, int],
    registered: bool,
) -> Explanation:
    """The job; with ``registered`` the brain is moved, and the registration must find that."""
    to_template = np.eye(4)
    if registered:
        to_template[:3, :3] = rotation((3.0, 2.0, -4.0)) @ np.diag([1.05, 1.02, 0.98])
        to_template[:3, 3] = (-3.0, -4.0, 2.5)
    grid = Grid(shape, oblique_affine(shape, spacing, degrees, signs))
    brain, mask = load_template(2)
    inside = resample(mask, grid, to_template, order=0).array > 0
    outwards = ndimage.distance_transform_edt(~inside, sampling=spacing)  # mm from the brain
    head = 700 * resample(brain, grid, to_template).array
    anatomy = resample(load_default_atlas().volume, grid, to_template, order=0)
    head = np.where(inside, head, np.interp(outwards, [0, 10, 12, 16, 19], [60, 60, 620, 620, 0]))  # skull, then fat
    return explain(
        Volume(head.round().astype(np.int16), grid.affine, "phantom.nii.gz"),
        model=bundle,
        methods=METHODS,
        target=target,
        mask=Volume(inside.astype(np.uint8), grid.affine, "mask"),
        segmentation=Volume(anatomy.array, grid.affine, "aparc+aseg"),
        space="native" if registered else "mni",
        device="cpu",
        cache=kept(),
    )


RIGHT_HIPPOCAMPUS, LEFT_HIPPOCAMPUS, LEFT_FRONTAL = (27.0, -22.0, -15.0), (-27.0, -22.0, -15.0), (-14.0, 30.0, 40.0)


def with_known_maps(explanation: Explanation) -> Explanation:
    """The same with relevance whose place is known: for tests that look at pictures.

    LRP is positive in the right hippocampus, half as much in the left one, and negative in the left superior frontal
    lobe; the summary score is its size.
    """
    scan, mask = explanation.scan, explanation.mask.array > 0
    world = explanation.registration.to_template @ scan.affine
    points = np.moveaxis(np.indices(scan.shape, dtype=float), 0, -1) @ world[:3, :3].T + world[:3, 3]

    def blob(centre: tuple[float, float, float], width: float) -> NDArray[np.float64]:
        return np.exp(-0.5 * (np.linalg.norm(points - centre, axis=-1) / width) ** 2)

    values = blob(RIGHT_HIPPOCAMPUS, 9) + 0.45 * blob(LEFT_HIPPOCAMPUS, 9) - 0.55 * blob(LEFT_FRONTAL, 11)
    values = np.where(mask, values, 0).astype(np.float32)
    lrp = explanation.maps["lrp"]
    summary = explanation.summary.with_array(np.abs(values) / np.abs(values).max())
    assert explanation.anatomy is not None
    statistics = RegionStatistics(explanation.atlas_in_scan, mask, as_regions(explanation.anatomy), "native")
    known = statistics.table({"lrp": values, "summary": summary.array})
    table = explanation.region_table
    others = table[~(table["method"].isin(["lrp", "summary"]) & (table["space"] == "native"))]
    return dataclasses.replace(
        explanation,
        maps={**explanation.maps, "lrp": dataclasses.replace(lrp, native=lrp.native.with_array(2.4e-3 * values))},
        summary=summary,
        region_table=pd.concat([known, others], ignore_index=True),
    )
