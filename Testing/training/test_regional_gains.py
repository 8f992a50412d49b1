"""Features of a new network begin about one region each, and gains learn faster than other weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mri_interpret.metrics.similarity import correlation
from mri_interpret.models.evidence_cnn import EvidenceCNN3d
from mri_interpret.models.place_gain import PlaceGain
from mri_interpret.simulation.published import VOLUMES
from mri_interpret.simulation.regions import CORTICAL
from mri_interpret.simulation.structures import TARGETS
from mri_interpret.training.heads import TrainingHeads
from mri_interpret.training.new_network import new_network
from mri_interpret.training.optimiser import GAIN_FACTOR, optimiser_for, set_rate
from mri_interpret.training.regional_gains import LOBES, plan, region_priors, start_by_region
from torch.nn import functional


def test_the_plan_knows_every_region_and_begins_with_the_dense_targets() -> None:
    assert [tissue for tissue, _ in plan()[: len(TARGETS)]] == list(TARGETS)
    assert {name for _, regions in plan() for name in regions} == set(VOLUMES)
    assert {region for regions in LOBES.values() for region in regions} >= set(CORTICAL)


def test_priors_share_out_the_brain_and_lie_where_the_atlas_has_them() -> None:
    priors = region_priors()
    total = torch.stack(list(priors.values())).sum(0)
    assert 0.9 < float(total.max()) <= 1.0
    # Middle of each region in mm from the origin of MNI space: left to right, back to front, below to above.
    middle = {name: torch.tensor([_centre(prior, axis) for axis in range(3)]) for name, prior in priors.items()}
    origin = torch.tensor([94.0, 127.0, 87.0])
    for name, (forward, up) in {"occipital": (-80, 5), "precuneus": (-60, 40), "hippocampus": (-22, -15)}.items():
        place = 4 * middle[name] - origin
        assert place.tolist() == pytest.approx([0, forward, up], abs=12), name


def _centre(prior: torch.Tensor, axis: int) -> float:
    along = prior.sum([other for other in range(3) if other != axis])
    return float((along * torch.arange(len(along))).sum() / along.sum())


def test_each_feature_of_a_new_network_weighs_its_own_region_most() -> None:
    network = new_network("EvidenceCNN3d")
    assert isinstance(network, EvidenceCNN3d)
    assert network.gain is not None
    with torch.no_grad():
        gains = network.gain.gains((48, 56, 48))[0]
    priors = region_priors()
    for channel, (tissue, regions) in enumerate(plan()):
        if channel >= len(TARGETS) and len(regions) == 1:
            alike = {
                name: correlation(gains[channel].ravel().numpy(), prior.ravel().numpy())
                for name, prior in priors.items()
            }
            assert max(alike, key=alike.__getitem__) == regions[0], (tissue, regions)
        elif not regions:
            torch.testing.assert_close(gains[channel], network.gain.inside)


def test_a_small_network_takes_what_it_has_room_for() -> None:
    gain = PlaceGain(3, (4, 5, 4), (48, 56, 48))
    start_by_region(gain)
    assert float(gain.log_gain[0, 0].detach().min()) < -3.0 < float(gain.log_gain[0, 0].detach().max())


def test_gains_move_faster_and_do_not_decay() -> None:
    torch.manual_seed(0)
    arguments = {"fine_channels": (4,), "wide_channels": (6,), "joint_channels": 8}
    heads = TrainingHeads(EvidenceCNN3d(**arguments, gain_shape=(2, 3, 2), gain_grid=(8, 12, 8)))  # type: ignore[arg-type]
    assert isinstance(heads.network, EvidenceCNN3d)
    assert heads.network.gain is not None
    optimiser = optimiser_for(heads, weight_decay=0.5)
    set_rate(optimiser, 1e-3)
    gain, other = heads.network.gain.log_gain, heads.network.joint[0].weight
    before = gain.detach().clone(), other.detach().clone()
    said = heads.train()(torch.rand(2, 1, 16, 24, 16))
    functional.cross_entropy(said.logits, torch.tensor([0, 2])).backward()
    optimiser.step()
    moved = [float((now.detach() - then).abs().max()) for now, then in zip((gain, other), before, strict=True)]
    assert moved[0] == pytest.approx(GAIN_FACTOR * 1e-3, rel=0.01)  # the first step of Adam is the rate itself
    assert moved[1] < 2e-3
    assert [group["weight_decay"] for group in optimiser.param_groups] == [0.5, 0.0]
    learning = sum(len(group["params"]) for group in optimiser.param_groups)
    assert learning == len(list(heads.parameters()))


def test_an_optimiser_that_an_earlier_version_kept_goes_on(tmp_path: Path) -> None:
    """A network without gains has one group as before; what was kept of it does not know the factor."""
    heads = TrainingHeads(EvidenceCNN3d(fine_channels=(4,), wide_channels=(6,), joint_channels=8))
    former = torch.optim.AdamW(heads.parameters(), lr=1e-3)
    torch.save(former.state_dict(), tmp_path / "kept.pt")
    optimiser = optimiser_for(heads, weight_decay=0.1)
    optimiser.load_state_dict(torch.load(tmp_path / "kept.pt"))
    set_rate(optimiser, 2e-3)
    assert [group["lr"] for group in optimiser.param_groups] == [2e-3]
