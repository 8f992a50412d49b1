"""What a displacement field does: warp an image, follow another field, be inverted; and its Jacobian.

A field ``u`` has shape (3, i, j, k), is in mm along the axes of the volumes that it deforms, and lies on a grid that
covers the same box as they do, at any resolution. It maps backwards: what is seen at x came from x + u(x). The box is
given in mm along the axes; left out, it is the simulator's, along R, A, S.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

Box = tuple[float, float, float]

BOX_MM: Box = (192.0, 224.0, 192.0)
COARSE = (48, 56, 48)  # 4 mm


@lru_cache(maxsize=6)
def _identity(shape: tuple[int, int, int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Normalised positions of voxel centres, (1, i, j, k, 3), last axis in torch's order (k, j, i)."""
    axes = [(torch.arange(n, dtype=dtype) * 2 + 1) / n - 1 for n in shape]
    i, j, k = torch.meshgrid(*axes, indexing="ij")
    return torch.stack((k, j, i), -1)[None].to(device)


def positions(u: Tensor, box: Box = BOX_MM) -> Tensor:
    """Where each voxel looks, in torch's normalised coordinates: (1, i, j, k, 3)."""
    shape = (u.shape[1], u.shape[2], u.shape[3])
    scale = torch.tensor([2 / box[2], 2 / box[1], 2 / box[0]], dtype=u.dtype, device=u.device)
    return _identity(shape, u.dtype, u.device) + u.flip(0).permute(1, 2, 3, 0)[None] * scale


def warp(volumes: Tensor, u: Tensor, mode: str = "bilinear", box: Box = BOX_MM) -> Tensor:
    """Sample ``volumes`` (C, I, J, K) at x + u(x): (C, i, j, k) on the grid of ``u``; edge values continue outside."""
    where = positions(u, box)
    return functional.grid_sample(volumes[None], where, mode=mode, padding_mode="border", align_corners=False)[0]


def compose(first: Tensor, then: Tensor, box: Box = BOX_MM) -> Tensor:
    """The field of deforming by ``first`` and the result by ``then``: then(x) + first(x + then(x))."""
    return then + warp(first, then, box=box)


def inverse(u: Tensor, iterations: int = 3, box: Box = BOX_MM) -> Tensor:
    """The field that undoes ``u``, by fixed-point iteration; exact for gentle fields (Chen 2008)."""
    back = -u
    for _ in range(iterations):
        back = -warp(u, back, box=box)
    return back


def inverse_of_strong(u: Tensor, iterations: int = 40, box: Box = BOX_MM) -> Tensor:
    """The field that undoes ``u``, which may stretch lengths up to fourfold; half of each step of :func:`inverse`.

    Whole steps run away where ``u`` grows by more than a millimetre in a millimetre.
    """
    back = -u / 2
    for _ in range(iterations):
        back = (back - warp(u, back, box=box)) / 2
    return back


def resized(u: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """The same field on a grid of another resolution over the same box, trilinear."""
    return functional.interpolate(u[None], size=shape, mode="trilinear", align_corners=False)[0]


def log_jacobian(u: Tensor, box: Box = BOX_MM) -> Tensor:
    """Log of the determinant of x -> x + u(x), (i, j, k), by central differences; folded voxels give NaN."""
    spacing = [box[axis] / u.shape[axis + 1] for axis in range(3)]
    rows = []
    for component in range(3):
        gradient = torch.gradient(u[component], spacing=spacing, dim=(0, 1, 2))
        rows.append([gradient[axis] + (1.0 if axis == component else 0.0) for axis in range(3)])
    (a, b, c), (d, e, f), (g, h, i) = rows
    return torch.log(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g))
