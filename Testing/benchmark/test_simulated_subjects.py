"""The benchmark's subjects: their truth fits their image, and seed and number alone decide them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mri_interpret.benchmark import subject_cache
from mri_interpret.benchmark.benchmarked_model import affected_structures
from mri_interpret.benchmark.simulated_subjects import (
    AFFECTED,
    SimulatedSubject,
    atlas_on_model_grid,
    simulated_subjects,
    strong_effect,
)
from mri_interpret.benchmark.subject_cache import SubjectStream, load_subject, save_subject, scan_edition
from mri_interpret.benchmark.volume_truth import asked_change
from mri_interpret.simulation.anatomy import MODEL_GRID, PUBLISHED
from mri_interpret.simulation.effects import EFFECTS
from mri_interpret.simulation.template_anatomy import template_anatomy

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def subjects() -> dict[str, SimulatedSubject]:
    return {given.group: given for given in simulated_subjects([template_anatomy()], 3, seed=5)}


def test_only_disease_has_a_truth(subjects: dict[str, SimulatedSubject]) -> None:
    assert list(subjects) == ["CN", "MCI", "AD"]
    assert not subjects["CN"].truth.any()
    assert not subjects["CN"].effect.any()
    for group in ("MCI", "AD"):
        given = subjects[group]
        assert 0.002 < given.truth.sum() / given.mask.sum() < 0.1
        assert not (given.truth & ~given.mask).any()


def test_image_truth_and_hippocampus_lie_on_one_grid(subjects: dict[str, SimulatedSubject]) -> None:
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


def test_a_strong_effect_is_relative_to_the_strongest_in_the_brain() -> None:
    effect = np.array([-0.5, 0.21, 0.19, 0.0, 9.0], np.float32)
    mask = np.array([1, 1, 1, 1, 0], bool)
    assert strong_effect(effect, mask).tolist() == [True, True, False, False, False]
    assert not strong_effect(0 * effect, mask).any()


def test_the_affected_regions_are_found_on_both_sides() -> None:
    labels, names = atlas_on_model_grid()
    affected = [label for labels in affected_structures(names).values() for label in labels]
    found = sorted(names[label] for label in affected)
    assert len(affected) % 2 == 0
    assert len(affected) >= 8
    for part in ("Hippocampus", "Amygdala", "entorhinal", "parahippocampal"):
        assert sum(name.endswith(part) for name in found) == 2, part
    assert set(affected) <= set(np.unique(labels))


def test_the_published_disease_changes_its_five_affected_structures_most() -> None:
    labels, names = atlas_on_model_grid()
    affected = affected_structures(names, PUBLISHED)
    assert {len(sides) for sides in affected.values()} == {2}
    assert {label for sides in affected.values() for label in sides} <= set(np.unique(labels))
    strength = {effect.region: abs(np.log1p(np.array(effect.ad) / 100)).mean() for effect in EFFECTS}
    strongest = sorted(strength, key=lambda region: -strength[region])[:5]
    called = {"inferior lateral ventricle": "Inf-Lat-Vent", "lateral ventricle": "Lateral-Ventricle"}
    expected = {called.get(region, region).lower() for region in strongest}
    assert {name.lower() for name in AFFECTED[PUBLISHED]} == expected


def test_a_subject_of_the_published_disease_has_its_own_truth_and_file(tmp_path: Path) -> None:
    stream = SubjectStream([template_anatomy()], seed=5, folder=tmp_path, groups=("AD",), disease=PUBLISHED)
    given = stream[0]
    assert given.effect[given.hippocampus].mean() < -0.05
    assert given.effect[given.shares["lateral ventricle"] > 0.9].mean() > 0.05
    assert 0.002 < given.truth.sum() / given.mask.sum() < 0.1
    assert 1700 < given.mask.sum() * 8 / 1000 < 2100, "as preprocessing leaves masks, in ml"
    (path,) = tmp_path.iterdir()
    assert path.name.endswith(f"_5_00000_AD_published-{scan_edition()}.npz"), (
        "the stylised subject of this number is another one"
    )
    assert np.array_equal(stream[0].image.numpy(), given.image.numpy())


def test_a_kept_subject_is_the_simulated_one(subjects: dict[str, SimulatedSubject], tmp_path: Path) -> None:
    for group, given in subjects.items():
        save_subject(given, tmp_path / f"{group}.npz")
        found = load_subject(tmp_path / f"{group}.npz")
        assert found is not None
        assert (found.name, found.group, found.anatomy, found.fraction) == (
            given.name,
            given.group,
            "template",
            given.fraction,
        )
        for name in ("mask", "effect", "truth", "hippocampus"):
            assert np.array_equal(getattr(found, name), getattr(given, name)), name
        assert np.array_equal(found.image.numpy(), given.image.numpy())
        assert found.undoing == given.undoing
        assert list(found.shares) == list(given.shares)
        assert all(np.array_equal(found.shares[name], given.shares[name]) for name in given.shares)


def test_what_undoes_the_disease_is_its_own_change_of_volume(subjects: dict[str, SimulatedSubject]) -> None:
    """Two ways to it: counted in the labels with and without the disease, and summed up over the deformation, whose
    differences over 8 mm see a fourth less of a structure's change."""
    assert set(subjects["CN"].undoing.values()) == {0.0}
    given = subjects["AD"]
    for name in ("hippocampus", "amygdala"):
        along = asked_change(100 * np.expm1(-given.effect), given.shares[name])
        assert given.undoing[name] > 0.03
        assert 0.5 < along / given.undoing[name] < 1.2, name


