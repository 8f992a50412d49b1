"""What ClinicaDL 1's residual networks compute, on a small grid, stored so that the tests need it not.

    python -m venv clinicadl && clinicadl/bin/pip install clinicadl==1.6.1
    clinicadl/bin/python -m Testing.oracles.make_clinicadl_1

Writes ``clinicadl_1.json`` beside this file: for each network the names and shapes of its weights, in the order of its
state dict, and its output for weights and a scan made by :mod:`.clinicadl_2_numbers`.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from clinicadl.utils.network.cnn.resnet3D import ResNetDesigner3D
from clinicadl.utils.network.cnn.SECNN import SECNNDesigner3D
from torch import nn

from Testing.oracles.clinicadl_2_numbers import filled, picture

SHAPE = (64, 63, 70)  # five poolings leave 1 x 1 x 1


def as_trained(designer: nn.Module) -> nn.Module:
    """What ClinicaDL makes of a designer, with the names that its weights are stored under."""
    network = nn.Module()
    network.convolutions = nn.Sequential(
        designer.layer0, designer.layer1, designer.layer2, designer.layer3, designer.layer4
    )
    network.fc = designer.fc
    return network.eval()


def main() -> None:
    """Make the file."""
    cases = {}
    for name, designer in (("ResNet3D", ResNetDesigner3D), ("SqueezeExcitationCNN", SECNNDesigner3D)):
        network = as_trained(designer(input_size=[1, *SHAPE]))
        shapes = {key: list(value.shape) for key, value in network.state_dict().items()}
        network.load_state_dict(filled(shapes))
        with torch.no_grad():
            output = network.fc(network.convolutions(torch.from_numpy(picture(SHAPE))[None, None]))[0]
        cases[name] = {"shape": list(SHAPE), "weights": shapes, "output": output.tolist()}
    path = Path(__file__).with_name("clinicadl_1.json")
    path.write_text(json.dumps(cases, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
