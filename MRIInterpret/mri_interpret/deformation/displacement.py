"""What a displacement field does: warp an image, follow another field, be inverted; and its Jacobian.

A field ``u`` has shape (3, i, j, k), is in mm along R, A, S, and lies on a grid that covers the same box as the
volumes it deforms, at any resolution. It maps backwards: what is seen at x came from x + u(x).
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

BOX_MM = (192.0, 224.0, 192.0)
COARSE = (48, 56, 48)  # 4 mm


@lru_cache(maxsize=8)
def _identity(shape: tuple[int, int, int]) -> Tensor:
    """Normalised positions of voxel centres, (1, i, j, k, 3), last axis in torch's order (k, j, i)."""
    axes = [(torch.arange(n, dtype=torch.float32) * 2 + 1) / n - 1 for n in shape]
    i, j, k = torch.meshgrid(*axes, indexing="ij")
    return torch.stack((k, j, i), -1)[None]


def positions(u: Tensor) -> Tensor:
    """Where each voxel looks, in torch's normalised coordinates: (1, i, j, k, 3)."""
    shape = (u.shape[1], u.shape[2], u.shape[3])
    scale = torch.tensor([2 / BOX_MM[2], 2 / BOX_MM[1], 2 / BOX_MM[0]])
    return _identity(shape) + u.flip(0).permute(1, 2, 3, 0)[None] * scale


def warp(volumes: Tensor, u: Tensor, mode: str = "bilinear") -> Tensor:
    """Sample ``volumes`` (C, I, J, K) at x + u(x): (C, i, j, k) on the grid of ``u``; edge values continue outside."""
    return functional.grid_sample(volumes[None], positions(u), mode=mode, padding_mode="border", align_corners=False)[0]


def compose(first: Tensor, then: Tensor) -> Tensor:
    """The field of deforming by ``first`` and the result by ``then``: then(x) + first(x + then(x))."""
    return then + warp(first, then)


def inverse(u: Tensor, iterations: int = 3) -> Tensor:
    """The field that undoes ``u``, by fixed-point iteration; exact for gentle fields (Chen 2008)."""
    back = -u
    for _ in range(iterations):
        back = -warp(u, back)
    return back


def resized(u: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """The same field on a grid of another resolution over the same box, trilinear."""
    return functional.interpolate(u[None], size=shape, mode="trilinear", align_corners=False)[0]


def log_jacobian(u: Tensor) -> Tensor:
    """Log of the determinant of x -> x + u(x), (i, j, k), by central differences; folded voxels give NaN."""
    spacing = [BOX_MM[axis] / u.shape[axis + 1] for axis in range(3)]
    rows = []
    for component in range(3):
        gradient = torch.gradient(u[component], spacing=spacing, dim=(0, 1, 2))
        rows.append([gradient[axis] + (1.0 if axis == component else 0.0) for axis in range(3)])
    (a, b, c), (d, e, f), (g, h, i) = rows
    return torch.log(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g))
