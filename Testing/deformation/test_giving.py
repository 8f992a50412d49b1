"""What grows is taken from around it, and the adjoint is exact."""

from __future__ import annotations

import torch
from mri_interpret.deformation.construction import smooth
from mri_interpret.deformation.giving import Giving

from Testing.deformation.test_head import noise

BOX = (40.0, 48.0, 45.0)
SHAPE = (20, 24, 18)
PIECE = torch.zeros(SHAPE, dtype=torch.float64)
PIECE[8:11, 10:13, 7:10] = 1


def test_what_is_given_adds_up_to_what_is_taken() -> None:
    giving = Giving(noise(*SHAPE).abs() + 0.1, BOX)
    torch.testing.assert_close(giving.taken(PIECE).sum(), PIECE.sum())
    torch.testing.assert_close(giving.balanced(PIECE).sum(), torch.zeros((), dtype=torch.float64))


def test_the_gradient_is_the_adjoint_of_the_balance() -> None:
    giving = Giving(noise(*SHAPE).clamp(min=0), BOX)
    change, gradient = noise(*SHAPE, seed=1), noise(*SHAPE, seed=2)
    there, back = (giving.balanced(change) * gradient).sum(), (change * giving.gradient(gradient)).sum()
    torch.testing.assert_close(there, back, rtol=1e-10, atol=1e-10)


def test_it_is_taken_from_near_and_from_what_gives() -> None:
    weights = torch.ones(SHAPE, dtype=torch.float64)
    weights[12:] = 0.1
    near = Giving(weights, BOX, reach_mm=4.0).taken(PIECE)
    place = smooth(PIECE, 4.0, BOX)
    assert float(near[place < 0.01 * place.max()].sum()) < 0.03 * float(near.sum())
    beside, hard = near[8, 11, 8], near[12, 11, 8]
    assert float(hard) < 0.2 * float(beside)
