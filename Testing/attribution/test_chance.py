"""Networks that draw random numbers in evaluation are refused; those that only could are not run more often."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mri_interpret.attribution import Explainer
from mri_interpret.checks.check_map import check_map
from mri_interpret.errors import UserError
from torch import Tensor, nn

from Testing.attribution.networks import volume

X = volume((8, 8, 8)).float()


class Chance(nn.Module):
    """One convolution, with something done to its mean features; counts how often it runs."""

    def __init__(self, does: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.head, self.does = nn.Conv3d(1, 8, 3), nn.Linear(8, 3), does
        self.runs = [0]

    def forward(self, x: Tensor) -> Tensor:
        self.runs[0] += 1
        return self.head(self.does(F.relu(self.conv(x)).mean((2, 3, 4))))


@pytest.mark.parametrize(
    "dropout",
    [
        lambda y: F.dropout(y, 0.5),
        lambda y: F.dropout(y, p=0.5, training=True),
        lambda y: torch.dropout(y, 0.5, True),
        lambda y: F.alpha_dropout(y, 0.5, True),
        lambda y: F.dropout3d(y[:, :, None, None, None], 0.5).flatten(1),
        lambda y: torch.ops.aten.dropout(y, 0.5, True),
    ],
)
@pytest.mark.parametrize("method", ["gradient", "lrp", "occlusion"])
def test_dropout_that_is_always_on_is_refused(dropout: Callable[[Tensor], Tensor], method: str) -> None:
    with pytest.raises(UserError, match=r"drops features at random .* training=self.training"):
        Explainer(Chance(dropout)).explain(X, 0, method)


@pytest.mark.parametrize(
    "dropout",
    [
        lambda y: F.dropout(y, 0.0),
        lambda y: F.dropout(y, 0.5, training=False),
        lambda y: F.alpha_dropout(y, 0.5),
        nn.Dropout(0.5),
    ],
)
def test_dropout_that_does_nothing_is_not(dropout: Callable[[Tensor], Tensor]) -> None:
    assert float(Explainer(Chance(dropout)).explain(X, 0, "gradient")["gradient"].map.abs().max()) > 0


@pytest.mark.parametrize(
    "draws",
    [
        lambda y: y * torch.bernoulli(torch.full_like(y, 0.5)),
        lambda y: y + torch.randn_like(y),
        lambda y: y + torch.rand(8),
        lambda y: y * float(np.random.rand()),  # noqa: NPY002
        lambda y: y * random.random(),
        lambda y: y * torch.empty_like(y).uniform_(),
    ],
)
@pytest.mark.parametrize("method", ["gradient", "occlusion"])
def test_other_chance_is_refused(draws: Callable[[Tensor], Tensor], method: str) -> None:
    with pytest.raises(UserError, match="draws random numbers"):
        Explainer(Chance(draws)).explain(X, 0, method)


def test_a_map_of_a_network_that_draws_is_not_checked() -> None:
    with pytest.raises(UserError, match="draws random numbers"):
        check_map(np.ones((8, 8, 8)), Chance(lambda y: y + torch.randn_like(y)), X, 0)


def test_random_numbers_without_effect_are_no_reason_to_refuse() -> None:
    def unused(y: Tensor) -> Tensor:
        torch.rand(3)
        return y

    with_draws, without = Chance(unused), Chance(lambda y: y)
    with_draws.load_state_dict(without.state_dict())
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    found = Explainer(with_draws).explain(X, 0, "gradient")["gradient"].map
    assert torch.equal(found, Explainer(without).explain(X, 0, "gradient")["gradient"].map)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.array_equal(np.random.get_state()[1], before[2])  # noqa: NPY002
    assert with_draws.runs[0] == without.runs[0] + 2
