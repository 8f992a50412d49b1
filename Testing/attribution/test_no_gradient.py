"""Networks part of which runs without gradients: refused where one is needed, and right where none is."""

from __future__ import annotations

import pytest
import torch
from mri_interpret.attribution import Explainer
from mri_interpret.attribution.methods.perturbation import Occlusion
from mri_interpret.errors import UserError
from torch import Tensor, nn

from Testing.attribution.networks import volume


def _without_history(y: Tensor) -> Tensor:
    with torch.no_grad():
        y = y * 2
    return y


@pytest.mark.parametrize("cut", [_without_history, torch.Tensor.detach], ids=["no_grad", "detach"])
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("method", ["gradient", "lrp", "grad_cam", "integrated_gradients", "guided_backprop"])
def test_scores_that_no_gradient_leads_back_from(cut, frozen: bool, method: str) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv3d(1, 3, 3), nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(cut(self.conv(x)).mean((2, 3, 4)))

    model = Model().requires_grad_(not frozen)
    with pytest.raises(UserError, match=r"torch.no_grad\(\) or on a detached tensor"):
        Explainer(model).explain(volume((6, 6, 6)).float(), 0, method)
    if not frozen:  # a method that needs no gradient is right
        x = volume((6, 6, 6)).float()
        found = Explainer(model).explain(x, 0, Occlusion(6))["occlusion"].map
        torch.testing.assert_close(found[0, 0, 0, 0], (model(x) - model(x * 0))[0, 0].detach())
