"""Gains by place: a constant of the network, the middle of it for cropped images, nothing outside the brain."""

from __future__ import annotations

import pytest
import torch
from mri_interpret.models.evidence_cnn import EvidenceCNN3d
from mri_interpret.models.networks import build_network
from mri_interpret.models.place_gain import PlaceGain
from torch.nn import functional

SMALL = {
    "fine_channels": (4, 6), "wide_channels": (6, 8), "joint_channels": 10,
    "gain_shape": (2, 3, 2), "gain_grid": (8, 12, 8),
}  # fmt: skip


def _network() -> EvidenceCNN3d:
    torch.manual_seed(4)
    network = EvidenceCNN3d(**SMALL)  # type: ignore[arg-type]
    assert network.gain is not None
    with torch.no_grad():
        network.gain.log_gain.normal_()
        network.gain.inside[:, :3] = 0.0
    network.train()(torch.rand(2, 1, 16, 24, 16))
    return network.eval()


def test_features_are_multiplied_by_the_interpolated_gains() -> None:
    gain = PlaceGain(2, (2, 2, 2), (4, 6, 4))
    with torch.no_grad():
        gain.log_gain.normal_(generator=torch.Generator().manual_seed(1))
        gain.inside[0] = 0.25
        x = torch.rand(3, 2, 4, 6, 4)
        expected = functional.interpolate(gain.log_gain.exp(), size=(4, 6, 4), mode="trilinear")
        expected = expected * torch.tensor([0.25, 1, 1, 1])[:, None, None]
        torch.testing.assert_close(gain(x), x * expected)
        torch.testing.assert_close(gain(x[:, :, 1:3, 2:4, 1:3]), (x * expected)[:, :, 1:3, 2:4, 1:3])


def test_a_new_gain_changes_nothing() -> None:
    x = torch.rand(1, 2, 4, 6, 4)
    torch.testing.assert_close(PlaceGain(2, (2, 3, 2), (4, 6, 4))(x), x)


def test_logits_grow_with_the_image_and_no_evidence_lies_outside() -> None:
    network, image = _network(), torch.rand(1, 1, 16, 24, 16)
    with torch.no_grad():
        torch.testing.assert_close(network(3.7 * image), 3.7 * network(image))
        places = network.places(image)
        torch.testing.assert_close(places.mean((2, 3, 4)), network(image))
        assert float(places[:, :, :, :3].abs().max()) == 0.0 < float(places.abs().max())


@pytest.mark.parametrize("sides", [(16, 24, 20), (16, 16, 14), (12, 24, 18)])
def test_another_grid_is_refused_in_one_sentence(sides: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="weighs its features by place on 8 x 12 x 8 places; the image has"):
        _network()(torch.rand(1, 1, *sides))


@pytest.mark.parametrize("wrong", [{"gain_shape": (2, 3)}, {"gain_shape": (2, 0, 2)}, {"gain_grid": (8, 12)}])
def test_wrong_shapes_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} needs three sides"):
        EvidenceCNN3d(**{**SMALL, **wrong})  # type: ignore[arg-type]


def test_bundles_may_name_it() -> None:
    network, image = _network(), torch.rand(1, 1, 16, 24, 16)
    again = build_network("mri_interpret.models.evidence_cnn.EvidenceCNN3d", network.channels())
    again.load_state_dict(network.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(image), network(image))


def test_constant_scales_are_those_of_the_running_means() -> None:
    network, image = _network(), torch.rand(2, 1, 16, 24, 16)
    with torch.no_grad():
        expected = network(image)
        network.train()
        for module in network.modules():
            if module.__class__.__name__ == "ScaleNorm3d":
                module.eval()
        torch.testing.assert_close(network(image), expected, rtol=1e-4, atol=1e-6)
