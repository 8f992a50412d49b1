"""The published disease: what is drawn has the table's means, and age, subtypes and sides are as they should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mri_interpret.errors import UserError
from mri_interpret.metrics.classification import auc
from mri_interpret.simulation import fill_bank as bank_filler
from mri_interpret.simulation import published
from mri_interpret.simulation.anatomy import Anatomy
from mri_interpret.simulation.disease import check_disease
from mri_interpret.simulation.effects import EFFECT_OF, EFFECTS, SUBTYPES
from mri_interpret.simulation.fill_bank import fill_bank, item_path
from mri_interpret.simulation.groups import GROUPS, Subject
from mri_interpret.simulation.norms import age_change
from mri_interpret.simulation.published import (
    any_age,
    draw_published,
    edition,
    group_chances,
    subtype_factors,
    volumes_of,
)
from mri_interpret.simulation.regions import CORTICAL, NAMES_OF_REGIONS, REGIONS, SIDED, structure_table
from mri_interpret.simulation.structures import NAMES


@pytest.fixture(scope="module")
def population() -> dict[str, list[Subject]]:
    rng = np.random.default_rng(0)
    return {group: [draw_published(rng, group) for _ in range(700)] for group in GROUPS}


def test_other_numbers_make_another_edition(monkeypatch: pytest.MonkeyPatch) -> None:
    now = edition()
    assert len(now) == 8
    monkeypatch.setattr(published, "CORTEX_NORM", 284.0)
    try:
        edition.cache_clear()
        assert edition() != now
    finally:
        monkeypatch.undo()
        edition.cache_clear()
    assert edition() == now


@pytest.mark.parametrize(
    ("written", "said"), [("", "another edition of the simulator made: delete"), ("0badcafe", "0badcafe; this is")]
)
def test_a_bank_of_another_edition_is_refused(tmp_path: Path, written: str, said: str) -> None:
    """Half of a training on one population and half on another would be noticed by nobody."""
    item_path(tmp_path, 0).write_bytes(b"a brain")
    if written:
        (tmp_path / "population.txt").write_text(written)
    with pytest.raises(UserError, match=said):
        fill_bank(tmp_path, [], 2, 1, disease="published")
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".npz"] == ["item_00000.npz"]
    assert item_path(tmp_path, 0).read_bytes() == b"a brain"


def test_a_bank_may_hold_brains_of_stronger_deformations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[float | None] = []

    def simulated(*_: object, strength: float | None) -> None:
        drawn.append(strength)

    monkeypatch.setattr(bank_filler, "simulate_brain", simulated)
    monkeypatch.setattr(bank_filler, "fractions_for", lambda *_: None)
    monkeypatch.setattr(bank_filler, "pack", lambda *_: None)
    monkeypatch.setattr(bank_filler, "save_item", lambda _, path: path.touch())
    anatomy = Anatomy("small", np.zeros((1, 1, 1), np.uint8))
    fill_bank(tmp_path / "as ever", [anatomy], 3, 1, disease="published")
    assert drawn == [None] * 3  # simulate_brain draws it
    drawn.clear()
    fill_bank(tmp_path / "strong", [anatomy], 20, 1, disease="published", strengths=(0.5, 1.7))
    assert all(0.5 <= strength <= 1.7 for strength in drawn if strength is not None)
    assert np.std([strength for strength in drawn if strength is not None]) > 0.2


def test_every_region_has_an_effect_with_a_source() -> None:
    assert [effect.region for effect in EFFECTS] == [*(region.name for region in REGIONS), "third ventricle"]
    assert all(len(effect.source) > 10 for effect in EFFECTS)
    parcels = sorted(number for region in REGIONS for number in region.parcels)
    assert parcels == [number for number in range(1, 36) if number != 4]  # 4 is the corpus callosum


@pytest.mark.parametrize("group", ["MCI", "AD"])
def test_the_mean_loss_is_the_published_one(population: dict[str, list[Subject]], group: str) -> None:
    for name in SIDED:
        side, _, region = name.partition(" ")
        percent = getattr(EFFECT_OF[region], group.lower())[1 if side == "right" else 0]
        drawn = np.array([subject.disease[name] for subject in population[group]])
        error = 4 * drawn.std() / len(drawn) ** 0.5
        assert drawn.mean() == pytest.approx(np.log1p(percent / 100), abs=error + 1e-9), name


def test_hippocampi_alone_separate_as_shi_2009_says(population: dict[str, list[Subject]]) -> None:
    # Effect sizes of about 1.56 (AD) and 0.85 (MCI) are areas of 0.865 and 0.726.
    def separation(group: str) -> float:
        fractions = [subject.fraction for name in (group, "CN") for subject in population[name]]
        return auc(-np.array(fractions), np.repeat([True, False], 700))

    assert separation("AD") == pytest.approx(0.865, abs=0.03)
    assert separation("MCI") == pytest.approx(0.726, abs=0.04)


def test_all_volumes_separate_better_than_the_hippocampi_alone(population: dict[str, list[Subject]]) -> None:
    chances = {
        group: np.array([group_chances(volumes_of(subject)) for subject in population[group][:300]]) for group in GROUPS
    }
    odds = np.concatenate([np.log(chances[group][:, 2] / chances[group][:, 0]) for group in ("AD", "CN")])
    assert 0.92 < auc(odds, np.repeat([True, False], 300)) < 0.975
    np.testing.assert_allclose(chances["MCI"].sum(1), 1)


def test_subtypes_come_with_ferreira_s_frequencies_and_keep_the_mean(population: dict[str, list[Subject]]) -> None:
    patients = [subject.subtype for group in ("MCI", "AD") for subject in population[group]]
    total = sum(SUBTYPES.values())
    for name, frequency in SUBTYPES.items():
        assert patients.count(name) / len(patients) == pytest.approx(frequency / total, abs=0.05)
    for region in ("hippocampus", "precuneus"):
        mean = sum(SUBTYPES[name] / total * subtype_factors(name)[region] for name in SUBTYPES)
        assert mean == pytest.approx(1)
    limbic, sparing = subtype_factors("limbic-predominant"), subtype_factors("hippocampal-sparing")
    assert limbic["hippocampus"] > sparing["hippocampus"]
    assert limbic["precuneus"] < sparing["precuneus"]


def test_only_patients_are_ill_and_sides_may_differ(population: dict[str, list[Subject]]) -> None:
    assert all(not subject.disease and subject.severity == 0 for subject in population["CN"])
    sides = [subject.disease["left hippocampus"] - subject.disease["right hippocampus"] for subject in population["AD"]]
    assert np.std(sides) > 0.05


def test_ageing_follows_the_table_and_is_no_disease() -> None:
    hippocampus = EFFECT_OF["hippocampus"]
    assert age_change(hippocampus, 73) == 0
    assert age_change(hippocampus, 83) == pytest.approx(-0.112)
    assert age_change(hippocampus, 50) == pytest.approx(3 * 0.0112 + 15 * 0.0098 + 5 * 0.0038)
    ventricle = EFFECT_OF["lateral ventricle"]
    assert np.exp(age_change(ventricle, 73) - age_change(ventricle, 25)) > 1.9  # they about double
    assert all(age_change(EFFECT_OF[region], 25) > 0 > age_change(EFFECT_OF[region], 95) for region in CORTICAL)
    ages = [any_age(np.random.default_rng(seed)) for seed in range(200)]
    assert min(ages) < 30
    assert max(ages) > 90


def test_healthy_ventricles_differ_threefold() -> None:
    rng = np.random.default_rng(2)
    drawn = [draw_published(rng, "CN", age=75.0).variation["lateral ventricle"] for _ in range(400)]
    assert np.std(drawn) == pytest.approx(EFFECT_OF["lateral ventricle"].spread, rel=0.12)
    assert np.exp(np.max(drawn) - np.median(drawn)) > 2.8


def test_structures_of_a_region_are_of_its_side() -> None:
    left = [NAMES[code] for code in np.flatnonzero(structure_table("left lateral ventricle"))]
    assert left == ["Left-Lateral-Ventricle", "Left-choroid-plexus"]
    with pytest.raises(ValueError, match="whole structures"):
        structure_table("left precuneus")
    assert len(NAMES_OF_REGIONS) == 49


def test_an_unknown_disease_is_one_clear_sentence() -> None:
    with pytest.raises(UserError, match="'flu' is not known: give one of published, stylised"):
        check_disease("flu")
