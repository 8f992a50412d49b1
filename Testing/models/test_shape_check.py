"""Shapes through a network without values: the quick way says what one sample on torch's meta device says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mri_interpret.errors import UserError
from mri_interpret.models import shape_check
from mri_interpret.models.networks import build_network
from mri_interpret.models.shape_check import output_without_values

GRID = (32, 40, 36)
LAYERS = [
    {"layer": "Conv3d", "in_channels": 1, "out_channels": 2, "kernel_size": 3, "stride": 4},
    {"layer": "BatchNorm3d", "num_features": 2},
    {"layer": "MaxPool3d", "kernel_size": 2},
    {"layer": "Flatten"},
    {"layer": "Linear", "in_features": 2 * 4 * 5 * 4, "out_features": 3},
]
NETWORKS: dict[str, tuple[dict[str, Any], bool]] = {  # with arguments, and whether no samples pass
    "PlainCNN3d": ({"channels": [4, 4], "strides": [2, 2], "num_classes": 3}, True),
    "AnatomyUNet": ({"num_classes": 5, "channels": [4, 8, 8], "last_channels": 4}, True),
    "LayerList": ({"layers": LAYERS}, True),
    "DenseNet121": (
        {"spatial_dims": 3, "in_channels": 1, "out_channels": 2, "init_features": 4, "growth_rate": 2,
         "block_config": [1, 1]},
        True,
    ),
    "resnet10": ({"spatial_dims": 3, "n_input_channels": 1, "num_classes": 3, "feed_forward": True}, False),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_both_ways_tell_the_same_shape(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments, passes = NETWORKS[name]
    shape = (1, 1, *GRID)
    with torch.device("meta"):
        network = build_network(name, arguments).eval()
        wanted = network(torch.empty(shape))
    assert (shape_check._of_no_samples(network, shape) is not None) == passes
    found = output_without_values(name, arguments, shape)
    assert found.shape == wanted.shape
    assert found.device.type == "meta"


def test_what_a_network_cannot_take_is_what_it_says_of_one_sample() -> None:
    arguments = {"layers": LAYERS}
    with pytest.raises(RuntimeError, match=r"1, 250|1x250"):
        output_without_values("LayerList", arguments, (1, 1, 40, 40, 40))
    with pytest.raises(UserError, match="'os' is not known"):
        output_without_values("os", {}, (1, 1, 8, 8, 8))
