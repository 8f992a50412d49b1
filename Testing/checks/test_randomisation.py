"""Randomisation: what is random, in which order, and who passes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mri_interpret.checks.explained_image import ExplainedImage
from mri_interpret.checks.randomisation import cascade, check_randomisation, compared_share
from mri_interpret.errors import Cancelled
from torch import nn

from Testing.checks.small_networks import (
    SHAPE,
    atlas,
    brain,
    brightness,
    gradient_times_input,
    image,
    linear_case,
    small_cnn,
)


def _cnn_case(explain=gradient_times_input) -> ExplainedImage:  # type: ignore[no-untyped-def]
    network, x, target = small_cnn(), image(), [0.0, 0.0, 1.0]
    maps = dict(explain(network, x, target, ["map"]))
    return ExplainedImage(network, x, target, maps, brain(), atlas(), explain=explain)


def test_the_cascade_goes_from_the_top_down_and_the_map_goes_with_it() -> None:
    explained = _cnn_case()
    assert explained.explain is not None
    stages = cascade(
        explained.network,
        explained.image,
        explained.target,
        explained.maps,
        explained.inside,
        explained.explain,
        seed=2,
    )
    assert [stage.layers for stage in stages] == [
        ("10",),
        ("10", "6"),
        ("10", "6", "3", "4"),
        ("10", "6", "3", "4", "0", "1"),
    ]
    assert [stage.depth for stage in stages] == [0.25, 0.5, 0.75, 1.0]
    assert stages[-1].spearman["map"] < 0.5
    assert all(stage.ssim["map"] < 1 for stage in stages)


def test_half_of_an_odd_number_of_layers_is_the_larger_half() -> None:
    network = nn.Sequential(
        nn.Conv3d(1, 2, 1), nn.Conv3d(2, 2, 1), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(2, 2)
    )
    maps = gradient_times_input(network, image(), [0.0, 1.0], ["map"])
    (stage,) = cascade(network, image(), [0.0, 1.0], maps, brain(), gradient_times_input, (0.5,))
    assert stage.layers == ("4", "1")
    assert stage.depth == pytest.approx(2 / 3)


def test_a_map_that_ignores_the_network_fails() -> None:
    (verdict,) = check_randomisation(_cnn_case(brightness))
    assert verdict.verdict == "fail"
    assert verdict.value == pytest.approx(1)


def test_a_map_that_is_the_network_passes() -> None:
    """A linear network's gradient is its weights: random weights, unrelated map."""

    def gradient(network, x, target, names):  # type: ignore[no-untyped-def]
        return {
            name: values / np.where(x[0, 0] > 0, x[0, 0], 1)
            for name, values in gradient_times_input(network, x, target, names).items()
        }

    explained, weights = linear_case(explain=gradient, maps={"map": np.zeros(SHAPE)})
    explained = type(explained)(**{**vars(explained), "maps": {"map": weights}})
    (verdict,) = check_randomisation(explained)
    assert verdict.verdict == "pass"
    assert abs(verdict.value) < 0.2


def test_without_an_explainer_or_with_a_zero_map_it_does_not_apply() -> None:
    explained, _ = linear_case(explain=None)
    assert check_randomisation(explained)[0].verdict == "not applicable"
    zero, _ = linear_case(maps={"zero": np.zeros(SHAPE)})
    verdict = check_randomisation(zero)[0]
    assert verdict.verdict == "not applicable"
    assert math.isnan(verdict.value)
    assert "constant" in verdict.sentence


def test_the_verdict_is_the_mean_over_stages_and_a_dead_map_counts_as_unlike() -> None:
    explained = _cnn_case()
    assert explained.explain is not None
    calls = 0

    def sometimes_dead(network, x, target, names):  # type: ignore[no-untyped-def]
        nonlocal calls
        calls += 1
        found = gradient_times_input(network, x, target, names)
        return {name: values * (calls != 2) for name, values in found.items()}

    given = (explained.network, explained.image, explained.target, explained.maps, explained.inside, explained.explain)
    stages = [cascade(*given, (share,), 3 + number)[0] for number, share in enumerate((0.01, 0.25, 0.5))]
    assert [len(stage.layers) for stage in stages] == [1, 1, 2]
    single = [abs(stage.spearman["map"]) for stage in stages]
    (verdict,) = check_randomisation(explained, seed=1)
    assert verdict.value == pytest.approx(np.mean(single))
    dead = type(explained)(**{**vars(explained), "explain": sometimes_dead})
    (verdict,) = check_randomisation(dead, seed=1)
    assert verdict.value == pytest.approx((single[0] + single[2]) / 3)


def test_a_network_without_parameters_is_refused() -> None:
    network = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten())
    with pytest.raises(ValueError, match="no parameters"):
        cascade(network, image(), [1.0], {"map": np.zeros(SHAPE)}, brain(), brightness)


def test_it_can_be_cancelled_between_stages() -> None:
    def stop(_: str, fraction: float) -> None:
        if fraction > 0:
            raise Cancelled("enough")

    explained = _cnn_case()
    with pytest.raises(Cancelled):
        check_randomisation(explained, progress=stop)


def test_grids_of_2_mm_are_compared_at_every_voxel_finer_ones_at_as_many() -> None:
    assert [compared_share((edge,) * 3) for edge in (4.0, 2.0, 1.999, 1.0, 0.5)] == [1, 1, 1, 1 / 8, 1 / 64]
    assert compared_share((1.0, 1.0, 2.0)) == 1 / 4


def test_copies_with_random_layers_are_not_checked_against_torch_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from mri_interpret.attribution import Explainer
    from mri_interpret.attribution.engine import gradient_check
    from mri_interpret.checks.run_checks import explain_function

    network, x = small_cnn(), image()
    found = Explainer(network).explain(x, [0.0, 0.0, 1.0], ["gradient"])

    def never(*_: object) -> None:
        raise AssertionError("torch was asked again")

    monkeypatch.setattr(gradient_check, "run_by_torch", never)
    explain = explain_function(["gradient"], brain(), atlas())
    explained = ExplainedImage(
        network, x, [0.0, 0.0, 1.0], {"gradient": found["gradient"].map[0].numpy()}, brain(), atlas(), explain=explain
    )
    (verdict,) = check_randomisation(explained)
    assert verdict.verdict == "pass"
