"""On a network whose logits are positively homogeneous, maps add up to the answer without redistributing anything."""

from __future__ import annotations

import pytest
import torch
from mri_interpret.attribution.attribute import attribute
from mri_interpret.attribution.composites import Composite, composites
from mri_interpret.attribution.engine.operation import Operation
from mri_interpret.attribution.methods.lrp import LRP
from mri_interpret.attribution.rules import Epsilon, Rule, ZPlus
from mri_interpret.models.evidence_cnn import EvidenceCNN3d
from mri_interpret.models.evidence_ensemble import EvidenceEnsemble3d

CONTRAST = [-1.0, 0.0, 1.0]
Network = EvidenceCNN3d | EvidenceEnsemble3d


def _trained(seed: int, *, gains: bool = False) -> EvidenceCNN3d:
    torch.manual_seed(seed)
    shape = (2, 2, 2) if gains else None
    made = EvidenceCNN3d(1, 3, (4, 6), (6, 8), 10, shape, (8, 8, 8))
    if made.gain is not None:
        made.gain.log_gain.data.normal_()
        made.gain.inside[0] = 0.0
    made.train()(torch.rand(2, 1, 16, 16, 16))
    return made.eval()


@pytest.fixture(scope="module", params=["one", "gains by place", "ensemble"])
def network(request: pytest.FixtureRequest) -> Network:
    if request.param == "ensemble":
        return EvidenceEnsemble3d.of([_trained(seed, gains=True) for seed in (11, 12)])
    return _trained(11, gains=request.param != "one")


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(1, 1, 16, 16, 16, generator=generator)


def _logit(network: Network, image: torch.Tensor) -> float:
    with torch.no_grad():
        logits = network(image)[0]
    return float(logits[2] - logits[0])


@pytest.mark.parametrize("method", ["gradient_x_input", "integrated_gradients"])
def test_gradients_add_up_to_the_logit_within_1_percent(network: Network, image: torch.Tensor, method: str) -> None:
    found = attribute(network, image, torch.tensor(CONTRAST), method)[method].map
    assert float(found.sum()) == pytest.approx(_logit(network, image), rel=0.01)


@pytest.mark.parametrize("name", sorted(composites()))
def test_lrp_adds_up_to_the_logit_within_1_percent(network: Network, image: torch.Tensor, name: str) -> None:
    found = attribute(network, image, torch.tensor(CONTRAST), LRP(name))["lrp"].map
    assert float(found.sum()) == pytest.approx(_logit(network, image), rel=0.01)


def test_lrp_zero_is_gradient_times_input(network: Network, image: torch.Tensor) -> None:
    both = attribute(network, image, torch.tensor(CONTRAST), [LRP("zero"), "gradient_x_input"])
    torch.testing.assert_close(both["lrp"].map, both["gradient_x_input"].map, rtol=1e-3, atol=1e-6)


def test_evidence_of_either_sign_gets_the_rule_of_a_dense_layer(network: Network, image: torch.Tensor) -> None:
    """z+ would hand negative evidence to the features that speak against it."""
    rules: dict[str, Rule] = {}

    class Watched(Composite):
        def rule_for(self, layer: Operation) -> Rule:
            rules[layer.module] = super().rule_for(layer)
            return rules[layer.module]

    attribute(network, image, torch.tensor(CONTRAST), LRP(Watched("watched", composites()["epsilon-plus"].by_kind)))
    assert isinstance(rules.pop("evidence"), Epsilon)
    assert len(rules) == (5 if isinstance(network, EvidenceCNN3d) else 10)
    assert all(isinstance(rule, ZPlus) for rule in rules.values())


def test_class_activation_maps_are_made_of_features_that_a_relu_made(network: Network, image: torch.Tensor) -> None:
    found = attribute(network, image, torch.tensor(CONTRAST), ["grad_cam", "grad_cam_pp"])
    with torch.no_grad():
        places = network.places(image)[0]
    evidence = (places[2] - places[0]) / places[0].numel()
    assert found["grad_cam"].details["layer"] == found["grad_cam_pp"].details["layer"] == ["last_relu"]
    # Where the rest is linear, Grad-CAM is the evidence for the target; interpolation keeps it below its largest value.
    largest = float(evidence.clamp(min=0).max())
    assert largest > 0
    assert 0.5 * largest < float(found["grad_cam"].map.max()) <= largest * 1.0001
