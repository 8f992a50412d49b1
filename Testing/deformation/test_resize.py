"""A structure driven to a size: how far it gets, what it leaves alone, and when it says that it failed."""

from __future__ import annotations

import math

import pytest
import torch
from mri_interpret.deformation.displacement import log_jacobian, warp
from mri_interpret.deformation.head import head_of
from mri_interpret.deformation.resize import resize

SHAPE = (32, 36, 30)
SPACING = (2.0, 2.0, 2.0)


def ball(radius: float, centre: tuple[float, float, float] = (16.0, 18.0, 15.0)) -> torch.Tensor:
    axes = [torch.arange(size, dtype=torch.float32) - at for size, at in zip(SHAPE, centre, strict=True)]
    i, j, k = torch.meshgrid(*axes, indexing="ij")
    return ((i**2 + j**2 + k**2).sqrt() <= radius).float()


HEAD = head_of(ball(13) > 0, SPACING)


@pytest.mark.parametrize("change", [math.log(0.7), math.log(1.3)])
def test_it_reaches_the_size_asked_for_and_the_outside_rests(change: float) -> None:
    structure, fluid = ball(4), ball(6) - ball(4)
    found = resize(HEAD, structure, fluid, change)
    assert found.reached
    volume = float(warp(structure[None], found.u, box=HEAD.box).sum())
    assert math.log(volume / float(structure.sum())) == pytest.approx(change, abs=0.024)
    assert not found.u[:, ball(13) == 0].any()
    inside = -log_jacobian(found.u, HEAD.box)  # the field maps backwards
    assert bool(torch.isfinite(inside).all())
    # The middle of the structure changes the way that was asked; fluid takes up the opposite.
    assert float(inside[ball(2) > 0].mean()) * change > 0
    assert float(inside[(ball(6) - ball(5)) > 0].mean()) * change < 0


def test_it_goes_on_from_where_it_was() -> None:
    structure, fluid = ball(4), ball(6) - ball(4)
    half = resize(HEAD, structure, fluid, math.log(0.85))
    further = resize(HEAD, structure, fluid, math.log(0.7), half.u)
    assert further.reached
    assert further.change == pytest.approx(math.log(0.7), abs=0.024)


def test_what_cannot_be_is_not_called_reached() -> None:
    """A structure that is the whole head has nowhere to go."""
    found = resize(HEAD, ball(13), torch.zeros(SHAPE), math.log(0.5))
    assert not found.reached


def test_it_can_be_cancelled_and_refuses_nothing() -> None:
    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    with pytest.raises(Stop):
        resize(HEAD, ball(4), torch.zeros(SHAPE), -0.2, told=stop)
    with pytest.raises(ValueError, match="no volume"):
        resize(HEAD, torch.zeros(SHAPE), torch.zeros(SHAPE), -0.2)
    with pytest.raises(ValueError, match="images' grid"):
        resize(head_of(ball(13) > 0, SPACING, (2, 2, 2)), ball(4), torch.zeros(SHAPE), -0.2)
