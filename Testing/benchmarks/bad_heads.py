"""Heads that nobody should segment: half a brain, a lesion that fills a hemisphere, no ventricles, thick slices."""

from __future__ import annotations

import numpy as np
from mri_interpret.images.volume import Volume, resample
from mri_interpret.simulation.anatomy import FINE_GRID, Anatomy, brain_envelope
from mri_interpret.simulation.atrophy import Fractions
from mri_interpret.simulation.structures import code_of_label, member
from scipy import ndimage

from Testing.benchmarks.user_heads import UserHead, averaged, grid_of, head_values, wide_codes

BAD = ("half of the brain", "lesion that fills a hemisphere", "no ventricles", "6 mm slices", "much noise")
_CEREBRUM = (
    "Cerebral-White-Matter", "Cerebral-Cortex", "Thalamus", "Caudate", "Putamen", "Pallidum", "Hippocampus", "Amygdala",
    "Lateral-Ventricle", "Inf-Lat-Vent", "Accumbens-area", "VentralDC", "choroid-plexus",
)  # fmt: skip
_SPACING = {"6 mm slices": (1.0, 1.0, 6.0)}


def bad_head(anatomy: Anatomy, fractions: Fractions, number: int, condition: str) -> UserHead:
    """One head made bad; what cannot be seen in it has the code 0."""
    rng = np.random.default_rng([sum(map(ord, anatomy.name)), number, 10])
    codes = wide_codes(anatomy, fractions, number)
    right = np.arange(FINE_GRID.shape[0])[:, None, None] >= FINE_GRID.shape[0] // 2
    if condition == "no ventricles":
        white = code_of_label()[np.array([2, 41])]
        fluid = member("Lateral-Ventricle", "Inf-Lat-Vent", "3rd-Ventricle", "choroid-plexus")[codes]
        codes = np.where(fluid, np.where(right, white[1], white[0]), codes).astype(np.uint8)
    values = head_values(codes, rng, strong_bias=False)
    if condition == "half of the brain":
        values, codes = np.where(right, 0, values), np.where(right, 0, codes).astype(np.uint8)
    elif condition == "lesion that fills a hemisphere":
        inside = right & member(*_CEREBRUM)[codes]
        core = ndimage.binary_opening(ndimage.binary_closing(inside, iterations=4), iterations=8)
        dark = float(np.median(values[member("Lateral-Ventricle")[codes]]))
        values = np.where(core, np.abs(dark + rng.normal(0, 0.05 * dark + 1, values.shape)), values)
        seen = np.where(core, 0, codes).astype(np.uint8)
        return _scanned(values, seen, brain_envelope(codes, FINE_GRID.spacing), condition)
    elif condition == "much noise":
        top = np.percentile(values[codes > 0], 99)
        values = np.abs(values + rng.normal(0, 0.35 * top, values.shape))
    return _scanned(values, codes, brain_envelope(codes, FINE_GRID.spacing), condition)


def _scanned(values: np.ndarray, codes: np.ndarray, envelope: np.ndarray, condition: str) -> UserHead:
    spacing = _SPACING.get(condition, (1.0, 1.0, 1.0))
    scan = Volume(values.astype(np.float32), FINE_GRID.affine, condition)
    truth, mask = Volume(codes, FINE_GRID.affine), Volume(envelope.astype(np.uint8), FINE_GRID.affine)
    grid = grid_of(spacing)
    return UserHead(
        resample(averaged(scan, spacing), grid),
        resample(truth, grid, order=0),
        resample(mask, grid, order=0),
        np.eye(4),
    )
