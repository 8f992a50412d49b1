"""The loop learns, repeats for a seed, and goes on after a kill as if nothing had happened."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from mri_interpret.errors import Cancelled, UserError
from mri_interpret.models.plain_cnn import PlainCNN3d
from mri_interpret.training import checkpoint as checkpoint_module
from mri_interpret.training.checkpoint import save_checkpoint
from mri_interpret.training.fit import FitSettings, fit, identity_of, settings_to_go_on, validate
from mri_interpret.training.heads import TrainingHeads
from mri_interpret.training.log import TrainingLog

pytestmark = pytest.mark.slow

SETTINGS = FitSettings(samples=96, seed=3, batch=8, every=32, workers=0, bfloat16=False, rate=3e-3)


def _fit(network: PlainCNN3d, blobs: Any, folder: Path, settings: FitSettings = SETTINGS, **more: Any) -> PlainCNN3d:
    identity = identity_of(network, settings, "blobs")
    return fit(network, blobs(settings.samples), blobs(24, 1), settings, folder, identity=identity, **more)


def _same(one: PlainCNN3d, two: PlainCNN3d) -> bool:
    theirs = two.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in one.state_dict().items())


def test_it_learns_the_size_of_blobs(small_network: PlainCNN3d, blobs: Any, tmp_path: Path) -> None:
    settings = replace(SETTINGS, samples=1600, every=800, average=0.98)
    trained = _fit(small_network, blobs, tmp_path, settings)
    test = [blobs(60, 7)[index] for index in range(60)]
    with torch.no_grad():
        called = trained(torch.stack([sample["image"] for sample in test])).argmax(1)
    truth = torch.stack([sample["label"] for sample in test])
    assert float((called == truth).float().mean()) > 0.7


def test_a_seed_repeats_bit_by_bit(small_network: PlainCNN3d, blobs: Any, tmp_path: Path) -> None:
    other = copy.deepcopy(small_network)
    assert _same(_fit(small_network, blobs, tmp_path / "a"), _fit(other, blobs, tmp_path / "b"))


def test_a_killed_training_goes_on_as_if_nothing_had_happened(
    small_network: PlainCNN3d, blobs: Any, tmp_path: Path
) -> None:
    untouched, killed, resumed = (copy.deepcopy(small_network) for _ in range(3))
    whole = _fit(untouched, blobs, tmp_path / "whole")

    def kill(step: str, fraction: float) -> None:
        if fraction > 0.5:
            raise Cancelled(step)

    with pytest.raises(Cancelled):
        _fit(killed, blobs, tmp_path / "cut", progress=kill)
    assert _same(whole, _fit(resumed, blobs, tmp_path / "cut"))
    rows = [[row["sample"] for row in TrainingLog(tmp_path / name / "log.csv").rows()] for name in ("whole", "cut")]
    assert rows[0] == rows[1] == ["32", "64", "96"]
    assert (tmp_path / "cut" / "curve.png").stat().st_size > 1000


def test_progress_begins_where_the_training_stands(small_network: PlainCNN3d, blobs: Any, tmp_path: Path) -> None:
    seen: list[tuple[str, float]] = []
    _fit(small_network, blobs, tmp_path, progress=lambda step, fraction: seen.append((step, fraction)))
    assert seen[0] == ("Training, scan 0 of 96", 0.0)
    assert seen[-1][1] == 1.0


def test_more_samples_continue_a_finished_training(small_network: PlainCNN3d, blobs: Any, tmp_path: Path) -> None:
    _fit(copy.deepcopy(small_network), blobs, tmp_path)
    _fit(small_network, blobs, tmp_path, replace(SETTINGS, samples=128))
    assert [row["sample"] for row in TrainingLog(tmp_path / "log.csv").rows()] == ["32", "64", "96", "128"]


def test_early_stopping_keeps_the_best(small_network: PlainCNN3d, blobs: Any, tmp_path: Path) -> None:
    settings = replace(SETTINGS, samples=4000, rate=0.0, patience=2, every=16)
    _fit(small_network, blobs, tmp_path, settings)
    assert len(TrainingLog(tmp_path / "log.csv").rows()) < 10


def test_a_checkpoint_of_another_network_is_refused_and_kept(
    small_network: PlainCNN3d, blobs: Any, tmp_path: Path
) -> None:
    _fit(small_network, blobs, tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(UserError, match=r"another training \(different: network\)"):
        _fit(PlainCNN3d(channels=(8, 8), strides=(2, 2)), blobs, tmp_path)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_a_damaged_checkpoint_is_one_clear_sentence(small_network: PlainCNN3d, blobs: Any, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"half a file")
    with pytest.raises(UserError, match="damaged"):
        _fit(small_network, blobs, tmp_path)


def test_a_full_disk_loses_nothing(
    small_network: PlainCNN3d, blobs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _fit(copy.deepcopy(small_network), blobs, tmp_path / "whole")
    calls = {"number": 0}
    write = torch.save

    def full(*arguments: Any, **options: Any) -> None:
        calls["number"] += 1
        if calls["number"] == 2:
            raise RuntimeError("[enforce fail at inline_container.cc] . PytorchStreamWriter failed: No space")
        write(*arguments, **options)

    monkeypatch.setattr(checkpoint_module.torch, "save", full)
    with pytest.raises(UserError, match=r"Cannot write .*checkpoint\.pt"):
        _fit(copy.deepcopy(small_network), blobs, tmp_path / "full")
    assert not list((tmp_path / "full").glob(".partial-*"))
    assert _same(whole, _fit(small_network, blobs, tmp_path / "full"))


def test_validation_reports_both_aucs_and_the_correlation(small_network: PlainCNN3d, blobs: Any) -> None:
    found = validate(TrainingHeads(small_network), blobs(30, 2), SETTINGS)
    assert set(found) == {"loss", "auc_ad", "auc_mci", "correlation"}
    assert -1 <= found["correlation"] <= 1


def test_the_rate_rises_stays_and_falls_to_zero() -> None:
    settings = FitSettings(samples=1000, seed=0, rate=1.0, decay=0.5)
    assert settings.rate_at(0) < 0.1
    assert settings.rate_at(300) == 1.0
    assert settings.rate_at(750) == pytest.approx(0.5)
    assert settings.rate_at(1000) == 0.0


def test_cropping_ends_at_a_whole_batch() -> None:
    settings = FitSettings(samples=103, seed=0, batch=4, margin=8, whole_from=0.5)
    assert settings.margin_at(47) == 8
    assert settings.margin_at(48) == 0


def test_more_samples_do_not_go_back_to_cropped_scans(small_network: PlainCNN3d, blobs: Any, tmp_path: Path) -> None:
    identity = {"data": "blobs"}
    cropped = FitSettings(samples=96, seed=0, margin=8)
    assert settings_to_go_on(cropped, tmp_path, identity).margin_at(0) == 8  # nothing there yet
    for margin, expected in ((8, 8), (0, 0)):
        save_checkpoint(tmp_path / "checkpoint.pt", {"margin": margin, "seen": 48}, identity)
        assert settings_to_go_on(replace(cropped, samples=960), tmp_path, identity).margin_at(48) == expected
