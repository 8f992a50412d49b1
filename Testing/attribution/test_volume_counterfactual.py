"""The volume counterfactual reaches its goal by growing what has to grow, and leaves everything else as it was."""

from __future__ import annotations

import weakref
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise, product

import pytest
import torch
from mri_interpret.attribution import Attribution, Attributions, Explainer, counterfactual, recording
from mri_interpret.attribution.methods.volume_counterfactual import VolumeCounterfactual
from mri_interpret.attribution.recorded_pass import RecordedPass
from mri_interpret.deformation.displacement import warp
from mri_interpret.errors import Cancelled, UserError
from mri_interpret.models.goals import Goal
from torch import Tensor, nn

from Testing.attribution.state import assert_same, state

SHAPE, SPACING = (20, 22, 18), (2.0, 2.0, 2.0)
NAME = "volume_counterfactual"
ALONE = VolumeCounterfactual(starts=0)


def distance(centre: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Tensor:
    """In mm from a centre, which is given in mm from the grid's middle."""
    axes = [(torch.arange(n) - (n - 1) / 2) * size - at for n, size, at in zip(SHAPE, SPACING, centre, strict=True)]
    return sum(axis**2 for axis in torch.meshgrid(*axes, indexing="ij")).sqrt()


def brain() -> Tensor:
    return distance() < 16


def scan() -> Tensor:
    """A bright ball of 6 mm in a dark brain."""
    return (0.1 * brain() + 0.9 * torch.sigmoid((6 - distance()) / 1.5) * brain())[None, None]


class BallSize(nn.Sequential):
    """Two logits; the second rises with how much of the scan is bright, and is 0 at ``threshold`` times the scan's."""

    def __init__(self, threshold: float = 1.2, gain: float = 30.0) -> None:
        bright = float(torch.relu(scan() - 0.5).mean())
        super().__init__(nn.Conv3d(1, 1, 1), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(1, 2))
        with torch.no_grad():
            self[0].weight.fill_(1.0)
            self[0].bias.fill_(-0.5)
            self[4].weight.copy_(torch.tensor([[0.0], [gain / bright]]))
            self[4].bias.copy_(torch.tensor([0.0, -gain * threshold]))


def explain(method: VolumeCounterfactual = ALONE, model: nn.Module | None = None, **given: object) -> Attributions:
    chosen = {"brain_mask": brain(), "spacing": SPACING, "target": [-1.0, 1.0]} | given
    x = chosen.pop("x", scan())
    return Explainer(model or BallSize()).explain(x, methods=["gradient", method], **chosen)


@lru_cache(maxsize=1)
def found() -> Attribution:
    return explain()[NAME]


def test_the_ball_grows_until_the_answer_turns() -> None:
    (deformation,) = found().deformations
    assert deformation.reached
    assert deformation.sentence == ""
    before, after = deformation.criterion
    assert before == pytest.approx(-6.0, abs=1e-3)
    assert 0 <= after < 0.02  # just beyond the boundary
    with torch.no_grad():
        logits = BallSize()(deformation.image[None])[0]
    assert float(logits[1] - logits[0]) == pytest.approx(after, abs=1e-4)
    inside = found().map[0][distance() < 5]
    assert 10 < float(inside.mean()) < 40
    assert found().units == "% of volume"


def test_every_step_leads_there_and_is_small() -> None:
    path = found().deformations[0].path
    values = [point["value"] for point in path]
    assert values == sorted(values)
    assert path[0]["size"] == 0
    assert path[-1]["size"] == pytest.approx(found().deformations[0].size)
    # Twenty per cent in steps of three.
    assert len(path) > 5


def test_far_from_the_goal_steps_are_longer_and_lead_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model = BallSize(threshold=2.4)  # the ball has to become more than twice as large
    (longer,) = explain(model=model)[NAME].deformations
    monkeypatch.setattr(counterfactual, "_LONGER", 1.0)
    (alike,) = explain(replace(ALONE, max_steps=200), model=model)[NAME].deformations
    assert longer.reached
    assert alike.reached
    assert len(longer.path) < 0.7 * len(alike.path)
    gained = [b["value"] - a["value"] for a, b in pairwise(longer.path)]
    assert max(gained) > 1.5 * gained[-2], "the last ones, but for the cut one, are short again"
    assert longer.size == pytest.approx(alike.size, rel=0.02)
    apart = longer.displacement - alike.displacement
    assert float(apart.norm()) < 0.05 * float(alike.displacement.norm())


def test_nothing_folds_and_nothing_moves_outside_of_the_brain() -> None:
    (deformation,) = found().deformations
    u = deformation.displacement
    for ahead in product((False, True), repeat=3):
        # Between the corners of a cell, the map is linear along each axis: one-sided differences tell of every place.
        steps = [
            torch.roll(u, -1, axis + 1) - u if there else u - torch.roll(u, 1, axis + 1)
            for axis, there in enumerate(ahead)
        ]
        slopes = torch.stack([step / size for step, size in zip(steps, SPACING, strict=True)], -1)
        jacobian = torch.linalg.det(slopes.permute(1, 2, 3, 0, 4) + torch.eye(3))
        assert float(jacobian.min()) > 0.2
    outside = ~brain()
    assert torch.equal(deformation.image[0][outside], scan()[0, 0][outside])
    assert not found().map[0][outside].any()


def test_the_map_is_the_change_of_a_pieces_volume() -> None:
    """The mean over a piece that is smooth on this grid is what the piece itself grows by."""
    (deformation,) = found().deformations
    ball = torch.sigmoid((5 - distance()) / 3.0) * brain()
    piece = tuple(
        slice(int(first), int(first) + n)
        for first, n in zip(deformation.origin, deformation.displacement.shape[1:], strict=True)
    )
    box = deformation._box(deformation.displacement)
    moved = warp(ball[piece][None], deformation.displacement, box=box)
    wanted = 100 * (float(moved.sum()) / float(ball.sum()) - 1)
    mean = float((found().map[0] * ball).sum() / ball.sum())
    assert mean == pytest.approx(wanted, rel=0.05)


def test_other_methods_of_the_same_pass_are_not_touched() -> None:
    together = explain()["gradient"].map
    alone = Explainer(BallSize()).explain(scan(), [-1.0, 1.0], "gradient")["gradient"].map
    assert torch.equal(together, alone)


def test_fluid_gives_what_tissue_takes() -> None:
    fluid = ((distance() > 9) & (distance() < 12)).float()
    wet = fluid > 0
    given = explain(fluid=fluid)[NAME]
    assert given.deformations[0].reached
    assert float(given.map[0][wet].mean()) < -1 < 1 < float(found().map[0][wet].mean())


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 2.0, 3.0)], ids=str)
def test_any_voxel_size(spacing: tuple[float, float, float]) -> None:
    one = explain(replace(ALONE, smoothing_mm=3.0), spacing=spacing)[NAME]
    (deformation,) = one.deformations
    assert deformation.reached
    assert deformation.step == tuple(max(1.0, round(2 / size)) for size in spacing)
    moved = deformation.image[0] != scan()[0, 0]
    assert bool(moved.any())
    assert not bool((moved & ~brain()).any())


