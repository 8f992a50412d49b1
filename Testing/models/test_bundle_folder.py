"""A bundle that is written over another one: the new model is read afterwards, and a failed write loses nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mri_interpret.errors import UserError
from mri_interpret.models.adding import save_bundle
from mri_interpret.models.bundle import load_bundle
from mri_interpret.models.bundle_folder import write_bundle_folder
from torch import Tensor, nn

from Testing.models.bundles import METADATA, NETWORK, small_network, write_small_bundle

STEPS = [
    {"step": "registration", "shape": [8, 8, 8], "spacing": [24, 24, 24], "origin": [-90, -126, -72]},
    {"step": "intensity", "method": "zscore"},
]
X = torch.rand(1, 1, 8, 8, 8, generator=torch.Generator().manual_seed(4))
ABOUT: dict[str, Any] = {"input": {"preprocessing": STEPS}, "output": {"classes": ["a", "b", "c"]}}


class Branching(nn.Module):
    """torch.export cannot write it, TorchScript can."""

    def __init__(self) -> None:
        super().__init__()
        self.network = small_network(seed=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x) if float(x.sum()) > -1e9 else -self.network(x)


class InPlace(Branching):
    """Changes its input, as networks do that subtract a mean by ``x -= ...``."""

    def forward(self, x: Tensor) -> Tensor:
        x -= 0.5
        return self.network(x)


def answer(network: nn.Module) -> Tensor:
    with torch.no_grad():
        return network(X.clone())


def weights_in(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "models").glob("model.*"))


def test_a_program_takes_the_place_of_weights(tmp_path: Path) -> None:
    folder = write_small_bundle(tmp_path / "small", seed=0)
    new = small_network(seed=1)
    save_bundle(folder, new, **ABOUT)
    torch.testing.assert_close(answer(load_bundle(folder).network), answer(new), atol=1e-5, rtol=1e-5)
    assert weights_in(folder) == ["model.pt2"]
    assert not (folder / "configs" / "inference.json").exists()  # it described the network that is gone


def test_a_trace_takes_the_place_of_an_exported_program(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    save_bundle(folder, small_network(seed=1), **ABOUT)
    save_bundle(folder, Branching(), **ABOUT)
    torch.testing.assert_close(answer(load_bundle(folder).network), answer(Branching()), atol=1e-5, rtol=1e-5)
    assert weights_in(folder) == ["model.ts"]


def test_weights_take_the_place_of_a_program(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    save_bundle(folder, small_network(seed=1), **ABOUT)
    new = small_network(seed=3)
    definition = {"_target_": "mri_interpret.models.plain_cnn.PlainCNN3d", **NETWORK}
    write_bundle_folder(folder, METADATA, "card", definition=definition, weights=new.state_dict())
    assert torch.equal(answer(load_bundle(folder).network), answer(new))
    assert weights_in(folder) == ["model.safetensors"]


def test_a_write_that_fails_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_small_bundle(tmp_path / "small", seed=0)
    expected = answer(load_bundle(folder).network)
    write_bytes = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if "metadata" in path.name and folder in path.parents:
            raise OSError(28, "No space left on device")
        return write_bytes(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    program = tmp_path / "model.pt2"
    torch.export.save(torch.export.export(small_network(seed=1), (X,)), program)
    with pytest.raises(UserError, match="No space left"):
        write_bundle_folder(folder, {"version": "2"}, "card", program=program)
    assert torch.equal(answer(load_bundle(folder).network), expected)
    assert not list(folder.rglob(".partial-*"))


def test_a_network_that_changes_its_input_is_written_as_it_is(tmp_path: Path) -> None:
    save_bundle(tmp_path / "small", InPlace(), **ABOUT)
    expected = answer(InPlace())
    torch.testing.assert_close(answer(load_bundle(tmp_path / "small").network), expected, atol=1e-5, rtol=1e-5)


def test_a_network_whose_training_failed_is_refused_for_that(tmp_path: Path) -> None:
    network = small_network()
    with torch.no_grad():
        next(network.parameters())[0] = float("nan")
    with pytest.raises(UserError, match="returns NaN or infinite values: its training failed"):
        save_bundle(tmp_path / "small", network, **ABOUT)
    assert not (tmp_path / "small").exists()
