"""Several networks on one stream of scans: who sees which fold, and that they learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mri_interpret.errors import UserError
from mri_interpret.models.evidence_cnn import EvidenceCNN3d
from mri_interpret.simulation.bank import BankItem, save_item
from mri_interpret.simulation.fill_bank import item_path
from mri_interpret.simulation.structures import NAMES, TARGETS
from mri_interpret.training import side_by_side
from mri_interpret.training.side_by_side import FoldBatches, SideBySide, Stream, train_side_by_side

FOLD_OF = np.array([1, 2, 2])


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six brains, each told by its number as its fraction."""
    folder = tmp_path_factory.mktemp("bank")
    inside = np.zeros((96, 112, 96), dtype=bool)
    inside[40:56, 48:64, 40:56] = True
    count = int(inside.sum())
    for index in range(6):
        codes = np.random.default_rng(index).integers(1, len(NAMES) - 20, (count, 8)).astype(np.uint8)
        targets = np.full((len(TARGETS), 48, 56, 48), 51, dtype=np.uint8)
        facts: dict[str, object] = {"group": ("CN", "MCI", "AD")[index % 3], "reached": float(index), "base": "box"}
        save_item(BankItem(inside, codes, np.full(count, 255, np.uint8), targets, facts), item_path(folder, index))
    return folder


def _networks(number: int) -> list[EvidenceCNN3d]:
    found = []
    for seed in range(number):
        torch.manual_seed(seed)
        found.append(EvidenceCNN3d(fine_channels=(4,), wide_channels=(4,), joint_channels=8))
    return found


def test_each_step_has_as_many_scans_of_every_fold(bank: Path) -> None:
    batch = next(iter(FoldBatches(Stream(bank, FOLD_OF, per_fold=3))))
    assert batch["image"].shape == (6, 1, 80, 96, 80)
    numbers = batch["fraction"].long() % len(FOLD_OF)
    assert FOLD_OF[numbers.numpy()].tolist() == [1, 1, 1, 2, 2, 2]
    assert batch["targets"].dtype == torch.uint8


def test_on_another_device_each_brain_is_read_once_and_gives_the_same_scans(
    bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No test has a GPU: the CPU by its number is kept apart from "cpu" in the same way."""
    plain = iter(FoldBatches(Stream(bank, FOLD_OF, per_fold=4)))
    expected = [next(plain) for _ in range(3)]
    read: list[Path] = []
    load = side_by_side.load_item
    monkeypatch.setattr(side_by_side, "load_item", lambda path: [read.append(path), load(path)][1])
    kept = iter(FoldBatches(Stream(bank, FOLD_OF, per_fold=4, device="cpu:0")))
    for batch in expected:
        found = next(kept)
        for name, tensor in batch.items():
            torch.testing.assert_close(found[name], tensor)
    assert len(read) == len(set(read)) > 3


def test_a_network_never_sees_its_own_fold(bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[int]] = []
    losses = side_by_side.losses

    def watched(predicted, batch, weights, dense):  # type: ignore[no-untyped-def]
        seen.append({int(FOLD_OF[int(number) % len(FOLD_OF)]) for number in batch["fraction"]})
        return losses(predicted, batch, weights, dense)

    monkeypatch.setattr(side_by_side, "losses", watched)
    log: list[dict[str, float]] = []
    settings = SideBySide(finals=1, steps=2)
    whole = torch.rand(1, 1, 96, 112, 96)
    trained = train_side_by_side(_networks(3), Stream(bank, FOLD_OF, 1), settings, whole, every=1, log=log)
    assert seen == [{2}, {1}, {1, 2}] * 2
    assert [row["step"] for row in log] == [1, 2]
    assert log[1]["dense 3"] < log[0]["dense 3"]
    assert not any(network.training for network in trained)
    fresh = _networks(3)
    assert all(not torch.equal(a.evidence.weight, b.evidence.weight) for a, b in zip(trained, fresh, strict=True))


def test_time_ends_a_training_too(bank: Path) -> None:
    log: list[dict[str, float]] = []
    settings = SideBySide(finals=0, steps=10_000, seconds=1e-9)
    train_side_by_side(
        _networks(2), Stream(bank, FOLD_OF, 1), settings, torch.rand(1, 1, 96, 112, 96), every=1, log=log
    )
    assert log == []


def test_a_fold_without_brains_is_one_clear_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "PATIENCE_S", 0)
    with pytest.raises(UserError, match="holds no brains of fold 1"):
        next(iter(FoldBatches(Stream(tmp_path, FOLD_OF))))


def test_too_few_networks_are_refused(bank: Path) -> None:
    with pytest.raises(ValueError, match="2 networks for 2 folds and 3 others"):
        train_side_by_side(_networks(2), Stream(bank, FOLD_OF), SideBySide(), torch.rand(1, 1, 96, 112, 96))
