"""The check of recorded gradients against torch's own: what it catches, what it costs, and what it remembers."""

from __future__ import annotations

import copy

import pytest
import torch
from mri_interpret.attribution import Explainer
from mri_interpret.attribution.engine import gradient_check
from mri_interpret.attribution.engine.arithmetic import Product, Sum
from mri_interpret.attribution.engine.operation import Function
from mri_interpret.attribution.methods.perturbation import Occlusion
from mri_interpret.errors import UserError
from torch import Tensor, nn

from Testing.attribution.networks import oracle_residual, plain, randomise, volume


@pytest.fixture
def plain_passes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of the inputs that the plain model is run on for the check."""
    shapes: list[tuple[int, ...]] = []
    honest = gradient_check.run_by_torch

    def counted(model: nn.Module, x: Tensor) -> object:
        shapes.append(tuple(x.shape))
        return honest(model, x)

    monkeypatch.setattr(gradient_check, "run_by_torch", counted)
    return shapes


class Residual(nn.Module):
    """One residual sum; takes inputs of every size."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = (
            nn.Conv3d(1, 4, 3, padding=1),
            nn.Conv3d(4, 4, 3, padding=1),
            nn.Linear(4, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.first(x))
        return self.head((self.second(y) + y).mean((2, 3, 4)))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [(8, 9, 7), (65, 64, 66)])