GOALS = {
    "a value below": (Goal("value", level=-8.0), -8.0, -1),
    "a value above": (Goal("value", level=-4.0), -4.0, 1),
    "a class": (Goal("large", ((-1.0, 1.0),), upwards=True), 0.0, 1),
    "a probability": (Goal("large at 1 %", ((-1.0, 1.0),), -4.595, temperature=1.0, of_logits=True), -4.595, 1),
}


@pytest.mark.parametrize("name", GOALS)
def test_goals(name: str) -> None:
    goal, level, sign = GOALS[name]
    one = explain(replace(ALONE, goal=goal))[NAME]
    (deformation,) = one.deformations
    assert deformation.reached
    assert deformation.goal == goal.words
    assert deformation.criterion[1] == pytest.approx(level, abs=0.02)
    assert sign * float(one.map[0][distance() < 5].mean()) > 0


def test_a_class_ends_where_another_becomes_as_likely() -> None:
    one = explain(target=0)[NAME]
    (deformation,) = one.deformations
    assert deformation.reached
    assert deformation.criterion == pytest.approx((6.0, 0.0), abs=0.02)


def test_further_starts_tell_how_stable_it_is() -> None:
    (deformation,) = explain(VolumeCounterfactual(starts=2))[NAME].deformations
    assert deformation.starts_reached == (True, True)
    main = deformation.log_volume().flatten()
    for start in deformation.starts:
        assert start.shape == deformation.displacement.shape
        assert not torch.equal(start, deformation.displacement)
        assert float(torch.corrcoef(torch.stack((main, deformation.log_volume(start).flatten())))[0, 1]) > 0.8


def test_a_batch_is_its_scans_one_by_one() -> None:
    x = torch.cat([scan(), 0.95 * scan()])
    together = explain(x=x)[NAME]
    assert len(together.deformations) == 2
    for number, one in enumerate(x):
        alone = explain(x=one[None])[NAME]
        torch.testing.assert_close(together.map[number], alone.map[0], atol=1e-3, rtol=1e-3)


def test_what_is_reached_already_stays() -> None:
    one = explain(replace(ALONE, goal=Goal("small", ((1.0, -1.0),), upwards=True)))[NAME]
    (deformation,) = one.deformations
    assert deformation.reached
    assert "reached already" in deformation.sentence
    assert not one.map.any()
    assert torch.equal(deformation.image, scan()[0])