def test_a_twin_is_the_same_scan_but_for_the_disease(subjects: dict[str, SimulatedSubject]) -> None:
    stream = SubjectStream([template_anatomy()], seed=5)
    assert np.array_equal(stream.twin(0).numpy(), subjects["CN"].image.numpy()), "there is nothing to take away"
    given, twin = subjects["AD"], stream.twin(2)[0, 0].numpy()
    untouched = given.mask & (np.abs(given.effect) < 0.02)

    def alike(other: SimulatedSubject, where: np.ndarray) -> float:
        return float(np.corrcoef(twin[where], other.image[0, 0].numpy()[where])[0, 1])

    # Texture is drawn anew, because other voxels are inside; contrast and anatomy are the subject's.
    assert alike(given, untouched) > 0.85
    assert alike(given, untouched) > alike(given, given.truth) + 0.2, "the disease is missing"
    assert alike(given, untouched) > alike(subjects["MCI"], untouched) + 0.05, "it is nobody else's"


def test_number_and_seed_decide_a_subject_and_a_stream_simulates_what_its_folder_lacks(
    subjects: dict[str, SimulatedSubject], tmp_path: Path
) -> None:
    stream = SubjectStream([template_anatomy()], seed=5, folder=tmp_path)
    damaged = tmp_path / f"{stream._name(template_anatomy())}_5_00002_AD.npz"
    damaged.write_bytes(b"PK damaged")
    assert load_subject(damaged) is None
    assert load_subject(tmp_path / "none.npz") is None
    made = stream[2]
    assert made.name == subjects["AD"].name
    assert np.array_equal(made.image.numpy(), subjects["AD"].image.numpy())
    assert np.array_equal(made.truth, subjects["AD"].truth)
    (path,) = tmp_path.iterdir()
    assert path.name.endswith("_5_00002_AD.npz")
    before = path.stat().st_mtime_ns
    assert np.array_equal(stream[2].truth, made.truth)
    assert path.stat().st_mtime_ns == before, "read, not made again"


def test_scans_of_another_contrast_are_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = scan_edition()
    monkeypatch.setattr(subject_cache, "T1_GREY", (0.7, 0.05))
    assert scan_edition() != now
