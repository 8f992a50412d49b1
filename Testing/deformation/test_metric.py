"""A metric is a symmetric positive operator, and what one place takes its surroundings give."""

from __future__ import annotations

import pytest
import torch
from mri_interpret.deformation.metric import metric_of

from Testing.deformation.test_head import GRIDS, ball, head_on, noise


@pytest.mark.parametrize("with_fluid", [False, True], ids=["one kind", "fluid"])
def test_directions_are_those_of_a_symmetric_positive_operator(with_fluid: bool) -> None:
    head = head_on("anisotropic")
    fluid = noise(*head.shape, seed=5).clamp(0, 1) if with_fluid else None
    metric = metric_of(head, fluid)
    a, b = noise(*head.inside.shape), noise(*head.inside.shape, seed=1)
    there, back = (a * metric.direction(b)).sum(), (b * metric.direction(a)).sum()
    torch.testing.assert_close(there, back, rtol=1e-9, atol=1e-12)
    assert float((a * metric.direction(a)).sum()) > 0


def test_fluid_gives_what_tissue_takes() -> None:
    head = head_on("cubes")
    piece, around = ball(head.shape, 0.25).double(), ball(head.shape, 0.6) & ~ball(head.shape, 0.4)
    change = metric_of(head, around.float()).direction(piece)
    assert float(change[piece > 0].min()) > 0
    assert float(change[around].max()) < 0
    # What is not taken from the fluid is what the tissue itself gives.
    assert abs(float(change.sum())) < 0.15 * float(change.clamp(min=0).sum())


def test_a_ventricle_does_not_move_along_with_the_tissue_beside_it() -> None:
    head = head_on("cubes")
    piece, beside = ball(head.shape, 0.3), ball(head.shape, 0.45) & ~ball(head.shape, 0.3)
    together = metric_of(head).direction(piece.double())
    apart = metric_of(head, beside.float()).direction(piece.double())
    assert float(together[beside].mean()) > 0 > float(apart[beside].mean())


@pytest.mark.parametrize("grid", GRIDS)
def test_cells_hold_the_mean_of_their_voxels(grid: str) -> None:
    head = head_on(grid)
    image = noise(*head.shape)
    first = image[tuple(slice(0, n) for n in head.step)].mean()
    torch.testing.assert_close(head.cells_of(image)[0, 0, 0], first)
