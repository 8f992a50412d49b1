"""Cross-validation over anatomies: nothing is tested by a network that saw it, and a killed run goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from mri_interpret.errors import UserError
from mri_interpret.models.bundle import load_bundle
from mri_interpret.models.evidence_ensemble import EvidenceEnsemble3d
from mri_interpret.models.plain_cnn import PlainCNN3d
from mri_interpret.simulation.acquisition_ranges import AS_PREPROCESSED
from mri_interpret.simulation.anatomy import Anatomy
from mri_interpret.simulation.grids import MODEL_GRID
from mri_interpret.simulation.structures import TARGETS
from mri_interpret.training import anatomy_folds, fold_scores
from mri_interpret.training.anatomy_folds import AnatomyFolds, check_groups, cross_validate
from mri_interpret.training.conditions import Scores
from mri_interpret.training.fit import FitSettings
from mri_interpret.training.fold_scores import all_scores, deal, items_of
from mri_interpret.training.samples import BankSamples

TINY = FitSettings(samples=2, seed=1, batch=2, every=2, workers=0, bfloat16=False)


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    for name in ("01", "02", "03"):
        (tmp_path / "maps").mkdir(exist_ok=True)
        (tmp_path / "maps" / f"labels_{name}.nii.gz").write_bytes(b"never read")
    return tmp_path / "maps"


def test_anatomies_are_dealt_evenly_and_by_the_seed() -> None:
    dealt = deal(14, 5, 1)
    assert sorted(np.bincount(dealt)[1:]) == [2, 3, 3, 3, 3]
    assert np.array_equal(dealt, deal(14, 5, 1))
    assert not np.array_equal(dealt, deal(14, 5, 2))


def test_a_fold_trains_on_all_items_but_its_own_anatomies() -> None:
    fold_of = deal(3, 3, 1)
    inside, outside = (items_of(fold_of, 2, 12, inside=there) for there in (True, False))
    assert sorted([*inside, *outside]) == list(range(12))
    assert {int(index) % 3 for index in inside} == {int(np.flatnonzero(fold_of == 2)[0])}
    assert len(items_of(fold_of, anatomy_folds.FINAL, 12, inside=False)) == 12  # what ships sees all


@pytest.mark.parametrize(("number", "message"), [(4, "3 label maps for 4 folds"), (1, "two folds or more")])
def test_too_few_anatomies_are_one_clear_sentence(maps: Path, tmp_path: Path, number: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        cross_validate(tmp_path / "m", AnatomyFolds(maps, number), TINY)


def test_an_unknown_fold_or_network_is_one_clear_sentence(maps: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no fold 7: give one from 1 to 3"):
        cross_validate(tmp_path / "m", AnatomyFolds(maps, 3), TINY, only=7)
    with pytest.raises(UserError, match="'Nothing' cannot be trained here"):
        cross_validate(tmp_path / "m", AnatomyFolds(maps, 3), TINY, only=1, network="Nothing")


@pytest.fixture
def banks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Banks of noise in place of simulated brains, and anatomies that are only names."""
    monkeypatch.setattr(
        anatomy_folds, "cached_anatomy", lambda path, *_: Anatomy(path.name.split(".")[0], np.zeros(0, np.uint8))
    )
    monkeypatch.setattr(anatomy_folds, "fill_bank", _noise)


def _noise(folder: Path, anatomies: list[Anatomy], number: int, seed: int, **_: object) -> None:
    from mri_interpret.simulation.bank import BankItem, save_item
    from mri_interpret.simulation.fill_bank import item_path

    for index in range(number):
        rng = np.random.default_rng([seed, index])
        inside = np.zeros(MODEL_GRID.shape, dtype=bool)
        inside[40:56, 40:56, 40:56] = True
        count = int(inside.sum())
        facts = {
            "group": ("CN", "MCI", "AD")[index % 3], "age": 30.0 if index == 0 else 75.0, "reached": 4.5,
            "base": anatomies[index % len(anatomies)].name, "chances": [0.4, 0.3, 0.3],
        }  # fmt: skip
        item = BankItem(
            inside=inside,
            codes=rng.integers(1, 20, (count, 8)).astype(np.uint8),
            envelope=np.full(count, 255, dtype=np.uint8),
            targets=rng.integers(0, 255, (len(TARGETS), 48, 56, 48)).astype(np.uint8),
            facts=facts,
        )
        save_item(item, item_path(folder, index))


