"""Files that are added: what they hold is told by their content, and what does not do is called by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mri_interpret.errors import UserError
from mri_interpret.models.adding import add_model
from mri_interpret.models.answers import Answers
from mri_interpret.models.recipes.recipe import read_state
from mri_interpret.models.registry import find_model
from safetensors.torch import save_file
from torch import Tensor, nn

X = torch.rand(1, 1, 8, 8, 8, generator=torch.Generator().manual_seed(4))
STEPS = ({"step": "registration", "shape": [8, 8, 8], "spacing": [24, 24, 24], "origin": [-90, -126, -72]},)
ANSWERS = Answers(("CN", "AD"), STEPS)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv3d(1, 4, 3), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.first(x).mean((2, 3, 4)))


class Wrapping(nn.Module):
    """A network whose own submodule is called as DataParallel calls its."""

    def __init__(self) -> None:
        super().__init__()
        self.module = Net()

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x)


@pytest.fixture(autouse=True)
def models_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MRI_INTERPRET_MODELS", str(tmp_path / "models"))


@pytest.fixture
def network() -> Net:
    torch.manual_seed(0)
    return Net().eval()


def add(file: Path, **given: Any) -> Tensor:
    add_model(file, name="net", answers=ANSWERS, **given)
    with torch.no_grad():
        return find_model("net").network(X)


def refused(file: Path, sentence: str, **given: Any) -> None:
    with pytest.raises(UserError, match=sentence) as caught:
        add_model(file, name="net", answers=ANSWERS, **given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["net.pt", "net.pth", "net.ts", "net.safetensors"])
def test_weights_without_a_class_are_called_weights(name: str, network: Net, tmp_path: Path) -> None:
    write = save_file if name.endswith("safetensors") else torch.save
    write(network.state_dict(), tmp_path / name)
    refused(tmp_path / name, rf"^{name} holds weights alone: name the recipe or the trusted class")


def test_other_files_are_called_by_their_names(network: Net, tmp_path: Path) -> None:
    for name in ("net.onnx", "net.xyz", "net.pt", "net.pt2", "net.ts"):
        (tmp_path / name).write_bytes(b"nonsense")
    refused(
        tmp_path / "net.onnx", r"^net\.onnx is an ONNX file, which is not read: export the network by torch\.export"
    )
    refused(tmp_path / "net.xyz", r"^net\.xyz is neither a program .* nor a file of weights")
    refused(tmp_path / "net.pt", r"net\.pt is damaged, or holds pickled objects")
    for name in ("net.pt2", "net.ts"):
        refused(tmp_path / name, rf"^{name} is damaged")
    torch.save(network, tmp_path / "whole.pt")
    refused(tmp_path / "whole.pt", r"whole\.pt is damaged, or holds pickled objects, which are never loaded")


@pytest.mark.parametrize("name", ["net.pth", "net.pt", "net.ts"])
def test_a_program_is_one_whatever_its_file_is_called(name: str, network: Net, tmp_path: Path) -> None:
    torch.jit.trace(network, X).save(str(tmp_path / "saved.ts"))
    (tmp_path / "saved.ts").rename(tmp_path / name)
    torch.testing.assert_close(add(tmp_path / name), network(X), atol=1e-5, rtol=1e-5)


def test_an_exported_program_of_another_name(network: Net, tmp_path: Path) -> None:
    torch.export.save(torch.export.export(network, (X,)), tmp_path / "saved.pt2")
    (tmp_path / "saved.pt2").rename(tmp_path / "net.pt")
    torch.testing.assert_close(add(tmp_path / "net.pt"), network(X), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("holder", ["model", "state_dict", "model_state_dict", "network", "net"])
def test_the_state_dict_of_a_checkpoint_is_read(holder: str, network: Net, tmp_path: Path) -> None:
    optimizer = torch.optim.Adam(network.parameters()).state_dict()
    content = {holder: network.state_dict(), "optimizer": optimizer, "epoch": 3, "loss": torch.tensor(0.5)}
    torch.save(content, tmp_path / "net.pt")
    found = read_state(tmp_path / "net.pt")
    assert found.keys() == network.state_dict().keys()
    assert torch.equal(found["last.bias"], network.last.bias)


def test_checkpoints_that_do_not_tell_which(network: Net, tmp_path: Path) -> None:
    state = network.state_dict()
    torch.save({"model": state, "state_dict": state}, tmp_path / "two.pt")
    with pytest.raises(UserError, match=r"holds several state dicts \(model, state_dict\): save the network's alone"):
        read_state(tmp_path / "two.pt")
    for content in ({"generator": state, "epoch": 3}, {}, [1, 2]):
        torch.save(content, tmp_path / "none.pt")
        with pytest.raises(UserError, match=r"holds no state dict .*: save network\.state_dict\(\)"):
            read_state(tmp_path / "none.pt")


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize("made", [Net, Wrapping])
@pytest.mark.parametrize("parallel", [False, True])
def test_names_of_several_devices_are_those_of_one(
    parallel: bool, made: type[nn.Module], suffix: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = made().eval()
    state = {("module." if parallel else "") + name: value for name, value in network.state_dict().items()}
    (save_file if suffix == "safetensors" else torch.save)(state, tmp_path / f"net.{suffix}")
    found = add(tmp_path / f"net.{suffix}", trusted_class=f"{__name__}.{made.__name__}")
    torch.testing.assert_close(found, network(X), atol=1e-5, rtol=1e-5)


def test_weights_of_a_trusted_class_that_are_not_finite(network: Net, tmp_path: Path) -> None:
    with torch.no_grad():
        network.last.weight[0, 0] = float("nan")
    torch.save(network.state_dict(), tmp_path / "net.pt")
    refused(tmp_path / "net.pt", r"net\.pt holds NaN or infinite weights", trusted_class=f"{__name__}.Net")
