"""What the disease did to volumes, counted by hand on a few voxels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mri_interpret.benchmark.simulated_subjects import SimulatedSubject
from mri_interpret.benchmark.volume_truth import (
    CORRELATION,
    FLUID,
    STRUCTURES,
    asked_change,
    boundary_rows,
    change_to_healthy,
    structure_shares,
    volume_rows,
)
from mri_interpret.checks.volume_maps import COUNTERFACTUAL, GRADIENT
from mri_interpret.simulation.groups import FRACTION
from mri_interpret.simulation.structures import NAMES


def labels_with(counts: dict[str, int]) -> np.ndarray:
    """(4, 4, 4) labels whose first voxels are of these structures, so many each."""
    codes = [NAMES.index(name) for name, count in counts.items() for _ in range(count)]
    flat = np.zeros(64, np.uint8)
    flat[: len(codes)] = codes
    return flat.reshape(4, 4, 4)


ILL = {"Left-Hippocampus": 6, "Right-Hippocampus": 4, "Left-Amygdala": 4, "Left-Inf-Lat-Vent": 8, "CSF": 2}
WELL = {"Left-Hippocampus": 8, "Right-Hippocampus": 7, "Left-Amygdala": 5, "Left-Inf-Lat-Vent": 4, "CSF": 2}


def test_shares_add_up_to_the_counted_voxels() -> None:
    shares = structure_shares(labels_with(ILL))
    assert shares["hippocampus"].shape == (2, 2, 2)
    volumes = {name: float(share.sum()) * 8 for name, share in shares.items()}
    assert volumes == {
        "hippocampus": 10,
        "amygdala": 4,
        "inferior lateral ventricle": 8,
        "lateral ventricle": 0,
        FLUID: 10,
    }


def test_what_undoes_the_disease_is_counted_in_both_label_maps() -> None:
    found = change_to_healthy(labels_with(ILL), labels_with(WELL))
    assert found["hippocampus"] == pytest.approx(math.log(15 / 10))
    assert found["amygdala"] == pytest.approx(math.log(5 / 4))
    assert found["inferior lateral ventricle"] == pytest.approx(math.log(4 / 8))
    assert math.isnan(found["lateral ventricle"])


def test_a_structure_s_change_is_that_of_its_volume() -> None:
    share = np.array([1.0, 0.5, 0.0])
    # 1 ml grows by half, half a ml shrinks by a fifth: 1.5 ml become 1.9.
    assert asked_change(np.array([50.0, -20.0, 999.0]), share) == pytest.approx(math.log(1.9 / 1.5))
    assert math.isnan(asked_change(np.array([50.0]), np.array([0.0])))
    assert math.isnan(asked_change(np.array([-100.0]), np.array([1.0])))


def test_a_counterfactual_that_undoes_the_disease_is_right_and_its_opposite_wrong() -> None:
    rng = np.random.default_rng(0)
    shape = (4, 4, 4)
    effect = rng.normal(0, 0.2, shape).astype(np.float32)
    hippocampus = np.zeros(shape, np.float32)
    hippocampus[:2] = 1
    undone = 100 * np.expm1(-effect)
    change = asked_change(undone, hippocampus)
    given = SimulatedSubject(
        *("AD 0", "AD", "none", torch.zeros(1, 1, *shape), np.ones(shape, bool), effect, np.ones(shape, bool)),
        hippocampus=hippocampus > 0,
        fraction=3.0,
        shares={name: hippocampus for name in STRUCTURES},
        undoing=dict.fromkeys(STRUCTURES, change),
    )

    def rows(key: str, values: np.ndarray) -> dict[str, float]:
        return {measure: value for _, measure, value in volume_rows(given, key, values)}

    right, wrong = rows(COUNTERFACTUAL, undone), rows(COUNTERFACTUAL, 100 * np.expm1(effect))
    assert right[CORRELATION] > 0.95
    assert right["hippocampus: error"] == pytest.approx(0)
    assert wrong[CORRELATION] < -0.95
    assert wrong["hippocampus: error"] == pytest.approx(abs(wrong["hippocampus: asked"] - change))
    assert wrong["hippocampus: asked"] != pytest.approx(change)
    # What speaks for the disease lies along what the disease did.
    assert rows(GRADIENT, effect) == {CORRELATION: pytest.approx(1)}
    assert rows("gradient", effect) == {}


def test_the_boundary_is_where_both_groups_are_as_likely() -> None:
    """Equal spread would put it at the mean of both groups; AD's is a little wider."""
    shape = (2, 2, 2)
    everywhere = np.ones(shape, np.float32)

    def found(fraction: float, percent: float) -> dict[str, float]:
        given = SimulatedSubject(
            *("AD 0", "AD", "none", torch.zeros(1, 1, *shape), everywhere > 0, everywhere, everywhere > 0),
            hippocampus=everywhere > 0,
            fraction=fraction,
            shares={"hippocampus": everywhere},
        )
        return {name: value for _, name, value in boundary_rows(given, COUNTERFACTUAL, percent * everywhere)}

    ill = found(3.65, 15.0)
    middle = (FRACTION["CN"][0] + FRACTION["AD"][0]) / 2
    assert ill["hippocampus: to even odds"] == pytest.approx(math.log(middle / 3.65), abs=0.01)
    assert ill["hippocampus: error to even odds"] == pytest.approx(
        abs(math.log(1.15) - ill["hippocampus: to even odds"])
    )
    assert found(5.0, 0.0)["hippocampus: to even odds"] < 0, "of a healthy one it is beyond"
    assert found(math.nan, 0.0) == {}, "of a real scan nobody knows"
