"""Displacement fields on a coarse grid: sampling, composition, random diffeomorphisms, prescribed volume change.

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


@lru_cache(maxsize=4)
def _frequencies(shape: tuple[int, int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Angular frequencies along the axes in 1/mm for rfftn, and their squared sum."""
    full = [2 * torch.pi * torch.fft.fftfreq(shape[axis], BOX_MM[axis] / shape[axis]) for axis in (0, 1)]
    half = 2 * torch.pi * torch.fft.rfftfreq(shape[2], BOX_MM[2] / shape[2])
    i, j, k = torch.meshgrid(full[0], full[1], half, indexing="ij")
    return i, j, k, i**2 + j**2 + k**2


def smooth(volumes: Tensor, sigma_mm: float) -> Tensor:
    """Gaussian smoothing of (..., i, j, k) over the box, which is taken as periodic."""
    shape = (volumes.shape[-3], volumes.shape[-2], volumes.shape[-1])
    *_, squared = _frequencies(shape)
    spectrum = torch.fft.rfftn(volumes, dim=(-3, -2, -1)) * torch.exp(-0.5 * sigma_mm**2 * squared)
    return torch.fft.irfftn(spectrum, s=shape, dim=(-3, -2, -1))


def field_of_divergence(divergence: Tensor) -> Tensor:
    """The curl-free displacement with the given divergence: the gradient of the solution of Poisson's equation.

    Parameters
    ----------
    divergence
        (i, j, k); its mean is disregarded, as the box keeps its volume. For a small step, the log-Jacobian.

    Returns
    -------
    Displacement in mm, (3, i, j, k).
    """
    shape = (divergence.shape[0], divergence.shape[1], divergence.shape[2])
    i, j, k, squared = _frequencies(shape)
    potential = torch.fft.rfftn(divergence) / -squared.clamp(min=1e-12)
    potential[0, 0, 0] = 0
    spectra = torch.stack([1j * axis * potential for axis in (i, j, k)])
    return torch.fft.irfftn(spectra, s=shape, dim=(-3, -2, -1))


def random_diffeomorphism(
    generator: torch.Generator, amplitudes_mm: dict[float, float], shape: tuple[int, int, int] = COARSE
) -> Tensor:
    """A random smooth invertible deformation, by scaling and squaring of a random velocity field (Arsigny 2006).

    Parameters
    ----------
    generator
        Of the random numbers.
    amplitudes_mm
        Smoothness (Gaussian sigma in mm) to root-mean-square amplitude along each axis in mm; the parts are added.
    shape
        Of the field.
    """
    velocity = torch.zeros(3, *shape)
    for sigma, amplitude in amplitudes_mm.items():
        noise = smooth(torch.randn(3, *shape, generator=generator), sigma)
        velocity += noise * (amplitude / noise.std())
    u = velocity / 32
    for _ in range(5):
        u = compose(u, u)
    return u