def test_a_flat_network_cannot_be_moved() -> None:
    model = BallSize()
    with torch.no_grad():
        model[0].bias.fill_(-5.0)  # every unit is off
    (deformation,) = explain(model=model)[NAME].deformations
    assert not deformation.reached
    assert "does not change with any volume" in deformation.sentence


def test_a_network_that_saturates_stops_where_it_does() -> None:
    class Saturated(BallSize):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * torch.tanh(super().forward(x) / 2)

    method = replace(ALONE, goal=Goal("beyond its range", ((-1.0, 1.0),), level=2.5))
    (deformation,) = explain(method, Saturated(threshold=0.9))[NAME].deformations
    assert not deformation.reached
    assert "hardly move the answer" in deformation.sentence
    assert 1.5 < deformation.criterion[1] < 2


def test_a_single_output_reaches_a_value() -> None:
    quantity = nn.Sequential(*list(BallSize().children())[:4], nn.Linear(1, 1))
    with torch.no_grad():
        quantity[4].weight.fill_(1000.0)
        quantity[4].bias.fill_(60.0)
        now = float(quantity(scan()))
    method = replace(ALONE, goal=Goal("age", ((1.0,),), level=now + 1.5))
    (deformation,) = explain(method, quantity, target=[1.0])[NAME].deformations
    assert deformation.reached
    assert deformation.path[-1]["value"] == pytest.approx(now + 1.5, abs=0.01)


def test_memory_is_that_of_two_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a pass is recorded, none but the first one is still there."""
    made, alive = [], []

    class Watched(RecordedPass):
        def __init__(self, *args: object, **kept: object) -> None:
            super().__init__(*args, **kept)
            made.append(weakref.ref(self))

    class Counting(BallSize):
        def forward(self, x: Tensor) -> Tensor:
            alive.append(sum(one() is not None for one in made))
            return super().forward(x)

    monkeypatch.setattr(recording, "RecordedPass", Watched)
    explain(VolumeCounterfactual(starts=1, max_steps=6, goal=Goal("value", level=-4.5)), Counting())
    assert len(made) > 5
    assert max(alive) == 1


def test_what_is_out_of_reach_is_said_with_how_far_it_came() -> None:
    method = VolumeCounterfactual(goal=Goal("too much", level=1e4), starts=0, max_steps=3)
    (deformation,) = explain(method)[NAME].deformations
    assert not deformation.reached
    assert deformation.sentence.startswith("The goal was not reached: 3 steps were not enough (from −6")
    assert "1e+04 was asked" in deformation.sentence
    assert deformation.starts == ()


def test_a_change_that_no_brain_makes_is_called_so() -> None:
    one = explain(replace(ALONE, goal=Goal("huge", level=50.0), max_steps=80, smoothing_mm=2.0))[NAME]
    assert not one.deformations[0].plausible
    assert "no brain makes" in one.deformations[0].plausibility
    assert found().deformations[0].plausible


def test_a_mask_that_cuts_the_brain_is_said() -> None:
    half = brain().clone()
    half[: SHAPE[0] // 2] = False
    maps = explain(brain_mask=half)
    assert any("does the mask cut the brain" in notice for notice in maps.notices)
    assert not explain().notices


def test_cancelling_leaves_no_trace() -> None:
    model, x, steps = BallSize().train(), scan(), []
    before = state(model)

    def progress(step: str, fraction: float) -> None:
        steps.append(fraction)
        if step == "Volume counterfactual" and len(steps) > 6:
            raise Cancelled(step)

    with pytest.raises(Cancelled):
        Explainer(model).explain(x, [-1.0, 1.0], [ALONE], progress=progress, brain_mask=brain(), spacing=SPACING)
    assert_same(before, state(model))
    assert torch.equal(x, scan())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"goal": "somewhere"}, "'somewhere' is not known"),
        ({"step_percent": 5.0}, "at most 3 per cent"),
        ({"max_steps": 0}, "at least one step"),
        ({"starts": -1}, "negative"),
        ({"smoothing_mm": 0.0}, "above 0 in mm"),
    ],
    ids=["goal", "large steps", "no steps", "negative starts", "no smoothing"],
)
def test_bad_parameters_are_refused(parameters: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        VolumeCounterfactual(**parameters)


def test_a_goal_of_another_network_is_refused() -> None:
    with pytest.raises(UserError, match="weighs 3 outputs, but the model has 2"):
        explain(replace(ALONE, goal=Goal("other", ((1.0, 0.0, 0.0),))))


def test_probabilities_without_logits_are_no_log_odds() -> None:
    class Probabilities(BallSize):
        def forward(self, x: Tensor) -> Tensor:
            odds = torch.exp(super().forward(x))
            return odds / odds.sum(1, keepdim=True)

    with pytest.raises(UserError, match="probabilities without their logits"):
        explain(replace(ALONE, goal=GOALS["a probability"][0]), model=Probabilities())
