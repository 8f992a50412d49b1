"""Programs that were exported in training mode are refused; those in evaluation mode are not, whatever they hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mri_interpret.errors import UserError
from mri_interpret.models.adding import add_model
from mri_interpret.models.answers import Answers
from mri_interpret.models.bundle import load_bundle
from mri_interpret.models.training_mode import trained_operation
from torch import Tensor, nn
from torch.nn import functional

from Testing.models.bundles import write_small_bundle

X = torch.rand(1, 1, 8, 8, 8, generator=torch.Generator().manual_seed(4))
STEPS = ({"step": "registration", "shape": [8, 8, 8], "spacing": [24, 24, 24], "origin": [-90, -126, -72]},)


class Net(nn.Module):
    """A small classifier with one layer that works otherwise in training."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.first, self.layer, self.last = nn.Conv3d(1, 4, 3), layer, nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.layer(self.first(x)).mean((2, 3, 4)))


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, dropout=0.3, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        mixed: Tensor = self.attention(tokens, tokens, tokens, need_weights=False)[0]
        return mixed.transpose(1, 2).reshape(x.shape)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 4, 2, dropout=0.3, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.lstm(x.flatten(2).transpose(1, 2))[0]
        return mixed.transpose(1, 2).reshape(x.shape)


class DropsInTraining(nn.Module):
    """The mode is asked for in its code, as a script keeps it."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.shape[0] > 0:
            x = functional.dropout(x, 0.5, True)
        return x


class AlwaysDrops(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return functional.dropout(x, 0.5)


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "batch_norm": lambda: nn.BatchNorm3d(4),
    "instance_norm": lambda: nn.InstanceNorm3d(4, track_running_stats=True),
    "dropout": lambda: nn.Dropout(0.2),
    "feature_dropout": lambda: nn.Dropout3d(0.2),
    "alpha_dropout": lambda: nn.AlphaDropout(0.2),
    "rrelu": nn.RReLU,
    "scaled_dot_product_attention": Attending,
    "lstm": Recurrent,
}
# Alike in both modes.
SOUND: dict[str, Callable[[], nn.Module]] = {
    "no statistics": lambda: nn.BatchNorm3d(4, track_running_stats=False),
    "instance": lambda: nn.InstanceNorm3d(4),
    "group": lambda: nn.GroupNorm(2, 4),
    "none dropped": lambda: nn.Dropout(0.0),
}


def exported(network: nn.Module) -> nn.Module:
    return torch.export.export(network, (X,)).module()


def traced(network: nn.Module) -> nn.Module:
    return torch.jit.trace(network, X, check_trace=False).eval()


def scripted(network: nn.Module) -> nn.Module:
    return torch.jit.script(network).eval()


@pytest.mark.parametrize("write", [exported, traced])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_in_training_mode_is_found(name: str, write: Callable[[nn.Module], nn.Module]) -> None:
    assert name in trained_operation(write(Net(LAYERS[name]()).train()))
    assert trained_operation(write(Net(LAYERS[name]()).eval())) == ""


@pytest.mark.parametrize("write", [exported, traced])
@pytest.mark.parametrize("name", SOUND)
def test_what_is_alike_in_both_modes_is_no_training(name: str, write: Callable[[nn.Module], nn.Module]) -> None:
    assert trained_operation(write(Net(SOUND[name]()).train())) == ""


def test_decomposed_operations_are_found() -> None:
    for name, layer in (("batch_norm", nn.BatchNorm3d(4)), ("dropout", nn.Dropout(0.2))):
        program = torch.export.export(Net(layer).train(), (X,)).run_decompositions({})
        assert name in trained_operation(program.module())


@pytest.mark.parametrize("layer", [nn.BatchNorm3d(4), nn.Dropout(0.2), DropsInTraining()], ids=lambda one: repr(one))
def test_a_script_goes_into_evaluation_mode(layer: nn.Module) -> None:
    assert trained_operation(scripted(Net(layer).train())) == ""


def test_a_script_that_always_drops_is_found() -> None:
    assert trained_operation(scripted(Net(AlwaysDrops()))) == "dropout"


@pytest.mark.parametrize("suffix", ["pt2", "ts"])
@pytest.mark.parametrize("layer", [nn.BatchNorm3d(4), nn.Dropout(0.2)], ids=["batch norm", "dropout"])
def test_it_is_refused_when_it_is_added_and_when_it_is_loaded(
    suffix: str, layer: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MRI_INTERPRET_MODELS", str(tmp_path / "models"))
    network, file = Net(layer).train(), tmp_path / f"net.{suffix}"
    if suffix == "pt2":
        torch.export.save(torch.export.export(network, (X,)), file)
    else:
        torch.jit.trace(network, X, check_trace=False).save(str(file))
    sentence = r"was exported in training mode \(.*\): call \.eval\(\) on the network first"
    with pytest.raises(UserError, match=rf"^net\.{suffix} {sentence}"):
        add_model(file, answers=Answers(("CN", "AD"), STEPS))
    bundle = write_small_bundle(tmp_path / "small", {"mri_interpret.grid.shape": [8, 8, 8]})
    (bundle / "models" / "model.safetensors").unlink()
    (bundle / "models" / f"model.{suffix}").write_bytes(file.read_bytes())
    with pytest.raises(UserError, match=sentence):
        load_bundle(bundle)
