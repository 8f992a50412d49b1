"""The plain network's shape, size, and what it computes."""

from __future__ import annotations

import pytest
import torch
from mri_interpret.models.plain_cnn import CHANNELS, STRIDES, PlainCNN3d
from torch.nn import functional


def test_three_logits_from_the_model_grid() -> None:
    with torch.no_grad():
        logits = PlainCNN3d().eval()(torch.zeros(1, 1, 96, 112, 96))
    assert logits.shape == (1, 3)


def test_features_keep_8_mm() -> None:
    with torch.no_grad():
        features = PlainCNN3d().eval().features(torch.rand(1, 1, 96, 112, 96))
    assert features.shape == (1, CHANNELS[-1], 12 * 2, 14 * 2, 12 * 2)
    assert float(features.min()) >= 0


def test_size_is_half_a_million_to_two_million_weights() -> None:
    assert 0.5e6 <= sum(p.numel() for p in PlainCNN3d().parameters()) <= 2e6


def test_every_voxel_of_the_brain_reaches_the_logits() -> None:
    torch.manual_seed(0)
    network = PlainCNN3d().eval()
    image = torch.rand(1, 1, 32, 32, 32, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(image).square().sum(), image)
    assert (gradient != 0).float().mean() > 0.99


def test_equals_the_same_network_written_with_functions() -> None:
    torch.manual_seed(1)
    network = PlainCNN3d(channels=(4, 6), strides=(2, 1), num_classes=2).eval()
    state = network.state_dict()
    for name, tensor in state.items():
        if "running_var" in name:
            tensor.uniform_(0.5, 2)
        elif "running_mean" in name or name.endswith("1.weight") or name.endswith("1.bias"):
            tensor.normal_()
    value = image = torch.rand(2, 1, 9, 10, 11)
    for index, stride in enumerate((2, 1)):
        prefix = f"blocks.{index}."
        value = functional.conv3d(value, state[prefix + "0.weight"], stride=stride, padding=1)
        shape = (1, -1, 1, 1, 1)
        mean, var = state[prefix + "1.running_mean"].view(shape), state[prefix + "1.running_var"].view(shape)
        weight, bias = state[prefix + "1.weight"].view(shape), state[prefix + "1.bias"].view(shape)
        value = ((value - mean) / torch.sqrt(var + 1e-5) * weight + bias).clamp(min=0)
    expected = value.mean((2, 3, 4)) @ state["classifier.weight"].T + state["classifier.bias"]
    torch.testing.assert_close(network(image), expected)


@pytest.mark.parametrize(
    ("channels", "strides"),
    [((8, 8), (2,)), ((), ()), ((8, 0), (1, 1))],
)
def test_impossible_layouts_are_refused(channels: tuple[int, ...], strides: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"channel counts|positive"):
        PlainCNN3d(channels=channels, strides=strides)


def test_default_strides_match_default_channels() -> None:
    assert len(CHANNELS) == len(STRIDES)