@pytest.mark.parametrize("method", ["gradient", "lrp"])
def test_wrong_gradients_are_errors_never_maps(
    method: str, size: tuple[int, ...], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x = randomise(Residual()).to(dtype), volume(size).to(dtype)
    honest = Sum.gradient
    # A tenth of one path is lost.
    monkeypatch.setattr(Sum, "gradient", lambda self, grad: (honest(self, grad)[0], 0.9 * honest(self, grad)[1]))
    with pytest.raises(UserError, match="differs from torch's own"):
        Explainer(model).explain(x, 1, method)


def test_wrong_scores_are_errors_for_every_method(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = randomise(Residual()), volume((8, 9, 7))
    honest = Sum.forward
    monkeypatch.setattr(Sum, "forward", lambda self, *inputs: 1.01 * honest(self, *inputs))
    with pytest.raises(UserError, match="other scores than the model itself"):
        Explainer(model).explain(x, 1, Occlusion(patch=4, stride=4))


def test_a_part_that_is_cut_off_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv3d(1, 3, 3)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            return (y * torch.exp(y)).mean((2, 3, 4))

    model, x = randomise(Gated()), volume((8, 9, 7))
    Explainer(model).explain(x, 1, "gradient")
    monkeypatch.setattr(Function, "gradient", lambda self, grad: (torch.zeros_like(self.input),))
    with pytest.raises(UserError, match="differs from torch's own"):
        Explainer(copy.deepcopy(model)).explain(x, 1, "gradient")
    assert Product.gradient is not None  # the other factor's way is intact


def test_a_crop_serves_once_for_all_inputs(plain_passes: list[tuple[int, ...]]) -> None:
    model = randomise(Residual()).float()
    for seed in range(3):
        Explainer(model).explain(volume((70, 66, 68), samples=2, seed=seed).float(), 1, ["gradient", "lrp"])
    assert plain_passes == [(1, 1, 32, 32, 32)]
    Explainer(copy.deepcopy(model)).explain(volume((70, 66, 68)).float(), 1, "gradient")
    assert len(plain_passes) == 2


def test_a_model_of_one_size_is_checked_whole(plain_passes: list[tuple[int, ...]]) -> None:
    model = randomise(nn.Sequential(nn.Conv3d(1, 2, 5, 4), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 16 * 16 * 17, 3)))
    for _ in range(2):
        Explainer(model).explain(volume((66, 67, 70)), 1, "gradient")
    assert plain_passes[-1] == (1, 1, 66, 67, 70)
    assert plain_passes.count((1, 1, 66, 67, 70)) == 1


def test_another_way_through_the_model_is_checked_anew(plain_passes: list[tuple[int, ...]]) -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv3d(1, 3, 3)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            return (torch.relu(y) if float(x.mean()) > 0.4 else torch.tanh(y)).mean((2, 3, 4))

    model, x = randomise(Branching()), volume((8, 9, 7))
    for scale, passes in ((1.0, 1), (1.1, 1), (0.5, 2), (0.4, 2)):
        Explainer(model).explain(scale * x, 1, "gradient")
        assert len(plain_passes) == passes


def test_equal_values_in_poolings_are_no_difference() -> None:
    # A constant background: the first of equal maxima is chosen, which rounding decides in float32.
    model, x = plain().float(), torch.zeros(1, 1, 24, 24, 24)
    x[..., 8:16, 8:16, 8:16] = volume((8, 8, 8)).float()
    assert bool(torch.isfinite(Explainer(model).explain(x, 1, "gradient")["gradient"].map).all())


@pytest.mark.parametrize("activation", [nn.Softmax(1), nn.LogSoftmax(1), nn.Sigmoid()])
def test_models_that_end_in_an_activation_are_compared_before_it(
    activation: nn.Module, plain_passes: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x = nn.Sequential(oracle_residual(), activation), 0.1 * volume((12, 12, 12))
    wanted = Explainer(model[0]).explain(x, 1, "gradient")["gradient"].map
    torch.testing.assert_close(Explainer(model).explain(x, 1, "gradient")["gradient"].map, wanted)
    assert len(plain_passes) == 2
    honest = Sum.gradient
    monkeypatch.setattr(Sum, "gradient", lambda self, grad: (honest(self, grad)[0], 0.9 * honest(self, grad)[1]))
    with pytest.raises(UserError, match="differs from torch's own"):
        Explainer(copy.deepcopy(model)).explain(x, 1, "gradient")


def exported(model: nn.Module, x: Tensor) -> nn.Module:
    program: nn.Module = torch.export.export(model, (x,)).module()
    return program


def test_a_program_for_one_size_is_checked_on_a_crop_without_its_guards(plain_passes: list[tuple[int, ...]]) -> None:
    model, x = randomise(Residual()), volume((65, 64, 66))
    program = exported(model, x)
    with pytest.raises(Exception, match=r"(?i)guard|shape|size"):
        program(x[..., :32, :32, :32])  # as torch exported it
    found = Explainer(program).explain(x, 1, ["gradient", "lrp"])
    assert plain_passes == [(1, 1, 32, 32, 32)]
    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(model(leaf)[0, 1], leaf)
    torch.testing.assert_close(
        found["gradient"].map, expected[:, 0].float(), rtol=1e-3, atol=1e-5 * float(expected.abs().max())
    )


def test_a_wrong_gradient_of_a_program_is_found_on_the_crop(monkeypatch: pytest.MonkeyPatch) -> None:
    x = volume((65, 64, 66))
    program = exported(randomise(Residual()), x)
    honest = Sum.gradient
    monkeypatch.setattr(Sum, "gradient", lambda self, grad: (honest(self, grad)[0], 0.9 * honest(self, grad)[1]))
    with pytest.raises(UserError, match="differs from torch's own"):
        Explainer(program).explain(x, 1, "gradient")


def test_a_program_of_one_size_alone_is_checked_as_a_whole(plain_passes: list[tuple[int, ...]]) -> None:
    class OfOneSize(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv3d(1, 2, 4, stride=4), nn.Linear(2 * 16 * 17 * 16, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.relu(self.conv(x)).flatten(1))

    x = volume((64, 68, 64))
    Explainer(exported(randomise(OfOneSize()), x)).explain(x, 1, "gradient")
    assert plain_passes[-1] == (1, 1, 64, 68, 64)


def test_a_copy_with_other_weights_passes_for_checked(plain_passes: list[tuple[int, ...]]) -> None:
    model, x = randomise(Residual()), volume((8, 9, 7))
    Explainer(model).explain(x, 1, "gradient")
    other = randomise(copy.deepcopy(model))
    gradient_check.checked_as(other, model)
    Explainer(other).explain(x, 1, "gradient")
    assert len(plain_passes) == 1
    Explainer(other.float()).explain(x.float(), 1, "gradient")  # another way of recording
    assert len(plain_passes) == 2
