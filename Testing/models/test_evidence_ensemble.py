"""Several networks as one: its logits are the mean of theirs, and it says what each of them would answer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mri_interpret.errors import UserError
from mri_interpret.models.bundle import load_bundle
from mri_interpret.models.evidence_cnn import EvidenceCNN3d
from mri_interpret.models.evidence_ensemble import EvidenceEnsemble3d
from mri_interpret.models.members import MemberLogits
from mri_interpret.models.randomise import layer_groups
from mri_interpret.training.bundle_writer import BundleText, Trained, write_bundle
from mri_interpret.training.checkpoint import start_network
from torch import nn

SMALL = {"fine_channels": (4, 6), "wide_channels": (6, 8), "joint_channels": 10}
IMAGE = torch.rand(2, 1, 16, 24, 16, generator=torch.Generator().manual_seed(7))


def trained(seed: int) -> EvidenceCNN3d:
    torch.manual_seed(seed)
    network = EvidenceCNN3d(**SMALL)  # type: ignore[arg-type]
    network.train()(torch.rand(2, 1, 16, 16, 16))  # so that the scales are not all 1
    return network.eval()


@pytest.fixture(scope="module")
def networks() -> list[EvidenceCNN3d]:
    return [trained(seed) for seed in (1, 2, 3)]


@pytest.fixture(scope="module")
def ensemble(networks: list[EvidenceCNN3d]) -> EvidenceEnsemble3d:
    return EvidenceEnsemble3d.of(networks)


@torch.no_grad()
def test_its_logits_are_the_mean_of_its_members(networks: list[EvidenceCNN3d], ensemble: EvidenceEnsemble3d) -> None:
    each = torch.stack([network(IMAGE) for network in networks])
    torch.testing.assert_close(ensemble(IMAGE), each.mean(0))
    torch.testing.assert_close(ensemble.member_logits(IMAGE), each)
    assert float(each.std(0).min()) > 1e-4  # they differ, so that the order of members counts
    places = ensemble.places(IMAGE)
    assert places.shape == (2, 3, 8, 12, 8)
    torch.testing.assert_close(places.mean((2, 3, 4)), each.mean(0))
    torch.testing.assert_close(ensemble.features(IMAGE)[:, 10:20], networks[1].features(IMAGE))


@torch.no_grad()
def test_it_grows_with_the_image_and_has_no_idle_weights(ensemble: EvidenceEnsemble3d) -> None:
    torch.testing.assert_close(ensemble(3.7 * IMAGE), 3.7 * ensemble(IMAGE))
    assert (ensemble.num_classes, ensemble.width) == (3, 30)
    names = list(ensemble.state_dict())
    assert [name for name in names if "evidence" in name] == ["evidence.weight"]
    assert not [name for name in names if name.endswith("bias")]
    assert [name for name, module in ensemble.named_modules() if name.endswith("last_relu")] == ["last_relu"]


def test_three_networks_of_the_usual_size_fit_into_12_megabytes() -> None:
    assert 4 * sum(tensor.numel() for tensor in EvidenceEnsemble3d(3).state_dict().values()) < 12e6


@torch.no_grad()
def test_a_bundle_of_it_loads_and_gives_its_members_back(
    networks: list[EvidenceCNN3d], ensemble: EvidenceEnsemble3d, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "m", Trained(ensemble), BundleText("m"), "# card")
    loaded = load_bundle(tmp_path / "m").network
    assert isinstance(loaded, EvidenceEnsemble3d)
    torch.testing.assert_close(loaded(IMAGE), ensemble(IMAGE))
    for one, network in zip(loaded.networks(), networks, strict=True):
        torch.testing.assert_close(one(IMAGE), network(IMAGE))
    started, fine_tuned = start_network(tmp_path / "m", 1)  # as the command `train --init` starts
    assert fine_tuned
    assert all(parameter.requires_grad for parameter in started.parameters())
    torch.testing.assert_close(started(IMAGE), networks[0](IMAGE))


def test_networks_that_differ_are_refused() -> None:
    other = EvidenceCNN3d(**{**SMALL, "joint_channels": 12}, num_classes=2)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="the same layers, and these differ in joint_channels, num_classes"):
        EvidenceEnsemble3d.of([trained(1), other])
    with pytest.raises(UserError, match="at least one trained network"):
        EvidenceEnsemble3d.of([])
    with pytest.raises(ValueError, match="at least one member"):
        EvidenceEnsemble3d(0)


def test_members_are_read_from_a_pass_that_runs_anyway(ensemble: EvidenceEnsemble3d) -> None:
    members, passes = MemberLogits(ensemble), []
    counting = ensemble.last_relu.register_forward_hook(lambda *_: passes.append(1))
    with torch.no_grad(), members.watching():
        ensemble(IMAGE)
        ensemble(2 * IMAGE)  # a later pass, as a method makes it, is not the scan's
    found = members.of(IMAGE)
    counting.remove()
    assert len(passes) == 2
    torch.testing.assert_close(found, ensemble.member_logits(IMAGE).detach())
    assert not ensemble.evidence._forward_pre_hooks


def test_a_network_without_members_has_no_spread() -> None:
    members = MemberLogits(trained(1))
    with members.watching():
        pass
    assert members.of(IMAGE) is None
    assert MemberLogits(EvidenceEnsemble3d.of([trained(1)])).of(IMAGE) is None  # one network says nothing of others


def test_random_layers_of_an_ensemble_are_those_of_every_member(ensemble: EvidenceEnsemble3d) -> None:
    """Else the upper half of the layers would leave a member as it was, and no map could pass the check."""
    groups = layer_groups(ensemble, IMAGE)
    assert len(groups) == 6
    assert groups[-1] == ("evidence",)
    assert groups[-2] == tuple(f"members.{k}.joint.{layer}" for k in range(3) for layer in range(2))


def test_branches_that_are_no_copies_stay_layers_of_their_own() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.ways = nn.ModuleList([nn.Conv3d(1, 2, 1), nn.Conv3d(1, 2, 3, padding=1)])
            self.deep = nn.ModuleList([nn.Conv3d(2, 2, 1), nn.Conv3d(2, 2, 1)])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.ways[0](x) + self.ways[1](x)
            return self.deep[1](self.deep[0](x))

    assert layer_groups(Branches(), torch.rand(1, 1, 4, 4, 4)) == [("ways.0",), ("ways.1",), ("deep.0",), ("deep.1",)]
