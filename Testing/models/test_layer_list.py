"""Networks as lists of layers: what torch's own modules give, and refused where a layer is not known."""

from __future__ import annotations

import pytest
import torch
from mri_interpret.models.layer_list import LAYERS, LayerList, MeanOfNetworks, PadMaxPool3d
from torch import nn

LAYER_LIST = [
    {"layer": "Conv3d", "in_channels": 1, "out_channels": 3, "kernel_size": 3, "padding": 1},
    {"layer": "LeakyReLU"},
    {"layer": "MaxPool3d", "kernel_size": 2},
    {"layer": "Flatten"},
    {"layer": "Linear", "name": "scores", "in_features": 3 * 4 * 3 * 2, "out_features": 2},
]


def test_the_layers_are_torch_s_in_order():
    torch.manual_seed(0)
    network = LayerList(LAYER_LIST)
    x = torch.randn(2, 1, 8, 6, 5)
    plain = nn.Sequential(
        nn.Conv3d(1, 3, 3, padding=1), nn.LeakyReLU(), nn.MaxPool3d(2), nn.Flatten(), nn.Linear(72, 2)
    )
    plain.load_state_dict(dict(zip(plain.state_dict(), network.state_dict().values(), strict=True)))
    torch.testing.assert_close(network(x), plain(x))
    assert network.scores.out_features == 2


@pytest.mark.parametrize("shape", [(8, 6, 4), (7, 6, 5), (9, 9, 9)])
def test_padded_pooling_counts_from_the_high_end(shape):
    """An odd axis gets one plane of zeros before its first: windows end at the last voxel."""
    x = torch.rand(1, 2, *shape) + 1
    pooled = PadMaxPool3d(2, 2)(x)
    assert pooled.shape[2:] == tuple(-(-size // 2) for size in shape)
    assert pooled[0, 0, -1, -1, -1] == x[0, 0, -2:, -2:, -2:].max()
    if shape[0] % 2:
        assert pooled[0, 0, 0, -1, -1] == x[0, 0, :1, -2:, -2:].max()


def test_the_mean_of_networks_is_their_mean():
    torch.manual_seed(1)
    network = MeanOfNetworks(3, LAYER_LIST)
    x = torch.randn(1, 1, 8, 6, 5)
    torch.testing.assert_close(network(x), sum(member(x) for member in network.members) / 3)
    with pytest.raises(ValueError, match="at least one"):
        MeanOfNetworks(0, LAYER_LIST)


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        ([{"layer": "Lambda"}], "must be one of"),
        ([{"layer": "os.system"}], "must be one of"),
        ([{"kernel_size": 3}], "layer 0 is None"),
        ([{"layer": "ReLU", "name": "a"}, {"layer": "ReLU", "name": "a"}], "two layers are called 'a'"),
        ([{"layer": "Conv3d", "channels": 3}], r"layer 0 \(Conv3d\)"),
    ],
)
def test_what_is_not_known_is_refused(layers, sentence):
    with pytest.raises(ValueError, match=sentence):
        LayerList(layers)


def test_every_layer_is_a_class():
    assert all(issubclass(kind, nn.Module) for kind in LAYERS.values())


def test_the_engine_follows_both():
    import mri_interpret as mi

    torch.manual_seed(2)
    x = torch.randn(1, 1, 8, 6, 5)
    network = MeanOfNetworks(2, LAYER_LIST).eval()
    found = mi.attribute(network, x, target=1, methods=["gradient", mi.LRP(composite="epsilon", bias="redistribute")])
    leaf = x.clone().requires_grad_()
    network(leaf)[0, 1].backward()
    torch.testing.assert_close(found["gradient"].map[0], leaf.grad[0, 0])
    assert float(found["lrp"].map.sum()) == pytest.approx(float(network(x)[0, 1]), abs=1e-4)
