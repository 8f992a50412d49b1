"""A T1-like scan at 1 mm of a simulated brain, with or without its head, in the subject's own space."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from ..images.volume import Affine
from .acquisition import blur, smooth_gain
from .anatomy import FINE_GRID, brain_envelope
from .artefacts import random_artefact
from .contrast import draw_contrast

_AIR = 3.0  # mean intensity of air, on the 0..255 scale of the contrast


def head_scan(
    labels: NDArray[np.uint8], seed: int, *, whole_head: bool = False, any_head: bool = True
) -> tuple[NDArray[np.int16], Tensor]:
    """Synthesise a scan at 1 mm.

    Parameters
    ----------
    labels
        Codes on ``FINE_GRID``.
    seed
        Random seed of contrast and acquisition. The same seed gives two label maps the same contrast, noise and bias,
        so that a brain with and without disease can be compared voxel by voxel.
    whole_head
        Keep skull and skin; otherwise they are cut off, with 0 outside.
    any_head
        Skull, fat and skin of any intensity, see :func:`.contrast.draw_contrast`: a mask tool then goes astray.

    Returns
    -------
    scan
        int16, on ``FINE_GRID``.
    means
        The intensity drawn for each structure code, before bias and noise.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    means = draw_contrast(generator, any_head=any_head)
    means[0] = _AIR
    codes = torch.from_numpy(labels).int()
    shape = FINE_GRID.shape
    image = means[codes] + torch.randn(shape, generator=generator) * draw(2.0, 10.0) * (codes > 0)
    image = image * smooth_gain(shape, generator, draw(0, 0.3), draw(0, 0.03))
    image = blur(image, [draw(0.5, 0.9) for _ in range(3)])
    image = random_artefact(image, generator, 0.1)
    noise = draw(1.0, 8.0)
    real, imaginary = (torch.randn(shape, generator=generator) * noise for _ in range(2))
    scan = torch.sqrt((image + real) ** 2 + imaginary**2).numpy()
    if not whole_head:
        inside = brain_envelope(labels, FINE_GRID.spacing)
        voxels = int(draw(0, 2.999))
        if voxels:  # SciPy takes 0 for "until nothing changes", which is everything
            inside = ndimage.binary_dilation(inside, iterations=voxels)
        scan = np.where(inside, scan, 0.0)
    return np.round(np.clip(scan * 4, 0, 32767)).astype(np.int16), means


def scanner_affine(scale: float, seed: int) -> Affine:
    """The subject's position in the scanner: voxel indices of ``FINE_GRID`` to RAS mm of the subject's own space.

    Parameters
    ----------
    scale
        Volume in template space over volume in the subject's own space.
    seed
        Random seed of position and rotation.
    """
    rng = np.random.default_rng([seed, 77])
    angles = rng.uniform(-8, 8, 3) * np.pi / 180
    skew = np.array([[0, angles[0], angles[1]], [-angles[0], 0, angles[2]], [-angles[1], -angles[2], 0]])
    rotation = torch.linalg.matrix_exp(torch.from_numpy(skew)).numpy()
    world = np.eye(4)
    world[:3, :3] = rotation / scale ** (1 / 3)
    world[:3, 3] = rng.uniform(-10, 10, 3)
    result: Affine = world @ FINE_GRID.affine
    return result


def effect_on_fine_grid(effect: Tensor) -> NDArray[np.float32]:
    """The effect map at 1 mm, trilinear."""
    fine = functional.interpolate(effect[None, None], size=FINE_GRID.shape, mode="trilinear", align_corners=False)
    # In steps of 1/256: too small to matter in any comparison, and the file is five times smaller.
    return np.asarray((fine[0, 0] * 256).round().numpy() / np.float32(256), dtype=np.float32)
