"""The training heads disappear without a trace: the folded network gives the same logits."""

from __future__ import annotations

import pytest
import torch
from mri_interpret.models.evidence_cnn import EvidenceCNN3d
from mri_interpret.models.plain_cnn import PlainCNN3d
from mri_interpret.simulation.acquisition import crop
from mri_interpret.simulation.published import VOLUMES
from mri_interpret.simulation.region_shares import OWN_REGIONS
from mri_interpret.simulation.structures import TARGETS
from mri_interpret.training.heads import (
    DENSE_WEIGHTS,
    OWN,
    OWN_WEIGHTS,
    REGIONAL,
    LossWeights,
    Predicted,
    TrainingHeads,
    losses,
)
from torch.nn import functional

DENSE = torch.tensor([DENSE_WEIGHTS[name] for name in TARGETS])


def _said(shares: torch.Tensor, volumes: torch.Tensor | None = None) -> Predicted:
    """What heads say of one scan of which they know nothing but the shares, and the volumes if given."""
    nothing = torch.zeros(1, len(VOLUMES)) if volumes is None else volumes
    return Predicted(shares, torch.zeros(1), nothing, torch.zeros(1, 3))


@pytest.fixture
def heads(small_network: PlainCNN3d) -> TrainingHeads:
    heads = TrainingHeads(small_network).train()
    with torch.no_grad():
        for _ in range(20):
            heads(torch.rand(3, 1, 24, 24, 24))
    return heads.eval()


def test_folding_keeps_the_logits(heads: TrainingHeads) -> None:
    images = torch.rand(4, 1, 24, 24, 24)
    with torch.no_grad():
        expected = heads(images).logits
        network = heads.fold()
        torch.testing.assert_close(network(images), expected, atol=1e-4, rtol=1e-4)


def test_fine_tuning_starts_where_the_network_was(small_network: PlainCNN3d) -> None:
    images = torch.rand(5, 1, 24, 24, 24)
    with torch.no_grad():
        expected = small_network.eval()(images)
        heads = TrainingHeads(small_network, fresh=False).eval()
        heads.start_from_network(images)
        torch.testing.assert_close(heads(images).logits, expected, atol=1e-4, rtol=1e-4)


def test_whole_images_give_the_logits_that_cropped_ones_gave(heads: TrainingHeads) -> None:
    images = torch.zeros(6, 1, 48, 48, 48)
    images[:, :, 20:28, 20:28, 20:28] = torch.rand(6, 1, 8, 8, 8)
    with torch.no_grad():
        before = heads(crop(images, 8)).logits
        heads.match_whole_grid(images, 8)
        torch.testing.assert_close(heads(images).logits, before, atol=0.02, rtol=0)


def test_the_first_channels_are_the_dense_targets(heads: TrainingHeads) -> None:
    images = torch.rand(2, 1, 24, 24, 24)
    with torch.no_grad():
        dense = heads(images).shares
        features = heads.network.features(images)
    torch.testing.assert_close(dense.relu(), features[:, : len(TARGETS)])


def test_anything_below_zero_is_right_where_a_structure_is_not() -> None:
    truth = torch.zeros(1, len(TARGETS), 2, 2, 2)
    truth[0, 0, 0, 0, 0] = 0.5
    batch = {"classes": torch.tensor([[1.0, 0.0, 0.0]]), "targets": truth}
    weights = LossWeights(dense=1.0, fraction=0.0, volumes=0.0, classes=0.0)
    perfect = torch.full_like(truth, -3.0)
    perfect[0, 0, 0, 0, 0] = 0.5
    total, parts = losses(_said(perfect), batch, weights, DENSE)
    assert float(total) == 0.0
    assert parts["classes"] == pytest.approx(1.0986, abs=1e-3)
    total, _ = losses(_said(truth + 0.1), batch, weights, DENSE)
    assert float(total) > 0.0


def test_too_narrow_a_network_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        TrainingHeads(PlainCNN3d(channels=(4,), strides=(2,)))


def test_loss_weights_move_from_dense_targets_to_classes() -> None:
    start, end = LossWeights.at(0.0), LossWeights.at(1.0)
    assert start.classes == 0.0 < end.classes
    assert start.dense > end.dense > 0


@pytest.fixture
def without_biases() -> TrainingHeads:
    torch.manual_seed(5)
    network = EvidenceCNN3d(fine_channels=(6, 8), wide_channels=(8, 12), joint_channels=16)
    heads = TrainingHeads(network)
    for _ in range(4):
        heads.train()(torch.rand(3, 1, 16, 16, 16) + 0.1)
    with torch.no_grad():
        heads.classes.weight.normal_()
        heads.classes.bias.normal_()
    return heads.eval()


def test_without_biases_the_logits_grow_with_the_image_and_fold_exactly(without_biases: TrainingHeads) -> None:
    image = torch.rand(2, 1, 16, 16, 16)
    with torch.no_grad():
        said = without_biases(image)
        shares, logits = said.shares, said.logits
        torch.testing.assert_close(without_biases(2.5 * image).logits, 2.5 * logits, rtol=1e-4, atol=1e-4)
        assert shares.shape == (2, len(TARGETS), 8, 8, 8)
        torch.testing.assert_close(without_biases.fold()(image), logits, rtol=1e-4, atol=1e-4)


