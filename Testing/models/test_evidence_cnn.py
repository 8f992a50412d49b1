"""The network that is explainable by construction: its logits are sums over places that grow with the image."""

from __future__ import annotations

import pytest
import torch
from mri_interpret.models.evidence_cnn import EvidenceCNN3d, ScaleNorm3d
from mri_interpret.models.networks import build_network
from torch.nn import functional

SMALL = {"fine_channels": (4, 6), "wide_channels": (6, 8), "joint_channels": 10}


def small_network(hidden: int | None = None) -> EvidenceCNN3d:
    torch.manual_seed(3)
    network = EvidenceCNN3d(**SMALL, hidden_channels=hidden)  # type: ignore[arg-type]
    network.train()(torch.rand(2, 1, 16, 16, 16))  # so that the scales are not all 1
    return network.eval()


def test_evidence_lies_at_4_mm_and_its_mean_is_the_answer() -> None:
    network, image = small_network(), torch.rand(2, 1, 16, 24, 16)
    with torch.no_grad():
        places = network.places(image)
        assert places.shape == (2, 3, 8, 12, 8)
        torch.testing.assert_close(places.mean((2, 3, 4)), network(image))
        assert float(network.features(image).min()) >= 0


def test_logits_grow_with_the_image_and_black_has_none() -> None:
    network, image = small_network(), torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(network(3.7 * image), 3.7 * network(image))
        assert float(network(torch.zeros_like(image)).abs().max()) == 0.0


def test_it_has_no_biases_and_fits_into_12_megabytes() -> None:
    network = EvidenceCNN3d()
    assert not [name for name, _ in network.named_parameters() if name.endswith("bias")]
    assert 4 * sum(tensor.numel() for tensor in network.state_dict().values()) < 12e6


def test_scale_norm_divides_by_the_root_mean_square() -> None:
    norm, x = ScaleNorm3d(2), torch.randn(3, 2, 4, 4, 4) * torch.tensor([2.0, 5.0])[:, None, None, None] + 1
    expected = x / x.square().mean((0, 2, 3, 4), keepdim=True).sqrt()
    torch.testing.assert_close(norm.train()(x), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(norm.eval()(x), expected, rtol=1e-5, atol=1e-5)  # the first batch sets the running mean
    torch.testing.assert_close(x * norm.scale()[:, None, None, None], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("hidden", [None, 9])
def test_equals_the_same_network_written_with_functions(hidden: int | None) -> None:
    network, image = small_network(hidden), torch.rand(1, 1, 16, 16, 16)

    def layer(block: torch.nn.Module, x: torch.Tensor, stride: int) -> torch.Tensor:
        conv, norm = block[0], block[1]  # type: ignore[index]
        x = functional.conv3d(x, conv.weight, stride=stride, padding=conv.padding)
        return x * norm.weight[:, None, None, None] / (norm.running_square + 1e-6).sqrt()[:, None, None, None]

    with torch.no_grad():
        fine = layer(network.fine[0], image, 2).relu()
        fine = layer(network.fine[1], fine, 1).relu()
        wide = layer(network.wide[0], fine, 2).relu()
        wide = layer(network.wide[1], wide, 1).relu()
        up = functional.interpolate(wide, scale_factor=2, mode="trilinear", align_corners=False)
        both = torch.cat((fine, up), 1)
        if network.hidden is not None:
            both = layer(network.hidden, both, 1).relu()
        joint = layer(network.joint, both, 1).relu()
        logits = functional.conv3d(joint, network.evidence.weight[:, :, None, None, None]).mean((2, 3, 4))
        torch.testing.assert_close(network(image), logits, rtol=1e-5, atol=1e-6)


def test_bundles_may_name_it_with_its_channels() -> None:
    network = small_network()
    again = build_network("mri_interpret.models.evidence_cnn.EvidenceCNN3d", network.channels())
    again.load_state_dict(network.state_dict())
    image = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(image), network(image))


@pytest.mark.parametrize("wrong", [{"fine_channels": ()}, {"wide_channels": ()}, {"joint_channels": 0}])
def test_wrong_layers_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"layer or more|must be positive"):
        EvidenceCNN3d(**wrong)  # type: ignore[arg-type]
