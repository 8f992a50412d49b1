"""A small, sound bundle to take apart in tests."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import torch
from mri_interpret.models.plain_cnn import PlainCNN3d
from safetensors.torch import save_file

CLASSES = ("CN", "MCI", "AD")
NETWORK: dict[str, Any] = {"channels": [4, 4, 6, 6], "strides": [2, 1, 2, 1], "num_classes": 3}
METADATA: dict[str, Any] = {
    "name": "small",
    "version": "1.2.3",
    "description": "A small network with random weights, for tests.",
    "license": "Apache-2.0",
    "intended_use": "Tests.",
    "data_source": "None: the weights are random.",
    "network_data_format": {"outputs": {"pred": {"channel_def": {"0": "CN", "1": "MCI", "2": "AD"}}}},
    "mri_interpret": {
        "banner": "Research use only, not for diagnosis. Random weights.",
        "classes": list(CLASSES),
        "grid": {"shape": [96, 112, 96], "spacing": [2, 2, 2], "origin": [-95, -128, -88], "space": "MNI152"},
        "intensity": {"method": "percentile", "low": 0.5, "high": 99.5},
        "mask": "brain",
        "temperature": 2.0,
    },
}


def write_small_bundle(folder: Path, metadata: dict[str, Any] | None = None, seed: int = 0) -> Path:
    """Write the bundle, with ``metadata`` (dotted names) changed; a value of None removes the entry."""
    record = copy.deepcopy(METADATA)
    for dotted, value in (metadata or {}).items():
        *parents, last = dotted.split(".")
        place = record
        for parent in parents:
            place = place[parent]
        if value is None:
            del place[last]
        else:
            place[last] = value
    (folder / "configs").mkdir(parents=True, exist_ok=True)
    (folder / "models").mkdir(exist_ok=True)
    (folder / "configs" / "metadata.json").write_text(json.dumps(record))
    write_network(folder, NETWORK, seed)
    return folder


def write_network(folder: Path, settings: dict[str, Any], seed: int = 0) -> PlainCNN3d:
    """Put a network with random weights into a bundle; ``settings`` are its arguments."""
    definition = {"_target_": "mri_interpret.models.plain_cnn.PlainCNN3d", **settings}
    (folder / "configs" / "inference.json").write_text(json.dumps({"network_def": definition}))
    network = small_network(seed, settings)
    save_file(network.state_dict(), folder / "models" / "model.safetensors")
    return network


def small_network(seed: int = 0, settings: dict[str, Any] = NETWORK) -> PlainCNN3d:
    """The bundle's network with random weights and statistics that are not trivial."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = PlainCNN3d(**settings)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm3d):
                module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
                module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    return network.eval()
