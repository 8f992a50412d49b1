"""On a network whose logits are positively homogeneous, maps add up to the answer without redistributing anything."""

from __future__ import annotations

import pytest
import torch
from mri_interpret.attribution.attribute import attribute
from mri_interpret.attribution.composites import composites
from mri_interpret.attribution.methods.lrp import LRP
from mri_interpret.models.evidence_cnn import EvidenceCNN3d

CONTRAST = [-1.0, 0.0, 1.0]


@pytest.fixture(scope="module")
def network() -> EvidenceCNN3d:
    torch.manual_seed(11)
    made = EvidenceCNN3d(fine_channels=(4, 6), wide_channels=(6, 8), joint_channels=10)
    made.train()(torch.rand(2, 1, 16, 16, 16))
    return made.eval()


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(1, 1, 16, 16, 16, generator=generator)


def _logit(network: EvidenceCNN3d, image: torch.Tensor) -> float:
    with torch.no_grad():
        logits = network(image)[0]
    return float(logits[2] - logits[0])


@pytest.mark.parametrize("method", ["gradient_x_input", "integrated_gradients"])
def test_gradients_add_up_to_the_logit_within_1_percent(
    network: EvidenceCNN3d, image: torch.Tensor, method: str
) -> None:
    found = attribute(network, image, torch.tensor(CONTRAST), method)[method].map
    assert float(found.sum()) == pytest.approx(_logit(network, image), rel=0.01)


@pytest.mark.parametrize("name", sorted(composites()))
def test_lrp_adds_up_to_the_logit_within_1_percent(network: EvidenceCNN3d, image: torch.Tensor, name: str) -> None:
    found = attribute(network, image, torch.tensor(CONTRAST), LRP(name))["lrp"].map
    assert float(found.sum()) == pytest.approx(_logit(network, image), rel=0.01)


def test_lrp_zero_is_gradient_times_input(network: EvidenceCNN3d, image: torch.Tensor) -> None:
    both = attribute(network, image, torch.tensor(CONTRAST), [LRP("zero"), "gradient_x_input"])
    torch.testing.assert_close(both["lrp"].map, both["gradient_x_input"].map, rtol=1e-3, atol=1e-6)
