"""The volume gradient says what growth does to the score."""

from __future__ import annotations

import pytest
import torch
from mri_interpret.attribution import Explainer, Gradient, VolumeGradient
from mri_interpret.deformation.construction import smooth
from mri_interpret.deformation.giving import GIVING_MM, Giving
from mri_interpret.deformation.head import head_of
from mri_interpret.errors import UserError
from torch import Tensor, nn

from Testing.attribution.networks import plain

SHAPE, SPACING = (20, 24, 18), (2.0, 2.0, 2.5)


def smooth_scan(seed: int = 0) -> Tensor:
    noise = torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return 3 * smooth(noise, 8.0, (40.0, 48.0, 45.0))[None]


def brain() -> Tensor:
    mask = torch.zeros(SHAPE)
    mask[2:-2, 2:-2, 2:-2] = 1
    return mask


def growing(head_shape: tuple[int, ...] = SHAPE) -> Tensor:
    piece = torch.zeros(head_shape, dtype=torch.float64)
    piece[6:11, 8:14, 6:11] = 1
    return piece


@pytest.mark.parametrize("target", [0, [-1.0, 0.0, 1.0]], ids=["class", "contrast"])
def test_the_sum_over_a_region_is_what_its_growth_by_one_per_cent_does(target: int | list[float]) -> None:
    model, x, piece = plain(), smooth_scan(), growing()
    maps = Explainer(model).explain(x, target, "volume_gradient", brain_mask=brain(), spacing=SPACING)
    head = head_of(brain(), SPACING)
    growth = Giving(head.inside, head.box).balanced(piece)
    assert abs(float(growth.sum())) < 0.01 * float(piece.sum()), "what grows is taken from around it"
    larger, smaller = (head.deformed(x[0], head.displacement(half * growth))[None] for half in (0.005, -0.005))
    with torch.no_grad():
        change = (maps.weights[0].double() * (model(larger) - model(smaller))[0]).sum()
    found = float((maps["volume_gradient"].map[0] * piece).sum())
    assert abs(found - float(change)) < 0.02 * abs(float(change))
    assert maps["volume_gradient"].units == "logit per 1 % of a voxel's volume"


def test_how_far_the_brain_gives_way_is_a_parameter() -> None:
    assert VolumeGradient().giving_mm == GIVING_MM
    x, head = smooth_scan(), head_of(brain(), SPACING)
    methods = [Gradient(), VolumeGradient(), VolumeGradient(giving_mm=None)]
    maps = Explainer(plain()).explain(x, 0, methods, brain_mask=brain(), spacing=SPACING)
    gradient, near, whole = (one.map for one in maps.values())
    wanted = 0.01 * head.gradient(head.field_gradient(x[0].float(), gradient[0].float()))
    torch.testing.assert_close(whole[0].float(), wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))
    assert not torch.allclose(near, whole, rtol=0.05)
    assert [one.details.get("giving_mm") for one in maps.values()] == [None, GIVING_MM, None]
    with pytest.raises(UserError, match="above 0 and below 100 mm"):
        VolumeGradient(giving_mm=0.0)


def test_nothing_is_said_of_what_lies_outside_of_the_mask() -> None:
    maps = Explainer(plain()).explain(smooth_scan(), 0, "volume_gradient", brain_mask=brain(), spacing=SPACING)
    found = maps["volume_gradient"]
    assert not found.map[0][brain() == 0].any()
    assert found.map.any()
    assert 0 < found.details["outside_mask_share"][0] < 1
    assert found.details["spacing_mm"] == list(SPACING)


def test_without_a_mask_the_head_is_what_is_not_zero() -> None:
    x = smooth_scan() * brain()
    with_mask = Explainer(plain()).explain(x, 0, "volume_gradient", brain_mask=brain(), spacing=SPACING)
    without = Explainer(plain()).explain(x, 0, "volume_gradient", spacing=SPACING)
    assert torch.equal(with_mask["volume_gradient"].map, without["volume_gradient"].map)


def test_a_batch_is_its_scans_one_by_one() -> None:
    x = torch.cat([smooth_scan(1), smooth_scan(2)])
    explainer = Explainer(plain())
    together = explainer.explain(x, 1, "volume_gradient", brain_mask=brain(), spacing=SPACING)["volume_gradient"].map
    alone = [
        explainer.explain(one[None], 1, "volume_gradient", brain_mask=brain(), spacing=SPACING)["volume_gradient"].map
        for one in x
    ]
    torch.testing.assert_close(together, torch.cat(alone))


def test_a_missing_voxel_size_is_said() -> None:
    maps = Explainer(plain()).explain(smooth_scan(), 0, "volume_gradient", brain_mask=brain())
    assert any("cube of 1 mm" in notice for notice in maps.notices)
    assert not Explainer(plain()).explain(smooth_scan(), 0, "gradient").notices


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"brain_mask": torch.zeros(SHAPE)}, "too few voxels"),
        ({"spacing": (1.0, 0.0, 1.0)}, "3 lengths above zero"),
        ({"spacing": (1.0, 1.0)}, "3 lengths above zero"),
        ({"fluid": torch.full(SHAPE, 2.0)}, "not between 0 and 1"),
        ({"fluid": torch.zeros(3, 3, 3)}, "shares of fluid have shape"),
    ],
    ids=["empty mask", "no voxel size", "two voxel sizes", "shares above one", "another grid"],
)
def test_bad_input_is_refused(given: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Explainer(plain()).explain(smooth_scan(), 0, "volume_gradient", **given)


@pytest.mark.parametrize("method", ["volume_gradient", "volume_counterfactual"])
def test_networks_of_images_and_signals_have_no_volumes(method: str) -> None:
    flat = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(UserError, match="three spatial axes, but the input has 2"):
        Explainer(flat).explain(torch.rand(1, 1, 12, 12), 0, method)
    line = nn.Sequential(nn.Conv1d(1, 2, 3), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    with pytest.raises(UserError, match="three spatial axes, but the input has 1"):
        Explainer(line).explain(torch.rand(1, 1, 12), 0, method)
