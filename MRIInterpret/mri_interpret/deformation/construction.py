"""Displacement fields that are made: with a prescribed divergence (Poisson's equation), or at random.

Fields are as in :mod:`.displacement`. The box counts as periodic here, so that the Fourier transform solves everything.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from .displacement import BOX_MM, COARSE, Box, compose


@lru_cache(maxsize=4)
def _frequencies(
    shape: tuple[int, int, int], box: Box, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Angular frequencies along the axes in 1/mm for rfftn, which broadcast, and their squared sum."""
    full = [2 * torch.pi * torch.fft.fftfreq(shape[axis], box[axis] / shape[axis], dtype=dtype) for axis in (0, 1)]
    half = 2 * torch.pi * torch.fft.rfftfreq(shape[2], box[2] / shape[2], dtype=dtype)
    i, j, k = full[0].to(device)[:, None, None], full[1].to(device)[:, None], half.to(device)
    return i, j, k, i**2 + j**2 + k**2


def smooth(volumes: Tensor, sigma_mm: float, box: Box = BOX_MM) -> Tensor:
    """Gaussian smoothing of (..., i, j, k) over the box, which is taken as periodic."""
    shape = (volumes.shape[-3], volumes.shape[-2], volumes.shape[-1])
    *_, squared = _frequencies(shape, box, volumes.dtype, volumes.device)
    spectrum = torch.fft.rfftn(volumes, dim=(-3, -2, -1)) * torch.exp(-0.5 * sigma_mm**2 * squared)
    return torch.fft.irfftn(spectrum, s=shape, dim=(-3, -2, -1))


def field_of_divergence(divergence: Tensor, box: Box = BOX_MM) -> Tensor:
    """The curl-free displacement with the given divergence: the gradient of the solution of Poisson's equation.

    Parameters
    ----------
    divergence
        (i, j, k); its mean is ignored, because the box keeps its volume. For a small step, the log-Jacobian.
    box
        Size of the box in mm along the axes.

    Returns
    -------
    Displacement in mm, (3, i, j, k).
    """
    shape = (divergence.shape[0], divergence.shape[1], divergence.shape[2])
    i, j, k, squared = _frequencies(shape, box, divergence.dtype, divergence.device)
    potential = torch.fft.rfftn(divergence) / -squared.clamp(min=1e-12)
    potential[0, 0, 0] = 0
    spectra = torch.stack([1j * axis * potential for axis in (i, j, k)])
    return torch.fft.irfftn(spectra, s=shape, dim=(-3, -2, -1))


def adjoint_of_field(displacement: Tensor, box: Box = BOX_MM) -> Tensor:
    """The adjoint of :func:`field_of_divergence`: what a change of the divergence does to a sum over displacements.

    Parameters
    ----------
    displacement
        (3, i, j, k): derivatives of a number with respect to the displacement.

    Returns
    -------
    Derivatives of that number with respect to the divergence, (i, j, k); their mean is zero.
    """
    shape = (displacement.shape[1], displacement.shape[2], displacement.shape[3])
    i, j, k, squared = _frequencies(shape, box, displacement.dtype, displacement.device)
    # A real operator's adjoint has the conjugate multiplier.
    spectrum = sum(-1j * axis * torch.fft.rfftn(part) for axis, part in zip((i, j, k), displacement, strict=True))
    assert isinstance(spectrum, Tensor)
    spectrum = spectrum / -squared.clamp(min=1e-12)
    spectrum[0, 0, 0] = 0
    return torch.fft.irfftn(spectrum, s=shape, dim=(-3, -2, -1))


def random_diffeomorphism(
    generator: torch.Generator, amplitudes_mm: dict[float, float], shape: tuple[int, int, int] = COARSE
) -> Tensor:
    """A random smooth invertible deformation, by scaling and squaring of a random velocity field (Arsigny 2006).

    Parameters
    ----------
    generator
        Random generator.
    amplitudes_mm
        Smoothness (Gaussian sigma in mm) to root-mean-square amplitude along each axis in mm; the parts are added.
    shape
        Shape of the field's grid.
    """
    velocity = torch.zeros(3, *shape)
    for sigma, amplitude in amplitudes_mm.items():
        noise = smooth(torch.randn(3, *shape, generator=generator), sigma)
        velocity += noise * (amplitude / noise.std())
    u = velocity / 32
    for _ in range(5):
        u = compose(u, u)
    return u
