"""Displacements inside a head: nothing moves outside, adjoints are exact, and pieces grow by what was asked."""

from __future__ import annotations

import pytest
import torch
from mri_interpret.deformation.construction import adjoint_of_field, field_of_divergence, smooth
from mri_interpret.deformation.displacement import log_jacobian
from mri_interpret.deformation.head import Head, head_of
from torch import Tensor

#: Grids of any kind: anisotropic voxels, and cells of several voxels that do not divide the shape.
GRIDS = {
    "cubes": ((16, 18, 14), (2.0, 2.0, 2.0), (1, 1, 1)),
    "anisotropic": ((15, 18, 13), (1.0, 1.2, 2.5), (1, 1, 1)),
    "cells of voxels": ((25, 22, 15), (1.0, 1.0, 2.0), (2, 2, 1)),
}


def ball(shape: tuple[int, int, int], radius: float = 0.8, centre: tuple[float, float, float] = (0, 0, 0)) -> Tensor:
    axes = [torch.linspace(-1, 1, n) - at for n, at in zip(shape, centre, strict=True)]
    i, j, k = torch.meshgrid(*axes, indexing="ij")
    return i**2 + j**2 + k**2 < radius**2


def head_on(grid: str, rim_mm: float = 3.0) -> Head:
    shape, spacing, step = GRIDS[grid]
    return head_of(ball(shape), spacing, step, rim_mm)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("shape", [(8, 10, 12), (7, 9, 11), (8, 9, 10)], ids=str)
def test_the_adjoint_of_poissons_equation_is_exact(shape: tuple[int, int, int]) -> None:
    box = (16.0, 27.0, 20.0)
    divergence, weights = noise(*shape), noise(3, *shape, seed=1)
    there = (field_of_divergence(divergence, box) * weights).sum()
    back = (divergence * adjoint_of_field(weights, box)).sum()
    torch.testing.assert_close(there, back, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("grid", GRIDS)
def test_the_gradient_is_that_of_finite_differences(grid: str) -> None:
    """Through composition, interpolation and warp: with a deformation before it and without, in float64 to 1e-6."""
    head = head_on(grid)
    image, weights = noise(2, *head.shape), noise(2, *head.shape, seed=1)
    before = head.displacement(0.3 * noise(*head.inside.shape, seed=2))
    change = noise(*head.inside.shape, seed=3)
    for u in (None, before):

        def number(amount: float, u: Tensor | None = u) -> float:
            further = head.displacement(amount * change)
            return float((head.deformed(image, further if u is None else head.then(u, further)) * weights).sum())

        h = 1e-7
        wanted = (number(h) - number(-h)) / (2 * h)
        found = float((head.step_gradient(image, weights, u) * change).sum())
        assert abs(found - wanted) < 1e-6 * abs(wanted)


@pytest.mark.parametrize("grid", GRIDS)
def test_nothing_moves_outside_of_the_head(grid: str) -> None:
    head = head_on(grid)
    image = noise(1, *head.shape)
    u = head.displacement(noise(*head.inside.shape, seed=4))
    moved = head.deformed(image, u)[0] != image[0]
    assert bool(moved.any())
    assert not bool((moved & ~ball(head.shape)).any())


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (1.5, 2.0, 2.5)], ids=str)
def test_a_piece_grows_by_what_was_asked(spacing: tuple[float, float, float]) -> None:
    shape = (32, 30, 28)
    head = head_of(ball(shape, 0.95), spacing)
    blob = smooth(ball(shape, 0.3, (0.1, 0, -0.1)).float(), 4.0, head.box)
    u = head.displacement(0.03 * blob)
    grown = -log_jacobian(u, head.box)
    # Poisson's equation gives the change less its mean over the box.
    torch.testing.assert_close(grown[blob > 0.5], 0.03 * (blob - blob.mean())[blob > 0.5], rtol=0.04, atol=0)


def test_a_mask_at_the_edge_of_the_grid_rests_there() -> None:
    head = head_of(torch.ones(8, 8, 8), (2.0, 2.0, 2.0))
    u = head.displacement(noise(8, 8, 8))
    assert float(u.abs().max()) > 0
    assert float(head.freedom[0].max()) < 0.67  # one voxel of 2 mm from the outside, of a rim of 3 mm
