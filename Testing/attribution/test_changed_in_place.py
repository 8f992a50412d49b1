"""What a model changes in place: followed where that is exact, refused where it is not, and never kept."""

from __future__ import annotations

import pytest
import torch
from mri_interpret.attribution import DEFAULT_METHODS, Explainer, UnsupportedOperation
from mri_interpret.errors import UserError
from torch import Tensor, nn

from Testing.attribution.networks import explain_after_convolution, plain, volume


def test_weights_changed_in_place_are_refused() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv3d(1, 3, 3)

        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                self.conv.weight.mul_(2)
            return self.conv(x).mean((2, 3, 4))

    model = Model()
    weight = model.conv.weight.detach().clone()
    with pytest.raises(UnsupportedOperation, match="weight"):
        Explainer(model).explain(volume((6, 6, 6)).float(), 0, "gradient")
    assert torch.equal(model.conv.weight, weight)


def test_input_changed_in_place_by_the_model() -> None:
    def shifted_in_place(x: Tensor) -> Tensor:
        x.mul_(2)
        x += 0.5
        return x

    def shifted(x: Tensor) -> Tensor:
        return x * 2 + 0.5

    class Model(nn.Module):
        def __init__(self, prepare) -> None:
            super().__init__()
            self.prepare, self.rest = prepare, plain()

        def forward(self, x: Tensor) -> Tensor:
            return self.rest(self.prepare(x))

    x = volume()
    kept = x.clone()
    found = Explainer(Model(shifted_in_place)).explain(x, 0, DEFAULT_METHODS)
    wanted = Explainer(Model(shifted)).explain(x, 0, DEFAULT_METHODS)
    assert torch.equal(x, kept)
    for name in DEFAULT_METHODS:
        torch.testing.assert_close(found[name].map, wanted[name].map)


def test_view_changed_in_place_is_refused_when_the_whole_is_used() -> None:
    def half_rectified(y: Tensor) -> Tensor:
        y = y * 1.0
        y[:, :1].relu_()
        return y.mean((2, 3, 4))

    with pytest.raises(UnsupportedOperation, match="in place"):
        explain_after_convolution(half_rectified)


def test_slice_assignment_is_followed() -> None:
    def assigned(y: Tensor) -> Tensor:
        whole = torch.zeros_like(y)
        whole[:, 1:] = y[:, 1:]
        return whole.mean((2, 3, 4))

    found = explain_after_convolution(assigned, ["gradient", "lrp"])
    assert float(found["gradient"].map.abs().max()) == 0  # class 0 is never written
    assert float(found.logits[0, 1].abs()) > 0


class _InPlace(nn.Module):
    """Scales its input, in place or not, then asks one convolution."""

    def __init__(self, in_place: bool) -> None:
        super().__init__()
        self.in_place, self.rest = in_place, plain().float()

    def forward(self, x: Tensor) -> Tensor:
        if self.in_place:
            x.sub_(0.5).mul_(2)
            x -= 0.1
        else:
            x = (x - 0.5) * 2 - 0.1
        return self.rest(x)


@pytest.mark.parametrize("method", ["occlusion", "region_occlusion", "integrated_gradients", "randomised_model"])
def test_methods_that_run_the_plain_model_see_the_input_as_it_was(method: str) -> None:
    x, regions = volume((9, 9, 9)).float(), (torch.arange(9) // 3).expand(9, 9, 9)
    kept = x.clone()
    found = Explainer(_InPlace(True)).explain(x, 0, method, regions=regions)[method].map
    assert torch.equal(x, kept)
    torch.testing.assert_close(found, Explainer(_InPlace(False)).explain(x, 0, method, regions=regions)[method].map)


def test_the_callers_input_stays_when_the_model_is_refused() -> None:
    model = nn.Sequential(_InPlace(True), nn.Linear(4, 2))  # takes four values, and is given three
    x = volume((9, 9, 9)).float()
    kept = x.clone()
    with pytest.raises(UserError, match="takes 4 values"):
        Explainer(model).explain(x, 0, "gradient")
    assert torch.equal(x, kept)
