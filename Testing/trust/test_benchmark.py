"""The benchmark: subjects whose truth fits their image, measurements of known maps, and tables that add up."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from MRIInterpretLib.models.plain_cnn import PlainCNN3d
from MRIInterpretLib.simulation.anatomy import MODEL_GRID
from MRIInterpretLib.simulation.template_anatomy import template_anatomy
from MRIInterpretLib.trust.benchmark import measure_subject
from MRIInterpretLib.trust.benchmark_tables import (
    biology_table,
    correctly_classified,
    interval_table,
    markdown,
    ranking,
    result_page,
    volume_alone,
)
from MRIInterpretLib.trust.simulated import (
    TruthSubject,
    affected_labels,
    atlas_on_model_grid,
    strong_effect,
    truth_subjects,
)


@pytest.fixture(scope="module")
def subjects() -> dict[str, TruthSubject]:
    return {given.group: given for given in truth_subjects([template_anatomy()], 3, seed=5)}


def test_only_disease_has_a_truth(subjects: dict[str, TruthSubject]) -> None:
    assert list(subjects) == ["CN", "MCI", "AD"]
    assert not subjects["CN"].truth.any()
    assert not subjects["CN"].effect.any()
    for group in ("MCI", "AD"):
        given = subjects[group]
        assert 0.002 < given.truth.sum() / given.mask.sum() < 0.1
        assert not (given.truth & ~given.mask).any()


def test_image_truth_and_hippocampus_lie_on_one_grid(subjects: dict[str, TruthSubject]) -> None:
    given = subjects["AD"]
    assert given.image.shape == (1, 1, *MODEL_GRID.shape)
    image = given.image[0, 0].numpy()
    assert not image[~given.mask].any()
    # The disease shrinks the hippocampi on average, in both halves of the brain.
    for half in (slice(0, 48), slice(48, 96)):
        inside = np.zeros(MODEL_GRID.shape, bool)
        inside[half] = given.hippocampus[half]
        assert 100 < inside.sum() < 1500
        assert given.effect[inside].mean() < -0.05
        assert (given.truth & inside).any()
    # Grey matter in the hippocampus is brighter than the fluid of the ventricles that took tissue's place.
    fluid = given.mask & (given.effect > 0.6 * given.effect[given.mask].max())
    assert image[given.hippocampus].mean() > image[fluid].mean()


def test_number_and_seed_decide_a_subject(subjects: dict[str, TruthSubject]) -> None:
    (again,) = truth_subjects([template_anatomy()], 3, seed=5, first=2)
    assert again.name == subjects["AD"].name
    assert np.array_equal(again.image.numpy(), subjects["AD"].image.numpy())
    assert np.array_equal(again.truth, subjects["AD"].truth)


def test_a_strong_effect_is_relative_to_the_strongest_in_the_brain() -> None:
    effect = np.array([-0.5, 0.21, 0.19, 0.0, 9.0], np.float32)
    mask = np.array([1, 1, 1, 1, 0], bool)
    assert strong_effect(effect, mask).tolist() == [True, True, False, False, False]
    assert not strong_effect(0 * effect, mask).any()


def test_the_affected_regions_are_found_on_both_sides() -> None:
    labels, names = atlas_on_model_grid()
    affected = affected_labels(names)
    found = sorted(names[label] for label in affected)
    assert len(affected) % 2 == 0
    assert len(affected) >= 8
    for part in ("Hippocampus", "Amygdala", "entorhinal", "parahippocampal"):
        assert sum(name.endswith(part) for name in found) == 2, part
    assert set(affected) <= set(np.unique(labels))


@pytest.mark.slow
def test_a_subject_is_measured_with_every_method_and_baseline(subjects: dict[str, TruthSubject]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = PlainCNN3d(channels=(4, 4), strides=(4, 2)).eval()
    labels, names = atlas_on_model_grid()
    rows, maps = measure_subject(
        network, subjects["AD"], ("gradient", "lrp"), labels, affected_labels(names), MODEL_GRID, with_stability=True
    )
    assert list(maps) == ["gradient", "lrp", "summary"]
    table = rows.pivot_table(index="method", columns="measure", values="value")
    assert table.loc["uniform", "times chance"] == pytest.approx(1)
    assert table.loc["uniform", "hippocampal density"] == pytest.approx(1)
    place = {"mass", "times chance", "rank", "pointing", "auprc", "recall", "hippocampal density"}
    for name in ("gradient", "lrp"):
        measured = set(rows[rows["method"] == name]["measure"])
        assert measured == place | {"faithfulness", "randomised", "icc"}
    assert set(rows[rows["method"] == "summary"]["measure"]) == place | {"faithfulness"}
    assert table["mass"].between(0, 1).all()
    truth = subjects["AD"].truth
    mass = np.maximum(maps["gradient"], 0)[subjects["AD"].mask]
    expected = np.maximum(maps["gradient"], 0)[truth].sum() / mass.sum()
    assert table.loc["gradient", "mass"] == pytest.approx(expected, rel=1e-5)


def _rows() -> pd.DataFrame:
    """Two networks, 40 subjects: method "good" finds more than "poor", "gone" has no answer for some."""
    rng = np.random.default_rng(0)
    found = []
    for network in range(2):
        for number in range(40):
            group = ("CN", "MCI", "AD")[number % 3]
            fraction = 5.0 - 0.03 * number - 0.5 * (group == "AD")
            common = {"subject": f"{group} {number}", "group": group, "network": network, "fraction": fraction}
            common |= {"predicted": 2 if number % 6 == 2 else 0, "contrast": float(group == "AD")}
            for method, mean in (("good", 6.0), ("poor", 2.0), ("gone", 4.0)):
                value = math.nan if method == "gone" and number % 2 else mean + rng.normal(0, 1)
                found.append({**common, "method": method, "measure": "times chance", "value": value})
            density = 10 - 2 * fraction
            found.append({**common, "method": "good", "measure": "hippocampal density", "value": density})
            found.append({**common, "method": "poor", "measure": "hippocampal density", "value": 1.0})
    return pd.DataFrame(found)


def test_intervals_count_subjects_not_networks() -> None:
    rows = _rows()
    table = interval_table(rows).set_index(["method", "measure"])
    good = table.loc[("good", "times chance")]
    assert good["n"] == 40
    assert good["low"] < good["mean"] < good["high"]
    expected = rows[(rows["method"] == "good") & (rows["measure"] == "times chance")]["value"].mean()
    assert good["mean"] == pytest.approx(expected)
    assert table.loc[("gone", "times chance")]["n"] == 20


def test_ranks_know_their_uncertainty() -> None:
    order = ranking(_rows(), "times chance")
    assert list(order["method"]) == ["good", "gone", "poor"]
    best = order.iloc[0]
    assert (best["rank"], best["low"], best["high"]) == (1, 1, 1)
    even = _rows()
    even["value"] = np.random.default_rng(1).normal(size=len(even))
    spread = ranking(even, "times chance")
    assert (spread["high"] - spread["low"]).max() >= 1


def test_low_is_good_where_low_is_good() -> None:
    rows = _rows()
    rows["measure"] = rows["measure"].replace("times chance", "randomised")
    assert ranking(rows, "randomised")["method"].iloc[0] == "poor"


def test_biology_and_volume() -> None:
    rows = _rows()
    table = biology_table(rows).set_index("method")
    assert table.loc["good", "correlation"] == pytest.approx(-1)
    assert math.isnan(table.loc["poor", "correlation"])
    volume, model = volume_alone(rows)
    assert model == 1.0
    subjects = rows.drop_duplicates("subject")
    ill = subjects[subjects["group"] == "AD"]["fraction"].to_numpy()
    well = subjects[subjects["group"] == "CN"]["fraction"].to_numpy()
    assert volume == pytest.approx(np.mean([a < b for a in ill for b in well]))


def test_only_rightly_classified_patients_are_explained() -> None:
    rows = _rows()
    right = correctly_classified(rows)
    assert set(right["group"]) == {"AD"}
    assert set(right["predicted"]) == {2}
    none = correctly_classified(rows.assign(predicted=0))
    assert set(none["group"]) == {"AD"}


def test_the_page_holds_every_table() -> None:
    page = result_page(_rows(), {"good": "Good method"})
    assert "40 simulated subjects (14 CN, 13 MCI, 13 AD), networks: 2" in page
    assert "| Good method | " in page
    assert "## Ranking by times chance" in page
    assert "| Good method | -1.00 | 40 |" in page
    lines = markdown(interval_table(_rows())).splitlines()
    assert len({line.count("|") for line in lines}) == 1
