"""Random parameters: which layers, in which order, of networks and of programs."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from mri_interpret.models.randomise import layer_groups, randomised
from torch import nn

from Testing.checks.small_networks import image, parameters_of, small_cnn


class Backwards(nn.Module):
    """Runs its layers in the opposite order of their registration, and leaves one unused."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 2)
        self.unused = nn.Linear(3, 3)
        self.norm = nn.BatchNorm3d(4)
        self.first = nn.Conv3d(1, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.first(x)).mean((2, 3, 4)))


def test_layers_come_in_the_order_in_which_they_run() -> None:
    groups = layer_groups(Backwards().eval(), image())
    assert groups == [("unused",), ("first", "norm"), ("head",)]


def test_random_parameters_keep_their_size_and_lose_their_meaning() -> None:
    network = small_cnn()
    before = parameters_of(network)
    changed = randomised(network, ["3", "10"], image(), seed=3)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name  # the original stays
    for name, value in changed.state_dict().items():
        touched = name.split(".")[0] in ("3", "10")
        assert torch.equal(value, before[name]) != touched, name
        if touched and value.ndim >= 2:
            assert value.square().mean().sqrt() == pytest.approx(before[name].square().mean().sqrt().item(), rel=0.35)
    weight = changed.get_submodule("3").weight
    assert abs(np.corrcoef(weight.detach().numpy().ravel(), before["3.weight"].numpy().ravel())[0, 1]) < 0.15


def test_the_same_seed_gives_the_same_network() -> None:
    first, again, other = (randomised(small_cnn(), ["0", "10"], image(), seed).state_dict() for seed in (5, 5, 6))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["0.weight"], other["0.weight"])


def test_running_statistics_are_those_of_the_image() -> None:
    changed = randomised(small_cnn(), ["0", "1"], image(), seed=1)
    signal = changed[0](image())
    torch.testing.assert_close(changed[1].running_mean, signal.mean((0, 2, 3, 4)))
    assert not changed.training
    assert not any(module.training for module in changed.modules())


def _saved(network: nn.Module, form: str) -> nn.Module:
    """The network as a program that was written to a file and read again."""
    stream = io.BytesIO()
    if form == "exported":
        torch.export.save(torch.export.export(network, (image(),)), stream)
        return torch.export.load(io.BytesIO(stream.getvalue())).module()
    program = torch.jit.script(network) if form == "scripted" else torch.jit.trace(network, image())
    torch.jit.save(program, stream)
    return torch.jit.load(io.BytesIO(stream.getvalue())).eval()


@pytest.mark.parametrize("form", ["scripted", "traced", "exported"])
def test_a_program_becomes_the_same_random_network(form: str) -> None:
    network = small_cnn()
    program = _saved(network, form)
    before = parameters_of(program)
    groups = layer_groups(program, image())
    assert groups == layer_groups(network, image()) == [("0", "1"), ("3", "4"), ("6",), ("10",)]
    for layers in (["10"], [name for group in groups for name in group]):
        expected = randomised(network, layers, image(), seed=4)(image())
        found = randomised(program, layers, image(), seed=4)(image())
        # Running statistics come from one pass, in which a program divides by n - 1 where a module divides by n.
        torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-4)
        assert (found - network(image())).abs().max() > 1e-2
    for name, value in program.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_frozen_program_has_no_layers_to_randomise() -> None:
    assert layer_groups(torch.jit.freeze(torch.jit.script(small_cnn())), image()) == []


def test_a_normalisation_of_one_value_per_channel_keeps_its_statistics() -> None:
    network = nn.Sequential(nn.Conv3d(1, 2, 3), nn.BatchNorm3d(2), nn.Conv3d(2, 3, 2), nn.BatchNorm3d(3), nn.Flatten())
    network[3].running_mean.fill_(0.25)
    network.eval()
    found = randomised(network, ("0", "1", "2", "3"), torch.rand(1, 1, 4, 4, 4))
    assert torch.equal(found[3].running_mean, network[3].running_mean)
    assert not torch.equal(found[1].running_mean, network[1].running_mean)
    assert not any(module.training for module in found.modules())
    assert bool(torch.isfinite(found(torch.rand(1, 1, 4, 4, 4))).all())
