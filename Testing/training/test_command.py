"""Training from end to end, tiny: what comes out is a bundle that loads, with a card that tells the truth."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mri_interpret.errors import UserError
from mri_interpret.models import DEFAULT_NETWORK
from mri_interpret.models.bundle import load_bundle
from mri_interpret.models.evidence_cnn import EvidenceCNN3d
from mri_interpret.models.plain_cnn import PlainCNN3d
from mri_interpret.training import checkpoint, command, table_command
from mri_interpret.training.bundle_writer import BundleText, Trained, write_bundle
from mri_interpret.training.card import FIRST_LINE
from mri_interpret.training.checkpoint import start_network
from mri_interpret.training.command import SimulatedTraining, train
from mri_interpret.training.fit import FitSettings
from mri_interpret.training.table_command import train_on_table

OTHER = next(name for name in checkpoint.TRAINABLE if name != DEFAULT_NETWORK)
TINY = FitSettings(samples=4, seed=1, batch=2, every=4, workers=0, margin=8)


def test_a_written_bundle_loads_with_the_same_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = PlainCNN3d().eval()
    metrics = {"AUC": {"value": 0.9, "ci95": [0.8, 0.95], "n": 40}}
    write_bundle(tmp_path / "m", Trained(network, 1.7, metrics), BundleText("m"), FIRST_LINE)
    loaded = load_bundle(tmp_path / "m")
    assert loaded.metadata.classes == ("CN", "MCI", "AD")
    assert loaded.metadata.temperature == 1.7
    assert loaded.metadata.metrics == metrics
    assert "simulated atrophy" in loaded.metadata.banner
    state = loaded.network.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())
    assert sum(file.stat().st_size for file in (tmp_path / "m").rglob("*") if file.is_file()) < 4e6


@pytest.mark.parametrize("kind", [PlainCNN3d, EvidenceCNN3d])
def test_fine_tuning_starts_from_a_bundle(kind: type[PlainCNN3d] | type[EvidenceCNN3d], tmp_path: Path) -> None:
    write_bundle(tmp_path / "m", Trained(kind().eval()), BundleText("m"), FIRST_LINE)
    network, is_fine_tuned = start_network(tmp_path / "m", 5)
    assert is_fine_tuned
    assert isinstance(network, kind)
    assert all(parameter.requires_grad for parameter in network.parameters())
    with pytest.raises(UserError, match="no model"):
        start_network(tmp_path / "nothing", 5)


def test_a_network_that_cannot_be_trained_here_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "find_model", lambda init: SimpleNamespace(network=torch.nn.Identity()))
    with pytest.raises(UserError, match=r"mine holds a Identity; .* PlainCNN3d, EvidenceCNN3d"):
        start_network("mine", 5)


@pytest.mark.slow
@pytest.mark.thorough  # brains, training and bundle are tested apart, and together over a table below
def test_training_on_the_simulator_writes_a_bundle(tmp_path: Path) -> None:
    simulation = SimulatedTraining(brains=2, first_brains=2, validation_brains=1, test_brains=0)
    folder = train(tmp_path / "model", simulation, TINY, evaluate_after=False, command="the exact command")
    loaded = load_bundle(folder)
    with torch.no_grad():
        assert torch.isfinite(loaded.network(torch.zeros(1, 1, 96, 112, 96))).all()
    card = loaded.card.read_text(encoding="utf-8")
    assert card.startswith(FIRST_LINE)
    assert "the exact command" in card


@pytest.mark.parametrize("wrong", [{"network_name": "Foo"}, {"init": "nothere"}])
def test_a_wrong_start_is_refused_before_anything_is_simulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str]
) -> None:
    def registered(*_arguments: object) -> None:
        raise AssertionError("a label map was registered")

    monkeypatch.setattr(command, "_split", registered)
    with pytest.raises(UserError, match=r"Foo|nothere"):
        train(tmp_path / "m", SimulatedTraining(), TINY, **wrong)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_held_out_names_must_exist_and_leave_something(tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    maps.mkdir()
    for name in ("01", "02"):
        (maps / f"labels_{name}.nii.gz").write_bytes(b"never read")
    for held_out, message in ((("77",), "no label map called '77'"), (("01", "02"), "0 remain for training")):
        with pytest.raises(UserError, match=message):
            train(tmp_path / "m", SimulatedTraining(label_maps=maps, held_out=held_out), TINY)


@pytest.mark.slow
def test_training_on_a_table_cross_validates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    mask = np.zeros((96, 112, 96), dtype=bool)
    mask[30:66, 30:82, 30:66] = True
    rows, prepared = ["path,group"], []
    for number in range(9):
        prepared.append(tmp_path / f"prepared_{number}.npz")
        image = rng.integers(1, 65535, mask.shape).astype(np.uint16) * mask
        np.savez_compressed(prepared[-1], image=image, mask=mask, source=np.array("x"))
        (tmp_path / f"scan{number}.nii").write_bytes(b"x")
        rows.append(f"scan{number}.nii,{('CN', 'MCI', 'AD')[number % 3]}")
    table = tmp_path / "participants.csv"
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    monkeypatch.setattr(table_command, "prepare", lambda *_: prepared)
    steps: list[str] = []
    settings = FitSettings(samples=4, seed=1, batch=2, every=4, workers=0)
    folder = train_on_table(
        table,
        tmp_path / "mine",
        settings,
        folds_number=3,
        network_name="EvidenceCNN3d",
        progress=lambda s, _: steps.append(s),
    )
    loaded = load_bundle(folder)
    assert isinstance(loaded.network, EvidenceCNN3d)
    assert set(loaded.metadata.metrics) >= {"AUC AD vs CN", "AUC MCI vs CN", "accuracy"}
    assert "Trained on simulated" not in loaded.metadata.banner
    judged = (folder / "docs" / "cross_validation.csv").read_text(encoding="utf-8").splitlines()
    assert len(judged) == 10
    assert {step.split(":")[0] for step in steps} == {f"Fold {n} of 3" for n in (1, 2, 3)}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--cross-validate", "--table", "t.csv"], "--table does not go with --cross-validate"),
        (["--cross-validate", "--held-out", "02"], "--held-out does not go with --cross-validate"),
        (["--cross-validate", "--init", "other"], "--init does not go with --cross-validate"),
        (["--cross-validate", "--evaluate-only"], "--evaluate-only does not go with --cross-validate"),
        (["--cross-validate", "--no-evaluate"], "--no-evaluate does not go with --cross-validate"),
        (["--table", "t.csv", "--init", "other", "--network", OTHER], "--network does not go with --init"),
        (["--init", "other", "--network", OTHER], "--network does not go with --init"),
        (["--fold", "1"], "--fold goes with --cross-validate only"),
        (["--ensemble", "3"], "--ensemble goes with --cross-validate only"),
    ],
)
def test_an_option_that_would_not_be_followed_is_refused(
    options: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mri_interpret.command_line.app import main

    with pytest.raises(SystemExit) as end:
        main(["train", "-o", str(tmp_path / "out"), *options])
    assert end.value.code == 2
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
