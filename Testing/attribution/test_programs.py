"""TorchScript and torch.export: the same maps as from the Python model, LRP included."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Optional

import pytest
import torch
from mri_interpret.attribution import DEFAULT_METHODS, Explainer
from mri_interpret.attribution.methods.cam import GradCam
from mri_interpret.attribution.methods.perturbation import Occlusion
from mri_interpret.errors import UserError
from torch import Tensor, nn

from Testing.attribution.networks import Spellings, oracle_plain, oracle_residual, randomise, volume

METHODS = [*DEFAULT_METHODS, "gradient", "hires_cam", Occlusion(patch=8, stride=8)]


class Mixed(nn.Module):
    """Norms, gates, resizing and shape operations, whose signatures differ from function to function."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(1, 4, 3, padding=1)
        self.group, self.instance = nn.GroupNorm(2, 4), nn.InstanceNorm3d(4, affine=True)
        self.squeeze, self.fc = nn.Linear(4, 4), nn.Linear(4, 3)
        self.up = nn.ConvTranspose3d(4, 4, 2, 2)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.leaky_relu(self.group(self.conv(x)), 0.1)
        y = nn.functional.interpolate(y, scale_factor=0.5, mode="trilinear")
        y = torch.relu(self.instance(self.up(y)))
        gate = torch.sigmoid(self.squeeze(y.mean((2, 3, 4))))
        y = y * gate.reshape(y.shape[0], 4, 1, 1, 1)
        y = torch.cat([y[:, :2], y[:, 2:] * 2], 1).permute(0, 2, 3, 4, 1)
        return self.fc(self.dropout(y.reshape(y.shape[0], -1, 4).mean(1)))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "plain": oracle_plain,
    "residual": oracle_residual,
    "in-place ReLU": lambda: randomise(Spellings("in-place module")),
    "mixed": lambda: randomise(Mixed()),
}


def _traced(model: nn.Module, x: Tensor) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(model, x)


def _scripted(model: nn.Module, x: Tensor) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(model)


FORMS: dict[str, Callable[[nn.Module, Tensor], object]] = {
    "export": lambda model, x: torch.export.export(model, (x,)),
    "export module": lambda model, x: torch.export.export(model, (x,)).module(),
    "trace": _traced,
    "script": _scripted,
    "frozen script": lambda model, x: torch.jit.freeze(_scripted(model, x)),
}


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", MODELS)
def test_programs_give_the_same_maps(name: str, form: str) -> None:
    model, x = MODELS[name](), volume((12, 12, 12))
    wanted = Explainer(model).explain(x, 1, METHODS)
    found = Explainer(FORMS[form](model, x)).explain(x, 1, METHODS)
    torch.testing.assert_close(found.logits, wanted.logits)
    for key in wanted:
        scale = float(wanted[key].map.abs().max())
        torch.testing.assert_close(found[key].map, wanted[key].map, rtol=1e-4, atol=1e-5 * scale, msg=f"{form} {key}")


@pytest.mark.parametrize("form", ["export", "trace", "script"])
def test_layers_of_programs_have_names(form: str) -> None:
    model, x = oracle_plain(), volume((12, 12, 12))
    name = "features.4"  # a convolution
    wanted = Explainer(model).explain(x, 1, GradCam(name))["grad_cam"]
    found = Explainer(FORMS[form](model, x)).explain(x, 1, GradCam(name))["grad_cam"]
    torch.testing.assert_close(found.map, wanted.map, rtol=1e-4, atol=1e-6 * float(wanted.map.abs().max()))


def test_saved_programs_can_be_explained(tmp_path) -> None:
    model, x = oracle_residual(), volume((12, 12, 12))
    wanted = Explainer(model).explain(x, 1, "lrp")["lrp"].map
    torch.export.save(torch.export.export(model, (x,)), tmp_path / "model.pt2")
    _scripted(model, x).save(str(tmp_path / "model.ts"))
    for loaded in (torch.export.load(tmp_path / "model.pt2"), torch.jit.load(str(tmp_path / "model.ts"))):
        torch.testing.assert_close(Explainer(loaded).explain(x, 1, "lrp")["lrp"].map, wanted, rtol=1e-4, atol=1e-8)


class _Optional(nn.Module):
    """A network with arguments that may be left out."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv3d(1, 4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor, mask: Optional[Tensor] = None, scale: float = 2.0) -> Tensor:  # noqa: UP045
        y = torch.relu(self.conv(x)) * scale
        if mask is not None:
            y = y * mask
        return self.head(y.mean((2, 3, 4)))


class _Second(_Optional):
    def forward(self, x: Tensor, age: Tensor) -> Tensor:
        return self.head(torch.relu(self.conv(x)).mean((2, 3, 4)) + age)


@pytest.mark.parametrize("freeze", [False, True])
def test_arguments_of_scripts_have_their_defaults(freeze: bool) -> None:
    model, x = _Optional().eval(), volume((6, 6, 6)).float()
    script = _scripted(model, x)
    script = torch.jit.freeze(script) if freeze else script
    wanted, found = (Explainer(one).explain(x, 1, ["gradient", "lrp"]) for one in (model, script))
    for key in wanted:
        torch.testing.assert_close(found[key].map, wanted[key].map)


def test_a_script_with_a_second_input_is_refused() -> None:
    with pytest.raises(UserError, match="needs the input 'age'"):
        Explainer(_scripted(_Second().eval(), volume())).explain(volume((6, 6, 6)).float(), 0, "gradient")


def test_a_program_without_parameters_has_no_randomised_map() -> None:
    frozen = torch.jit.freeze(_scripted(_Optional().eval(), volume()))
    with pytest.raises(UserError, match="has none"):
        Explainer(frozen).explain(volume((6, 6, 6)).float(), 0, "randomised_model")
