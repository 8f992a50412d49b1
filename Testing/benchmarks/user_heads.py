"""Simulated heads as users have them, in template space: every anatomy, contrast, bias field and voxel size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from mri_interpret.images.volume import Affine, Grid, Volume, resample
from mri_interpret.simulation.acquisition import smooth_gain
from mri_interpret.simulation.anatomy import FINE_GRID, Anatomy, brain_envelope
from mri_interpret.simulation.atrophy import Fractions
from mri_interpret.simulation.head_scan import head_scan
from mri_interpret.simulation.wide_anatomies import FINE_BOX, wide_labels
from scipy import ndimage

# Voxel size in mm along the three axes.
RESOLUTIONS: dict[str, tuple[float, float, float]] = {
    "1 mm": (1, 1, 1),
    "2 mm": (2, 2, 2),
    "3 mm": (3, 3, 3),
    "1.2 mm": (1.2, 1.2, 1.2),
    "1 x 1 x 3 mm": (1, 1, 3),
    "1 x 1.5 x 1 mm": (1, 1.5, 1),
}
_STRONG_BIAS = 0.6  # amplitude of the field's logarithm
_TURN_DEG, _SHIFT_MM, _SIZE = 3.0, 2.0, (-0.03, 0.09)  # misalignment; log of the size, as real brains arrive
_MASK_MM = 3.0  # by which a mask is wider than the brain, at most


@dataclass(frozen=True)
class UserHead:
    """A scan with its truth; all on one grid (I, J, K).

    Attributes
    ----------
    scan, codes, mask
        T1-weighted; the simulator's structure codes; the brain.
    to_template
        4 x 4, RAS mm of the scan to RAS mm of the template, as an alignment might have it.
    """

    scan: Volume
    codes: Volume
    mask: Volume
    to_template: Affine


def user_head(
    anatomy: Anatomy, fractions: Fractions, number: int, resolution: str, wider_mm: float = _MASK_MM
) -> UserHead:
    """One head; the same arguments give the same. The mask is wider than the brain by ``wider_mm`` at most."""
    rng = np.random.default_rng([sum(map(ord, anatomy.name)), number, 9])
    codes = wide_codes(anatomy, fractions, number)
    values = head_values(codes, rng, strong_bias=number % 2 == 1)
    envelope = brain_envelope(codes, FINE_GRID.spacing)
    wide = ndimage.distance_transform_edt(~envelope) <= rng.uniform(0, wider_mm)
    scan, mask, truth = (Volume(one, FINE_GRID.affine) for one in (values, wide.astype(np.float32), codes))
    grid = grid_of(RESOLUTIONS[resolution])
    mask = resample(averaged(mask, RESOLUTIONS[resolution]), grid)
    return UserHead(
        resample(averaged(scan, RESOLUTIONS[resolution]), grid),
        resample(truth, grid, order=0),
        mask.with_array((mask.array > 0.5).astype(np.uint8)),
        misaligned(rng),
    )


def wide_codes(anatomy: Anatomy, fractions: Fractions, number: int) -> np.ndarray:
    """Structure codes on ``FINE_GRID``."""
    codes = np.zeros(FINE_GRID.shape, np.uint8)
    codes[FINE_BOX] = wide_labels(anatomy, fractions, (sum(map(ord, anatomy.name)), number, 9))
    return codes


def head_values(codes: np.ndarray, rng: np.random.Generator, *, strong_bias: bool) -> np.ndarray:
    """T1-like intensities on ``FINE_GRID``, float32."""
    seed = int(rng.integers(2**31))
    values = head_scan(codes, seed, whole_head=True)[0].astype(np.float32)
    if strong_bias:
        generator = torch.Generator().manual_seed(seed)
        values *= smooth_gain(FINE_GRID.shape, generator, _STRONG_BIAS, 0.0).numpy()
    return values


def grid_of(spacing: tuple[float, float, float]) -> Grid:
    """The box of ``FINE_GRID`` in voxels of this size."""
    i, j, k = (int(np.floor(n / size)) for n, size in zip(FINE_GRID.shape, spacing, strict=True))
    affine = FINE_GRID.affine @ np.diag([*spacing, 1.0])
    affine[:3, 3] = FINE_GRID.affine[:3, 3] + FINE_GRID.affine[:3, :3] @ ((np.array(spacing) - 1) / 2)
    return Grid((i, j, k), affine)


def averaged(volume: Volume, spacing: tuple[float, float, float]) -> Volume:
    """What voxels of this size see of a volume at 1 mm: a Gaussian with the variance of the wider box."""
    sigma = np.sqrt((np.array(spacing) ** 2 - 1) / 12)
    return volume.with_array(ndimage.gaussian_filter(np.asarray(volume.array, np.float32), sigma.tolist()))


def misaligned(rng: np.random.Generator) -> Affine:
    """A small turn, shift and change of size about the box's centre."""
    x, y, z = np.radians(rng.uniform(-_TURN_DEG, _TURN_DEG, 3))
    skew = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    move = np.eye(4)
    move[:3, :3] = torch.linalg.matrix_exp(skew).numpy() * np.exp(rng.uniform(*_SIZE))
    centre = np.array([0.0, -18.0, 8.0])
    move[:3, 3] = centre - move[:3, :3] @ centre + rng.uniform(-_SHIFT_MM, _SHIFT_MM, 3)
    return move