def test_without_biases_fine_tuning_starts_where_the_network_was(without_biases: TrainingHeads) -> None:
    images = torch.rand(5, 1, 16, 16, 16)
    with torch.no_grad():
        network = without_biases.fold()
        expected = network(images)
        heads = TrainingHeads(network, fresh=False).eval()
        heads.start_from_network(images)
        torch.testing.assert_close(heads(images).logits, expected, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(heads.fold()(images), expected, atol=1e-4, rtol=1e-4)


def test_without_biases_whole_images_give_the_logits_that_cropped_ones_gave(without_biases: TrainingHeads) -> None:
    image = torch.zeros(1, 1, 32, 32, 32)
    image[..., 12:20, 12:20, 12:20] = torch.rand(8, 8, 8)
    with torch.no_grad():
        cropped = without_biases(image[..., 4:-4, 4:-4, 4:-4]).logits
        without_biases.match_whole_grid(image, 4)
        torch.testing.assert_close(without_biases(image).logits, cropped, rtol=1e-3, atol=1e-3)


def test_targets_finer_than_the_features_are_pooled(heads: TrainingHeads) -> None:
    fine = torch.rand(1, len(TARGETS), 8, 8, 8)
    said = _said(torch.rand(1, len(TARGETS), 4, 4, 4))
    batch = {"classes": torch.full((1, 3), 1 / 3), "targets": fine}
    coarse = batch | {"targets": functional.avg_pool3d(fine, 2)}
    weights = LossWeights.at(0.5)
    assert float(losses(said, batch, weights, DENSE)[0]) == float(losses(said, coarse, weights, DENSE)[0])


def test_volumes_count_where_they_are_known() -> None:
    shares, weights = torch.zeros(1, len(TARGETS), 2, 2, 2), LossWeights.at(0.5)
    batch = {"classes": torch.full((1, 3), 1 / 3), "volumes": torch.ones(1, len(VOLUMES))}
    right, parts = losses(_said(shares, batch["volumes"]), batch, weights, DENSE)
    wrong, others = losses(_said(shares), batch, weights, DENSE)
    assert float(parts["volumes"]) == 0.0
    assert float(wrong - right) == pytest.approx(weights.volumes * float(others["volumes"]))
    assert float(others["volumes"]) == pytest.approx(0.5)  # smooth L1 of 1


def test_a_feature_about_a_region_that_died_comes_back() -> None:
    """In atrophy_cnn 0.5.0 30 of 37 were zero in every scan."""
    torch.manual_seed(0)
    network = EvidenceCNN3d(
        fine_channels=(4,), wide_channels=(6,), joint_channels=46, hidden_channels=8,
        gain_shape=(2, 3, 2), gain_grid=(8, 12, 8),
    )  # fmt: skip
    heads = TrainingHeads(network).train()
    image = torch.rand(3, 1, 16, 24, 16)
    shares = torch.rand(3, len(TARGETS), 8, 12, 8)
    batch = {"targets": shares, "classes": torch.full((3, 3), 1 / 3)}
    dead = len(TARGETS) + 2
    with torch.no_grad():
        network.joint[0].weight[dead].abs_().neg_()
    assert float(network.eval().features(image)[:, dead].detach().max()) == 0.0
    optimiser = torch.optim.Adam(heads.parameters(), lr=2e-2)
    weights = LossWeights(dense=1.0, fraction=0.0, volumes=0.0, classes=0.1)
    for _ in range(120):
        total, parts = losses(heads.train()(image), batch, weights, heads.dense_weights)
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
    assert float(network.eval().features(image)[:, dead].detach().max()) > 0.0
    assert float(parts["regional"]) > 0


def test_where_the_bank_knows_regions_each_feature_is_asked_for_its_own() -> None:
    shares = torch.zeros(1, len(TARGETS), 2, 2, 2)
    truth = torch.rand(1, len(TARGETS) + len(OWN_REGIONS), 2, 2, 2)
    batch = {"classes": torch.full((1, 3), 1 / 3), "targets": truth}
    weights = LossWeights(dense=1.0, fraction=0.0, volumes=0.0, classes=0.0)
    said = _said(shares)._replace(places=torch.ones(1, len(OWN), 2, 2, 2))
    right = said._replace(regional=truth[:, list(OWN)])
    assert float(losses(right, batch, weights, DENSE)[1]["regional"]) == 0.0
    tissues = said._replace(regional=truth[:, list(REGIONAL)])
    assert float(losses(tissues, batch, weights, DENSE)[1]["regional"]) > 0.1
    coarse = batch | {"targets": truth[:, : len(TARGETS)]}  # a bank that knows only tissues
    assert float(losses(tissues, coarse, weights, DENSE)[1]["regional"]) == 0.0
    of_regions = {OWN_REGIONS[channel - len(TARGETS)] for channel in OWN if channel >= len(TARGETS)}
    assert of_regions == set(OWN_REGIONS)


def test_a_small_region_counts_as_much_as_a_large_one() -> None:
    by_name = {OWN_REGIONS[c - len(TARGETS)]: w for c, w in zip(OWN, OWN_WEIGHTS, strict=True) if c >= len(TARGETS)}
    assert by_name["entorhinal"] > by_name["insula"] > by_name["superior and middle frontal"] > 1.0


def test_a_network_without_regions_is_asked_for_none() -> None:
    heads = TrainingHeads(EvidenceCNN3d(fine_channels=(4,), wide_channels=(6,), joint_channels=8))
    assert not heads.regional
    assert heads(torch.rand(1, 1, 16, 16, 16)).regional is None
