"""A network that is explained, and further last layers beside it that say how sure it is."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from mri_interpret.attribution import Explainer
from mri_interpret.errors import UserError
from mri_interpret.models import evidence_committee
from mri_interpret.models.bundle import load_bundle
from mri_interpret.models.evidence_cnn import EvidenceCNN3d
from mri_interpret.models.evidence_committee import EvidenceCommittee3d
from mri_interpret.models.members import MemberLogits
from mri_interpret.models.randomise import layer_groups
from mri_interpret.training.bundle_writer import BundleText, Trained, write_bundle
from mri_interpret.training.checkpoint import start_network

SMALL = {
    "fine_channels": (4, 6), "wide_channels": (6, 8), "joint_channels": 10, "hidden_channels": 9,
    "gain_shape": (3, 3, 3), "gain_grid": (48, 56, 48),
}  # fmt: skip
IMAGE = torch.rand(2, 1, 96, 112, 96, generator=torch.Generator().manual_seed(7))


@pytest.fixture(scope="module")
def networks() -> list[EvidenceCNN3d]:
    """One, and two that differ from it in their last layers."""
    torch.manual_seed(1)
    first = EvidenceCNN3d(**SMALL)  # type: ignore[arg-type]
    first.train()(torch.rand(2, 1, 96, 112, 96))  # so that the scales are not all 1
    first.eval()
    torch.nn.init.normal_(first.gain.log_gain, std=0.3)
    found = [first]
    for seed in (2, 3):
        torch.manual_seed(seed)
        other = copy.deepcopy(first)
        torch.nn.init.normal_(other.joint[0].weight, std=0.3)
        torch.nn.init.normal_(other.evidence.weight)
        other.joint[1].running_square.mul_(1.0 + seed)
        found.append(other)
    return found


@pytest.fixture(scope="module")
def committee(networks: list[EvidenceCNN3d]) -> EvidenceCommittee3d:
    return EvidenceCommittee3d.of(networks[0], networks[1:])


@torch.no_grad()
def test_its_answer_is_the_first_network_s_and_its_members_are_all(
    networks: list[EvidenceCNN3d], committee: EvidenceCommittee3d
) -> None:
    each = torch.stack([network(IMAGE) for network in networks])
    assert torch.equal(committee(IMAGE), each[0])
    torch.testing.assert_close(committee.member_logits(IMAGE), each)
    assert float(each.std(0).min()) > 1e-4  # they differ, so that the order of members counts
    torch.testing.assert_close(committee.first()(IMAGE), each[0])
    torch.testing.assert_close(committee(3.7 * IMAGE), 3.7 * committee(IMAGE))


def test_watching_costs_an_explanation_no_pass_and_keeps_no_other_image(committee: EvidenceCommittee3d) -> None:
    """A recorded pass puts convolutions off. To ask for one voids the pass, and later passes are of other images."""
    passes: list[int] = []
    counting = committee.fine.register_forward_hook(lambda *_: passes.append(1))
    unwatched, watched = copy.deepcopy(committee), copy.deepcopy(committee)  # neither has been checked before
    Explainer(unwatched).explain(IMAGE, 0, ["lrp", "grad_cam"])
    alone = len(passes)
    watched.members_read_at = "joint"  # which is given a convolution's result
    members = MemberLogits(watched)
    with members.watching():
        Explainer(watched).explain(IMAGE, 0, ["lrp", "grad_cam"])
    counting.remove()
    assert len(passes) - alone == alone > 0
    torch.testing.assert_close(members.of(IMAGE), committee.member_logits(IMAGE).detach())


@torch.no_grad()
def test_members_that_differ_in_their_last_layer_alone_share_all_others(
    networks: list[EvidenceCNN3d], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = copy.deepcopy(networks[0])
    torch.nn.init.normal_(other.evidence.weight)
    committee = EvidenceCommittee3d.of(networks[0], [other, networks[1]])
    computed: list[int] = []
    convolve = evidence_committee.functional.conv3d
    monkeypatch.setattr(
        evidence_committee.functional,
        "conv3d",
        lambda *given, **named: [computed.append(1), convolve(*given, **named)][1],
    )
    values = committee.before_joint(IMAGE)
    computed.clear()
    found = committee.member_logits_from(values)
    monkeypatch.undo()
    assert len(computed) == 2  # of the first network and of the second further one
    torch.testing.assert_close(found, torch.stack([one(IMAGE) for one in (networks[0], other, networks[1])]))


def test_further_layers_take_no_part_in_what_is_explained(committee: EvidenceCommittee3d) -> None:
    """Random layers of the randomisation check are those of the explained network alone."""
    groups = layer_groups(committee, IMAGE)
    assert groups == layer_groups(committee.first(), IMAGE)
    assert {name for name, _ in committee.named_parameters()} == {
        name for name, _ in committee.first().named_parameters()
    }


@torch.no_grad()
def test_a_bundle_of_it_loads_and_is_fine_tuned_as_its_first(
    networks: list[EvidenceCNN3d], committee: EvidenceCommittee3d, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "m", Trained(committee), BundleText("m"), "# card")
    loaded = load_bundle(tmp_path / "m").network
    assert isinstance(loaded, EvidenceCommittee3d)
    torch.testing.assert_close(loaded.member_logits(IMAGE), committee.member_logits(IMAGE))
    started, fine_tuned = start_network(tmp_path / "m", 1)
    assert fine_tuned
    assert type(started) is EvidenceCNN3d
    torch.testing.assert_close(started(IMAGE), networks[0](IMAGE))


def test_networks_that_share_no_layers_are_refused(networks: list[EvidenceCNN3d]) -> None:
    apart = copy.deepcopy(networks[1])
    with torch.no_grad():
        apart.hidden[0].weight.add_(1e-3)
    with pytest.raises(UserError, match="Network 3 of the committee does not share the first one's layers"):
        EvidenceCommittee3d.of(networks[0], [networks[1], apart])
    other = EvidenceCNN3d(**{**SMALL, "joint_channels": 12})  # type: ignore[arg-type]
    with pytest.raises(UserError, match="Network 2"):
        EvidenceCommittee3d.of(networks[0], [other])
    with pytest.raises(UserError, match="at least one further network"):
        EvidenceCommittee3d.of(networks[0], [])
    with pytest.raises(ValueError, match="at least one further network"):
        EvidenceCommittee3d(0)
