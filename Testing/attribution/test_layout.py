"""Models that look at how feature maps lie in memory, in float32, where the engine lays them out in its own way."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mri_interpret.attribution import Explainer
from mri_interpret.attribution.engine.calls import UnsupportedOperation
from torch import Tensor, nn

from Testing.attribution.networks import randomise


class Body(nn.Module):
    """Two convolutions, after which ``features`` makes a vector of 4 * 5 * 6 * 7 values per sample."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv3d(1, 3, 3, padding=1), nn.Conv3d(3, 4, 3, padding=1)
        self.norm, self.head = nn.BatchNorm3d(4), nn.Linear(4 * 5 * 6 * 7, 3)

    def features(self, y: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.second(torch.relu(self.first(x))))
        return self.head(self.features(y))


class View(Body):
    def features(self, y: Tensor) -> Tensor:
        return torch.relu(y).view(y.shape[0], -1)


class ViewOfASlice(Body):
    def features(self, y: Tensor) -> Tensor:
        return torch.cat([y[:, 1:].reshape(len(y), -1), y[:, :1].flatten(1)], 1)


class Unflattened(Body):
    def features(self, y: Tensor) -> Tensor:
        return y.unflatten(1, (2, 2)).ravel().unflatten(0, (len(y), -1))


class InsistsOnContiguity(Body):
    def features(self, y: Tensor) -> Tensor:
        y = torch.relu(y)
        assert y.is_contiguous()
        return y.flatten(1)


class ReadsStrides(Body):
    def features(self, y: Tensor) -> Tensor:
        y = torch.relu(y)
        return y.flatten(1) * (1.0 + y.stride(1))


class Strided(Body):
    def features(self, y: Tensor) -> Tensor:
        y = torch.relu(y)
        return torch.as_strided(y, (len(y), 4 * 5 * 6 * 7), (4 * 5 * 6 * 7, 1))


class WithoutGradient(Body):
    def features(self, y: Tensor) -> Tensor:
        y = torch.relu(y)
        with torch.no_grad():
            weight = y.view(len(y), -1).abs().amax(1, keepdim=True)
        return y.view(len(y), -1) / weight + y.detach().view(len(y), -1)


class _Viewed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor) -> Tensor:
        ctx.shape = y.shape
        return 2 * y.view(len(y), -1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return 2 * grads[0].reshape(ctx.shape)


class CustomFunction(Body):
    def features(self, y: Tensor) -> Tensor:
        return _Viewed.apply(torch.relu(y))


@torch.jit.script
def _scripted_view(y: Tensor) -> Tensor:
    return torch.tanh(y).view(y.size(0), -1)


class Scripted(Body):
    def features(self, y: Tensor) -> Tensor:
        return _scripted_view(torch.relu(y))


EVERY = [View, ViewOfASlice, Unflattened, InsistsOnContiguity, ReadsStrides, Strided, WithoutGradient]


@pytest.mark.parametrize("kind", [*EVERY, CustomFunction, Scripted])
def test_gradients_are_torchs(kind: type[Body]) -> None:
    torch.manual_seed(0)
    model = randomise(kind()).float().eval()
    x = torch.randn(1, 1, 5, 6, 7)
    leaf = x.clone().requires_grad_()
    logits = model(leaf)
    (right,) = torch.autograd.grad(logits[0, 1], leaf)
    found = Explainer(model).explain(x, 1, ["gradient", "grad_cam"])
    torch.testing.assert_close(found.logits, logits.detach(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found["gradient"].map, right[:, 0], rtol=1e-4, atol=1e-5 * float(right.abs().max()))


@pytest.mark.parametrize("kind", [View, ViewOfASlice, Unflattened, InsistsOnContiguity])
def test_relevance_is_that_of_float64(kind: type[Body]) -> None:
    torch.manual_seed(0)
    model = randomise(kind()).float().eval()
    x = torch.randn(1, 1, 5, 6, 7)
    found = Explainer(model).explain(x, 1, "lrp")["lrp"].map
    right = Explainer(model.double()).explain(x.double(), 1, "lrp")["lrp"].map
    torch.testing.assert_close(found, right, rtol=1e-3, atol=1e-4 * float(right.abs().max()))


class ChangedAfterFlattening(Body):
    def features(self, y: Tensor) -> Tensor:
        y = torch.relu(y)
        flat = y.flatten(1)  # shares memory in torch's layout
        y += 1
        return flat


class SliceChangedAfterFlattening(Body):
    def features(self, y: Tensor) -> Tensor:
        y = torch.relu(y)
        part, flat = y[:, :2], y.flatten(1)
        part += 1
        return flat


@pytest.mark.parametrize("kind", [ChangedAfterFlattening, SliceChangedAfterFlattening])
def test_memory_that_is_shared_in_torchs_layout_only_is_not_overlooked(kind: type[Body]) -> None:
    model = randomise(kind()).float().eval()
    with pytest.raises(UnsupportedOperation, match="in place"):
        Explainer(model).explain(torch.randn(1, 1, 5, 6, 7), 1, "gradient")
