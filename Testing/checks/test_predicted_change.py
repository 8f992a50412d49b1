"""What maps predict for a replacement, on networks where the change is known exactly."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from mri_interpret.attribution import Explainer
from mri_interpret.attribution.methods.baselines import RandomisedModel
from mri_interpret.attribution.methods.gradient import GradientTimesInput, IntegratedGradients, SmoothGrad
from mri_interpret.attribution.methods.lrp import LRP
from mri_interpret.attribution.registry import available_methods, create_method
from mri_interpret.checks.check_map import check_map
from mri_interpret.checks.explained_image import explained_values
from mri_interpret.checks.faithfulness import infidelity, random_sets
from mri_interpret.checks.faithfulness_checks import check_correlation
from mri_interpret.checks.predicted_change import predicted_change
from mri_interpret.checks.run_checks import run_checks
from mri_interpret.checks.segments import blocks
from mri_interpret.errors import UserError

from Testing.checks.small_networks import SHAPE, Linear3d, atlas, brain, image, linear_case

TARGET = [0.0, 0.0, 1.0]


def _linear() -> Linear3d:
    weights = np.random.default_rng(1).normal(size=(3, *SHAPE)).astype(np.float32)
    return Linear3d(weights).eval()  # type: ignore[return-value]


def test_on_a_linear_network_every_conserving_method_predicts_the_change() -> None:
    """And the gradient does, though it conserves nothing; with the explainer that makes the maps."""
    network = _linear()
    methods: list[Any] = [
        "gradient", "gradient_x_input", IntegratedGradients(steps=2), IntegratedGradients(steps=2, baseline=0.5),
        SmoothGrad(samples=2), LRP(composite="epsilon"), LRP(composite="zero", bias="redistribute"),
    ]  # fmt: skip
    found = Explainer(network).explain(image(), target=TARGET, methods=methods)
    maps = {name: one.map[0].numpy() for name, one in found.items()}
    assert len(maps) == len(methods)
    rows = run_checks(
        "fast", Explainer(network), image(), maps, target=TARGET, mask=brain(), labels=atlas(), methods=methods,
        details={name: one.details for name, one in found.items()},
    )  # fmt: skip
    faithful = [row for row in rows if row.check == "faithfulness"]
    assert len(faithful) == len(methods)
    for row in faithful:
        assert row.value == pytest.approx(1, abs=1e-4), row.method
        assert "predicts" in row.sentence
        # The epsilon rule's stabiliser and single precision leave some millionths.
        assert float(row.sentence.split("infidelity ")[1].split(";")[0]) < 1e-6, row.sentence


def test_the_change_of_each_region_is_predicted_where_relevance_itself_has_the_other_sign() -> None:
    """Every region speaks for the class, and is replaced by more of what does: positive relevance, a rising value."""
    weights = np.zeros((3, *SHAPE), np.float32)
    for label in range(1, 9):
        weights[2][atlas() == label] = float(label)
    network, x = Linear3d(weights).eval(), image()[0, 0].numpy()
    imputed = np.where(brain(), x + 0.1 * atlas(), 0).astype(np.float32)
    explained, _ = linear_case(network=network, maps={"map": weights[2] * x}, imputed=imputed)
    predicted = predicted_change(explained, "map", imputed)
    assert not predicted.by_size
    for label in range(1, 9):
        where = (atlas() == label) & brain()
        expected = -0.1 * label**2 * np.count_nonzero(where)
        assert predicted.drop[where].sum() == pytest.approx(expected, rel=1e-4)
        without = torch.as_tensor(np.where(where, imputed, x).astype(np.float32))[None, None]
        real = np.subtract(*explained_values(network, torch.cat([explained.image, without]), TARGET))
        assert predicted.drop[where].sum() == pytest.approx(real, rel=1e-3)
    (verdict,) = check_correlation(explained)
    assert verdict.value == pytest.approx(1, abs=1e-4)
    assert verdict.verdict == "pass"


def test_a_map_of_the_right_order_and_the_wrong_size_correlates_and_is_told_apart() -> None:
    explained, weights = linear_case(readings={"exact": "slope"})
    explained = replace(explained, maps={"exact": 3 * weights})
    (verdict,) = check_correlation(explained)
    assert verdict.value == pytest.approx(1, abs=1e-4)
    assert "infidelity 4;" in verdict.sentence  # (3 - 1)^2


def test_infidelity_is_the_error_over_what_was_to_be_predicted() -> None:
    parts = blocks(brain(), 4)
    taken = random_sets(parts, 16, 4, np.random.default_rng(0))
    exact = np.random.default_rng(1).normal(size=SHAPE) * brain()
    drops = taken @ np.bincount(parts.ravel(), exact.ravel())[1:]
    for factor in (1.0, 0.0, -1.0):
        assert infidelity(factor * exact, parts, taken, drops) == pytest.approx((factor - 1) ** 2, abs=1e-9)
    assert np.isnan(infidelity(exact, parts, taken, 0 * drops))


def test_relevance_on_voxels_of_no_intensity_predicts_nothing_and_the_sentence_says_so() -> None:
    x = image()
    dark = np.zeros(SHAPE, bool)
    dark[4:6, 4:8, 3:6] = True
    x[0, 0][torch.as_tensor(dark)] = 0
    explained, weights = linear_case(image=x, imputed=np.where(brain(), 0.5, 0).astype(np.float32))
    relevance = weights * x[0, 0].numpy() + dark
    explained = replace(explained, maps={"exact": relevance})
    predicted = predicted_change(explained, "exact", np.where(brain(), 0.5, 0).astype(np.float32))
    assert np.isfinite(predicted.drop).all()
    assert not predicted.drop[dark].any()
    share = np.abs(relevance[dark]).sum() / np.abs(relevance[brain()]).sum()
    assert predicted.unread == pytest.approx(share)
    assert f"{share:.0%} of the relevance lies on voxels of no intensity" in check_correlation(explained)[0].sentence


def test_added_channels_are_compared_by_size() -> None:
    explained, _ = linear_case()
    two = replace(explained, image=torch.cat([explained.image, 0.5 * explained.image], dim=1))
    assert two.reading_of("exact") == "size"
    assert explained.reading_of("exact") == "share"


def test_each_method_says_how_its_map_is_read() -> None:
    read = {name: info.reading for name, info in available_methods().items()}
    assert {name for name, reading in read.items() if reading == "slope"} == {"gradient", "smoothgrad"}
    assert {name for name, reading in read.items() if reading == "share"} == {
        "gradient_x_input", "integrated_gradients", "lrp",
    }  # fmt: skip
    # The flat rule gives every voxel of a window the same, whatever its intensity; so does no other part of LRP.
    assert create_method("lrp").read_as == "size"
    assert LRP(composite="epsilon-gamma-box").read_as == "size"
    assert LRP(composite="epsilon-plus").read_as == "share"
    assert SmoothGrad(base=GradientTimesInput()).read_as == "share"
    assert RandomisedModel().read_as == "slope"


def test_a_map_from_elsewhere_says_what_it_is() -> None:
    network = _linear()
    gradient = network.dense.weight.detach().numpy()[2].reshape(SHAPE)
    slope = check_map(gradient, network, image(), 2, reading="slope").of("faithfulness")
    assert slope.value == pytest.approx(1, abs=1e-4)
    assert check_map(gradient, network, image(), 2).of("faithfulness").value < 0.99
    by_size = check_map(gradient, network, image(), 2, reading="size").of("faithfulness")
    assert by_size.sentence == check_map(gradient, network, image(), 2, signed=False).of("faithfulness").sentence
    with pytest.raises(UserError, match="The reading 'steep' is not known: give one of slope, share, size"):
        check_map(gradient, network, image(), 2, reading="steep")