def test_a_test_bank_without_a_group_is_one_clear_sentence() -> None:
    labels, ages = np.array([0, 1, 2]), np.array([75.0, 75.0, 40.0])
    scores = Scores(np.zeros((3, 3)), labels, np.full(3, 4.5), ages=ages)
    with pytest.raises(UserError, match="3 test brains do not hold all of CN, MCI, AD"):
        check_groups(scores)
    check_groups(Scores(np.zeros((3, 3)), labels, np.full(3, 4.5), ages=ages + 20))


def _fit(network: PlainCNN3d, train: BankSamples, *others: object, **_: object) -> PlainCNN3d:
    """In place of a training: note the items that it may take, and leave a checkpoint once."""
    checkpoint = Path(str(others[2])) / "checkpoint.pt"
    if not checkpoint.exists():
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.write_text(" ".join(map(str, train.chosen)))
    return network.eval()


def test_all_folds_and_the_network_of_all_anatomies_make_a_bundle(
    maps: Path, tmp_path: Path, banks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    folds, work = AnatomyFolds(maps, 2, brains=6, validation_brains=3, test_brains=6), tmp_path / "model.work"
    for module in (anatomy_folds, fold_scores):
        monkeypatch.setattr(module, "conditions_for", lambda _: {"plain": AS_PREPROCESSED})
    monkeypatch.setattr(anatomy_folds, "fit", _fit)
    monkeypatch.setattr(anatomy_folds, "settings_to_go_on", lambda settings, *_: settings)
    steps: list[str] = []

    def run() -> Path:
        return cross_validate(tmp_path / "model", folds, TINY, progress=lambda step, _: steps.append(step))

    folder = run()
    trained = {name: (work / name / "checkpoint.pt").read_text().split() for name in ("fold1", "fold2", "all")}
    assert trained["all"] == list("012345")
    assert sorted(trained["fold1"] + trained["fold2"]) == list("012345")
    found = all_scores(work, 2, "plain")
    assert sorted(found.bases) == sorted(f"labels_0{1 + index % 3}" for index in range(6))
    loaded = load_bundle(folder)
    assert "AUC AD vs CN" in loaded.metadata.metrics
    card = loaded.card.read_text(encoding="utf-8")
    assert "each judged by the one of 2 networks that had not seen it" in card
    assert "below 0.05 | 0 of 1 |" in card or "below 0.05 | 1 of 1 |" in card  # the one who is 30 years old
    assert "| all volumes |" in card
    # The same call again judges nothing anew: every answer is there.
    steps.clear()
    run()
    assert not [step for step in steps if "plain" in step]
    # An ensemble adds networks of further seeds to the one that is there.
    cross_validate(tmp_path / "three", replace(folds, ensemble=3), TINY, work=work)
    several = load_bundle(tmp_path / "three")
    assert isinstance(several.network, EvidenceEnsemble3d)
    assert (work / "all3" / "checkpoint.pt").exists()
    first, second, _ = (one.state_dict() for one in several.network.networks())
    assert all(torch.allclose(value, first[name]) for name, value in loaded.network.state_dict().items())
    assert not torch.allclose(first["evidence.weight"], second["evidence.weight"])
    assert "3 networks of that kind" in several.card.read_text(encoding="utf-8")


def test_an_ensemble_of_other_networks_or_of_none_is_one_clear_sentence(maps: Path, tmp_path: Path) -> None:
    for number, network in ((2, "PlainCNN3d"), (0, "EvidenceCNN3d")):
        with pytest.raises(UserError, match=f"An ensemble of {number} {network} cannot be made"):
            cross_validate(tmp_path / "m", AnatomyFolds(maps, 3, ensemble=number), TINY, network=network)
